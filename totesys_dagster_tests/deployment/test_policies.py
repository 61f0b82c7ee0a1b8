"""Every role, key, bucket and topic of Terraform's: what it needs, and what it must not have.

The policies are those of `terraform test`'s plan, as tools/policies.py has recorded them.
"""

from __future__ import annotations

import ast
import copy
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import boto3
import pytest

from tools.policies import ACCOUNT, ISSUER, REGION, CannotPlanError, main
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.deployment import github
from totesys_dagster_tests.deployment.account import (
    BOUNDARY,
    ENVIRONMENTS,
    PROVIDER,
    Account,
    Environment,
    keys,
    recorded,
)
from totesys_dagster_tests.deployment.documents import Principal
from totesys_dagster_tests.deployment.needs import BATCH, PROCESSED, Need, forbidden, needs

ROOT = Path(__file__).parents[2]
STATE = f"arn:aws:s3:::totesys-terraform-{ACCOUNT}"
STATE_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/bootstrap"
# What AWS counts of all inline policies of a role together, of a managed one, and of a trust.
INLINE, MANAGED, TRUST = 10_240, 6_144, 2_048


@pytest.fixture(scope="module")
def account() -> Account:
    return Account(recorded())


@pytest.fixture(params=ENVIRONMENTS)
def env(request: pytest.FixtureRequest) -> Environment:
    return Environment(request.param)


def refused(account: Account, role: str, lines: Iterable[Need]) -> list[str]:
    """Of what a role needs, what AWS would refuse, and why."""
    return [
        f"{role} may not {need.action} on {need.resource}: {answer.why}"
        for need in lines
        if not (answer := account.role(role, need.action, need.resource, **need.context))
    ]


def allowed(account: Account, role: str, lines: Iterable[Need]) -> list[str]:
    """Of what a role must not have, what AWS would allow, and by what."""
    return [
        f"{role} may {need.action} on {need.resource}: {answer.why}"
        for need in lines
        if (answer := account.role(role, need.action, need.resource, **need.context))
    ]


def platform_roles(account: Account, env: Environment) -> list[str]:
    return [role for role in account.roles if role.startswith(f"{env.name}-")]


# The platform's roles


def test_each_role_may_do_what_it_needs(account: Account, env: Environment) -> None:
    lines = needs(env)

    assert set(lines) == set(platform_roles(account, env))
    assert [one for role in lines for one in refused(account, role, lines[role])] == []


def test_no_role_of_the_platform_endangers_data_or_takes_rights(
    account: Account, env: Environment
) -> None:
    may = [
        one
        for role in platform_roles(account, env)
        for one in allowed(account, role, forbidden(env))
    ]

    assert may == []


def test_no_role_may_do_what_only_another_needs(account: Account, env: Environment) -> None:
    lines = needs(env)
    # Who reads a zone reads and lists the pages in it, and what any role may ask is no secret.
    common = ("ecr:", "logs:DescribeLog", "s3:ListBucket", "ecs:DescribeTaskDefinition")
    known = {str(need): need for of_role in lines.values() for need in of_role}

    for role, of_role in lines.items():
        own = set(map(str, of_role))
        foreign = [
            need
            for text, need in known.items()
            if text not in own
            and not need.action.startswith(common)
            and "reports/page" not in need.resource
        ]
        assert allowed(account, role, foreign) == []


def test_roles_may_not_touch_the_other_environment(account: Account, env: Environment) -> None:
    other = Environment(next(name for name in ENVIRONMENTS if name != env.short))
    everywhere = {"*", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/totesys"}
    foreign = [
        need
        for lines in needs(other).values()
        for need in lines
        if need.resource not in everywhere and other.name in need.resource
    ]

    may = [one for role in platform_roles(account, env) for one in allowed(account, role, foreign)]

    assert may == []


def test_roles_may_write_what_the_platform_writes(
    platform: Platform, account: Account, env: Environment
) -> None:
    platform.first()
    zones = {"ingestion": platform.ingestion, "processed": platform.processed}
    once = {"s3__if_none_match": "*"}

    written = {zone: list(store.list("")) for zone, store in zones.items()}

    assert {key.split("/")[0] for key in written["ingestion"]} <= {*BATCH, "requests"}
    assert {key.split("/")[0] for key in written["processed"]} <= set(PROCESSED)
    puts = [
        Need("s3:PutObject", env.bucket(zone, key), once)
        for zone, found in written.items()
        for key in found
    ]
    assert len(puts) > 10
    assert refused(account, f"{env.name}-whole", puts) == []


# Services of AWS


@pytest.mark.parametrize("role", ["capture", "capture-execution", "prepare", "web"])
def test_tasks_of_this_account_alone_assume_their_roles(
    account: Account, env: Environment, role: str
) -> None:
    tasks = "ecs-tasks.amazonaws.com"
    ours, theirs = {"aws__SourceAccount": ACCOUNT}, {"aws__SourceAccount": "444455556666"}

    assert account.service(tasks, "sts:AssumeRole", env.role(role), **ours)
    assert not account.service(tasks, "sts:AssumeRole", env.role(role), **theirs)
    assert not account.service("ec2.amazonaws.com", "sts:AssumeRole", env.role(role), **ours)


def test_services_assume_the_roles_that_are_theirs(account: Account, env: Environment) -> None:
    for service, role in (
        ("monitoring.rds.amazonaws.com", "warehouse-monitoring"),
        ("monitoring.rds.amazonaws.com", "dagster-monitoring"),
        ("vpc-flow-logs.amazonaws.com", "flow-logs"),
    ):
        assert account.service(service, "sts:AssumeRole", env.role(role))


def test_nobody_but_a_service_assumes_a_role_of_the_platform(
    account: Account, env: Environment
) -> None:
    roles = platform_roles(account, env)

    may = [
        one
        for role in roles
        for one in allowed(
            account,
            f"{env.name}-whole",
            [Need("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/{role}")],
        )
    ]
    assert may == []


# What each publisher says of itself: EventBridge says nothing to an encrypted topic.
PUBLISHERS: dict[str, dict[str, Any]] = {
    "cloudwatch.amazonaws.com": {"aws__SourceAccount": ACCOUNT},
    "budgets.amazonaws.com": {"aws__SourceAccount": ACCOUNT},
    "events.amazonaws.com": {},
}


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_alarms_rules_and_budgets_reach_the_encrypted_topic(
    account: Account, env: Environment, publisher: str
) -> None:
    said = PUBLISHERS[publisher]

    assert account.service(publisher, "sns:Publish", env.topic, **said)
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        assert account.service(publisher, action, env.key, **said)


def test_nobody_else_publishes_or_uses_the_key(account: Account, env: Environment) -> None:
    for publisher in ("cloudwatch.amazonaws.com", "budgets.amazonaws.com"):
        theirs = {"aws__SourceAccount": "444455556666"}
        assert not account.service(publisher, "sns:Publish", env.topic, **theirs)
        assert not account.service(publisher, "kms:Decrypt", env.key, **theirs)
    assert not account.service("s3.amazonaws.com", "sns:Publish", env.topic)
    assert not account.service("events.amazonaws.com", "sns:SetTopicAttributes", env.topic)
    assert not account.service("events.amazonaws.com", "kms:PutKeyPolicy", env.key)
    stranger = Principal.session("arn:aws:iam::444455556666:role/x", "444455556666")
    assert not account.ask(stranger, "sns:Publish", env.topic, {})
    assert not account.ask(stranger, "kms:Decrypt", env.key, {})


def test_logs_are_encrypted_with_the_key(account: Account, env: Environment) -> None:
    logs, context = f"logs.{REGION}.amazonaws.com", "kms__EncryptionContext:aws:logs:arn"
    groups = account.records[env.short]["arns"]["aws_cloudwatch_log_group"]
    foreign = groups[0].replace(ACCOUNT, "444455556666")

    assert len(groups) > 10
    for action in ("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"):
        for group in groups:
            assert account.service(logs, action, env.key, **{context: group})
        assert not account.service(logs, action, env.key, **{context: foreign})


def test_access_logs_are_delivered_and_nothing_else_is(account: Account, env: Environment) -> None:
    ours = {"aws__SourceAccount": ACCOUNT}
    balancer = "logdelivery.elasticloadbalancing.amazonaws.com"

    assert account.service(
        "logging.s3.amazonaws.com", "s3:PutObject", env.bucket("logs", "s3/ingestion/x"), **ours
    )
    assert account.service(balancer, "s3:PutObject", env.bucket("logs", "alb/AWSLogs/x"))
    assert not account.service(balancer, "s3:PutObject", env.bucket("ingestion", "alb/x"))
    assert not account.service(balancer, "s3:GetObject", env.bucket("logs", "alb/x"))


def test_every_policy_of_a_resource_is_looked_at(account: Account) -> None:
    """A new key, bucket or topic has to be asked about here."""
    of_roots = {
        arn.split(ACCOUNT)[0].replace("totesys-staging", "E").replace("totesys-production", "E")
        + arn.split(ACCOUNT, 1)[1]
        .replace("totesys-staging", "E")
        .replace("totesys-production", "E")
        for record in account.records.values()
        for arn in record["resources"]
    }

    assert {re.sub(r"key/\w+", "key", arn) for arn in of_roots} == {
        *(f"arn:aws:s3:::E-{name}-" for name in
          ("ingestion", "processed", "logs", "queries", "compute-logs")),
        "arn:aws:s3:::totesys-terraform-",
        f"arn:aws:kms:{REGION}::key",
        f"arn:aws:sns:{REGION}::E-alerts",
    }  # fmt: skip


# GitHub's roles

SUBJECTS = {
    "plan": "pull_request",
    "image": "ref:refs/heads/main",
    "deploy-staging": "ref:refs/heads/main",
    "deploy-production": "environment:production",
}


@pytest.mark.parametrize("role", SUBJECTS)
def test_each_role_of_github_is_for_one_subject(account: Account, role: str) -> None:
    def may(subject: str, audience: str = "sts.amazonaws.com") -> bool:
        token = {f"{ISSUER}:sub": subject, f"{ISSUER}:aud": audience}
        return bool(
            account.ask(
                Principal.federated(PROVIDER),
                "sts:AssumeRoleWithWebIdentity",
                f"arn:aws:iam::{ACCOUNT}:role/totesys-github-{role}",
                token,
            )
        )

    ours = "repo:example/totesys_dagster"
    tried = {
        "pull_request", "ref:refs/heads/main", "ref:refs/heads/main2", "ref:refs/heads/feature",
        "ref:refs/tags/main", "environment:production", "environment:staging", "environment:other",
    }  # fmt: skip

    assert {one for one in tried if may(f"{ours}:{one}")} == {SUBJECTS[role]}
    assert not may(f"{ours}:{SUBJECTS[role]}", "another")
    assert not may(f"repo:stranger/totesys_dagster:{SUBJECTS[role]}")
    assert not may(f"repo:example/totesys_dagster2:{SUBJECTS[role]}")


def test_main_deploys_each_environment(account: Account, env: Environment) -> None:
    role, record = f"totesys-github-deploy-{env.short}", account.records[env.short]

    for lines in (
        github.reads(record["kinds"], record["arns"], env),
        github.state(STATE, STATE_KEY, env),
        [*github.changes(env), github.UNSUBSCRIBE],
        github.scripts(env),
    ):
        assert refused(account, role, lines) == []


def test_a_pull_request_is_planned(account: Account, env: Environment) -> None:
    record = account.records[env.short]

    lines = list(github.reads(record["kinds"], record["arns"], env))
    assert len(lines) > 100
    assert refused(account, "totesys-github-plan", lines) == []
    assert (
        refused(account, "totesys-github-plan", github.state(STATE, STATE_KEY, env, lock=False))
        == []
    )


def test_planning_and_pushing_change_nothing(account: Account, env: Environment) -> None:
    for role in ("totesys-github-plan", "totesys-github-image"):
        changing = [*github.changes(env), *github.endangers(env)]
        writing = [need for need in github.state(STATE, STATE_KEY, env) if "Put" in need.action]
        running = [need for need in github.scripts(env) if "Run" in need.action]
        assert allowed(account, role, [*changing, *writing, *running]) == []


def test_images_are_pushed_by_their_role_alone(account: Account) -> None:
    push = [need for need in github.PUSH if re.search("Put|Upload", need.action)]

    assert refused(account, "totesys-github-image", github.PUSH) == []
    for role in ("plan", "deploy-staging", "deploy-production"):
        assert allowed(account, f"totesys-github-{role}", push) == []
    remove = Need("ecr:BatchDeleteImage", github.IMAGE)
    assert allowed(account, "totesys-github-image", [remove]) == []


@pytest.mark.parametrize("role", SUBJECTS)
def test_no_role_of_github_endangers_data_secrets_or_its_own_bounds(
    account: Account, env: Environment, role: str
) -> None:
    assert allowed(account, f"totesys-github-{role}", github.endangers(env)) == []


def test_an_environment_is_deployed_by_its_own_role_alone(
    account: Account, env: Environment
) -> None:
    other = f"totesys-github-deploy-{next(one for one in ENVIRONMENTS if one != env.short)}"
    # The catalogue of Glue is one for all; databases and tables are asked for besides.
    shared = "catalog"

    def own(lines: Iterable[Need]) -> list[Need]:
        return [need for need in lines if not need.resource.endswith(shared)]

    states = [need for need in github.state(STATE, STATE_KEY, env) if "tfstate" in need.resource]
    running = [need for need in github.scripts(env) if "Describe" not in need.action]

    assert allowed(account, other, own(github.changes(env))) == []
    assert allowed(account, other, states + running) == []


# Mutants: faults that were in the policies


def with_fault(mutate: Any) -> Account:
    records = copy.deepcopy(recorded())
    mutate(records)
    return Account(records)


def test_denying_to_read_the_boundary_is_found(env: Environment) -> None:
    def deny_everything(records: Any) -> None:
        role = records["bootstrap"]["roles"][f"totesys-github-deploy-{env.short}"]
        for statement in role["policies"]["platform"]["Statement"]:
            if statement.get("Sid") == "NotItsOwnRights":
                del statement["NotAction"]
                statement["Action"] = "iam:*"

    found = refused(with_fault(deny_everything), f"totesys-github-deploy-{env.short}", github.DATA)

    assert [line.split(" on ")[0].split()[-1] for line in found] == [
        "iam:GetPolicy", "iam:GetPolicyVersion",
    ]  # fmt: skip


def test_a_topic_that_asks_rules_for_their_account_is_found(env: Environment) -> None:
    def ask(records: Any) -> None:
        for arn in (env.topic, env.key):
            for statement in records[env.short]["resources"][arn]["Statement"]:
                if statement["Sid"] == "Rules":
                    statement["Condition"] = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}

    account = with_fault(ask)

    assert not account.service("events.amazonaws.com", "sns:Publish", env.topic)
    assert not account.service("events.amazonaws.com", "kms:Decrypt", env.key)


def test_a_lake_that_wants_the_encryption_named_is_found(env: Environment) -> None:
    def want(records: Any) -> None:
        arn = env.bucket("ingestion")
        for statement in records[env.short]["resources"][arn]["Statement"]:
            if statement["Sid"] == "NoOtherEncryption":
                statement["Condition"] = {
                    "StringNotEqualsIfExists": {"s3:x-amz-server-side-encryption": "aws:kms"}
                }

    role = f"{env.name}-capture"

    assert refused(with_fault(want), role, needs(env)[role])


# That nothing is forgotten

# The operations that the code asks AWS for, and the right that each wants.
CALLS = {
    "get_object": "s3:GetObject",
    "head_object": "s3:GetObject",
    "get_secret_value": "secretsmanager:GetSecretValue",
    "list_objects_v2": "s3:ListBucket",
    "publish": "sns:Publish",
    "put_object": "s3:PutObject",
    "put_secret_value": "secretsmanager:PutSecretValue",
}


def test_each_call_of_the_code_is_a_need(env: Environment) -> None:
    clients = [boto3.client(name, region_name=REGION) for name in ("s3", "secretsmanager", "sns")]
    operations = {one for client in clients for one in client.meta.method_to_api_mapping}
    sources = [*(ROOT / "totesys_dagster").rglob("*.py"), *(ROOT / "deploy" / "aws").glob("*.py")]
    texts = [text for path in sources if "boto" in (text := path.read_text())]

    called = {
        node.attr
        for text in texts
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and node.attr in operations
    } | {
        one.group(1)
        for text in texts
        for one in re.finditer(r"get_paginator\(\"(\w+)\"\)", text)
    }  # fmt: skip

    assert called - {"can_paginate", "get_paginator", "get_waiter", "close"} == set(CALLS)
    needed = {need.action for lines in needs(env).values() for need in lines}
    assert set(CALLS.values()) <= needed


def test_policies_are_within_the_sizes_that_aws_allows(account: Account) -> None:
    def size(document: Any) -> int:
        return len(re.sub(r"\s", "", json.dumps(document)))

    for name, role in account.roles.items():
        assert sum(map(size, role["policies"].values())) <= INLINE, name
        assert size(role["trust"]) <= TRUST, name
    for record in account.records.values():
        for document in record["boundaries"].values():
            assert size(document) <= MANAGED


def test_every_role_of_an_environment_has_the_boundary(account: Account, env: Environment) -> None:
    for role in platform_roles(account, env):
        assert account.roles[role]["boundary"] == BOUNDARY, role


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_task_that_stops_is_told_in_a_sentence(account: Account, name: str) -> None:
    [rule] = account.records[name]["rules"].values()
    [target] = rule["targets"]
    event = {
        "time": "2026-11-30T10:00:00Z",
        "detail": {
            "taskDefinitionArn": Environment(name).definition("load"),
            "group": f"family:totesys-{name}-load",
            "stopCode": "EssentialContainerExited",
            "stoppedReason": "Essential container in task exited",
            "containers": [{"reason": "OutOfMemoryError: killed", "exitCode": 137}],
            "taskArn": Environment(name).task(),
        },
    }

    def found(path: str) -> str:
        value: Any = event
        for step in re.findall(r"\w+", path):
            value = value[int(step)] if step.isdigit() else value[step]
        return str(value)

    text = target["template"]
    for key, path in target["paths"].items():
        assert f"<{key}>" in text
        text = text.replace(f"<{key}>", found(path))
    sentence = json.loads(text)

    assert target["arn"] == Environment(name).topic
    assert "<" not in sentence
    assert sentence.startswith(f"totesys-{name}: a task of family:totesys-{name}-load stopped at")
    assert "EssentialContainerExited, exit code 137. Why: Essential container" in sentence
    assert "OutOfMemoryError" in sentence
    assert f"--cluster totesys-{name} --tasks {Environment(name).task()}" in sentence


@pytest.mark.long
def test_the_record_is_what_terraform_makes() -> None:
    try:
        assert main(["--check"]) == 0
    except CannotPlanError as error:
        pytest.skip(f"Terraform, or its provider, cannot be had: {str(error)[:200]}")


def test_names_of_keys_are_written_for_python() -> None:
    assert keys({"s3__if_none_match": "*"}) == {"s3:if-none-match": "*"}
