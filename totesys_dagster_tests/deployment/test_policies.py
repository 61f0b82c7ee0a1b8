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

from tools.policies import ACCOUNT, COPIES_REGION, ISSUER, REGION, CannotPlanError, main
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
from totesys_dagster_tests.deployment.alarms import event_matches
from totesys_dagster_tests.deployment.conditions import UnknownError
from totesys_dagster_tests.deployment.dangers import endangers
from totesys_dagster_tests.deployment.documents import IDENTITY, Policy, Principal
from totesys_dagster_tests.deployment.evaluation import Decision, Request, Rights, decide
from totesys_dagster_tests.deployment.needs import (
    BATCH,
    PROCESSED,
    REMOVES,
    Need,
    for_bucket,
    forbidden,
)
from totesys_dagster_tests.deployment.needs import needs as needs_of_parts
from totesys_dagster_tests.deployment.plus import forbidden_of_agent, of_plus

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


def needs(env: Environment) -> dict[str, list[Need]]:
    """For each role of an environment, with all that is off by default, what it needs."""
    return needs_of_parts(env) | of_plus(env)


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


def covers(own: Need, other: Need) -> bool:
    """Whether who needs the one may do the other, which says the same or more of itself."""
    same = (own.action, own.resource) == (other.action, other.resource)
    return same and own.context.items() <= other.context.items()


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
        if role != f"{env.name}-erase"
    ]

    assert may == []


def test_only_the_role_that_erases_removes_versions(account: Account, env: Environment) -> None:
    """It can do nothing else that endangers data, and no other role, nor GitHub's, can take it."""
    role = f"{env.name}-erase"
    own = {(need.action, need.resource) for need in needs(env)[role]}

    lines = [need for need in forbidden(env) if (need.action, need.resource) not in own]
    may = allowed(account, role, lines)
    passed = {"iam__PassedToService": "ecs-tasks.amazonaws.com"}
    takes = [
        Need("iam:PassRole", env.role("erase"), passed),
        Need("sts:AssumeRole", env.role("erase")),
        *(Need(f"iam:{action}", env.role("erase")) for action in (
            "PutRolePolicy", "AttachRolePolicy", "UpdateAssumeRolePolicy", "DeleteRolePolicy")),
    ]  # fmt: skip

    assert may == []
    for other in account.roles:
        assert allowed(account, other, takes) == []
    others = [env.bucket("ingestion", "manifests/x"), env.bucket("replica", "rows/x")]
    removals = [Need(f"s3:{action}", one) for one in others for action in REMOVES]
    assert allowed(account, role, removals) == []


def test_no_role_may_do_what_only_another_needs(account: Account, env: Environment) -> None:
    lines = needs(env)
    # Who reads a zone reads and lists the pages in it, and what any role may ask is no secret.
    common = ("ecr:", "logs:DescribeLog", "s3:ListBucket", "ecs:DescribeTaskDefinition")
    known = {str(need): need for of_role in lines.values() for need in of_role}

    for role, of_role in lines.items():
        foreign = [
            need
            for need in known.values()
            if not any(covers(own, need) for own in of_role)
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


@pytest.mark.parametrize("role", ["capture", "capture-execution", "prepare", "web", "agent",
                                  "agent-execution", "agent-tasks-execution"])  # fmt: skip
def test_tasks_of_this_account_alone_assume_their_roles(
    account: Account, env: Environment, role: str
) -> None:
    tasks = "ecs-tasks.amazonaws.com"
    ours, theirs = {"aws__SourceAccount": ACCOUNT}, {"aws__SourceAccount": "444455556666"}

    assert account.service(tasks, "sts:AssumeRole", env.role(role), **ours)
    assert not account.service(tasks, "sts:AssumeRole", env.role(role), **theirs)
    assert not account.service("ec2.amazonaws.com", "sts:AssumeRole", env.role(role), **ours)
    s3, replication = "s3.amazonaws.com", env.role("replication")
    assert not account.service(s3, "sts:AssumeRole", replication, **theirs)
    assert not account.service(tasks, "sts:AssumeRole", replication, **ours)


def test_services_assume_the_roles_that_are_theirs(account: Account, env: Environment) -> None:
    for service, role in (
        ("monitoring.rds.amazonaws.com", "warehouse-monitoring"),
        ("monitoring.rds.amazonaws.com", "dagster-monitoring"),
        ("vpc-flow-logs.amazonaws.com", "flow-logs"),
        ("s3.amazonaws.com", "replication"),
    ):
        ours = {"aws__SourceAccount": ACCOUNT}
        assert account.service(service, "sts:AssumeRole", env.role(role), **ours)


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


# What EventBridge says of itself to CloudWatch Logs: the rule.
DELIVERY = ("events.amazonaws.com", "delivery.logs.amazonaws.com")


def test_events_of_backups_reach_their_log_group(account: Account, env: Environment) -> None:
    group = f"/aws/events/{env.name}-backups"
    rule = {"aws__SourceArn": env.arn("events", f"rule/{env.name}-backups")}

    [target] = account.records[env.short]["rules"][f"{env.name}-backups"]["targets"]
    assert target == {"arn": env.arn("logs", f"log-group:{group}")}
    for service in DELIVERY:
        assert account.service(service, "logs:CreateLogStream", env.log(group))
        assert account.service(service, "logs:PutLogEvents", env.log(group), **rule)


def test_nobody_else_writes_to_a_log_group_without_a_role(
    account: Account, env: Environment
) -> None:
    backups = f"/aws/events/{env.name}-backups"
    rule = {"aws__SourceArn": env.arn("events", f"rule/{env.name}-backups")}
    own = {f"{arn}:log-stream:stream" for arn in
           account.records[env.short]["arns"]["aws_cloudwatch_log_group"]}  # fmt: skip
    put = "logs:PutLogEvents"

    for service in DELIVERY:
        for log in own - {env.log(backups)}:
            assert not account.service(service, put, log, **rule)
            assert not account.service(service, "logs:CreateLogStream", log)
        for other in ("stopped-tasks", "backups2"):
            theirs = {"aws__SourceArn": env.arn("events", f"rule/{env.name}-{other}")}
            assert not account.service(service, put, env.log(backups), **theirs)
        foreign = {"aws__SourceArn": rule["aws__SourceArn"].replace(ACCOUNT, "444455556666")}
        assert not account.service(service, put, env.log(backups), **foreign)
        for action in ("GetLogEvents", "DeleteLogStream", "PutSubscriptionFilter"):
            assert not account.service(service, f"logs:{action}", env.log(backups), **rule)
    for service in ("s3.amazonaws.com", "es.amazonaws.com", "route53.amazonaws.com"):
        assert not account.service(service, put, env.log(backups), **rule)


# Copies in another region


def as_administrator(account: Account, action: str, resource: str, **context: Any) -> Decision:
    """What somebody with every right in the account may do, all but for the resource's policy."""
    every = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = Policy.read("all", {"Version": "2012-10-17", "Statement": [every]}, IDENTITY)
    who = Principal.session(f"arn:aws:iam::{ACCOUNT}:role/administrator", ACCOUNT)
    sent = {"aws:SecureTransport": "true", **keys(context)}
    request = Request(who, action, resource, sent, ACCOUNT)
    return decide(request, Rights([policy]), account.of(resource, action))


@pytest.mark.parametrize("bucket", ["ingestion", "processed", "replica"])
def test_not_even_an_administrator_deletes_or_overwrites(
    account: Account, env: Environment, bucket: str
) -> None:
    place = env.bucket(bucket, "rows/x")

    for action in ("DeleteObject", "DeleteObjectVersion", "BypassGovernanceRetention", "PutObject"):
        assert not as_administrator(account, f"s3:{action}", place)
    assert not as_administrator(account, "s3:GetObject", place, aws__SecureTransport="false")
    assert as_administrator(account, "s3:GetObject", place)


def test_only_replication_writes_copies(account: Account, env: Environment) -> None:
    copies, once = env.bucket("replica", "rows/x"), {"s3__if_none_match": "*"}

    for action in ("PutObject", "ReplicateDelete"):
        assert not as_administrator(account, f"s3:{action}", copies, **once)
    assert as_administrator(account, "s3:PutObject", env.bucket("ingestion", "rows/x"), **once)
    assert account.role(f"{env.name}-replication", "s3:ReplicateObject", copies)


def test_the_key_of_copies_is_for_roles_of_the_account(account: Account, env: Environment) -> None:
    uses = ("Encrypt", "Decrypt", "GenerateDataKey", "CreateGrant")

    for service in (*PUBLISHERS, f"logs.{COPIES_REGION}.amazonaws.com", "s3.amazonaws.com"):
        for action in uses:
            ours = {"aws__SourceAccount": ACCOUNT}
            assert not account.service(service, f"kms:{action}", env.copies_key, **ours)
    stranger = Principal.session("arn:aws:iam::444455556666:role/x", "444455556666")
    assert not account.ask(stranger, "kms:Decrypt", env.copies_key, {})
    # RDS encrypts backups by grants, which who asks for the copies gives it.
    assert as_administrator(account, "kms:CreateGrant", env.copies_key)


def test_replication_reads_no_other_zone(account: Account, env: Environment) -> None:
    role = f"{env.name}-replication"
    zone, others = env.bucket("ingestion"), ("processed", "compute-logs", "logs", "replica")
    direct = {"kms__EncryptionContext__aws__s3__arn": zone}

    assert refused(account, role, needs(env)[role]) == []
    assert allowed(account, role, [
        *(Need("kms:Decrypt", env.key, for_bucket(env.bucket(one))) for one in others),
        *(Need("s3:GetObjectVersionForReplication", env.bucket(one, "x")) for one in others),
        *(Need("s3:GetReplicationConfiguration", env.bucket(one)) for one in others),
        Need("s3:GetObject", env.bucket("ingestion", "rows/x")),
        Need("kms:Decrypt", env.key, direct),
        Need("kms:GenerateDataKey", env.key, for_bucket(zone)),
        Need("kms:Decrypt", env.key, {**for_bucket(zone), "kms__ViaService": "ec2.amazonaws.com"}),
    ]) == []  # fmt: skip


# Files that others deliver

# What the record has been planned with.
DELIVERER = f"arn:aws:iam::{ACCOUNT}:role/planning"


def as_deliverer(
    account: Account, who: str, action: str, resource: str, **context: Any
) -> Decision:
    """What a role outside the platform may do by the policies of resources alone."""
    principal = Principal.session(who, who.split(":")[4])
    sent = {"aws:SecureTransport": "true", **keys(context)}
    request = Request(principal, action, resource, sent, ACCOUNT)
    return decide(request, Rights(), account.of(resource, action))


def test_named_roles_deliver_files_and_do_nothing_else(account: Account, env: Environment) -> None:
    file, lake = env.bucket("drops", "sales_target/x.csv"), env.bucket("ingestion", "rows/x")

    assert as_deliverer(account, DELIVERER, "s3:PutObject", file)
    assert not as_deliverer(account, DELIVERER, "s3:PutObject", file, aws__SecureTransport="false")
    for action in ("GetObject", "DeleteObject", "DeleteObjectVersion", "PutObjectAcl"):
        assert not as_deliverer(account, DELIVERER, f"s3:{action}", file)
    assert not as_deliverer(account, DELIVERER, "s3:PutBucketPolicy", env.bucket("drops"))
    assert not as_deliverer(account, DELIVERER, "s3:PutObject", lake, s3__if_none_match="*")
    for stranger in (f"{DELIVERER}2", DELIVERER.replace(ACCOUNT, "444455556666")):
        assert not as_deliverer(account, stranger, "s3:PutObject", file)


def test_not_even_an_administrator_delivers_or_loses_files(
    account: Account, env: Environment
) -> None:
    file = env.bucket("drops", "sales_target/x.csv")

    for action in ("PutObject", "DeleteObjectVersion", "PutObjectAcl"):
        assert not as_administrator(account, f"s3:{action}", file)
    assert not as_administrator(account, "s3:GetObject", file, aws__SecureTransport="false")
    # It hides a file that was refused; the version stays.
    assert as_administrator(account, "s3:DeleteObject", file)


@pytest.mark.parametrize("bucket", ["ingestion", "processed", "replica", "drops"])
def test_an_administrator_can_change_the_policy_that_binds_them(
    account: Account, env: Environment, bucket: str
) -> None:
    """No text may promise more than that: objects are safe from administrators only by a lock."""
    for action in ("PutBucketPolicy", "DeleteBucketPolicy"):
        assert as_administrator(account, f"s3:{action}", env.bucket(bucket))


# The agent of Dagster+


def test_an_agent_stays_within_its_bounds(account: Account, env: Environment) -> None:
    assert allowed(account, f"{env.name}-agent", forbidden_of_agent(env)) == []


def test_an_agent_touches_nothing_of_the_other_environment(
    account: Account, env: Environment
) -> None:
    other = Environment(next(name for name in ENVIRONMENTS if name != env.short))
    # AWS knows no resources, or no names, of these.
    anybody = ("ecs:Describe", "ecs:ListAcc", "ecs:Register",
               "servicediscovery:GetOperation", "servicediscovery:List", "tag:")  # fmt: skip
    theirs = [one for one in of_plus(other)[f"{other.name}-agent"]
              if not one.action.startswith(anybody)]  # fmt: skip

    assert len(theirs) > 10
    assert allowed(account, f"{env.name}-agent", theirs) == []


def test_every_policy_of_a_resource_is_looked_at(account: Account) -> None:
    """A new key, bucket, topic or policy of log groups has to be asked about here."""

    def anywhere(name: str) -> str:
        return name.replace("totesys-staging", "E").replace("totesys-production", "E")

    records = account.records.values()
    of_roots = {
        anywhere(arn.replace(ACCOUNT, "")) for record in records for arn in record["resources"]
    }

    assert {anywhere(name) for record in records for name in record["logs"]} == {"E-backups"}

    assert {re.sub(r"key/\w+", "key", arn) for arn in of_roots} == {
        *(f"arn:aws:s3:::E-{name}-" for name in
          ("ingestion", "processed", "logs", "queries", "compute-logs", "replica", "drops")),
        "arn:aws:s3:::totesys-terraform-",
        *(f"arn:aws:kms:{region}::key" for region in (REGION, COPIES_REGION)),
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
        [*github.changes(env), *github.UNNAMED],
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
        changing = [*github.changes(env), *github.UNNAMED, *endangers(env)]
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
    assert allowed(account, f"totesys-github-{role}", endangers(env)) == []


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

    composite = env.arn("cloudwatch", f"alarm:{env.name}-platform")

    assert allowed(account, other, own(github.changes(env))) == []
    assert allowed(account, other, [Need("cloudwatch:PutCompositeAlarm", composite)]) == []
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


@pytest.mark.parametrize(
    ("right", "dangers"),
    [
        (
            "elasticloadbalancing:Modify*",
            {"ModifyListener", "ModifyListenerAttributes", "ModifyRule"},
        ),
        ("rds:ModifyDBInstance", {"ModifyDBInstance"}),
        ("rds:*ParameterGroup", {
            f"{action}DBParameterGroup" for action in ("Create", "Modify", "Reset", "Delete")}),
    ],
)  # fmt: skip
def test_a_right_to_change_the_login_or_a_database_is_found(
    env: Environment, right: str, dangers: set[str]
) -> None:
    role = f"totesys-github-deploy-{env.short}"

    def allow(records: Any) -> None:
        for statement in records["bootstrap"]["roles"][role]["policies"]["platform"]["Statement"]:
            if statement.get("Sid") == "ChangeWhatIsNamedAfterIt":
                statement["Action"].append(right)

    found = allowed(with_fault(allow), role, endangers(env))

    assert {line.split(" on ")[0].rpartition(":")[2] for line in found} == dangers


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


def test_a_boundary_that_forgets_replication_is_found(env: Environment) -> None:
    def forget(records: Any) -> None:
        boundary = records["bootstrap"]["boundaries"][BOUNDARY]
        boundary["Statement"] = [
            one for one in boundary["Statement"] if one["Sid"] != "WriteCopies"
        ]  # fmt: skip

    role = f"{env.name}-replication"
    found = refused(with_fault(forget), role, needs(env)[role])

    assert [line.split(" on ")[0].split()[-1] for line in found] == [
        "s3:ReplicateObject", "s3:ReplicateTags",
    ]  # fmt: skip


def test_a_policy_of_logs_for_another_group_is_found(env: Environment) -> None:
    def rename(records: Any) -> None:
        for statement in records[env.short]["logs"][f"{env.name}-backups"]["Statement"]:
            statement["Resource"] = env.arn("logs", "log-group:/aws/events/other:*")

    group, rule = f"/aws/events/{env.name}-backups", f"rule/{env.name}-backups"
    said = {"aws__SourceArn": env.arn("events", rule)}

    assert not with_fault(rename).service(
        "events.amazonaws.com", "logs:PutLogEvents", env.log(group), **said
    )


def test_a_policy_of_logs_that_aws_would_not_apply_is_refused(env: Environment) -> None:
    def name_roles(records: Any) -> None:
        for statement in records[env.short]["logs"][f"{env.name}-backups"]["Statement"]:
            statement["Principal"] = {"AWS": env.role("load")}

    with pytest.raises(UnknownError, match="for others than services"):
        with_fault(name_roles)


# That nothing is forgotten

# The operations that the code asks AWS for, and the right that each wants.
CALLS = {
    "delete_object": "s3:DeleteObjectVersion",
    "get_object": "s3:GetObject",
    "head_object": "s3:GetObject",
    "get_secret_value": "secretsmanager:GetSecretValue",
    "list_object_versions": "s3:ListBucketVersions",
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
    """All but the one for which the boundary would be too narrow; it keeps GitHub's from it."""
    for role in platform_roles(account, env):
        expected = None if role == f"{env.name}-erase" else BOUNDARY
        assert account.roles[role]["boundary"] == expected, role


def test_what_rules_send_to_people_is_sentences(account: Account, env: Environment) -> None:
    """Events as they are go to log groups alone."""
    for rule in account.records[env.short]["rules"].values():
        for target in rule["targets"]:
            assert ("template" in target) == (target["arn"] == env.topic)
            assert "template" in target or target["arn"].startswith(env.arn("logs", "log-group:"))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_task_that_stops_is_reported_in_a_sentence(account: Account, name: str) -> None:
    rule = account.records[name]["rules"][f"totesys-{name}-stopped-tasks"]
    [target] = rule["targets"]
    event = {
        "source": "aws.ecs",
        "detail-type": "ECS Task State Change",
        "time": "2026-11-30T10:00:00Z",
        "detail": {
            "clusterArn": Environment(name).cluster,
            "lastStatus": "STOPPED",
            "taskDefinitionArn": Environment(name).definition("daemon"),
            "group": "service:daemon",
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

    assert event_matches(rule["pattern"], event)
    assert target["arn"] == Environment(name).topic
    assert "<" not in sentence
    assert sentence.startswith(f"totesys-{name}: a task of service:daemon stopped at")
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
