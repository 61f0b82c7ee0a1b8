"""The fixtures of tests that tick sensors, execute runs and read mails."""

from totesys_dagster_tests.inbox import inbox
from totesys_dagster_tests.orchestra import orchestra

__all__ = ["inbox", "orchestra"]
