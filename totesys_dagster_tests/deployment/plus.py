"""What the agent of Dagster+ needs and must not have: the calls of dagster_cloud.workspace.ecs."""

from __future__ import annotations

from collections.abc import Iterator

from totesys_dagster_tests.deployment.account import Environment
from totesys_dagster_tests.deployment.needs import Need, pulling, use_key

TO_TASKS = {"iam__PassedToService": "ecs-tasks.amazonaws.com"}
# Families as Dagster names them, after organization, deployment, location and job.
FAMILY = "terrific-totes_prod_totesys-dagster"
# Whose roles the code location and its runs get.
PASSED = ("code", "capture", "process", "load", "whole", "agent-tasks-execution")


def namespace(env: Environment) -> str:
    return env.arn("servicediscovery", f"namespace/{env.name}.internal")


def _of_agent(env: Environment) -> Iterator[Need]:
    cluster = {"ecs__cluster": env.cluster}
    server = env.arn("ecs", f"service/{env.name}/prod-totesys-dagster-0a1b2c")
    for action in ("CreateService", "UpdateService", "DeleteService", "DescribeServices"):
        yield Need(f"ecs:{action}", server, cluster)
    for action in ("ListServices", "ListTasks"):
        yield Need(f"ecs:{action}", "*", cluster)
    for action in ("ListAccountSettings", "DescribeTaskDefinition"):
        yield Need(f"ecs:{action}", "*")
    for family in (f"server_{FAMILY}", f"dagsterrun_{FAMILY}_capture"):
        yield Need("ecs:RegisterTaskDefinition", env.arn("ecs", f"task-definition/{family}:1"))
    run = env.arn("ecs", f"task-definition/dagsterrun_{FAMILY}_capture:1")
    yield Need("ecs:RunTask", run, cluster)
    for action in ("DescribeTasks", "StopTask"):
        yield Need(f"ecs:{action}", env.task(), cluster)
    yield Need("ecs:TagResource", server, {"ecs__CreateAction": "CreateService"})
    yield Need("ecs:TagResource", env.task(), {"ecs__CreateAction": "RunTask"})
    for part in PASSED:
        yield Need("iam:PassRole", env.role(part), TO_TASKS)
    yield Need("logs:GetLogEvents", env.log(f"/{env.name}/agent"))
    yield Need("tag:GetResources", "*")
    yield from _of_discovery(env)


def _of_discovery(env: Environment) -> Iterator[Need]:
    """Cloud Map: each code server is a service there, with the agent's tag."""
    service = env.arn("servicediscovery", "service/srv-0")
    for place in (namespace(env), service):
        yield Need("servicediscovery:CreateService", place, {"aws__RequestTag/Agent": env.name})
    yield Need("servicediscovery:TagResource", service, {"aws__RequestTag/Agent": env.name})
    for action in ("DeleteService", "DeregisterInstance"):
        yield Need(f"servicediscovery:{action}", service, {"aws__ResourceTag/Agent": env.name})
    yield Need("servicediscovery:GetNamespace", namespace(env))
    for action in ("GetOperation", "ListInstances", "ListServices", "ListTagsForResource"):
        yield Need(f"servicediscovery:{action}", "*")


def _of_execution(env: Environment, secrets: tuple[str, ...]) -> Iterator[Need]:
    yield from pulling(env, "agent")
    for secret in secrets:
        yield Need("secretsmanager:GetSecretValue", env.secret(secret))
        yield from use_key(env, "secretsmanager", "Decrypt")


def of_plus(env: Environment) -> dict[str, list[Need]]:
    """For each role of the agent's, all that it needs."""
    return {
        f"{env.name}-agent": list(_of_agent(env)),
        f"{env.name}-agent-execution": list(_of_execution(env, ("agent-token",))),
        f"{env.name}-agent-tasks-execution": list(_of_execution(env, ())),
    }


def forbidden_of_agent(env: Environment) -> list[Need]:
    """What would let an agent out of its bounds: other roles, services, families, secrets."""
    cluster = {"ecs__cluster": env.cluster}
    foreign = env.arn("servicediscovery", "service/srv-code")
    other = {"aws__ResourceTag/Agent": "totesys-other"}
    return [
        *(Need("iam:PassRole", env.role(part), TO_TASKS) for part in (
            "admin", "admin-execution", "prepare", "prepare-execution", "daemon", "web", "agent",
            "agent-execution", "replication", "flow-logs", "code-execution")),
        *(Need("iam:PassRole", env.role(part), {"iam__PassedToService": "lambda.amazonaws.com"})
          for part in PASSED),
        *(Need(f"ecs:{action}", env.arn("ecs", f"service/{env.name}/{service}"), cluster)
          for action in ("CreateService", "UpdateService", "DeleteService")
          for service in ("agent", "code", "daemon", "web")),
        *(Need("ecs:RegisterTaskDefinition",
               env.arn("ecs", f"task-definition/{env.name}-{part}:8"))
          for part in ("admin", "capture", "prepare")),
        *(Need("ecs:RunTask", env.definition(part), cluster)
          for part in ("admin", "prepare", "capture", "agent")),
        *(Need(f"servicediscovery:{action}", foreign, context)
          for action in ("DeleteService", "DeregisterInstance") for context in ({}, other)),
        *(Need("ecs:TagResource", place) for place in (
            env.task(), env.arn("ecs", f"service/{env.name}/web"))),
        Need("servicediscovery:CreateService", namespace(env)),
        Need("servicediscovery:DeleteNamespace", namespace(env)),
        *(Need("secretsmanager:GetSecretValue", env.secret(name)) for name in (
            "agent-token", "source-dsn", "warehouse-dsn", "dagster-password")),
        Need("secretsmanager:ListSecrets", "*"),
        *(Need("s3:GetObject", env.bucket(bucket, "x")) for bucket in ("ingestion", "processed")),
        Need("sns:Publish", env.topic),
        Need("ecs:ExecuteCommand", env.task(), cluster),
    ]  # fmt: skip
