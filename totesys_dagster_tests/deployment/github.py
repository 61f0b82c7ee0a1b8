"""What Terraform and the scripts of the workflows ask of AWS, for each kind of resource.

The reads are those of the provider's refresh. What a merge may change is listed with the resource;
the rest of a kind is a person's to change, and what would endanger data is in dangers.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tools.policies import ACCOUNT, REGION
from totesys_dagster_tests.deployment.account import BOUNDARY, Environment
from totesys_dagster_tests.deployment.needs import Need

_BUCKET = (
    "s3:GetAccelerateConfiguration s3:GetBucketAcl s3:GetBucketCORS s3:GetBucketLogging"
    " s3:GetBucketObjectLockConfiguration s3:GetBucketPolicy s3:GetBucketRequestPayment"
    " s3:GetBucketTagging s3:GetBucketVersioning s3:GetBucketWebsite s3:GetEncryptionConfiguration"
    " s3:GetLifecycleConfiguration s3:GetReplicationConfiguration s3:ListBucket"
)
_RULES = "ec2:DescribeSecurityGroupRules"

READS = {
    "aws_acm_certificate": "acm:DescribeCertificate acm:ListTagsForCertificate",
    "aws_acm_certificate_validation": "acm:DescribeCertificate",
    "aws_athena_workgroup": "athena:GetWorkGroup athena:ListTagsForResource",
    "aws_budgets_budget": "budgets:ViewBudget budgets:ListTagsForResource",
    "aws_cloudwatch_composite_alarm": "cloudwatch:DescribeAlarms cloudwatch:ListTagsForResource",
    "aws_cloudwatch_event_rule": "events:DescribeRule events:ListTagsForResource",
    "aws_cloudwatch_event_target": "events:ListTargetsByRule",
    "aws_cloudwatch_log_group": "logs:DescribeLogGroups logs:ListTagsForResource",
    "aws_cloudwatch_log_metric_filter": "logs:DescribeMetricFilters",
    "aws_cloudwatch_log_resource_policy": "logs:DescribeResourcePolicies",
    "aws_cloudwatch_metric_alarm": "cloudwatch:DescribeAlarms cloudwatch:ListTagsForResource",
    "aws_cognito_user_pool": "cognito-idp:DescribeUserPool cognito-idp:GetUserPoolMfaConfig",
    "aws_cognito_user_pool_client": "cognito-idp:DescribeUserPoolClient",
    "aws_cognito_user_pool_domain": "cognito-idp:DescribeUserPoolDomain",
    "aws_db_instance": "rds:DescribeDBInstances rds:ListTagsForResource",
    "aws_db_instance_automated_backups_replication": "rds:DescribeDBInstanceAutomatedBackups",
    "aws_db_parameter_group": "rds:DescribeDBParameterGroups rds:DescribeDBParameters",
    "aws_db_subnet_group": "rds:DescribeDBSubnetGroups rds:ListTagsForResource",
    "aws_default_security_group": "ec2:DescribeSecurityGroups",
    "aws_ecs_cluster": "ecs:DescribeClusters ecs:ListTagsForResource",
    "aws_ecs_service": "ecs:DescribeServices ecs:ListTagsForResource",
    "aws_ecs_task_definition": "ecs:DescribeTaskDefinition ecs:ListTagsForResource",
    "aws_eip": "ec2:DescribeAddresses ec2:DescribeAddressesAttribute",
    "aws_flow_log": "ec2:DescribeFlowLogs",
    "aws_glue_catalog_database": "glue:GetDatabase glue:GetTags",
    "aws_glue_catalog_table": "glue:GetTable glue:GetPartitionIndexes",
    "aws_iam_role": "iam:GetRole iam:ListRolePolicies iam:ListAttachedRolePolicies"
    " iam:ListRoleTags iam:ListInstanceProfilesForRole",
    "aws_iam_role_policy": "iam:GetRolePolicy",
    "aws_iam_role_policy_attachment": "iam:ListAttachedRolePolicies",
    "aws_internet_gateway": "ec2:DescribeInternetGateways",
    "aws_kms_alias": "kms:ListAliases",
    "aws_kms_key": "kms:DescribeKey kms:GetKeyPolicy kms:GetKeyRotationStatus kms:ListResourceTags",
    "aws_lb": "elasticloadbalancing:DescribeLoadBalancers elasticloadbalancing:DescribeTags"
    " elasticloadbalancing:DescribeLoadBalancerAttributes",
    "aws_lb_listener": "elasticloadbalancing:DescribeListeners elasticloadbalancing:DescribeTags"
    " elasticloadbalancing:DescribeListenerAttributes",
    "aws_lb_target_group": "elasticloadbalancing:DescribeTargetGroups"
    " elasticloadbalancing:DescribeTargetGroupAttributes",
    "aws_nat_gateway": "ec2:DescribeNatGateways",
    "aws_route": "ec2:DescribeRouteTables",
    "aws_route53_record": "route53:GetHostedZone route53:ListResourceRecordSets",
    "aws_route_table": "ec2:DescribeRouteTables",
    "aws_route_table_association": "ec2:DescribeRouteTables",
    "aws_s3_bucket": _BUCKET,
    "aws_s3_bucket_lifecycle_configuration": "s3:GetLifecycleConfiguration",
    "aws_s3_bucket_logging": "s3:GetBucketLogging",
    "aws_s3_bucket_object_lock_configuration": "s3:GetBucketObjectLockConfiguration",
    "aws_s3_bucket_ownership_controls": "s3:GetBucketOwnershipControls",
    "aws_s3_bucket_policy": "s3:GetBucketPolicy",
    "aws_s3_bucket_public_access_block": "s3:GetBucketPublicAccessBlock",
    "aws_s3_bucket_replication_configuration": "s3:GetReplicationConfiguration",
    "aws_s3_bucket_server_side_encryption_configuration": "s3:GetEncryptionConfiguration",
    "aws_s3_bucket_versioning": "s3:GetBucketVersioning",
    "aws_secretsmanager_secret": "secretsmanager:DescribeSecret secretsmanager:GetResourcePolicy",
    "aws_security_group": "ec2:DescribeSecurityGroups",
    "aws_service_discovery_private_dns_namespace": "servicediscovery:GetNamespace"
    " servicediscovery:ListTagsForResource route53:GetHostedZone",
    "aws_service_discovery_service": "servicediscovery:GetService"
    " servicediscovery:ListTagsForResource",
    "aws_sns_topic": "sns:GetTopicAttributes sns:ListTagsForResource",
    "aws_sns_topic_policy": "sns:GetTopicAttributes",
    "aws_sns_topic_subscription": "sns:GetSubscriptionAttributes",
    "aws_subnet": "ec2:DescribeSubnets",
    "aws_vpc": "ec2:DescribeVpcs ec2:DescribeVpcAttribute ec2:DescribeNetworkAcls"
    " ec2:DescribeRouteTables ec2:DescribeSecurityGroups",
    "aws_vpc_endpoint": "ec2:DescribeVpcEndpoints ec2:DescribePrefixLists",
    "aws_vpc_security_group_egress_rule": _RULES,
    "aws_vpc_security_group_ingress_rule": _RULES,
}
# What both environments ask for by name.
DATA = [
    Need("iam:ListPolicies", "*"),
    Need("iam:GetPolicy", BOUNDARY),
    Need("iam:GetPolicyVersion", BOUNDARY),
    Need("ecr:DescribeRepositories", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/totesys"),
    Need("ecr:ListTagsForResource", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/totesys"),
]

# What a merge changes by itself: the actions of each resource, named after the environment.
CHANGES = {
    "athena workgroup/{name}": "UpdateWorkGroup TagResource",
    "cloudwatch alarm:{name}-copies": "DeleteAlarms TagResource UntagResource",
    "cloudwatch alarm:{name}-copies-failed": "PutMetricAlarm DeleteAlarms TagResource",
    "cloudwatch alarm:{name}-platform": "DeleteAlarms TagResource UntagResource",
    "cloudwatch alarm:{name}-ticks": "PutMetricAlarm DeleteAlarms TagResource",
    "ecs cluster/{name}": "UpdateCluster UpdateClusterSettings TagResource",
    "ecs service/{name}/agent": "CreateService UpdateService DeleteService TagResource",
    "ecs service/{name}/web": "CreateService UpdateService DeleteService TagResource",
    "ecs task-definition/{name}-agent:8": "RegisterTaskDefinition TagResource",
    "ecs task-definition/{name}-web:8": "RegisterTaskDefinition TagResource",
    "elasticloadbalancing loadbalancer/app/{name}/0": "ModifyLoadBalancerAttributes AddTags",
    "elasticloadbalancing targetgroup/{name}-web/0": "ModifyTargetGroup"
    " ModifyTargetGroupAttributes",
    "events rule/{name}-backups": "PutRule PutTargets RemoveTargets DeleteRule TagResource",
    "events rule/{name}-stopped-tasks": "PutRule PutTargets RemoveTargets DeleteRule TagResource",
    "glue catalog": "CreateTable UpdateTable DeleteTable",
    "glue database/{under}_processed": "CreateTable UpdateTable DeleteTable",
    "glue table/{under}_processed/dim_staff": "CreateTable UpdateTable DeleteTable",
    "logs log-group:/aws/events/{name}-backups": "PutMetricFilter DeleteMetricFilter"
    " PutRetentionPolicy TagResource CreateLogGroup",
    "logs log-group:/{name}/web": "PutMetricFilter DeleteMetricFilter PutRetentionPolicy"
    " TagResource CreateLogGroup",
    "rds db:{name}-warehouse": "AddTagsToResource",
    "secretsmanager secret:{name}/new-AbCdEf": "CreateSecret TagResource",
    "sns {name}-alerts": "SetTopicAttributes Subscribe TagResource",
}


def reads(kinds: list[str], arns: dict[str, list[str]], env: Environment) -> Iterator[Need]:
    """All that Terraform asks for to compare what there is; a kind that is not known raises."""
    for kind in kinds:
        for action in READS[kind].split():
            service = action.partition(":")[0]
            owner = "aws_iam_role" if kind.startswith("aws_iam_role") else kind
            owner = "aws_s3_bucket" if kind.startswith("aws_s3_bucket") else owner
            for resource in arns.get(owner, [env.arn(service, f"{kind}/x")]):
                yield Need(action, resource)
    yield from DATA


def state(bucket: str, key: str, env: Environment, lock: bool = True) -> Iterator[Need]:
    """What the backend does with the state, and with the lock beside it."""
    mine = f"{bucket}/{env.short}.tfstate"
    yield Need("s3:ListBucket", bucket)
    yield Need("s3:GetObject", mine)
    yield Need("kms:Decrypt", key)
    if lock:
        yield Need("s3:PutObject", mine)
        for action in ("GetObject", "PutObject", "DeleteObject"):
            yield Need(f"s3:{action}", f"{mine}.tflock")
        yield Need("kms:GenerateDataKey", key)


def _tag(env: Environment, **more: Any) -> dict[str, Any]:
    return {"aws__ResourceTag/Environment": env.short, **more}


def changes(env: Environment) -> Iterator[Need]:
    for place, actions in CHANGES.items():
        service, _, rest = place.partition(" ")
        resource = env.arn(service, rest.format(name=env.name, under=env.name.replace("-", "_")))
        for action in actions.split():
            yield Need(f"{service}:{action}", resource)
    budget = f"arn:aws:budgets::{ACCOUNT}:budget/{env.name}"
    yield Need("budgets:ModifyBudget", budget)
    yield from _roles(env)
    yield from _security_groups(env)


# Of what a merge changes besides, AWS knows no resource, or wants the right for all of them.
UNNAMED = [Need("sns:Unsubscribe", "*"), Need("cloudwatch:PutCompositeAlarm", "*")]


def _roles(env: Environment) -> Iterator[Need]:
    role = env.role("new")
    bound = {"iam__PermissionsBoundary": BOUNDARY}
    monitoring = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
    for action in ("CreateRole", "PutRolePolicy", "DeleteRolePolicy"):
        yield Need(f"iam:{action}", role, bound)
    yield Need("iam:AttachRolePolicy", role, {**bound, "iam__PolicyARN": monitoring})
    for action in ("TagRole", "UpdateRole", "UpdateAssumeRolePolicy", "DeleteRole"):
        yield Need(f"iam:{action}", role)
    yield Need("iam:PassRole", role, {"iam__PassedToService": "ecs-tasks.amazonaws.com"})


def _security_groups(env: Environment) -> Iterator[Need]:
    made = {"aws__RequestTag/Environment": env.short}
    group, rule = env.arn("ec2", "security-group/sg-0"), env.arn("ec2", "security-group-rule/sgr-0")
    yield Need("ec2:CreateSecurityGroup", group, made)
    yield Need("ec2:CreateSecurityGroup", env.arn("ec2", "vpc/vpc-0"), _tag(env))
    yield Need("ec2:CreateTags", group, {**made, "ec2__CreateAction": "CreateSecurityGroup"})
    yield Need("ec2:DeleteSecurityGroup", group, _tag(env))
    for way in ("Ingress", "Egress"):
        yield Need(f"ec2:AuthorizeSecurityGroup{way}", group, _tag(env))
        yield Need(f"ec2:AuthorizeSecurityGroup{way}", rule, made)
        yield Need(f"ec2:RevokeSecurityGroup{way}", group, _tag(env))
        tags = {**made, "ec2__CreateAction": f"AuthorizeSecurityGroup{way}"}
        yield Need("ec2:CreateTags", rule, tags)


def scripts(env: Environment) -> Iterator[Need]:
    """`.ci/deploy.py`: one-off tasks, and whether the services have come up."""
    for part in ("admin", "whole"):
        yield Need("ecs:RunTask", env.definition(part), {"ecs__cluster": env.cluster})
        for role in (part, f"{part}-execution"):
            to_tasks = {"iam__PassedToService": "ecs-tasks.amazonaws.com"}
            yield Need("iam:PassRole", env.role(role), to_tasks)
    yield Need("ecs:DescribeTasks", env.task(), {"ecs__cluster": env.cluster})
    yield Need("ecs:StopTask", env.task(), {"ecs__cluster": env.cluster})
    yield Need("ecs:DescribeServices", env.arn("ecs", f"service/{env.name}/web"))
    yield Need("ecs:DescribeTaskDefinition", "*")


IMAGE = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/totesys"
PUSH = [
    Need("ecr:GetAuthorizationToken", "*"),
    *(Need(f"ecr:{action}", IMAGE) for action in (
        "BatchCheckLayerAvailability", "InitiateLayerUpload", "UploadLayerPart",
        "CompleteLayerUpload", "PutImage", "BatchGetImage", "DescribeImages")),
]  # fmt: skip
