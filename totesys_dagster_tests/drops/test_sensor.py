"""The sensor of files, and the run that it starts."""

from __future__ import annotations

import datetime as dt
import json
import os

import dagster as dg
import pytest

from totesys_dagster.alerting import ended_runs
from totesys_dagster.alerting.incidents import Recovery, Trouble
from totesys_dagster.definitions import defs
from totesys_dagster.drops.place import Drop, Drops, Read
from totesys_dagster.errors import DropsError
from totesys_dagster.orchestration import files
from totesys_dagster.orchestration.bring_files import bring_files
from totesys_dagster.resources import Lake, Warehouse
from totesys_dagster_tests.drops.conftest import Dropping
from totesys_dagster_tests.orchestra import Orchestra, orchestra

__all__ = ["orchestra"]

LEEDS = "2024-11,Leeds,GBP,10.00\n"


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {one.check_name: one.passed for one in result.get_asset_check_evaluations()}


def test_nothing_lies_there(dropping: Dropping, orchestra: Orchestra) -> None:
    answer = orchestra.tick("new_files")
    assert isinstance(answer, str)
    assert f"No new files in {dropping.directory.as_uri()}" in answer


def test_files_are_taken_by_one_run(dropping: Dropping, orchestra: Orchestra) -> None:
    dropping.drop(LEEDS, "a.csv")
    dropping.drop("2024-12,Leeds,GBP,1\n", "b.csv")
    [result] = orchestra.tick_and_run("new_files")

    assert result.success
    assert checks(result) == {"taken": True, "contract": True, "audit": True, "listed": True}
    assert len(dropping.current()) == 2
    assert isinstance(orchestra.tick("new_files"), str)


def test_refused_file_fails_a_check_until_it_is_replaced(
    dropping: Dropping, orchestra: Orchestra
) -> None:
    dropping.drop("2024-11,Leeds,GBP,1E5\n")
    [result] = orchestra.tick_and_run("new_files")

    assert result.success
    [contract] = [one for one in result.get_asset_check_evaluations() if not one.passed]
    assert (contract.check_name, contract.description) == ("contract", "1 delivery refused.")
    assert "the first of them line 2" in str(contract.metadata["a.csv"].value)
    dropping.drop(LEEDS)
    [result] = orchestra.tick_and_run("new_files")
    assert checks(result)["contract"]


@pytest.mark.long
def test_refused_file_that_is_taken_away_ends_the_failure_of_its_check(
    dropping: Dropping, orchestra: Orchestra
) -> None:
    path = dropping.drop("milk\n", "notes.txt")
    [result] = orchestra.tick_and_run("new_files")
    assert not checks(result)["contract"]
    context = orchestra.context()
    assert isinstance(files.new_files(context), dg.SkipReason)
    path.unlink()

    again = orchestra.context(context.cursor)
    answer = files.new_files(again)
    assert isinstance(answer, dg.SensorResult)
    [result] = [orchestra.run(one) for one in answer.run_requests or []]
    assert checks(result)["contract"]
    assert isinstance(orchestra.tick("new_files", again.cursor), str)


def test_run_from_the_command_line_takes_files(dropping: Dropping, orchestra: Orchestra) -> None:
    def bring() -> list[str]:
        return bring_files(orchestra.instance, defs.resolve_job_def, Lake(), Warehouse())

    assert bring() == []
    dropping.drop(LEEDS)
    os.utime(dropping.targets / "a.csv")  # just now
    assert bring() == []
    assert dropping.current() == [("2024-11", "Leeds GBP", "10.00")]
    dropping.drop("x\n", "b.csv")
    [said] = bring()
    assert "says why b.csv was refused" in said
    assert bring() == []
    dropping.directory.rename(dropping.directory.with_name("elsewhere"))
    [said] = bring()
    assert "there is no such directory" in said


@pytest.mark.long
def test_run_from_the_command_line_says_which_files_cannot_be_read(
    dropping: Dropping, orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropping.drop(LEEDS, "a.csv")

    def denied(_: Drops, drop: Drop) -> Read | None:
        raise DropsError(f"{drop.name} may not be read.")

    monkeypatch.setattr(Drops, "read", denied)
    said = bring_files(orchestra.instance, defs.resolve_job_def, Lake(), Warehouse())

    assert said == ["Sales targets: not all files were loaded: a.csv may not be read."]


@pytest.mark.long
def test_run_from_the_command_line_names_a_few_of_many_refused_files(
    dropping: Dropping, orchestra: Orchestra
) -> None:
    for number in range(12):
        dropping.drop("x\n", f"{number:02}\n.csv")
    [said] = bring_files(orchestra.instance, defs.resolve_job_def, Lake(), Warehouse())

    assert said.endswith(r"08\n.csv, 09\n.csv, 2 more was refused")


def test_office_that_nobody_works_in_is_loaded_and_said(
    dropping: Dropping, orchestra: Orchestra
) -> None:
    dropping.platform.first()
    dropping.drop("2024-11,Manchester,GBP,1\n2024-11,Ledes,GBP,1\n2024-12,Ledes,GBP,1\n")
    dropping.drop("2024-11,leds,GBP,1\n", "b.csv")
    [said] = bring_files(orchestra.instance, defs.resolve_job_def, Lake(), Warehouse())
    assert "no row of dim_staff.location has the office 'Ledes' (2 rows, a.csv), 'leds' (1" in said
    assert dropping.status().doubts == [said]
    assert len(dropping.current()) == 4

    dropping.drop("2024-11,Leds,GBP,1\n", "b.csv")
    dropping.drop("2024-11,Manchester,GBP,1\n", "a.csv")
    [result] = orchestra.tick_and_run("new_files")
    assert checks(result)["listed"]
    assert dropping.status().doubts == []


@pytest.mark.long
def test_people_are_notified_of_a_refused_file_and_of_its_end(
    dropping: Dropping, orchestra: Orchestra
) -> None:
    seen = []
    for rows in ("2024-11,Leeds,GBP,1E5\n", LEEDS):
        dropping.drop(rows)
        [result] = orchestra.tick_and_run("new_files")
        run = orchestra.instance.get_run_by_id(result.run_id)
        assert run is not None
        seen.append(
            [
                (type(one), one.reason if isinstance(one, Trouble) else one.cause)
                for one in ended_runs.observations(orchestra.instance, run, None)
                if one.key == ended_runs.REFUSED_KEY
            ]
        )
    assert seen == [
        [(Trouble, "sales_target: 1 delivery refused.")],
        [(Recovery, "sales_target")],
    ]


@pytest.mark.long
def test_what_a_failed_run_has_left_is_loaded(dropping: Dropping, orchestra: Orchestra) -> None:
    dropping.drop(LEEDS)
    dropping.deliver()

    [result] = orchestra.tick_and_run("new_files")
    assert result.success
    assert dropping.current() == [("2024-11", "Leeds GBP", "10.00")]


def test_file_that_cannot_be_read_is_tried_again_after_ever_longer_pauses(
    dropping: Dropping, orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropping.drop(LEEDS)

    def denied(_: Drops, drop: Drop) -> Read | None:
        raise DropsError(f"{drop.name} may not be read.")

    with monkeypatch.context() as patch:
        patch.setattr(Drops, "read", denied)
        context = orchestra.context()
        answer = files.new_files(context)
        assert isinstance(answer, dg.SensorResult)
        [result] = [orchestra.run(one) for one in answer.run_requests or []]
    assert checks(result)["taken"] is False

    pauses: list[int] = []
    again = orchestra.tick("new_files", context.cursor)
    assert isinstance(again, str)
    assert "the files that wait are those of the previous run" in again
    for _ in range(5):
        seen = json.loads(context.cursor or "")
        pauses.append(int(seen["sales_target"]["pause"]))
        waited = dt.timedelta(seconds=pauses[-1])
        seen["sales_target"]["at"] = (dt.datetime.now(dt.UTC) - waited).isoformat()
        context = orchestra.context(json.dumps(seen))
        assert isinstance(files.new_files(context), dg.SensorResult)
    assert pauses == [60, 120, 240, 480, 900]


@pytest.mark.parametrize("cursor", ["rubbish", "[]", '{"sales_target": 5}', '{"sales_target": {}}'])
def test_cursor_of_another_release_starts_anew(
    dropping: Dropping, orchestra: Orchestra, cursor: str
) -> None:
    dropping.drop(LEEDS)
    assert isinstance(orchestra.tick("new_files", cursor), dg.SensorResult)


def test_place_that_is_gone_is_said(dropping: Dropping, orchestra: Orchestra) -> None:
    dropping.directory.rmdir()
    answer = orchestra.tick("new_files")
    assert isinstance(answer, str)
    assert "there is no such directory" in answer
