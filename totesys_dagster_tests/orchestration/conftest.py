"""The fixture of tests that tick sensors and execute runs."""

from totesys_dagster_tests.orchestra import orchestra

__all__ = ["orchestra"]
