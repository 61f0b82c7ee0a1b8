"""Policy documents of AWS, read strictly: what is not known here raises UnknownError."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from totesys_dagster_tests.deployment import conditions
from totesys_dagster_tests.deployment.conditions import Context, UnknownError, like, resolved

VERSION = "2012-10-17"
ELEMENTS = {
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource",
    "Condition",
}  # fmt: skip
# Which elements a statement has to have, by what its policy is attached to.
IDENTITY, RESOURCE, TRUST = "identity", "resource", "trust"
ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")


@dataclass(frozen=True)
class Principal:
    """Who asks. `arns` are all the ARNs that a policy may name it by: a session, its role."""

    kind: str
    name: str
    account: str = ""
    role: str = ""

    @classmethod
    def session(cls, role: str, account: str) -> Principal:
        """Somebody who has assumed a role."""
        name = role.rsplit("/", 1)[1]
        return cls("AWS", f"arn:aws:sts::{account}:assumed-role/{name}/session", account, role)

    @classmethod
    def service(cls, name: str) -> Principal:
        return cls("Service", name)

    @classmethod
    def federated(cls, provider: str) -> Principal:
        return cls("Federated", provider)


def _list(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str) and one for one in values):
        raise UnknownError(f"{value!r} is neither a text nor a list of texts")
    return values


@dataclass(frozen=True)
class Statement:
    """One statement, of which every element is understood."""

    elements: Mapping[str, Any]

    @property
    def sid(self) -> str:
        return str(self.elements.get("Sid", ""))

    @property
    def denies(self) -> bool:
        return bool(self.elements["Effect"] == "Deny")

    def applies(self, action: str, resource: str, context: Context) -> bool:
        """Whether it speaks of this action on this resource, under these conditions."""
        return (
            self._of_action(action)
            and self._of_resource(resource, context)
            and conditions.all_hold(self.elements.get("Condition", {}), context)
        )

    def _of_action(self, action: str) -> bool:
        negated = "NotAction" in self.elements
        patterns = _list(self.elements["NotAction" if negated else "Action"])
        return any(like(action.lower(), one.lower()) for one in patterns) != negated

    def _of_resource(self, resource: str, context: Context) -> bool:
        negated = "NotResource" in self.elements
        name = "NotResource" if negated else "Resource"
        if name not in self.elements:
            return True  # a policy of trust is about its role
        patterns = [resolved(one, context) for one in _list(self.elements[name])]
        if negated and None in patterns:
            raise UnknownError(f"a variable in {patterns} that the request lacks")
        return any(one is not None and like(resource, one) for one in patterns) != negated

    def names(self, principal: Principal) -> str:
        """By what the statement names who asks: session, role, account, any, service; or nothing.

        A NotPrincipal spares only whom it names with all of its names: session, role and account.
        """
        names = _names_of(principal)
        if "NotPrincipal" in self.elements:
            listed = _listed(self.elements["NotPrincipal"])
            spared = all(any(one in listed for one in each) for each in names.values())
            return "" if spared else "any"
        listed = _listed(self.elements["Principal"])
        for how, ones in names.items():
            if any(one in listed for one in ones):
                return how
        anybody = ("AWS", "*") in listed
        return "any" if anybody else ""


def _names_of(principal: Principal) -> dict[str, list[tuple[str, str]]]:
    if principal.kind != "AWS":
        return {"service": [(principal.kind, principal.name)]}
    root = f"arn:aws:iam::{principal.account}:root"
    return {
        "session": [("AWS", principal.name)],
        "role": [("AWS", principal.role)],
        "account": [("AWS", root), ("AWS", principal.account)],
    }


def _listed(element: object) -> set[tuple[str, str]]:
    if element == "*":
        return {("AWS", "*")}
    if not isinstance(element, dict) or not element:
        raise UnknownError(f"principal {element!r}")
    if unknown := element.keys() - {"AWS", "Service", "Federated"}:
        raise UnknownError(f"principals {sorted(unknown)}")
    listed = {(kind, name) for kind, names in element.items() for name in _list(names)}
    for kind, name in listed:
        if "*" in name and (kind, name) != ("AWS", "*"):
            raise UnknownError(f"a pattern as principal: {name}")
    return listed


def _check(statement: Any, attached: str) -> None:
    if not isinstance(statement, dict) or (unknown := statement.keys() - ELEMENTS):
        raise UnknownError(f"elements {sorted(unknown)} in {statement}")
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise UnknownError(f"effect {statement.get('Effect')!r}")
    wanted = {
        "Action": True,
        "Resource": attached != TRUST,
        "Principal": attached != IDENTITY,
    }
    for name, needed in wanted.items():
        if len({name, f"Not{name}"} & statement.keys()) != needed:
            raise UnknownError(f"{attached} statement {statement} and {name}")
    if "NotPrincipal" in statement and statement["Effect"] == "Allow":
        raise UnknownError("NotPrincipal that allows")
    for name in ("Principal", "NotPrincipal"):
        if name in statement:
            _listed(statement[name])
    for name in ("Action", "NotAction"):
        for action in _list(statement[name]) if name in statement else []:
            if not ACTION.fullmatch(action):
                raise UnknownError(f"action {action}")
    for name in ("Resource", "NotResource"):
        for resource in _list(statement[name]) if name in statement else []:
            if resource != "*" and not resource.startswith("arn:"):
                raise UnknownError(f"resource {resource}")
    if "Condition" in statement:
        conditions.check(statement["Condition"])


@dataclass(frozen=True)
class Policy:
    """A policy and what it is attached to, with a name for people."""

    name: str
    attached: str
    statements: tuple[Statement, ...]

    @classmethod
    def read(cls, name: str, document: Any, attached: str) -> Policy:
        """Raises UnknownError for anything that the evaluation would have to guess."""
        if not isinstance(document, dict) or document.keys() - {"Version", "Id", "Statement"}:
            raise UnknownError(f"{name}: {document}")
        if document.get("Version") != VERSION:
            raise UnknownError(f"{name}: version {document.get('Version')}")
        found = document["Statement"]
        statements = found if isinstance(found, list) else [found]
        sids = [one["Sid"] for one in statements if isinstance(one, dict) and "Sid" in one]
        if not statements or len(sids) != len(set(sids)):
            raise UnknownError(f"{name}: no statement, or two of one name")
        for statement in statements:
            _check(statement, attached)
        return cls(name, attached, tuple(map(Statement, statements)))
