"""A deployment that fails is red: `.ci/deploy.py` against what ECS answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from totesys_dagster_tests.scripts import script

deploy = script(Path(__file__).parents[2] / ".ci" / "deploy.py")

ECS = "arn:aws:ecs:eu-west-2:000000000000"
OLD, NEW = (f"{ECS}:task-definition/totesys-staging-code:{revision}" for revision in (7, 8))
ADMIN = f"{ECS}:task-definition/totesys-staging-admin:8"
AGENT = f"{ECS}:task-definition/totesys-staging-agent:8"
TASK = f"{ECS}:task/totesys-staging/0123"
OUTPUTS = {
    "one_off": {
        "value": {"cluster": "totesys-staging", "subnet": "subnet-1", "security_group": "sg-2"}
    },
    "task_definitions": {"value": {"code": NEW}},
    "stopped_services": {"value": []},
}


@pytest.fixture
def ecs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """A client of ECS whose answers are given by the test, in the shapes of AWS."""
    monkeypatch.setattr(deploy, "POLL_SECONDS", 0)
    client = boto3.client(
        "ecs", region_name="eu-west-2", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(client) as stubber:
        yield stubber


@pytest.fixture
def outputs() -> dict[str, Any]:
    """What Terraform puts out, which a test may change before it runs a step."""
    return dict(OUTPUTS)


@pytest.fixture
def run(ecs: Stubber, tmp_path: Path, outputs: dict[str, Any]) -> Callable[[str], int]:
    path = tmp_path / "outputs.json"

    def carry_out(step: str) -> int:
        path.write_text(json.dumps(outputs))
        return int(deploy.main([step, "--outputs", str(path), "--commit", "c0ffee"], ecs.client))

    return carry_out


# Services


def deployment(definition: str, state: str, status: str = "PRIMARY", **more: Any) -> dict[str, Any]:
    counts = {"desiredCount": 1, "runningCount": 1}
    return {"status": status, "taskDefinition": definition, "rolloutState": state, **counts, **more}


def answered(ecs: Stubber, *deployments: dict[str, Any], desired: int = 1) -> None:
    service = {
        "serviceName": "code",
        "desiredCount": desired,
        "runningCount": desired,
        "deployments": list(deployments),
        "events": [{"message": "(service code) was unable to place a task"}],
    }
    ecs.add_response(
        "describe_services",
        {"services": [service], "failures": []},
        {"cluster": "totesys-staging", "services": ["code"]},
    )


def test_a_service_is_waited_for_until_its_new_tasks_run(
    ecs: Stubber, run: Callable[[str], int]
) -> None:
    old = deployment(OLD, "COMPLETED", "ACTIVE")
    answered(ecs, deployment(OLD, "COMPLETED"))
    answered(ecs, deployment(NEW, "IN_PROGRESS", runningCount=0), old)
    answered(ecs, deployment(NEW, "COMPLETED", runningCount=0), old)
    answered(ecs, deployment(NEW, "COMPLETED"))

    assert run("services") == 0
    ecs.assert_no_pending_responses()


def test_a_service_that_was_rolled_back_is_a_failure_though_it_is_stable(
    ecs: Stubber,
    run: Callable[[str], int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(deploy, "SETTLE_SECONDS", -1)
    answered(ecs, deployment(OLD, "COMPLETED"))

    assert run("services") == 1
    said = capsys.readouterr().err
    assert f"has not come up with {NEW}: it runs {OLD}" in said
    assert "unable to place a task" in said


def test_a_deployment_that_the_circuit_breaker_ended_is_a_failure_at_once(
    ecs: Stubber, run: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    why = "ECS deployment circuit breaker: tasks failed to start."
    answered(
        ecs,
        deployment(OLD, "IN_PROGRESS"),
        deployment(NEW, "FAILED", "ACTIVE", rolloutStateReason=why),
    )

    assert run("services") == 1
    assert why in capsys.readouterr().err


def test_a_service_that_never_comes_up_is_a_failure(
    ecs: Stubber,
    run: Callable[[str], int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(deploy, "SERVICES_SECONDS", -1)
    answered(ecs, deployment(NEW, "IN_PROGRESS"))

    assert run("services") == 1
    assert "took more than" in capsys.readouterr().err


def test_a_service_that_is_stopped_or_missing_is_a_failure(
    ecs: Stubber, run: Callable[[str], int]
) -> None:
    answered(ecs, deployment(NEW, "COMPLETED", desiredCount=0, runningCount=0), desired=0)
    assert run("services") == 1

    missing = {"services": [], "failures": [{"arn": "code", "reason": "MISSING"}]}
    ecs.add_response("describe_services", missing)
    assert run("services") == 1


# Services that are stopped, as with Dagster+


def answered_with_agent(ecs: Stubber, agent: dict[str, Any], **code: int) -> None:
    """What ECS says of the service `code`, which is stopped, and of the agent in its place."""
    services = [
        {"serviceName": "agent", "desiredCount": 1, "runningCount": 1, "deployments": [agent]},
        {"serviceName": "code", "deployments": [deployment(NEW, "COMPLETED")], **code},
    ]
    ecs.add_response(
        "describe_services",
        {"services": services, "failures": []},
        {"cluster": "totesys-staging", "services": ["agent", "code"]},
    )


@pytest.fixture
def stopped_for_agent(outputs: dict[str, Any]) -> None:
    outputs["task_definitions"] = {"value": {"agent": AGENT}}
    outputs["stopped_services"] = {"value": ["code"]}


@pytest.mark.usefixtures("stopped_for_agent")
def test_services_that_are_stopped_run_nothing_and_the_agent_its_new_tasks(
    ecs: Stubber, run: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    answered_with_agent(ecs, deployment(AGENT, "IN_PROGRESS"), desiredCount=0, runningCount=0)
    answered_with_agent(ecs, deployment(AGENT, "COMPLETED"), desiredCount=0, runningCount=1)
    answered_with_agent(ecs, deployment(AGENT, "COMPLETED"), desiredCount=0, runningCount=0)

    assert run("services") == 0
    ecs.assert_no_pending_responses()
    assert capsys.readouterr().out == (
        "agent: up with the new task definition\ncode: stopped (`running = false`)\n"
    )


def test_without_an_agent_too_services_may_be_stopped(
    ecs: Stubber, run: Callable[[str], int], outputs: dict[str, Any]
) -> None:
    outputs["task_definitions"] = {"value": {}}
    outputs["stopped_services"] = {"value": ["code"]}
    answered(ecs, deployment(NEW, "COMPLETED"), desired=0)

    assert run("services") == 0


@pytest.mark.usefixtures("stopped_for_agent")
def test_a_service_that_still_runs_beside_the_agent_is_a_failure(
    ecs: Stubber,
    run: Callable[[str], int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(deploy, "SETTLE_SECONDS", -1)
    answered_with_agent(ecs, deployment(AGENT, "COMPLETED"), desiredCount=1, runningCount=1)

    assert run("services") == 1
    assert "The service code is to run 1 task(s)" in capsys.readouterr().err


@pytest.mark.usefixtures("stopped_for_agent")
def test_an_agent_that_runs_something_else_is_a_failure(
    ecs: Stubber, run: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploy, "SETTLE_SECONDS", -1)
    answered_with_agent(ecs, deployment(OLD, "COMPLETED"), desiredCount=0, runningCount=0)

    assert run("services") == 1


# One-off tasks


def described(ecs: Stubber, part: str = "admin", image: str = "registry/totesys:c0ffee") -> None:
    ecs.add_response(
        "describe_task_definition",
        {
            "taskDefinition": {
                "taskDefinitionArn": ADMIN.replace("admin", part),
                "containerDefinitions": [{"name": "run", "image": image}],
            }
        },
        {"taskDefinition": f"totesys-staging-{part}"},
    )


def started(ecs: Stubber, command: list[str], part: str = "admin") -> None:
    described(ecs, part)
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-2"]}}
    ecs.add_response(
        "run_task",
        {"tasks": [{"taskArn": TASK}], "failures": []},
        {
            "cluster": "totesys-staging",
            "launchType": "FARGATE",
            "taskDefinition": ADMIN.replace("admin", part),
            "networkConfiguration": network,
            "overrides": {"containerOverrides": [{"name": "run", "command": command}]},
            "startedBy": "deployment",
        },
    )


def seen(ecs: Stubber, *tasks: dict[str, Any]) -> None:
    asked = {"cluster": "totesys-staging", "tasks": [TASK]}
    ecs.add_response("describe_tasks", {"tasks": list(tasks), "failures": []}, asked)


def stopped(code: int | None = None, **container: Any) -> dict[str, Any]:
    exit_code = {} if code is None else {"exitCode": code}
    return {
        "lastStatus": "STOPPED",
        "stoppedReason": "Essential container in task exited",
        "containers": [{**exit_code, **container}],
    }


def test_warehouse_and_history_are_migrated_by_tasks_of_the_new_image(
    ecs: Stubber, run: Callable[[str], int]
) -> None:
    started(ecs, ["totesys", "migrate"])
    seen(ecs)
    seen(ecs, {"lastStatus": "RUNNING", "containers": []})
    seen(ecs, stopped(0))
    started(ecs, ["dagster", "instance", "migrate"])
    seen(ecs, stopped(0))

    assert run("migrate") == 0
    ecs.assert_no_pending_responses()


def test_an_image_of_another_commit_is_not_run(
    ecs: Stubber, run: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    described(ecs, image="registry/totesys:before")

    assert run("migrate") == 1
    assert "not that of c0ffee" in capsys.readouterr().err


def test_a_migration_that_fails_ends_the_deployment_and_says_where_to_look(
    ecs: Stubber, run: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    started(ecs, ["totesys", "migrate"])
    seen(ecs, stopped(1))

    assert run("migrate") == 1
    assert capsys.readouterr().err == (
        "FAILED: `totesys migrate` ended with exit code 1: Essential container in task exited."
        " Its lines: log group /totesys-staging/admin, stream admin/run/0123.\n"
    )


@pytest.mark.parametrize("reason", ["CannotPullContainerError: no such tag", "OutOfMemoryError"])
def test_a_task_that_never_ran_is_a_failure(
    ecs: Stubber, run: Callable[[str], int], capsys: pytest.CaptureFixture[str], reason: str
) -> None:
    started(ecs, ["totesys", "migrate"])
    seen(ecs, stopped(reason=reason))

    assert run("migrate") == 1
    assert f"never ran: Essential container in task exited; {reason}." in capsys.readouterr().err


def test_a_task_that_ecs_cannot_place_is_a_failure(ecs: Stubber, run: Callable[[str], int]) -> None:
    described(ecs)
    ecs.add_response("run_task", {"tasks": [], "failures": [{"reason": "RESOURCE:MEMORY"}]})

    assert run("migrate") == 1


def test_a_task_that_takes_too_long_is_stopped(
    ecs: Stubber,
    run: Callable[[str], int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(deploy, "TASK_SECONDS", -1)
    started(ecs, ["totesys", "migrate"])
    seen(ecs, {"lastStatus": "RUNNING", "containers": []})
    ecs.add_response("stop_task", {})

    assert run("migrate") == 1
    ecs.assert_no_pending_responses()
    assert "took more than" in capsys.readouterr().err


def test_what_aws_refuses_is_a_failure(
    ecs: Stubber, run: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    ecs.add_client_error("describe_task_definition", "AccessDeniedException", "not authorized")

    assert run("migrate") == 1
    assert "not authorized" in capsys.readouterr().err


def test_the_gate_is_a_verification_and_a_batch(ecs: Stubber, run: Callable[[str], int]) -> None:
    started(ecs, ["totesys", "verify"])
    seen(ecs, stopped(0))
    started(ecs, ["totesys", "audit"], "whole")
    seen(ecs, stopped(0))

    assert run("gate") == 0
    ecs.assert_no_pending_responses()


def test_a_finding_of_the_verification_closes_the_gate(
    ecs: Stubber, run: Callable[[str], int]
) -> None:
    started(ecs, ["totesys", "verify"])
    seen(ecs, stopped(1))

    assert run("gate") == 1
    ecs.assert_no_pending_responses()
