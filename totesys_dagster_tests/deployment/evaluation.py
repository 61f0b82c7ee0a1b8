"""Whether AWS would allow a request: a small evaluator of IAM policies.

It follows the published logic of evaluation: an explicit deny in any policy wins; else something
has to allow. Within an account, the caller's policies or the resource's may do that; across
accounts, both have to. A permissions boundary allows nothing, it bounds what the caller's policies
allow, and what a resource's policy gives to the role, but not what it gives to the role's session.
A key of KMS and a role to be assumed are reached only when their own policy says so; where that
names the account, the caller's policies decide.

Not covered, since nothing here uses them: organizations' policies (SCP, RCP), session policies,
policies of VPC endpoints, access control lists, access points, grants of KMS, users and groups,
and partitions other than `aws`. Whether an action exists, takes effect on this kind of resource,
or comes with the keys that a request names is for its author to know. Elements, operators and keys
that it does not know raise UnknownError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from totesys_dagster_tests.deployment.conditions import Context, UnknownError
from totesys_dagster_tests.deployment.documents import Policy, Principal, Statement


@dataclass(frozen=True)
class Request:
    """Somebody asks for one action on one resource. `context` has the keys that AWS would send."""

    principal: Principal
    action: str
    resource: str
    context: Context = field(default_factory=dict)
    # The account of the resource; where it is not given, that of the caller.
    account: str = ""


@dataclass(frozen=True)
class Decision:
    """Whether it is allowed, and the words of why."""

    allowed: bool
    why: str

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True)
class Rights:
    """The policies of who asks."""

    policies: Sequence[Policy] = ()
    boundary: Policy | None = None


def _first(
    policies: Sequence[Policy], request: Request, denies: bool
) -> tuple[Policy, Statement] | None:
    for policy in policies:
        for statement in policy.statements:
            if statement.denies == denies and statement.applies(
                request.action, request.resource, _full(request)
            ):
                return policy, statement
    return None


def _full(request: Request) -> Context:
    """The request's keys, with those that AWS always sends of who asks."""
    if request.principal.kind != "AWS":
        return request.context
    known = {
        "aws:PrincipalArn": request.principal.role,
        "aws:PrincipalAccount": request.principal.account,
    }
    return {**known, **request.context}


def _said(found: tuple[Policy, Statement]) -> str:
    return f"{found[0].name}, statement {found[1].sid or '(no Sid)'}"


def _given(policy: Policy, request: Request, denies: bool) -> dict[str, Statement]:
    """By which name a resource's policy gives, or denies, this to who asks, and where."""
    found: dict[str, Statement] = {}
    for statement in policy.statements:
        if statement.denies == denies and statement.applies(
            request.action, request.resource, _full(request)
        ):
            how = statement.names(request.principal)
            if how:
                found.setdefault(how, statement)
    return found


def decide(request: Request, rights: Rights, resource: Policy | None = None) -> Decision:
    """What AWS says to the request.

    Args:
        request: Who asks for what.
        rights: The policies of who asks; none for a service.
        resource: The policy of what is asked for, if it has one.

    Raises:
        UnknownError: Something in the policies is not understood.
    """
    boundary = [rights.boundary] if rights.boundary else []
    denied = _first([*rights.policies, *boundary], request, denies=True)
    if denied:
        return Decision(False, f"denied by {_said(denied)}")
    if resource and (refused := _given(resource, request, denies=True)):
        statement = next(iter(refused.values()))
        return Decision(False, f"denied by {_said((resource, statement))}")
    given = _given(resource, request, denies=False) if resource else {}
    if request.principal.kind != "AWS":
        return Decision(bool(given), "the resource's policy decides alone for a service")
    return _for_role(request, rights, given, resource)


def _for_role(
    request: Request,
    rights: Rights,
    given: Mapping[str, Statement],
    resource: Policy | None,
) -> Decision:
    own = _first(rights.policies, request, denies=False)
    within = not rights.boundary or _first([rights.boundary], request, denies=False) is not None
    if (request.account or request.principal.account) != request.principal.account:
        if not given:
            return Decision(False, "the other account does not allow it")
        return _of_caller(own, within)
    if "session" in given:
        return Decision(True, "the resource's policy names the session")
    if "any" in given:
        raise UnknownError("a resource open to everybody")
    if "role" in given:
        return Decision(within, "the resource's policy names the role, within its boundary")
    if _closed(request) and "account" not in given:
        if resource is None:
            raise UnknownError(f"{request.action} without the policy of {request.resource}")
        return Decision(False, f"{resource.name} leaves it to nobody of the account")
    return _of_caller(own, within)


def _closed(request: Request) -> bool:
    """Whether it is about what is reached only as its own policy says: a key of KMS, a role."""
    return ":key/" in request.resource or request.action.lower().startswith("sts:assume")


def _of_caller(own: tuple[Policy, Statement] | None, within: bool) -> Decision:
    if own is None:
        return Decision(False, "no policy allows it")
    if not within:
        return Decision(False, f"allowed by {_said(own)}, but not within the boundary")
    return Decision(True, f"allowed by {_said(own)}")
