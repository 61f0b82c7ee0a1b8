"""What is wrong, since when, and what was sent about it: pure, without clock, Dagster or network.

An incident begins with the first trouble of its key and is resolved when no cause is left. It sends
one message when it begins, however often it is seen, one for each new cause, and one when it is
resolved. An incident that is resolved before its message was sent sends none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from totesys_dagster.alerting.remedies import Remedy, remedy_of

PREFIX = "[totesys_dagster]"


@dataclass(frozen=True)
class Trouble:
    """Something is wrong: one cause of the incident named `key`.

    `reason` is a sentence without data. `cause` distinguishes troubles of the same incident.
    `remedy` is what to do, if it is not that of the incident's kind.
    """

    key: str
    title: str
    reason: str
    cause: str = ""
    job: str | None = None
    batch: str | None = None
    run_id: str | None = None
    remedy: Remedy | None = None


@dataclass(frozen=True)
class Recovery:
    """The incident `key` has lost a cause, or all causes if `cause` is None. `sentence` says so."""

    key: str
    sentence: str
    cause: str | None = None


class Incident(BaseModel):
    """An open incident: the causes that are left, and those that people were notified of."""

    model_config = ConfigDict(frozen=True)

    title: str
    began: dt.datetime
    batch: str | None = None
    causes: tuple[str, ...] = ()
    notified: tuple[str, ...] = ()

    def with_cause(self, cause: str) -> Incident:
        return self.model_copy(
            update={"causes": _with(self.causes, cause), "notified": _with(self.notified, cause)}
        )

    def without(self, cause: str | None) -> Incident:
        """The incident without one cause, or with None without any."""
        left = () if cause is None else tuple(one for one in self.causes if one != cause)
        return self.model_copy(update={"causes": left})


def _with(causes: tuple[str, ...], cause: str) -> tuple[str, ...]:
    return causes if cause in causes else (*causes, cause)


@dataclass(frozen=True)
class Message:
    """What people are sent."""

    subject: str
    body: str


def decide(
    incidents: Mapping[str, Incident],
    seen: Iterable[Trouble | Recovery],
    now: dt.datetime,
    ui_url: str | None = None,
    code_url: str | None = None,
) -> tuple[dict[str, Incident], list[Message]]:
    """The open incidents after what was `seen`, in that order, and the messages to send.

    `ui_url` is the address of Dagster's UI, for links to runs; `code_url` that of the code on git,
    for links to the documentation.
    """
    left = dict(incidents)
    news: dict[str, list[Trouble]] = {}
    messages = []
    for one in seen:
        if isinstance(one, Trouble):
            incident = left.get(one.key) or Incident(title=one.title, began=now, batch=one.batch)
            if one.cause not in incident.notified:
                news.setdefault(one.key, []).append(one)
            left[one.key] = incident.with_cause(one.cause)
        elif one.key in left:
            left[one.key] = left[one.key].without(one.cause)
            if not left[one.key].causes:
                resolved = left.pop(one.key)
                if len(news.pop(one.key, [])) < len(resolved.notified):
                    messages.append(_end(resolved, one, now))
    for key, troubles in news.items():
        if lasting := [one for one in troubles if one.cause in left[key].causes]:
            messages.append(_beginning(lasting, now, ui_url, code_url))
    return left, messages


def _beginning(
    troubles: Sequence[Trouble], now: dt.datetime, ui_url: str | None, code_url: str | None
) -> Message:
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
        f"Seen: {_time(now)}",
        "",
        "You will be notified when it is resolved.",
    ]
    return Message(f"{PREFIX} {troubles[-1].title}", "\n".join(lines) + "\n")


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
