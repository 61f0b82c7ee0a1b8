"""Alerts: people are notified once of each problem and once when it is resolved, by e-mail or SNS.

At each tick, the sensor compares the open incidents with what it finds: the runs that ended since
and their checks, the three systems, and what waits to be loaded. Its whole state is in its cursor,
including the messages not sent yet, so nothing is lost or sent twice when the daemon or the code
server restarts. Without settings it sends nothing, and says so.
"""

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

import dagster as dg
from pydantic import BaseModel, ConfigDict

from totesys_dagster import settings
from totesys_dagster.alerting import (
    ended_runs,
    found_again,
    freshness,
    notify,
    rates,
    recipients,
)
from totesys_dagster.alerting import health as systems
from totesys_dagster.alerting.ended_runs import SeenRuns
from totesys_dagster.alerting.freshness import Waiting
from totesys_dagster.alerting.health import Changes, Position, Systems
from totesys_dagster.alerting.incidents import Incident, Message, Recovery, Trouble, decide
from totesys_dagster.alerting.notify import ALERTS_OFF, Outgoing
from totesys_dagster.alerting.rates import Looked
from totesys_dagster.alerting.remedies import BATCH_PREFIX, BEHIND_KEY, CAPTURE_KEY
from totesys_dagster.errors import SettingError
from totesys_dagster.orchestration.life import log_tick
from totesys_dagster.orchestration.sensors import interval
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse


class State(BaseModel):
    """What one tick passes on to the next."""

    model_config = ConfigDict(frozen=True)

    incidents: dict[str, Incident] = {}
    outbox: tuple[Outgoing, ...] = ()
    runs: SeenRuns = SeenRuns()
    changes: Changes = Changes()
    waiting: Waiting = Waiting()
    rates: Looked = Looked()
    # Whether it is known that there is no other memory, which was lost.
    continues: bool = True


@dg.sensor(
    minimum_interval_seconds=interval(10),
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Notifies people by e-mail or Amazon SNS: once of each problem, and once when it is"
    " resolved.",
)
def alerts(
    context: dg.SensorEvaluationContext,
    source: SourceDatabase,
    lake: Lake,
    warehouse: Warehouse,
) -> dg.SkipReason:
    """Observe, decide, send; then remember what was sent."""
    if not notify.channels():
        return dg.SkipReason(ALERTS_OFF)
    now = dt.datetime.now(dt.UTC)
    before = _remembered(context.cursor)
    found = systems.look_around(source, lake, warehouse, before.changes, now)
    runs, seen = _ended(context.instance, before, found, now)
    notified = [key for key, incident in before.incidents.items() if incident.notified]
    waiting, late = _late(before.waiting, found, now, notified)
    looked, of_rates = rates.look(lake, before.rates, now)
    continues, lost, of_loss = _again(context, before, found, lake, warehouse, now)
    incidents, messages = decide(
        before.incidents,
        [*of_loss, *found.observations, *runs, *late, *of_rates],
        now,
        _url(context, recipients.ui_url),
        _url(context, settings.code_url),
        ended_runs.busy(context.instance, before.incidents),
    )
    messages = [*lost, *messages]
    outbox, failures = notify.deliver([*before.outbox, *notify.addressed(messages)])
    state = State(
        incidents=incidents,
        outbox=tuple(outbox),
        runs=seen,
        changes=found.changes or before.changes,
        waiting=waiting,
        rates=looked,
        continues=continues,
    )
    context.update_cursor(state.model_dump_json())
    for failure in failures:
        context.log.error(failure)
    log_tick(alerts.name, undelivered=len(outbox))
    return dg.SkipReason(_summary(incidents, failures))


def _remembered(cursor: str | None) -> State:
    """The last tick's state; an empty one if a person or another release has set another."""
    with suppress(ValueError):
        return State.model_validate_json(cursor or "")
    return State(continues=False)


def _again(
    context: dg.SensorEvaluationContext,
    before: State,
    found: Systems,
    lake: Lake,
    warehouse: Warehouse,
    now: dt.datetime,
) -> tuple[bool, list[Message], list[Trouble]]:
    """Whether the memory is known to be whole; if it was lost with Dagster's database, what to tell
    people of that, and what is still wrong."""
    if before.continues or found.position is None:
        return before.continues, [], []
    try:
        troubles = found_again.look(context.instance, lake, warehouse, found.position)
    except Exception as error:  # the next tick tries again; other alerts must not wait for it
        context.log.warning(f"What was wrong before Dagster's history was lost: {error}")
        return False, [], []
    if troubles is None:
        return True, [], []
    return True, [found_again.message(troubles, now, _url(context, settings.code_url))], troubles


def _url(context: dg.SensorEvaluationContext, setting: Callable[[], str | None]) -> str | None:
    """An address that is set. An alert without a link is better than none."""
    try:
        return setting()
    except SettingError as error:
        context.log.error(str(error))
        return None


def _ended(
    instance: dg.DagsterInstance, before: State, found: Systems, now: dt.datetime
) -> tuple[list[Trouble | Recovery], SeenRuns]:
    """What runs that ended since report."""
    loaded = found.position.batch if found.position else None
    records, seen = ended_runs.look(instance, before.runs, now)
    observed = [
        one
        for record in records
        for one in ended_runs.observations(instance, record.dagster_run, loaded)
    ]
    return [*observed, *ended_runs.loaded_batches([*before.incidents], loaded)], seen


def _late(
    before: Waiting, found: Systems, now: dt.datetime, known: Collection[str]
) -> tuple[Waiting, Sequence[Trouble | Recovery]]:
    """Whether the warehouse is behind, unless people know that the batch, or the capture, fails:
    one incident says enough. The wait starts again if a system cannot be read."""
    position = found.position
    if position is None or (found.changes is None and position.next is None):
        return Waiting(loaded=before.loaded), []
    # Loads at intervals are not late before they are due.
    limit = dt.timedelta(
        minutes=settings.freshness_minutes(), seconds=settings.load_every_seconds()
    )
    waits = _what_waits(position, found.changes)
    what = f"No batch has been loaded for {limit.total_seconds() / 60:.0f} minutes, though {waits}."
    trouble = Trouble(BEHIND_KEY, "the warehouse is behind", what, batch=position.next)
    waiting, said = freshness.judge(before, now, limit, position.loaded, trouble if waits else None)
    # Captures bring no batch that is there already.
    is_known = (f"{BATCH_PREFIX}{position.next}" if position.next else CAPTURE_KEY) in known
    if said is None or (isinstance(said, Trouble) and is_known):
        return waiting, []
    return waiting, [said]


def _what_waits(position: Position, changes: Changes | None) -> str | None:
    count = position.committed - position.loaded
    if position.next:
        return f"batch {position.next} is committed to the lake ({count} wait)"
    if changes and changes.after == position.committed:
        return "the source has changes that no batch holds"
    return None


def _summary(incidents: dict[str, Incident], failures: Sequence[str]) -> str:
    titles = "; ".join(incident.title for incident in incidents.values())
    wrong = f"Open incidents: {titles}." if titles else "Nothing is wrong."
    return " ".join([wrong, *failures])
