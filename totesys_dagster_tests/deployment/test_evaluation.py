"""The evaluator gives the answers that AWS publishes for its rules of evaluation.

The cases are those of the IAM User Guide: how policies are evaluated within an account and across
accounts, permissions boundaries, principals, condition operators with and without a key.
"""

from __future__ import annotations

from typing import Any

import pytest

from totesys_dagster_tests.deployment.conditions import UnknownError
from totesys_dagster_tests.deployment.documents import (
    IDENTITY,
    RESOURCE,
    TRUST,
    VERSION,
    Policy,
    Principal,
)
from totesys_dagster_tests.deployment.evaluation import Decision, Request, Rights, decide

HERE, THERE = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{HERE}:role/worker"
SESSION = f"arn:aws:sts::{HERE}:assumed-role/worker/session"
ROOT = f"arn:aws:iam::{HERE}:root"
BUCKET, OBJECT = "arn:aws:s3:::bucket", "arn:aws:s3:::bucket/key"
KEY = f"arn:aws:kms:eu-west-2:{HERE}:key/1"
WORKER = Principal.session(ROLE, HERE)


def policy(*statements: dict[str, Any], attached: str = IDENTITY) -> Policy:
    return Policy.read("the policy", {"Version": VERSION, "Statement": list(statements)}, attached)


def allow(action: Any = "s3:GetObject", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "s3:GetObject", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def to(principal: Any, **statement: Any) -> dict[str, Any]:
    return {**allow(), "Principal": principal, **statement}


def get(
    own: list[dict[str, Any]] | None = None,
    boundary: list[dict[str, Any]] | None = None,
    of_bucket: list[dict[str, Any]] | None = None,
    account: str = HERE,
    **context: Any,
) -> Decision:
    """Whether the worker may read the object."""
    rights = Rights(
        [policy(*own)] if own else [], policy(*boundary) if boundary is not None else None
    )
    resource = policy(*of_bucket, attached=RESOURCE) if of_bucket else None
    request = Request(WORKER, "s3:GetObject", OBJECT, context, account)
    return decide(request, rights, resource)


# Who allows, who denies


def test_nothing_is_allowed_by_default() -> None:
    assert not get()
    assert not get([allow("s3:PutObject")])


def test_an_explicit_deny_wins_over_every_allow_wherever_it_stands() -> None:
    assert not get([allow(), deny()])
    assert not get([allow()], boundary=[allow(), deny()])
    assert not get([allow()], of_bucket=[to("*", Effect="Deny")])
    assert not get([deny()], of_bucket=[to({"AWS": ROLE})])


def test_within_an_account_either_side_may_allow() -> None:
    assert get([allow()])
    assert get(of_bucket=[to({"AWS": ROLE})])
    assert get(of_bucket=[to({"AWS": SESSION})])


def test_a_resource_that_names_the_account_leaves_it_to_the_callers_policies() -> None:
    for account in (ROOT, HERE):
        assert not get(of_bucket=[to({"AWS": account})])
        assert get([allow()], of_bucket=[to({"AWS": account})])


def test_across_accounts_both_sides_have_to_allow() -> None:
    theirs = [to({"AWS": ROOT})]

    assert not get([allow()], account=THERE)
    assert not get(of_bucket=theirs, account=THERE)
    assert not get(of_bucket=[to({"AWS": ROLE})], account=THERE)
    assert get([allow()], of_bucket=theirs, account=THERE)
    assert not get([allow()], boundary=[allow("ec2:*")], of_bucket=theirs, account=THERE)


def test_a_boundary_bounds_and_gives_nothing() -> None:
    assert not get(boundary=[allow()])
    assert get([allow()], boundary=[allow("s3:*")])
    assert not get([allow("*")], boundary=[allow("ec2:*")])


def test_a_boundary_bounds_what_a_resource_gives_to_a_role_but_not_to_its_session() -> None:
    bound = [allow("ec2:*")]

    assert not get(boundary=bound, of_bucket=[to({"AWS": ROLE})])
    assert get(boundary=bound, of_bucket=[to({"AWS": SESSION})])


def test_a_key_is_reached_only_as_its_own_policy_says() -> None:
    def decrypt(*of_key: dict[str, Any]) -> bool:
        own = Rights([policy(allow("kms:Decrypt"))])
        request = Request(WORKER, "kms:Decrypt", KEY)
        return bool(decide(request, own, policy(*of_key, attached=RESOURCE)))

    other = to({"AWS": f"arn:aws:iam::{HERE}:role/other"}, Action="kms:*")
    assert not decrypt(other)
    assert decrypt(to({"AWS": ROOT}, Action="kms:*"))
    assert decrypt(to({"AWS": ROLE}, Action="kms:Decrypt"))
    assert not decrypt(to({"AWS": ROOT}, Action="kms:Encrypt"))
    with pytest.raises(UnknownError, match="without the policy"):
        decide(Request(WORKER, "kms:Decrypt", KEY), Rights([policy(allow("kms:Decrypt"))]))


def test_a_service_is_allowed_by_the_resource_alone() -> None:
    topic = f"arn:aws:sns:eu-west-2:{HERE}:alerts"
    events = Principal.service("events.amazonaws.com")
    publish = Request(events, "sns:Publish", topic)
    given = to({"Service": "events.amazonaws.com"}, Action="sns:Publish")
    ours = {"Condition": {"StringEquals": {"aws:SourceAccount": HERE}}}

    assert decide(publish, Rights(), policy(given, attached=RESOURCE))
    assert not decide(publish, Rights(), policy(given | ours, attached=RESOURCE))
    assert not decide(publish, Rights())


def test_a_role_is_assumed_by_whom_its_trust_names() -> None:
    provider = f"arn:aws:iam::{HERE}:oidc-provider/token.actions.githubusercontent.com"
    subject = "token.actions.githubusercontent.com:sub"
    trust = policy(
        {
            "Effect": "Allow",
            "Principal": {"Federated": provider},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {subject: "repo:a/b:ref:refs/heads/main"}},
        },
        attached=TRUST,
    )

    def may(name: str, who: str) -> bool:
        request = Request(
            Principal.federated(who), "sts:AssumeRoleWithWebIdentity", ROLE, {subject: name}
        )
        return bool(decide(request, Rights(), trust))

    assert may("repo:a/b:ref:refs/heads/main", provider)
    assert not may("repo:a/b:ref:refs/heads/other", provider)
    assert not may("repo:a/b:environment:production", provider)
    assert not may("repo:a/b:ref:refs/heads/main", provider.replace("github", "other"))


# Actions, resources, principals


def test_actions_are_case_insensitive_and_resources_are_not() -> None:
    assert get([allow("S3:getobject")])
    assert get([allow("s3:Get*")])
    assert get([allow("s3:Get?bject")])
    assert not get([allow(resource=BUCKET)])
    assert get([allow(resource=f"{BUCKET}/*")])
    assert not get([allow(resource=f"{BUCKET}/KEY")])


def test_what_is_not_named_is_meant_by_the_negated_elements() -> None:
    def statement(**elements: Any) -> dict[str, Any]:
        return {"Effect": "Deny", **elements}

    everything = allow("*")
    assert get([everything, statement(NotAction="s3:Get*", Resource="*")])
    assert not get([everything, statement(NotAction="s3:Put*", Resource="*")])
    assert get([everything, statement(Action="s3:*", NotResource=f"{BUCKET}/*")])
    assert not get([everything, statement(Action="s3:*", NotResource=BUCKET)])


def test_not_principal_spares_who_is_named_with_session_role_and_account() -> None:
    def refused(*names: str) -> bool:
        statement = to("*", Effect="Deny")
        del statement["Principal"]
        statement["NotPrincipal"] = {"AWS": list(names)}
        return not get([allow()], of_bucket=[statement])

    assert not refused(SESSION, ROLE, ROOT)
    assert refused(ROLE, ROOT)
    assert refused(SESSION, ROLE)
    assert refused(ROOT)


# Conditions


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "given", "expected"),
    [
        ("StringEquals", "aws:PrincipalTag/team", "a", "a", True),
        ("StringEquals", "aws:PrincipalTag/team", ["a", "b"], "b", True),
        ("StringEquals", "aws:PrincipalTag/team", "a*", "ab", False),
        ("StringEquals", "AWS:principaltag/team", "a", "a", True),
        ("StringEquals", "aws:PrincipalTag/Team", "a", "a", False),
        ("StringEquals", "aws:PrincipalTag/team", "A", "a", False),
        ("StringEqualsIgnoreCase", "aws:PrincipalTag/team", "A", "a", True),
        ("StringNotEquals", "aws:PrincipalTag/team", ["a", "b"], "b", False),
        ("StringNotEquals", "aws:PrincipalTag/team", ["a", "b"], "c", True),
        ("StringLike", "s3:prefix", "reports/*", "reports/a/b", True),
        ("StringNotLike", "s3:prefix", "reports/*", "rows/", True),
        ("ArnLike", "aws:SourceArn", "arn:aws:logs:*:1:*", "arn:aws:logs:r:1:log-group:a", True),
        ("ArnLike", "aws:SourceArn", "arn:aws:*:1:a", "arn:aws:logs:r:1:a", False),
        ("ArnNotEquals", "aws:SourceArn", "arn:aws:s3:::a", "arn:aws:s3:::a", False),
        ("Bool", "aws:SecureTransport", "false", "false", True),
        ("Bool", "aws:SecureTransport", False, "true", False),
        ("IpAddress", "aws:SourceIp", "192.0.2.0/24", "192.0.2.7", True),
        ("NotIpAddress", "aws:SourceIp", "192.0.2.0/24", "192.0.2.7", False),
        ("NumericLessThanEquals", "s3:max-keys", "10", "10", True),
        ("DateGreaterThan", "aws:CurrentTime", "2026-01-01T00:00Z", "2027-01-01T00:00Z", True),
        ("Null", "s3:if-none-match", "true", "*", False),
        ("Null", "s3:if-none-match", "false", "*", True),
        ("ForAnyValue:StringEquals", "aws:TagKeys", ["a"], ["a", "b"], True),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["a"], ["a", "b"], False),
        ("ForAllValues:StringLike", "aws:TagKeys", ["a*"], ["a", "ab"], True),
    ],
)  # fmt: skip
def test_operator(operator: str, key: str, wanted: Any, given: Any, expected: bool) -> None:
    sent = {"aws:PrincipalTag/team" if "/" in key else key: given}

    statement = allow(Condition={operator: {key: wanted}})

    request = Request(WORKER, "s3:GetObject", OBJECT, sent)
    assert bool(decide(request, Rights([policy(statement)]))) == expected


@pytest.mark.parametrize(
    ("operator", "key", "expected"),
    [
        ("StringEquals", "s3:prefix", False),
        ("StringNotEquals", "s3:prefix", True),
        ("StringEqualsIfExists", "s3:prefix", True),
        ("StringNotEqualsIfExists", "s3:prefix", True),
        ("StringNotLike", "s3:prefix", True),
        ("ArnLike", "aws:SourceArn", False),
        ("ArnNotLike", "aws:SourceArn", True),
        ("ForAnyValue:StringEquals", "aws:TagKeys", False),
        ("ForAllValues:StringEquals", "aws:TagKeys", True),
    ],
)
def test_operator_where_the_request_lacks_the_key(operator: str, key: str, expected: bool) -> None:
    assert bool(get([allow(Condition={operator: {key: "x"}})])) == expected


def test_a_deny_with_a_negated_if_exists_refuses_who_does_not_send_the_key() -> None:
    condition = {"StringNotEqualsIfExists": {"s3:x-amz-server-side-encryption": "aws:kms"}}

    assert not get([allow()], of_bucket=[to("*", Effect="Deny", Condition=condition)])


def test_all_operators_and_keys_of_a_condition_have_to_hold() -> None:
    condition = {"StringEquals": {"s3:prefix": "a"}, "Bool": {"aws:SecureTransport": "true"}}
    statement = [allow(Condition=condition)]

    assert get(statement, **{"s3:prefix": "a", "aws:SecureTransport": "true"})
    assert not get(statement, **{"s3:prefix": "a", "aws:SecureTransport": "false"})
    assert not get(statement, **{"s3:prefix": "a"})


def test_variables_are_filled_in_from_the_request() -> None:
    own = [allow(resource="arn:aws:s3:::${aws:PrincipalTag/home}/*")]

    assert get(own, **{"aws:PrincipalTag/home": "bucket"})
    assert not get(own, **{"aws:PrincipalTag/home": "*"})
    assert not get(own)
    assert get([allow(resource="arn:aws:s3:::${aws:PrincipalTag/home, 'bucket'}/*")])
    same = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
    assert get(
        [allow(Condition=same)], **{"aws:ResourceTag/team": "a", "aws:PrincipalTag/team": "a"}
    )


# What is not known


@pytest.mark.parametrize(
    "document",
    [
        {"Statement": [allow()]},
        {"Version": "2008-10-17", "Statement": [allow()]},
        {"Version": VERSION, "Statement": []},
        {"Version": VERSION, "Statement": [allow(Sid="a"), allow(Sid="a")]},
        {"Version": VERSION, "Statement": [allow(Sids="a")]},
        {"Version": VERSION, "Statement": [allow() | {"Effect": "allow"}]},
        {"Version": VERSION, "Statement": [allow(Principal="*")]},
        {"Version": VERSION, "Statement": [allow(NotAction="s3:*")]},
        {"Version": VERSION, "Statement": [{"Effect": "Allow", "Action": "*"}]},
        {"Version": VERSION, "Statement": [allow("GetObject")]},
        {"Version": VERSION, "Statement": [allow([])]},
        {"Version": VERSION, "Statement": [allow(resource="bucket")]},
    ],
    ids=range(12),
)  # fmt: skip
def test_what_is_not_understood_is_refused(document: Any) -> None:
    with pytest.raises(UnknownError):
        Policy.read("the policy", document, IDENTITY)


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"StringEquals": {}},
        {"StringIs": {"s3:prefix": "a"}},
        {"StringEquals": {"s3:new": "a"}},
        {"StringEquals": {"s3:prefix": []}},
        {"StringEquals": {"s3:prefix": "${s3:new}"}},
        {"Bool": {"s3:prefix": "true"}},
        {"Bool": {"aws:SecureTransport": "yes"}},
        {"Null": {"s3:prefix": "yes"}},
        {"NullIfExists": {"s3:prefix": "true"}},
        {"StringEquals": {"aws:TagKeys": "a"}},
        {"ForAllValues:StringEquals": {"s3:prefix": "a"}},
        {"ForSomeValues:StringEquals": {"aws:TagKeys": "a"}},
    ],
    ids=str,
)
def test_conditions_that_are_not_understood_are_refused(condition: Any) -> None:
    with pytest.raises(UnknownError):
        policy(allow(Condition=condition))


@pytest.mark.parametrize(
    "principal",
    [{"CanonicalUser": "a"}, {"AWS": "arn:aws:iam::1:role/*"}, {}, "arn:aws:iam::1:role/a"],
    ids=str,
)
def test_principals_that_are_not_understood_are_refused(principal: Any) -> None:
    with pytest.raises(UnknownError):
        policy(to(principal), attached=RESOURCE)


def test_a_resource_that_is_open_to_everybody_is_refused() -> None:
    with pytest.raises(UnknownError, match="everybody"):
        get(of_bucket=[to("*")])
