"""Which mails the alarms of terraform/modules/alerts send for what is logged and measured.

Filters, alarms and rules are read from the files of Terraform. What composes an alarm of others is
read from the names in its expression.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import hcl2

from totesys_dagster_tests.deployment.metric_filters import Matches, compiled
from totesys_dagster_tests.deployment.replay import Line

ALERTS = Path(__file__).parents[2] / "terraform" / "modules" / "alerts"
SERVICES = ("code", "daemon", "web")
CLUSTER = "arn:aws:ecs:eu-west-2:000000000000:cluster/totesys-test"


@dataclass(frozen=True)
class Filter:
    """Counts lines of a group."""

    group: str
    matches: Matches


@dataclass(frozen=True)
class Alarm:
    """Is raised when `bad` of the last `periods` periods were as they should not be."""

    period: int
    periods: int
    bad: int
    below: bool
    threshold: float
    missing_is_bad: bool

    def raised(self, measured: Mapping[int, float], until: int) -> Iterator[tuple[int, bool]]:
        """For each end of a period, whether the alarm is raised. `measured` has sums by second."""
        sums: dict[int, float] = {}
        for second, value in measured.items():
            sums[second // self.period] = sums.get(second // self.period, 0) + value
        bad = [self._is_bad(sums.get(number)) for number in range(until // self.period)]
        for number in range(len(bad)):
            # What was before the beginning was in order.
            last = bad[max(number + 1 - self.periods, 0) : number + 1]
            yield (number + 1) * self.period, sum(last) >= self.bad

    def _is_bad(self, value: float | None) -> bool:
        if value is None:
            return self.missing_is_bad
        return value < self.threshold if self.below else value >= self.threshold


def filters() -> dict[str, Filter]:
    """The filters of logs by name."""
    return {
        name: Filter(_text(one["group"]), compiled(_text(one["pattern"])))
        for name, one in _locals()["filters"].items()
    }


def alarms() -> dict[str, Alarm]:
    """The alarms of life and of copies, by what they are called after the platform's name."""
    names = {
        "lives": list(_locals()["lives"]),
        "errors": list(_locals()["errors"]),
        "services": [f"{service}-down" for service in SERVICES],
        "web": ["web-unhealthy"],
    }
    found = _resources("aws_cloudwatch_metric_alarm")
    lives = {name: _alarm(found[kind]) for kind, its in names.items() for name in its}
    copying = {
        f"copies-{kind}": _alarm(_of_each(found["copying"], its))
        for kind, its in _locals()["copying"].items()
    }
    return lives | copying


def composed() -> dict[str, list[str]]:
    """The alarms that tell people, each with those that it is raised by."""
    mails = {}
    for name, expression in _locals()["unwell"].items():
        kinds = re.findall(r"in aws_cloudwatch_metric_alarm\.(\w+) :([^\]]+)\]", expression)
        parts = ["web-unhealthy"] if "aws_cloudwatch_metric_alarm.web." in expression else []
        for kind, rest in kinds:
            if kind == "services":
                wanted = (
                    (lambda one: one == "web") if '== "web"' in rest else (lambda one: one != "web")
                )
                parts += [f"{one}-down" for one in SERVICES if wanted(one)]
            else:
                parts += list(_locals()[kind])
        mails[name] = parts
    copies = _resources("aws_cloudwatch_composite_alarm")["copies"]
    assert "for alarm in aws_cloudwatch_metric_alarm.copying :" in copies["alarm_rule"]
    assert copies["alarm_actions"] == ["${aws_sns_topic.this.arn}"]
    mails["copies"] = [f"copies-{kind}" for kind in _locals()["copying"]]
    return mails


def mails(
    lines: Iterable[Line], until: int, measured: Mapping[str, Mapping[int, float]] | None = None
) -> list[str]:
    """What is mailed by `until` seconds: composed alarms, in the order in which they are raised.

    `measured` has what AWS measures itself, by alarm; nothing is wrong with what is not in it.
    """
    known, raised = alarms(), {}
    counted = _counted(lines)
    for name, alarm in known.items():
        default = dict.fromkeys(range(0, until, alarm.period), 1.0) if alarm.below else {}
        values = counted[name] if name in counted else (measured or {}).get(name, default)
        raised[name] = dict(alarm.raised(values, until))
    sent = []
    for mail, parts in composed().items():
        before, now = False, dict.fromkeys(parts, False)
        for second in sorted({at for part in parts for at in raised[part]}):
            now |= {part: raised[part][second] for part in parts if second in raised[part]}
            if any(now.values()) and not before:
                sent.append((second, mail))
            before = any(now.values())
    return [mail for _, mail in sorted(sent)]


def _counted(lines: Iterable[Line]) -> dict[str, dict[int, float]]:
    known = filters()
    counts: dict[str, dict[int, float]] = {name: {} for name in known}
    for line in lines:
        for name, its in known.items():
            if its.group == line.group and its.matches(line.message):
                counts[name][int(line.at)] = counts[name].get(int(line.at), 0) + 1
    return counts


def _alarm(block: dict[str, Any]) -> Alarm:
    assert "alarm_actions" not in block
    comparison = _text(block["comparison_operator"])
    assert comparison in ("LessThanThreshold", "GreaterThanOrEqualToThreshold")
    assert _text(block["statistic"]) in ("Sum", "Minimum", "Maximum")
    return Alarm(
        period=block["period"],
        periods=block["evaluation_periods"],
        bad=block.get("datapoints_to_alarm", block["evaluation_periods"]),
        below=comparison == "LessThanThreshold",
        threshold=block["threshold"],
        missing_is_bad=_text(block["treat_missing_data"]) == "breaching",
    )


def _of_each(block: dict[str, Any], each: dict[str, Any]) -> dict[str, Any]:
    """A block for one element of its `for_each`."""

    def filled(value: Any) -> Any:
        found = re.fullmatch(r"\$\{each\.value\.(\w+)\}", value) if isinstance(value, str) else None
        return each[found[1]] if found else value

    return {name: filled(value) for name, value in block.items()}


def backups_of(identifier: str) -> Matches:
    """What counts the finished backups of a database."""
    [block] = [
        one
        for name, one in _resources("aws_cloudwatch_log_metric_filter").items()
        if name == "backups"
    ]
    return compiled(_text(block["pattern"]).replace("${each.value.identifier}", identifier))


def event_pattern(rule: str) -> dict[str, Any]:
    """What a rule of EventBridge looks for, in a cluster of that name."""
    expression = _resources("aws_cloudwatch_event_rule")[rule]["event_pattern"]
    inner = re.fullmatch(r"\$\{jsonencode\((.+)\)\}", expression, re.DOTALL)
    assert inner is not None
    text = inner[1].replace("var.cluster_arn", f'"{CLUSTER}"')
    services = ", ".join(f'"service:{one}"' for one in SERVICES)
    text = re.sub(r"\[for service in var\.services : [^\]]+\]", f"[{services}]", text)
    return dict(_plain(hcl2.loads(f"pattern = {text}\n")["pattern"]))


def event_matches(pattern: Any, event: Any) -> bool:
    """Whether EventBridge takes an event: objects, lists of exact values, `numeric` with bounds.

    Raises ValueError for what else a pattern may have.
    """
    if isinstance(event, list):
        return any(event_matches(pattern, one) for one in event)
    if isinstance(pattern, dict):
        if "$or" in pattern:
            raise ValueError("$or is not known")
        return isinstance(event, dict) and all(
            name in event and event_matches(wanted, event[name]) for name, wanted in pattern.items()
        )
    return any(_value_matches(one, event) for one in pattern)


def _value_matches(wanted: Any, value: Any) -> bool:
    if not isinstance(wanted, dict):
        return bool(wanted == value)
    [(operator, words)] = wanted.items()
    if operator != "numeric":
        raise ValueError(f"{operator} is not known")
    bounds = {">": float.__gt__, "<": float.__lt__}
    pairs = zip(words[::2], words[1::2], strict=True)
    return all(bounds[sign](float(value), float(bound)) for sign, bound in pairs)


@cache
def _locals() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in ALERTS.glob("*.tf"):
        for block in hcl2.loads(path.read_text()).get("locals", []):
            found |= {
                name: {key: its for key, its in one.items() if not key.startswith("__")}
                if isinstance(one, dict)
                else one
                for name, one in block.items()
            }
    return found


@cache
def _resources(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in ALERTS.glob("*.tf"):
        for block in hcl2.loads(path.read_text()).get("resource", []):
            found |= {_text(name): its for name, its in block.get(f'"{kind}"', {}).items()}
    return found


def _plain(value: Any) -> Any:
    """Values as they are, and not as they are written."""
    if isinstance(value, dict):
        return {_text(name): _plain(its) for name, its in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return _text(value) if isinstance(value, str) else value


def _text(written: str) -> str:
    """A string of Terraform without its quotes."""
    if not written.startswith('"'):
        return written
    return written[1:-1].replace('\\"', '"').replace("\\\\", "\\")
