"""The torture without Dagster passes, and has teeth: it catches every mutant, by name."""

from __future__ import annotations

import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from totesys_dagster.errors import TotesysError
from totesys_dagster_tests import plans
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.torture import standstill
from totesys_dagster_tests.torture.deliverer import KEYS, Deliverer
from totesys_dagster_tests.torture.loop import Torture, UnsettledError
from totesys_dagster_tests.torture.mutants import (
    CAUGHT_AT_THE_END,
    CAUGHT_BY_ROWS_READ,
    CAUGHT_BY_WAITING,
    KINDS,
    MUTANTS,
    OF_LARGE_TABLES,
    Kind,
    Mutant,
    fingerprint_ignores_relations,
    writers_for,
)
from totesys_dagster_tests.torture.owner import CHANGES
from totesys_dagster_tests.torture.writers import WRITES

# What each landing tries: this one is caught in seconds.
SMOKE = (fingerprint_ignores_relations,)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.what)
def test_kind_of_trouble_has_a_writer_and_a_mutant_or_says_why_not(kind: Kind) -> None:
    assert bool(kind.writers and kind.mutants) != bool(kind.why)


def test_every_writer_is_of_a_kind() -> None:
    assert {*CHANGES, *WRITES} <= {writer for kind in KINDS for writer in kind.writers}


@pytest.mark.long
def test_every_version_arrives_once(full_platform: Platform) -> None:
    torture = Torture(full_platform, seed=1)
    verdict = torture.run(seconds=10)

    assert verdict.errors == 0, verdict.examples[:3]
    assert verdict.versions > 32_000  # 31,672 to begin with
    assert torture.crashes > 5


@pytest.mark.long
def test_small_source_is_no_reason_to_fail(platform: Platform) -> None:
    """What the mutants are compared with."""
    torture = Torture(platform, seed=2, favoured=CHANGES)
    verdict = torture.run(seconds=4)

    assert verdict.errors == 0, verdict.examples[:3]


@pytest.mark.long
def test_large_tables_are_exact(platform: Platform) -> None:
    """Tables that are not compared as a whole in each batch."""
    torture = Torture(platform, seed=3, large=True)
    verdict = torture.run(seconds=4)

    assert verdict.errors == 0, verdict.examples[:3]


@pytest.mark.long
def test_processes_that_die_at_every_step_are_exact() -> None:
    """The short form of `python -m totesys_dagster_tests.torture --fork --kills 1000`."""
    command = ["-m", "totesys_dagster_tests.torture", "--fork", "--store", "local"]
    done = subprocess.run(
        [sys.executable, *command, "--seconds", "10"],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "VERDICT: PASSED" in done.stdout


@pytest.mark.parametrize(
    "mutant",
    [
        mutant if mutant in SMOKE else pytest.param(mutant, marks=pytest.mark.long)
        for mutant in MUTANTS
        if mutant not in {*CAUGHT_BY_ROWS_READ, *CAUGHT_BY_WAITING}
    ],
    ids=lambda mutant: mutant.__name__,
)
def test_mutant_is_caught(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, mutant: Mutant
) -> None:
    torture = Torture(
        platform,
        seed=2,
        large=mutant in OF_LARGE_TABLES,
        favoured=writers_for(mutant),
    )
    mutant(monkeypatch)
    try:
        if mutant in CAUGHT_AT_THE_END:
            errors = torture.run(seconds=2, enough=False).errors
        else:
            # It ends as soon as the mutant is caught, which is within seconds.
            errors = torture.run(seconds=120, at_most=True).errors
    except (TotesysError, UnsettledError):
        errors = 1  # one of the platform's own guards has caught it

    assert errors > 0


@pytest.mark.long
@pytest.mark.parametrize("mutant", [None, *CAUGHT_BY_ROWS_READ])
def test_statement_that_becomes_quadratic_is_caught_by_the_rows_that_it_reads(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, mutant: Mutant | None
) -> None:
    """And not by its time, which tells as much of the machine. Without a mutant there is none."""
    if mutant:
        mutant(monkeypatch)
    with plans.watched(platform) as seen:
        plans.grow(platform, 2000)
        platform.run()
        plans.edit(platform, plans.EVERY_SECOND_GOES)
        seen.step = "every second row gone"
        platform.run(full=("payment",))

    found = [one for one in seen.complaints() if "goes through" in one]
    assert bool(found) == bool(mutant), found


@pytest.mark.long
@pytest.mark.parametrize("mutated", [False, True])
@pytest.mark.parametrize("mutant", CAUGHT_BY_WAITING)
def test_wait_without_a_limit_is_caught_by_a_step_that_does_not_end(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, mutant: Mutant, mutated: bool
) -> None:
    """Without a mutant the step ends in a sentence, whatever it met."""
    standstill.hurry(monkeypatch)
    if mutated:
        mutant(monkeypatch)

    sentence = standstill.sentence_of_capture(platform, CAUGHT_BY_WAITING[mutant])

    assert bool(sentence) != mutated, sentence


def test_of_a_key_the_file_that_was_written_last_counts(tmp_path: Path, platform: Platform) -> None:
    deliverer = Deliverer(tmp_path, 1, threading.Event())
    first, second = KEYS[:2]
    deliverer.files = {"b": {first: Decimal(1), second: Decimal(2)}, "a": {first: Decimal(3)}}

    assert deliverer.wrong(platform.warehouse) == [
        f"The target {first} is None, and the files say 3.",
        f"The target {second} is None, and the files say 2.",
    ]
