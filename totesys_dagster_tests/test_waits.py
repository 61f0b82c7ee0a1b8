"""Every place where a process of the product can wait is in a table, with its limit and its end; a
new one is found in the syntax of the code, and fails here until it is added."""

from __future__ import annotations

import ast
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from totesys_dagster import waiting
from totesys_dagster_tests.waits import SIGNALS, WAITS

PRODUCT = Path(__file__).parents[1] / "totesys_dagster"

# Calls that wait, by the last part of their name.
CALLS = {
    *("sleep", "wait", "wait_for", "acquire", "flock", "lockf", "waitpid", "sigwait"),
    *("communicate", "Popen", "check_call", "check_output", "getoutput", "execv", "execve"),
    *("urlopen", "create_connection", "create_default_context", "SMTP", "SMTP_SSL"),
    *("recv", "recv_fds", "recvmsg", "recvfrom", "sendall", "send_fds", "makefile"),
    *("result", "as_completed", "ThreadPoolExecutor", "ProcessPoolExecutor", "shutdown"),
    *("Lock", "RLock", "Condition", "Semaphore", "Event", "Barrier", "Queue", "Timer", "Thread"),
    *("looks", "announced", "acquire_within", "get_secret_value", "ping", "connect_start"),
}
# Names that wait only when they belong to this object.
OF = {
    ("psycopg", "connect"),
    ("subprocess", "run"),
    ("subprocess", "call"),
    ("locks", "exclusive"),
    ("account", "run"),
    ("self", "run"),
    ("session", "client"),
    ("session", "get"),
    ("PatientConnection", "connect"),
    ("boto3", "client"),
    ("db", "create_engine"),
    ("select", "select"),
    ("selector", "select"),
    ("socket", "accept"),
    ("listener", "accept"),
    ("json", "load"),
    ("stdin", "read"),
    ("process", "join"),
    ("thread", "join"),
    ("timer", "join"),
}
# What makes PostgreSQL wait, in the text of a statement.
SQL = ("lock_timeout", "statement_timeout", "pg_advisory", "pg_try_advisory", "LOCK TABLE")

KILLS = {"kill", "killpg", "terminate", "send_signal", "pidfd_send_signal", "raise_signal"}


def found(names: set[str], of: set[tuple[str, str]], texts: tuple[str, ...]) -> Counter[str]:
    """Where such calls are: `file function call`, and how often."""
    places: Counter[str] = Counter()
    for path in sorted(PRODUCT.rglob("*.py")):
        file = path.relative_to(PRODUCT).as_posix()
        for function, node in _nodes(ast.parse(path.read_text()), ""):
            if (call := _call(node, names, of, texts)) is not None:
                places[f"{file} {function} {call}"] += 1
    return places


def _nodes(node: ast.AST, function: str) -> Iterator[tuple[str, ast.AST]]:
    """All nodes, each with the functions and classes that it is in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue  # a docstring
        if isinstance(child, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            yield from _nodes(child, f"{function}.{child.name}".strip("."))
        else:
            yield function or "-", child
            yield from _nodes(child, function)


def _call(
    node: ast.AST, names: set[str], of: set[tuple[str, str]], texts: tuple[str, ...]
) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return next((text for text in texts if text in node.value), None)
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Name):
        return node.func.id if node.func.id in names else None
    if not isinstance(node.func, ast.Attribute):
        return None
    owner = node.func.value
    last = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
    if node.func.attr in names or (last, node.func.attr) in of:
        return f"{last}.{node.func.attr}".strip(".")
    is_thread = "Thread" in names and node.func.attr == "join" and not node.args
    return f"{last}.join" if is_thread else None


def test_every_wait_is_in_the_table() -> None:
    places = found(CALLS, OF, SQL)

    assert {place: n for place, n in places.items() if place not in WAITS} == {}
    assert set(WAITS) - set(places) == set()


def test_every_wait_has_a_limit_and_a_sentence() -> None:
    for place, (limit, sentence) in WAITS.items():
        assert limit, place
        assert sentence, place
        if re.fullmatch("[A-Z_]+", limit):
            file = place.partition(" ")[0]
            assert re.search(rf"^{limit}\b.* = ", (PRODUCT / file).read_text(), re.MULTILINE) or (
                f"import {limit}" in (PRODUCT / file).read_text()
            ), place


def test_signals_are_sent_to_processes_that_were_proved_to_be_ours() -> None:
    """Nothing but the module that proves it sends one, and whoever started the process itself."""
    places = found(KILLS, set(), ())

    assert set(places) == set(SIGNALS)


def test_wait_says_after_two_seconds_what_it_is_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(waiting, "QUIET_SECONDS", 0.05)
    turns = sum(1 for _ in waiting.looks("the server", 0.2, pause=0.02))
    with waiting.announced("a program", 9):
        time.sleep(0.1)

    assert turns > 4
    assert capsys.readouterr().err == (
        "Waiting for the server, 0 seconds at most …\nWaiting for a program, 9 seconds at most …\n"
    )


def test_wait_that_is_short_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in waiting.looks("the server", 60):
        break
    with waiting.announced("a program", 9):
        pass

    assert capsys.readouterr().err == ""
