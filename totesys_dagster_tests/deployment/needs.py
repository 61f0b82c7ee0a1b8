"""What each role of the platform needs, and what none of them may have.

A line is an action, what it is done to, and the keys that AWS sends with it. The lines come from
the calls of the code (`CALLS` in test_policies.py holds that none is forgotten), of Dagster's
launcher and log manager, and of ECS and RDS, which act with a role.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tools.policies import ACCOUNT, COPIES_REGION, REGION
from totesys_dagster_tests.deployment.account import Environment

PARTS = ("capture", "process", "load", "whole", "code", "daemon", "web", "prepare", "admin")
RUNS = ("capture", "process", "load", "whole")


class Need(NamedTuple):
    """Names of keys have `__` for `:` and `_` for `-`, as Python wants them."""

    action: str
    resource: str
    context: Mapping[str, Any] = MappingProxyType({})


def via(service: str, region: str = REGION) -> dict[str, Any]:
    return {"kms__ViaService": f"{service}.{region}.amazonaws.com"}


def for_bucket(bucket: str, region: str = REGION) -> dict[str, Any]:
    """What S3 says to KMS where a bucket has a key of its own: the bucket, not the object."""
    return {**via("s3", region), "kms__EncryptionContext__aws__s3__arn": bucket}


def use_key(env: Environment, service: str, *actions: str) -> Iterator[Need]:
    for action in actions or ("Decrypt", "GenerateDataKey"):
        yield Need(f"kms:{action}", env.key, via(service))


def _read(env: Environment, bucket: str, key: str = "manifests/0000000001.json") -> Iterator[Need]:
    yield Need("s3:GetObject", env.bucket(bucket, key))
    yield Need("s3:ListBucket", env.bucket(bucket), {"s3__prefix": key.rpartition("/")[0] + "/"})


def _write(env: Environment, bucket: str, *kinds: str) -> Iterator[Need]:
    """The platform's puts: only if there is no such object, and with the bucket's encryption."""
    for kind in kinds:
        yield Need("s3:PutObject", env.bucket(bucket, f"{kind}/x"), {"s3__if_none_match": "*"})


def _logs_of_runs(env: Environment, writes: bool = True) -> Iterator[Need]:
    """Dagster's log manager puts the lines of a step, anew while it runs."""
    yield from _read(env, "compute-logs", "dagster/storage/run/compute_logs/step.err")
    if writes:
        yield Need("s3:PutObject", env.bucket("compute-logs", "dagster/storage/x.err"))


def _secret(env: Environment, *names: str) -> Iterator[Need]:
    for name in names:
        yield Need("secretsmanager:GetSecretValue", env.secret(name))
    yield from use_key(env, "secretsmanager", "Decrypt")


BATCH = ("manifests", "commits", "audits", "rows", "keys", "schemas", "references", "probe")
PROCESSED = ("receipts", "reports", "rows", "quarantine", "probe")


def _watch(env: Environment) -> Iterator[Need]:
    for action in ("DescribeTasks", "StopTask"):
        yield Need(f"ecs:{action}", env.task(), {"ecs__cluster": env.cluster})
    yield Need("ecs:DescribeTaskDefinition", "*")


def _launch(env: Environment) -> Iterator[Need]:
    for stage in RUNS:
        yield Need("ecs:RunTask", env.definition(stage), {"ecs__cluster": env.cluster})
        yield Need("logs:GetLogEvents", env.log(f"/{env.name}/{stage}"))
        for role in (stage, f"{stage}-execution"):
            to_tasks = {"iam__PassedToService": "ecs-tasks.amazonaws.com"}
            yield Need("iam:PassRole", env.role(role), to_tasks)
    yield Need("ecs:TagResource", env.task(), {"ecs__CreateAction": "RunTask"})
    yield Need("ec2:DescribeNetworkInterfaces", "*")


def _lake(env: Environment) -> Iterator[Need]:
    yield from _read(env, "ingestion")
    yield from _read(env, "processed", "receipts/x")
    yield from use_key(env, "s3")


def of_part(env: Environment, part: str) -> Iterator[Need]:
    """What the program of a part does."""
    if part == "prepare":
        for name in ("warehouse-dsn", "warehouse-admin-dsn", "dagster-password"):
            yield Need("secretsmanager:PutSecretValue", env.secret(name))
        yield from use_key(env, "secretsmanager")
        return
    yield from _logs_of_runs(env, writes=part != "web")
    yield from use_key(env, "s3")
    if part in ("daemon", "web"):
        yield from _watch(env)
        yield from _launch(env) if part == "daemon" else _read(env, "processed", "reports/page/x")
        return
    yield from _read(env, "ingestion")
    if part != "capture":
        yield from _lake(env)
    if part in ("code", "whole"):
        yield from _read(env, "drops", "sales_target/targets-2025.csv")
    if part in ("capture", "whole"):
        yield from _write(env, "ingestion", *BATCH)
        yield from _secret(env, "source-dsn")
    if part in ("process", "whole", "admin"):
        yield from _write(env, "processed", *PROCESSED)
    if part in ("load", "whole", "code", "admin"):
        yield from _write(env, "ingestion", "requests")
        yield from _secret(env, "warehouse-dsn")
    if part == "admin":
        yield from _secret(env, "warehouse-admin-dsn")
    if part == "code":
        yield from _secret(env, "source-dsn", "smtp-url")
        yield Need("sns:Publish", env.topic)
        yield from use_key(env, "sns")
    if part == "whole":
        yield from _secret(env, "smtp-url")


def pulling(env: Environment, group: str) -> Iterator[Need]:
    """What ECS does to start anything: it pulls the image, and writes to a log group."""
    image = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/totesys"
    yield Need("ecr:GetAuthorizationToken", "*")
    for action in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"):
        yield Need(f"ecr:{action}", image)
    for action in ("CreateLogStream", "PutLogEvents"):
        yield Need(f"logs:{action}", env.log(f"/{env.name}/{group}"))


def of_execution(env: Environment, part: str) -> Iterator[Need]:
    """What ECS does to start a part."""
    yield from pulling(env, part)
    secrets = (
        [env.administrator("warehouse"), env.administrator("dagster")]
        if part == "prepare"
        else [env.secret("dagster-password")]
    )
    for secret in secrets:
        yield Need("secretsmanager:GetSecretValue", secret)
    yield from use_key(env, "secretsmanager", "Decrypt")


def of_replication(env: Environment) -> Iterator[Need]:
    """What S3 does to copy the ingestion zone: it reads versions and their locks, never objects as
    people do. Delete markers are not copied, so it needs no right for them."""
    zone, copies = env.bucket("ingestion"), env.bucket("replica")
    for action in ("GetReplicationConfiguration", "ListBucket"):
        yield Need(f"s3:{action}", zone)
    for action in (
        "GetObjectVersionForReplication", "GetObjectVersionAcl", "GetObjectVersionTagging",
        "GetObjectRetention", "GetObjectLegalHold",
    ):  # fmt: skip
        yield Need(f"s3:{action}", env.bucket("ingestion", "rows/x"))
    for action in ("ReplicateObject", "ReplicateTags"):
        yield Need(f"s3:{action}", env.bucket("replica", "rows/x"))
    yield Need("kms:Decrypt", env.key, for_bucket(zone))
    # S3 checks the bucket's key before it encrypts with it.
    for action in ("Encrypt", "GenerateDataKey", "Decrypt"):
        yield Need(f"kms:{action}", env.copies_key, for_bucket(copies, COPIES_REGION))


def of_services(env: Environment) -> dict[str, list[Need]]:
    """What services of AWS do with the other roles."""
    stream = env.log("RDSOSMetrics")
    monitoring = [
        *(Need(f"logs:{one}", env.arn("logs", "log-group:RDSOSMetrics"))
          for one in ("CreateLogGroup", "PutRetentionPolicy")),
        *(Need(f"logs:{one}", stream)
          for one in ("CreateLogStream", "PutLogEvents", "DescribeLogStreams", "GetLogEvents")),
    ]  # fmt: skip
    network = env.log(f"/{env.name}/network")
    return {
        f"{env.name}-replication": list(of_replication(env)),
        f"{env.name}-warehouse-monitoring": monitoring,
        f"{env.name}-dagster-monitoring": monitoring,
        f"{env.name}-flow-logs": [
            *(Need(f"logs:{one}", network)
              for one in ("CreateLogStream", "PutLogEvents", "DescribeLogStreams")),
            Need("logs:DescribeLogGroups", env.arn("logs", "log-group:*")),
        ],
    }  # fmt: skip


def needs(env: Environment) -> dict[str, list[Need]]:
    """For each role of an environment, all that it needs."""
    found = {f"{env.name}-{part}": list(of_part(env, part)) for part in PARTS}
    found |= {f"{env.name}-{part}-execution": list(of_execution(env, part)) for part in PARTS}
    return found | of_services(env)


# Of no key, not even what reads and writes: only a service may ask for that.
KEYS = (
    "ScheduleKeyDeletion", "DisableKey", "PutKeyPolicy", "CreateGrant", "Decrypt", "Encrypt",
    "GenerateDataKey", "ReEncryptFrom",
)  # fmt: skip


def _forbidden_of_copies(env: Environment) -> list[Need]:
    """Copies come from one zone to one bucket, and stay; who replicates may do nothing else."""
    copies, others = env.bucket("replica", "rows/x"), ("ingestion", "processed", "compute-logs")
    return [
        *(Need(f"s3:{action}", copies, {"s3__if_none_match": "*"}) for action in (
            "GetObject", "GetObjectVersion", "PutObject", "DeleteObject", "DeleteObjectVersion",
            "ReplicateDelete", "BypassGovernanceRetention", "PutObjectRetention",
            "PutObjectLegalHold", "ObjectOwnerOverrideToBucketOwner")),
        *(Need(f"s3:{action}", env.bucket("replica")) for action in (
            "ListBucket", "DeleteBucket", "DeleteBucketPolicy", "PutBucketPolicy",
            "PutBucketVersioning", "PutLifecycleConfiguration",
            "PutBucketObjectLockConfiguration", "PutReplicationConfiguration")),
        *(Need(f"s3:{action}", env.bucket(one, "rows/x")) for one in others for action in (
            "ReplicateObject", "ReplicateDelete", "ReplicateTags", "GetObjectVersion")),
        *(Need("s3:GetObjectVersionForReplication", env.bucket(one, "rows/x"))
          for one in others[1:]),
        *(Need("kms:Encrypt", env.key, for_bucket(env.bucket(one))) for one in others),
        *(Need(f"kms:{action}", env.copies_key, for_bucket(env.bucket(one), COPIES_REGION))
          for one in others for action in ("Decrypt", "Encrypt", "GenerateDataKey")),
        Need("iam:PassRole", env.role("replication"), {"iam__PassedToService": "s3.amazonaws.com"}),
    ]  # fmt: skip


def _forbidden_of_drops(env: Environment) -> Iterator[Need]:
    """What is delivered is others' to write, and nobody's to delete."""
    for action in ("PutObject", "DeleteObject", "DeleteObjectVersion", "PutObjectAcl"):
        yield Need(f"s3:{action}", env.bucket("drops", "sales_target/x.csv"))
    for action in ("DeleteBucket", "PutBucketPolicy", "PutBucketVersioning", "PutBucketAcl"):
        yield Need(f"s3:{action}", env.bucket("drops"))


def forbidden(env: Environment) -> list[Need]:
    """What nothing that runs may do, whatever else it may, some of it with the keys that help."""
    lake = [env.bucket(zone, "rows/x") for zone in ("ingestion", "processed")]
    once = {"s3__if_none_match": "*"}
    return [
        *(Need(action, one, once) for one in lake for action in (
            "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention",
            "s3:PutObjectRetention", "s3:PutObjectLegalHold", "s3:PutObjectAcl")),
        *(Need("s3:PutObject", one) for one in lake),
        *(Need("s3:PutObject", one, {**once, "s3__x_amz_server_side_encryption": "AES256"})
          for one in lake),
        *(Need("s3:PutObject", one, {**once, "aws__SecureTransport": "false"}) for one in lake),
        *(Need(action, env.bucket("ingestion")) for action in (
            "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucketPolicy",
            "s3:PutBucketVersioning", "s3:PutLifecycleConfiguration",
            "s3:PutBucketObjectLockConfiguration", "s3:PutReplicationConfiguration")),
        *(Need(f"kms:{action}", key) for key in (env.key, env.copies_key) for action in KEYS),
        *_forbidden_of_copies(env),
        *_forbidden_of_drops(env),
        *(Need(action, env.role("whole")) for action in (
            "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:UpdateAssumeRolePolicy",
            "iam:DeleteRolePermissionsBoundary", "iam:CreateRole")),
        Need("iam:PassRole", env.role("whole"), {"iam__PassedToService": "ec2.amazonaws.com"}),
        Need("iam:PassRole", env.role("admin"),
             {"iam__PassedToService": "ecs-tasks.amazonaws.com"}),
        Need("ecs:RunTask", env.definition("prepare"), {"ecs__cluster": env.cluster}),
        Need("ecs:RunTask", env.definition("admin"), {"ecs__cluster": env.cluster}),
        Need("ecs:RunTask", env.definition("whole"),
             {"ecs__cluster": env.arn("ecs", "cluster/other")}),
        Need("rds:DeleteDBInstance", env.arn("rds", f"db:{env.name}-warehouse")),
        Need("secretsmanager:DeleteSecret", env.secret("source-dsn")),
        Need("sts:AssumeRole", env.role("whole")),
    ]  # fmt: skip
