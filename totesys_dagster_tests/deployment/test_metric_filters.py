"""The interpreter of filter patterns does as CloudWatch's guide says, and guesses nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from totesys_dagster_tests.deployment.metric_filters import UnknownPatternError, compiled


@pytest.mark.parametrize(
    ("pattern", "logged", "counted"),
    [
        ('{ $.level = "error" }', {"level": "error"}, True),
        ('{ $.level = "error" }', {"level": "Error"}, False),
        ('{ $.level = "error" }', {"level": "errors"}, False),
        ('{ $.level = "error" }', {"message": "error"}, False),
        ('{ $.level = "err*" }', {"level": "error\nand more"}, True),
        ('{ $.level = "*" }', {}, False),
        ('{ $.a.b = "c" }', {"a": {"b": "c"}}, True),
        ('{ $.a.b = "c" }', {"a": "b"}, False),
        ('{ $.a.b = "c" }', {"a.b": "c"}, False),
        ("{ $.n = 0 }", {"n": 0}, True),
        ("{ $.n = 0 }", {"n": "0"}, False),
        ("{ $.n = 0 }", {"n": False}, False),
        ("{ $.n = 0 }", {"n": 1}, False),
        ("{ $.n = -1.5 }", {"n": -1.5}, True),
        ("{ $.n NOT EXISTS }", {"m": 1}, True),
        ("{ $.n NOT EXISTS }", {"n": None}, False),
        ('{ ($.a = "x") && ($.b = "y") }', {"a": "x", "b": "y"}, True),
        ('{ ($.a = "x") && ($.b = "y") }', {"a": "x"}, False),
        ('{ ($.a = "x") || ($.b = "y") }', {"b": "y"}, True),
        ('{ (($.a = "x") || ($.a = "z")) && ($.b NOT EXISTS) }', {"a": "z"}, True),
        ('{ (($.a = "x") || ($.a = "z")) && ($.b NOT EXISTS) }', {"a": "z", "b": 1}, False),
    ],
)
def test_pattern_counts(pattern: str, logged: dict[str, Any], counted: bool) -> None:
    assert compiled(pattern)(json.dumps(logged)) is counted


@pytest.mark.parametrize("line", ['{"level": "error"', "ERROR - error", '["error"]', '"error"', ""])
def test_what_is_no_json_object_is_not_counted(line: str) -> None:
    assert not compiled('{ $.level = "error" }')(line)
    assert not compiled("{ $.level NOT EXISTS }")(line)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "ERROR",
        '"ERROR"',
        "?ERROR ?WARN",
        "-ERROR",
        "[level, message]",
        '{ $.level != "error" }',
        "{ $.n > 0 }",
        "{ $.n >= 0 }",
        "{ $.level = %err% }",
        '{ $.level = "%err%" }',
        "{ $.level = error }",
        "{ $.level IS NULL }",
        "{ $.level IS TRUE }",
        "{ $.level EXISTS }",
        '{ $.levels[0] = "error" }',
        '{ $.some-level = "error" }',
        '{ $["level"] = "error" }',
        '{ level = "error" }',
        '{ $.level == "error" }',
        '{ $.level = "error" ',
        '{ $.level = "error" } }',
        '{ ($.level = "error" }',
        '{ $.a = "x" && $.b = "y" || $.c = "z" }',
        '{ !($.level = "error") }',
        "{ $.n = 1e3 }",
        "{ $.n = 127.0.* }",
        "{ }",
    ],
)
def test_what_is_not_known_is_refused(pattern: str) -> None:
    with pytest.raises(UnknownPatternError):
        compiled(pattern)
