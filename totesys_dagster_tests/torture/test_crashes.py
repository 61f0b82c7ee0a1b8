"""A death at each step of the protocol, and one clean retry; and two of everything at once.

The runs are `totesys run` in processes of their own, with Dagster in the loop; the oracle knows
what must come out.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from totesys_dagster import settings
from totesys_dagster.errors import LoadError
from totesys_dagster.operations.rebuild import rebuild
from totesys_dagster.postgres.sessions import connect
from totesys_dagster.warehouse import healing
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import DELETE_ORDER_1, EDIT_ORDER_1, new_design, new_sale
from totesys_dagster_tests.torture import oracle, steps
from totesys_dagster_tests.torture.judge import judge
from totesys_dagster_tests.torture.oracle import Log
from totesys_dagster_tests.torture.steps import STEPS, order
from totesys_dagster_tests.torture.world import PROJECT

pytestmark = pytest.mark.long

SECONDS = 120

SPOIL_PAYMENT_2 = "UPDATE payment SET payment_date = 'soon' WHERE payment_id = 2"
MEND_PAYMENT_2 = "UPDATE payment SET payment_date = '2022-11-09' WHERE payment_id = 2"


@pytest.fixture
def project(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Dagster instance over a platform that holds one batch, while an oracle takes notes."""
    oracle.install(platform.application)
    assert platform.run() is not None
    directory = tmp_path / "project"
    directory.mkdir()
    shutil.copy(PROJECT / "dagster.yaml", directory)
    monkeypatch.setenv(steps.ORDERS, str(directory))
    return directory


def start(project: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "totesys_dagster_tests.torture.run"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def change_everything(platform: Platform) -> None:
    """A new order, a silent edit, a deletion, a new design, and a department with its staff."""
    for statement in (
        new_sale(9),
        EDIT_ORDER_1.replace("sales_order_id = 1", "sales_order_id = 2"),
        DELETE_ORDER_1,
        new_design(9),
        "UPDATE department SET location = 'Ümlaut' WHERE department_id = 1",
    ):
        platform.application.execute(statement)


def verdict_on(platform: Platform, by_hand: oracle.ByHand = ()) -> oracle.Verdict:
    log = Log(oracle.read_log(platform.application))
    return judge(log, platform.names, platform.ingestion, platform.processed, by_hand=by_hand)


def prepare(platform: Platform, stage: str) -> oracle.ByHand:
    """Let a run have reason to come to a stage; the rows that were changed in the warehouse by
    hand for that.

    An audit of its own needs a source in which nothing changed, a digest without some keys a row
    that was bad before.
    """
    if stage == "heal":
        platform.application.execute(SPOIL_PAYMENT_2)
        assert platform.run() is not None
        healing.request_healing(platform.warehouse, platform.names, platform.ingestion)
        platform.application.execute(MEND_PAYMENT_2)
    if stage != "audit":
        change_everything(platform)
    if stage not in ("audit", "heal"):
        return ()
    platform.warehouse.execute("UPDATE warehouse.fact_purchase_order SET item_quantity = 0")
    return {("fact_purchase_order", 1)}


@pytest.mark.parametrize("step", STEPS)
def test_one_clean_retry_is_exact_after_a_death_at(
    step: str, platform: Platform, project: Path
) -> None:
    by_hand = prepare(platform, steps.stage(step))
    order(project, step).touch()

    died = start(project)
    died.communicate(timeout=SECONDS)
    assert died.returncode == -signal.SIGKILL, step
    again = start(project)
    output, errors = again.communicate(timeout=SECONDS)

    assert again.returncode == 0, errors
    assert json.loads(output)["batches"] or step in (
        "load: after the commit",
        "load: before it is recorded",
    )
    verdict = verdict_on(platform, by_hand)
    assert verdict.errors == 0, verdict.examples
    assert platform.capture() is None


def test_two_runs_at_once_are_exact(platform: Platform, project: Path) -> None:
    """Two extractors and two loaders, as two daemons would start them."""
    for number in range(9, 12):
        platform.application.execute(new_sale(number))
        platform.application.execute(EDIT_ORDER_1)
        both = [start(project), start(project)]
        outcomes = [process.communicate(timeout=SECONDS) for process in both]
        assert [process.returncode for process in both] == [0, 0], outcomes

    verdict = verdict_on(platform)
    assert verdict.errors == 0, verdict.examples
    assert platform.rows("SELECT count(*) FROM current_fact_sales_order") == [(5,)]


def test_rebuild_beside_a_run_is_exact(platform: Platform, project: Path) -> None:
    """A rebuild and a load take turns; a second rebuild is refused, and says why."""
    change_everything(platform)
    running = start(project)
    lake = (platform.ingestion, platform.processed)
    with connect(settings.WAREHOUSE_DSN) as first, connect(settings.WAREHOUSE_DSN) as second:
        refused = []

        def meddle(_done: int, _all: int) -> None:
            with pytest.raises(LoadError, match="Another rebuild"):
                rebuild(second, platform.names, *lake, quarantine_limit=0, progress=meddle)
            refused.append(True)

        while running.poll() is None:
            rebuild(first, platform.names, *lake, quarantine_limit=0, progress=meddle)
    output, errors = running.communicate()

    assert running.returncode == 0, errors
    assert json.loads(output)["batches"]
    assert refused
    verdict = verdict_on(platform)
    assert verdict.errors == 0, verdict.examples
