"""Conditions of AWS's policies: the operators, and the keys that the policies here use.

What is not known here raises UnknownError: a condition that was misread would prove nothing.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache

Context = Mapping[str, str | Sequence[str]]


class UnknownError(Exception):
    """An element, operator or key that the evaluation does not know."""


# What kind of value each key has. A key that ends in "/" has a name after it, such as a tag's.
KEYS = {
    "aws:currenttime": "date",
    "aws:principalaccount": "string",
    "aws:principalarn": "arn",
    "aws:principaltag/": "string",
    "aws:requestedregion": "string",
    "aws:requesttag/": "string",
    "aws:resourcetag/": "string",
    "aws:securetransport": "bool",
    "aws:sourceaccount": "string",
    "aws:sourcearn": "arn",
    "aws:sourceip": "address",
    "aws:tagkeys": "strings",
    "aws:multifactorauthpresent": "bool",
    "ec2:createaction": "string",
    "ecs:cluster": "arn",
    "ecs:createaction": "string",
    "iam:passedtoservice": "string",
    "iam:permissionsboundary": "string",
    "iam:policyarn": "arn",
    "kms:encryptioncontext:aws:logs:arn": "arn",
    "kms:encryptioncontext:aws:s3:arn": "arn",
    "kms:grantisforawsresource": "bool",
    "kms:viaservice": "string",
    "s3:if-none-match": "string",
    "s3:max-keys": "number",
    "s3:prefix": "string",
    "s3:x-amz-server-side-encryption": "string",
    "token.actions.githubusercontent.com:aud": "string",
    "token.actions.githubusercontent.com:sub": "string",
}
# Keys with several values, which want ForAllValues or ForAnyValue.
LISTS = {"strings"}

Matches = Callable[[str, str], bool]


@cache
def pattern(text: str) -> re.Pattern[str]:
    """A pattern of a policy: `*` is any text, `?` one character, `${*}` and the like the sign."""
    parts = re.split(r"(\$\{[*?$]\}|[*?])", text)
    signs = {"*": ".*", "?": "."}
    return re.compile(
        "".join(
            signs.get(part) or re.escape(part[2] if re.fullmatch(r"\$\{.\}", part) else part)
            for part in parts
        ),
        re.DOTALL,
    )


def like(given: str, wanted: str) -> bool:
    return pattern(wanted).fullmatch(given) is not None


def _arn(given: str, wanted: str) -> bool:
    """Each of the six parts of an ARN is compared by itself."""
    parts, patterns = given.split(":", 5), wanted.split(":", 5)
    if len(patterns) != 6:
        return wanted == "*"
    return len(parts) == 6 and all(map(like, parts, patterns))


def _address(given: str, wanted: str) -> bool:
    return ipaddress.ip_address(given) in ipaddress.ip_network(wanted)


def _bool(given: str, wanted: str) -> bool:
    return given.lower() == wanted.lower()


def _number(compare: Callable[[float, float], bool]) -> Matches:
    return lambda given, wanted: compare(float(given), float(wanted))


def _date(compare: Callable[[dt.datetime, dt.datetime], bool]) -> Matches:
    def when(text: str) -> dt.datetime:
        return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))

    return lambda given, wanted: compare(when(given), when(wanted))


# For each operator: the kinds of keys it is for, how one value is compared, and whether it negates.
_OPERATORS: dict[str, tuple[set[str], Matches, bool]] = {
    "StringEquals": ({"string", "strings"}, lambda given, wanted: given == wanted, False),
    "StringEqualsIgnoreCase": (
        {"string", "strings"},
        lambda given, wanted: given.lower() == wanted.lower(),
        False,
    ),
    "StringLike": ({"string", "strings", "arn"}, like, False),
    "ArnEquals": ({"arn"}, _arn, False),
    "ArnLike": ({"arn"}, _arn, False),
    "IpAddress": ({"address"}, _address, False),
    "Bool": ({"bool"}, _bool, False),
    "NumericEquals": ({"number"}, _number(lambda a, b: a == b), False),
    "NumericLessThan": ({"number"}, _number(lambda a, b: a < b), False),
    "NumericLessThanEquals": ({"number"}, _number(lambda a, b: a <= b), False),
    "NumericGreaterThan": ({"number"}, _number(lambda a, b: a > b), False),
    "NumericGreaterThanEquals": ({"number"}, _number(lambda a, b: a >= b), False),
    "DateEquals": ({"date"}, _date(lambda a, b: a == b), False),
    "DateLessThan": ({"date"}, _date(lambda a, b: a < b), False),
    "DateLessThanEquals": ({"date"}, _date(lambda a, b: a <= b), False),
    "DateGreaterThan": ({"date"}, _date(lambda a, b: a > b), False),
    "DateGreaterThanEquals": ({"date"}, _date(lambda a, b: a >= b), False),
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}
OPERATORS = _OPERATORS | {
    name: (*_OPERATORS[positive][:2], True) for name, positive in _NEGATED.items()
}


def kind_of(key: str) -> str:
    """What kind of values a key has. Its name is not case-sensitive, a tag's after the slash is."""
    name = key.lower()
    family = f"{name.partition('/')[0]}/"
    if name not in KEYS and family not in KEYS:
        raise UnknownError(f"condition key {key}")
    return KEYS.get(name) or KEYS[family]


def _normal(key: str) -> str:
    name, slash, tag = key.partition("/")
    return name.lower() + slash + tag


def values_of(context: Context, key: str) -> list[str] | None:
    """What the request says of a key; None where it says nothing."""
    found = {_normal(name): value for name, value in context.items()}.get(_normal(key))
    if found is None:
        return None
    return [found] if isinstance(found, str) else list(found)


def resolved(text: str, context: Context) -> str | None:
    """`text` with the policy's variables filled in; None where the request lacks one."""

    def fill(match: re.Match[str]) -> str:
        inner = match[1]
        if inner in ("*", "?", "$"):
            return match[0]
        key, comma, default = inner.partition(",")
        if kind_of(key.strip()) in LISTS:
            raise UnknownError(f"variable of several values: {match[0]}")
        found = values_of(context, key.strip())
        if found:
            # A value is a value: its signs are no patterns.
            return re.sub(r"[*?$]", lambda sign: f"${{{sign[0]}}}", found[0])
        if comma and re.fullmatch(r"\s*'[^']*'\s*", default):
            return default.strip()[1:-1]
        raise KeyError(key)

    try:
        return re.sub(r"\$\{([^}]*)\}", fill, text)
    except KeyError:
        return None


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    texts = [str(one).lower() if isinstance(one, bool) else one for one in values]
    if not texts or not all(isinstance(one, str | int) for one in texts):
        raise UnknownError(f"condition value {value!r}")
    return [str(one) for one in texts]


def _plain(text: str) -> str:
    """For operators without patterns, `${*}` is a sign, too."""
    return re.sub(r"\$\{([*?$])\}", r"\1", text)


def holds(operator: str, key: str, wanted: object, context: Context) -> bool:
    """Whether one line of a condition is true of a request.

    A key that the request lacks makes an operator false, a negated one and `...IfExists` true.
    """
    kind, texts = kind_of(key), _texts(wanted)
    given = values_of(context, key)
    quantifier, colon, name = operator.rpartition(":")
    if name == "Null":
        if colon or any(text not in ("true", "false") for text in texts):
            raise UnknownError(f"{operator}: {wanted}")
        return str(given is None).lower() in texts
    exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    if name not in OPERATORS or quantifier not in ("", "ForAllValues", "ForAnyValue"):
        raise UnknownError(f"condition operator {operator}")
    if name == "Bool" and any(text not in ("true", "false") for text in texts):
        raise UnknownError(f"{operator}: {wanted}")
    kinds, matches, negated = OPERATORS[name]
    if kind not in kinds:
        raise UnknownError(f"{operator} for {key}, whose values are of the kind {kind}")
    if bool(quantifier) != (kind in LISTS):
        raise UnknownError(f"{operator} for {key}, a key of {'several' if colon else 'one'} value")
    found = [resolved(text, context) for text in texts]
    if None in found:
        raise UnknownError(f"a variable in {wanted} that the request lacks")
    if "Like" not in name and not name.startswith("Arn"):
        found = [_plain(text) for text in found if text is not None]
    if given is None:
        return exists or negated if not quantifier else exists or quantifier == "ForAllValues"
    each = (
        any(matches(value, text) for text in found if text is not None) != negated
        for value in given
    )
    return any(each) if quantifier == "ForAnyValue" else all(each)


def check(condition: object) -> None:
    """Raise UnknownError unless every line of the condition is understood."""
    if not isinstance(condition, dict) or not condition:
        raise UnknownError(f"condition {condition!r}")
    for operator, keys in condition.items():
        if not isinstance(keys, dict) or not keys:
            raise UnknownError(f"{operator}: {keys!r}")
        for key, wanted in keys.items():
            for inner in re.findall(r"\$\{([^*?$},][^},]*)", str(wanted)):
                kind_of(inner.strip())
            holds(operator, key, "0" if "${" in str(wanted) else wanted, {})


def all_hold(condition: Mapping[str, Mapping[str, object]], context: Context) -> bool:
    return all(
        holds(operator, key, wanted, context)
        for operator, keys in condition.items()
        for key, wanted in keys.items()
    )
