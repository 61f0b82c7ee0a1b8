"""What is wrong, since when, and what was sent about it: pure, without clock, Dagster or network.

An incident begins with the first trouble of its key and is resolved when no cause is left. It sends
one message when it begins, however often it is seen, one for each new cause, and one when it is
resolved. A trouble that usually passes sends nothing until its grace has passed. An
incident that is resolved before its message was sent sends none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from totesys_dagster.alerting.remedies import Remedy, remedy_of

PREFIX = "[totesys_dagster]"
AT_ONCE = dt.timedelta(0)
# For how long a run that repeats a failed one may take before people are notified of the failure.
LONGEST_BUSY = dt.timedelta(minutes=15)


@dataclass(frozen=True)
class Trouble:
    """Something is wrong: one cause of the incident named `key`.

    `reason` is a sentence without data. `cause` distinguishes troubles of the same incident.
    `remedy` is what to do, if it is not that of the incident's kind. People are notified when the
    trouble has lasted for `grace`. `next_run` are the tags of the run that the platform starts next
    for the same work: if that one fails too, people are notified at once.
    """

    key: str
    title: str
    reason: str
    cause: str = ""
    job: str | None = None
    batch: str | None = None
    run_id: str | None = None
    remedy: Remedy | None = None
    grace: dt.timedelta = AT_ONCE
    next_run: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Recovery:
    """The incident `key` has lost a cause, or all causes if `cause` is None. `sentence` says so."""

    key: str
    sentence: str
    cause: str | None = None


class Held(BaseModel):
    """A trouble that people are not notified of yet. `again` means that its next run failed too."""

    model_config = ConfigDict(frozen=True)

    trouble: Trouble
    since: dt.datetime
    again: bool = False

    def is_due(self, now: dt.datetime, *, busy: bool) -> bool:
        """Whether to notify people. While the next run is `busy`, it decides, but not for long."""
        # If it began in the future, the clock went back since.
        lasted = now - min(self.since, now)
        return self.again or lasted >= (LONGEST_BUSY if busy else self.trouble.grace)

    def seen_again(self, trouble: Trouble) -> Held:
        if trouble.run_id is not None and trouble.run_id == self.trouble.run_id:
            return self  # what the run said first is its reason
        failed = trouble.next_run is not None
        return self.model_copy(update={"trouble": trouble, "again": self.again or failed})


class Incident(BaseModel):
    """An open incident: the causes that are left, those that people were notified of, and those
    whose message waits."""

    model_config = ConfigDict(frozen=True)

    title: str
    began: dt.datetime
    batch: str | None = None
    causes: tuple[str, ...] = ()
    notified: tuple[str, ...] = ()
    held: dict[str, Held] = {}

    def with_trouble(self, one: Trouble, now: dt.datetime) -> Incident:
        causes, held = _with(self.causes, one.cause), dict(self.held)
        if one.cause in held:
            held[one.cause] = held[one.cause].seen_again(one)
        elif one.cause not in self.notified:
            held[one.cause] = Held(trouble=one, since=now)
        return self.model_copy(update={"causes": causes, "held": held})

    def without(self, cause: str | None) -> Incident:
        """The incident without one cause, or with None without any."""
        left = () if cause is None else tuple(one for one in self.causes if one != cause)
        held = {one: held for one, held in self.held.items() if one in left}
        return self.model_copy(update={"causes": left, "held": held})

    def after_notifying(self, cause: str) -> Incident:
        """The incident after people were notified of a cause."""
        held = {one: held for one, held in self.held.items() if one != cause}
        return self.model_copy(update={"notified": _with(self.notified, cause), "held": held})


def _with(causes: tuple[str, ...], cause: str) -> tuple[str, ...]:
    return causes if cause in causes else (*causes, cause)


@dataclass(frozen=True)
class Message:
    """What people are sent."""

    subject: str
    body: str


def decide(
    incidents: Mapping[str, Incident],
    seen: Sequence[Trouble | Recovery],
    now: dt.datetime,
    ui_url: str | None = None,
    code_url: str | None = None,
    busy: Collection[str] = (),
) -> tuple[dict[str, Incident], list[Message]]:
    """The open incidents after what was `seen`, in that order, and the messages to send.

    `ui_url` is the address of Dagster's UI, for links to runs; `code_url` that of the code on git,
    for links to the documentation. `busy` are the keys of incidents whose next run is at work: it
    decides whether people are notified.
    """
    left, seen = _without_echoes(incidents, seen)
    messages = []
    for one in seen:
        if isinstance(one, Trouble):
            new = Incident(title=one.title, began=now, batch=one.batch)
            left[one.key] = left.get(one.key, new).with_trouble(one, now)
        elif one.key in left:
            incident = left.pop(one.key).without(one.cause)
            if incident.causes:
                left[one.key] = incident
            elif incident.notified:
                messages.append(_end(incident, one, now))
    for news in _news(left, now, busy):
        messages.append(_beginning([held for _, held in news], ui_url, code_url))
        for key, held in news:
            left[key] = left[key].after_notifying(held.trouble.cause)
    return left, messages


def _news(
    incidents: Mapping[str, Incident], now: dt.datetime, busy: Collection[str]
) -> Iterable[list[tuple[str, Held]]]:
    """The troubles to notify people of, with their keys, by message. All that is known of a batch
    is one message: what is wrong with its tables may be why it failed."""
    held = [(key, one) for key, incident in incidents.items() for one in incident.held.values()]
    due = [(key, one) for key, one in held if one.is_due(now, busy=key in busy)]
    batches = {one.trouble.batch for _, one in due} - {None}
    messages: dict[str, list[tuple[str, Held]]] = {}
    for key, one in held:
        if (key, one) in due or one.trouble.batch in batches:
            messages.setdefault(one.trouble.batch or key, []).append((key, one))
    return messages.values()


def _without_echoes(
    incidents: Mapping[str, Incident], seen: Sequence[Trouble | Recovery]
) -> tuple[dict[str, Incident], list[Trouble | Recovery]]:
    """Both without runs that failed because a system is down: they add nothing to the system's
    incident."""
    systems = {one.reason for one in seen if isinstance(one, Trouble) and one.run_id is None}

    def is_echo(one: Trouble | Recovery) -> bool:
        return isinstance(one, Trouble) and one.run_id is not None and one.reason in systems

    left = {}
    for key, incident in incidents.items():
        kept = incident
        for cause, held in incident.held.items():
            if is_echo(held.trouble):
                kept = kept.without(cause)
        if kept.causes:
            left[key] = kept
    return left, [one for one in seen if not is_echo(one)]


def _beginning(held: Sequence[Held], ui_url: str | None, code_url: str | None) -> Message:
    troubles = [one.trouble for one in held]
    runs = [f"{ui_url}/runs/{one.run_id}" if ui_url else one.run_id for one in troubles]
    remedies = [one.remedy or remedy_of(one.key) for one in troubles]
    lines = [
        *dict.fromkeys(one.reason for one in troubles),
        "",
        *_line("What to do", [one.text for one in remedies]),
        *_line("More", [f"{code_url}/{one.place}" if code_url else one.place for one in remedies]),
        "",
        *_line("Job", [one.job for one in troubles]),
        *_line("Batch", [one.batch for one in troubles]),
        *_line("Dagster run", [run for run, one in zip(runs, troubles, strict=True) if one.run_id]),
        f"Seen: {_time(min(one.since for one in held))}",
        "",
        "You will be notified when it is resolved.",
    ]
    title = "; ".join(dict.fromkeys(one.title for one in troubles))
    return Message(f"{PREFIX} {title}", "\n".join(lines) + "\n")


def _end(resolved: Incident, recovery: Recovery, now: dt.datetime) -> Message:
    lines = [
        recovery.sentence,
        "",
        *_line("Batch", [resolved.batch]),
        f"Began: {_time(resolved.began)}",
        f"Resolved: {_time(now)}, after {_duration(now - resolved.began)}",
    ]
    return Message(f"{PREFIX} resolved: {resolved.title}", "\n".join(lines) + "\n")


def _line(name: str, values: Iterable[str | None]) -> list[str]:
    """A line that lists the values, each once; no line if there are none."""
    known = dict.fromkeys(value for value in values if value)
    return [f"{name}: {', '.join(known)}"] if known else []


def _time(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def _duration(time: dt.timedelta) -> str:
    minutes, seconds = divmod(round(time.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"
