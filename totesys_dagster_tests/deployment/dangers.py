"""What no role of GitHub's may do, whatever a merge asks of AWS (github.py)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tools.policies import ACCOUNT
from totesys_dagster_tests.deployment.account import BOUNDARY, Environment
from totesys_dagster_tests.deployment.needs import Need


def _endangers_copies(env: Environment, mine: dict[str, Any]) -> Iterator[Need]:
    """Copies in another region, and who may write to log groups: a person's to make and change."""
    copies = env.bucket("replica")
    for action in ("GetObject", "PutObject", "DeleteObject", "DeleteObjectVersion",
                   "BypassGovernanceRetention", "PutObjectRetention",
                   "ReplicateObject"):  # fmt: skip
        yield Need(f"s3:{action}", f"{copies}/rows/x", mine)
    for action in ("DeleteBucket", "DeleteBucketPolicy", "PutBucketPolicy", "PutBucketVersioning",
                   "PutLifecycleConfiguration", "PutBucketObjectLockConfiguration",
                   "PutEncryptionConfiguration", "PutBucketPublicAccessBlock"):  # fmt: skip
        yield Need(f"s3:{action}", copies, mine)
    for action in ("ScheduleKeyDeletion", "DisableKey", "PutKeyPolicy", "Decrypt", "Encrypt",
                   "GenerateDataKey", "CreateGrant", "DeleteAlias"):  # fmt: skip
        yield Need(f"kms:{action}", env.copies_key, mine)
    yield Need(
        "iam:PassRole", env.role("replication"), {"iam__PassedToService": "s3.amazonaws.com"}
    )
    for action in ("Start", "Stop"):
        database = env.arn("rds", f"db:{env.name}-warehouse")
        yield Need(f"rds:{action}DBInstanceAutomatedBackupsReplication", database, mine)
    for action in ("PutResourcePolicy", "DeleteResourcePolicy"):
        yield Need(f"logs:{action}", "*")
        yield Need(f"logs:{action}", env.arn("logs", f"log-group:/aws/events/{env.name}-backups"))


def _endangers_login(env: Environment, mine: dict[str, Any]) -> Iterator[Need]:
    """Whatever would let people reach the UI without a login, or take the UI from them."""
    of_balancer = {
        "loadbalancer/app/{name}/0": "CreateListener DeleteLoadBalancer SetIpAddressType"
        " SetSubnets",
        "listener/app/{name}/0/1": "ModifyListener ModifyListenerAttributes DeleteListener"
        " CreateRule AddListenerCertificates RemoveListenerCertificates",
        "listener-rule/app/{name}/0/1/2": "ModifyRule DeleteRule SetRulePriorities",
        "targetgroup/{name}-web/0": "RegisterTargets DeregisterTargets",
    }
    for place, actions in of_balancer.items():
        resource = env.arn("elasticloadbalancing", place.format(name=env.name))
        for action in actions.split():
            yield Need(f"elasticloadbalancing:{action}", resource, mine)
    for action in ("UpdateUserPool", "DeleteUserPool", "SetUserPoolMfaConfig",
                   "CreateUserPoolClient", "UpdateUserPoolClient", "DeleteUserPoolClient",
                   "DeleteUserPoolDomain", "CreateIdentityProvider",
                   "AdminSetUserPassword"):  # fmt: skip
        yield Need(f"cognito-idp:{action}", env.arn("cognito-idp", "userpool/x"), mine)


def _endangers_databases(env: Environment, mine: dict[str, Any]) -> Iterator[Need]:
    """Backups, protection from deletion, passwords, TLS. Of all these, ModifyDBInstance has only a
    condition key for passwords that AWS manages, so the action is denied as a whole."""
    to_monitoring = {"iam__PassedToService": "monitoring.rds.amazonaws.com"}
    for database in ("warehouse", "dagster"):
        for action in ("ModifyDBInstance", "RebootDBInstance", "StopDBInstance",
                       "PromoteReadReplica"):  # fmt: skip
            yield Need(f"rds:{action}", env.arn("rds", f"db:{env.name}-{database}"), mine)
        for action in ("Create", "Modify", "Reset", "Delete"):
            group = env.arn("rds", f"pg:{env.name}-{database}-0")
            yield Need(f"rds:{action}DBParameterGroup", group, mine)
        yield Need("rds:ModifyDBSubnetGroup", env.arn("rds", f"subgrp:{env.name}-{database}"), mine)
        yield Need("iam:PassRole", env.role(f"{database}-monitoring"), to_monitoring)


def endangers(env: Environment) -> list[Need]:
    """What no role of GitHub's may do to an environment: data, secrets, keys, its own rights."""
    lake = env.bucket("ingestion")
    mine = {"aws__ResourceTag/Environment": env.short}
    own = f"arn:aws:iam::{ACCOUNT}:role/totesys-github-deploy-{env.short}"
    bound = {"iam__PermissionsBoundary": BOUNDARY}
    return [
        *(Need(f"s3:{action}", f"{lake}/rows/x", {"s3__if_none_match": "*"}) for action in (
            "GetObject", "GetObjectVersion", "PutObject", "DeleteObject", "DeleteObjectVersion",
            "BypassGovernanceRetention", "PutObjectRetention")),
        *(Need(f"s3:{action}", lake) for action in (
            "DeleteBucket", "DeleteBucketPolicy", "PutBucketPolicy", "PutBucketVersioning",
            "PutLifecycleConfiguration", "PutBucketObjectLockConfiguration",
            "PutReplicationConfiguration", "PutEncryptionConfiguration",
            "PutBucketPublicAccessBlock", "PutBucketAcl")),
        *(Need(f"kms:{action}", env.key, mine) for action in (
            "ScheduleKeyDeletion", "DisableKey", "PutKeyPolicy", "Decrypt", "GenerateDataKey",
            "CreateGrant", "DeleteAlias")),
        *(Need(f"rds:{action}", env.arn("rds", f"db:{env.name}-warehouse"), mine) for action in (
            "DeleteDBInstance", "DeleteDBInstanceAutomatedBackup", "DownloadDBLogFilePortion",
            "RestoreDBInstanceFromDBSnapshot")),
        *(Need(f"rds:{action}", env.arn("rds", f"snapshot:{env.name}-warehouse-final"), mine)
          for action in ("DeleteDBSnapshot", "ModifyDBSnapshotAttribute")),
        *(Need(f"secretsmanager:{action}", secret) for action in (
            "GetSecretValue", "BatchGetSecretValue", "PutSecretValue", "DeleteSecret",
            "UpdateSecret", "PutResourcePolicy")
          for secret in (env.secret("source-dsn"), env.administrator("warehouse"))),
        *(Need(f"ec2:{action}", env.arn("ec2", place), mine) for action, place in (
            ("TerminateInstances", "instance/i-0"), ("StopInstances", "instance/i-0"),
            ("RunInstances", "instance/*"), ("DeleteVpc", "vpc/vpc-0"),
            ("DeleteSubnet", "subnet/subnet-0"))),
        Need("ec2:CreateTags", env.arn("ec2", "instance/i-0"), {
            "aws__RequestTag/Environment": env.short}),
        Need("ec2:RevokeSecurityGroupIngress", env.arn("ec2", "security-group/sg-other")),
        *(Need(f"logs:{action}", env.log(f"/{env.name}/load")) for action in (
            "DeleteLogGroup", "DeleteLogStream", "GetLogEvents", "FilterLogEvents", "StartQuery")),
        Need("cognito-idp:AdminCreateUser", env.arn("cognito-idp", "userpool/x"), mine),
        Need("cognito-idp:ListUsers", env.arn("cognito-idp", "userpool/x"), mine),
        Need("route53:ChangeResourceRecordSets", "arn:aws:route53:::hostedzone/Z0"),
        Need("ecs:RunTask", env.definition("prepare"), {"ecs__cluster": env.cluster}),
        Need("athena:StartQueryExecution", env.arn("athena", f"workgroup/{env.name}")),
        *(Need(f"iam:{action}", who, bound) for action in (
            "CreateRole", "PutRolePolicy", "AttachRolePolicy", "UpdateAssumeRolePolicy", "PassRole",
            "DeleteRolePolicy", "PutRolePermissionsBoundary", "DeleteRole", "TagRole")
          for who in (own, f"arn:aws:iam::{ACCOUNT}:role/another")),
        *(Need(f"iam:{action}", BOUNDARY, bound) for action in (
            "CreatePolicyVersion", "SetDefaultPolicyVersion", "DeletePolicy",
            "DeletePolicyVersion", "TagPolicy")),
        *(Need(f"iam:{action}", env.role("new")) for action in (
            "CreateRole", "PutRolePolicy", "AttachRolePolicy", "PutRolePermissionsBoundary")),
        Need("iam:DeleteRolePermissionsBoundary", env.role("whole"), bound),
        Need("iam:CreateRole", env.role("new"), {
            "iam__PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"}),
        Need("iam:PassRole", env.role("whole"), {"iam__PassedToService": "ec2.amazonaws.com"}),
        Need("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/x"),
        Need("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/x"),
        Need("iam:UpdateOpenIDConnectProviderThumbprint",
             f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"),
        Need("organizations:LeaveOrganization", "*"),
        Need("cloudtrail:StopLogging", env.arn("cloudtrail", "trail/x")),
        *_endangers_copies(env, mine),
        *_endangers_login(env, mine),
        *_endangers_databases(env, mine),
        *(Need(f"s3:{action}", env.bucket("drops", "sales_target/x.csv")) for action in (
            "GetObject", "PutObject", "DeleteObject", "DeleteObjectVersion")),
        *(Need(f"s3:{action}", env.bucket("drops")) for action in (
            "DeleteBucket", "PutBucketPolicy", "DeleteBucketPolicy", "PutBucketVersioning",
            "PutLifecycleConfiguration", "PutBucketPublicAccessBlock")),
        *(Need(f"secretsmanager:{action}", env.secret("agent-token")) for action in (
            "GetSecretValue", "PutSecretValue", "DeleteSecret", "PutResourcePolicy")),
        *(Need(f"servicediscovery:{action}", env.arn("servicediscovery", place), mine)
          for action, place in (("DeleteNamespace", "namespace/ns-0"),
                                ("DeleteService", "service/srv-0"),
                                ("CreateService", "namespace/ns-0"))),
    ]  # fmt: skip
