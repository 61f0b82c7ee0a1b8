"""The ways to host the platform beside AWS: Compose, Dagster's Helm chart, systemd.

Files load, follow their own rules, and name only what the platform has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from click import Command, Group
from dagster._config import process_config
from dagster._config.field import resolve_to_config_type
from dagster._core.instance.ref import InstanceRef
from dagster_k8s import K8sRunLauncher

from totesys_dagster import settings
from totesys_dagster.cli import main as totesys
from totesys_dagster_tests.scripts import script
from totesys_dagster_tests.test_deployment import LIMITS

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
OURS = {"prepare", "migrate", "code", "daemon", "web", "business"}


def variables(text: str) -> set[str]:
    return set(re.findall(r"\$\{(\w+)", text))


def example() -> dict[str, str]:
    """What deploy/.env.example names, commented out or not."""
    text = (DEPLOY / ".env.example").read_text()
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.MULTILINE))


def require_command(words: list[str]) -> None:
    """Fail unless the image has the command: its program, and subcommands of the platform."""
    if words[0] == "sh":
        for part in words[2].split(" && "):
            require_command(part.split())
    elif words[0] == "totesys":
        assert words[1] in totesys.commands, words
    elif words[0] == "python" and words[1].startswith("/opt/totesys/compose/"):
        assert (DEPLOY / "compose" / Path(words[1]).name).exists(), words
    elif words[0] in ("dagster", "dagster-daemon"):
        require_subcommand(words)
    else:
        assert words[0] == "python", words


def require_subcommand(words: list[str]) -> None:
    if words[0] == "dagster":
        from dagster._cli import create_dagster_cli

        command: Command = create_dagster_cli()
    else:
        from dagster._daemon.cli import create_dagster_daemon_cli

        command = create_dagster_daemon_cli()
    for word in words[1:]:
        if not isinstance(command, Group):
            return
        assert word in command.commands, words
        command = command.commands[word]


# Compose


@pytest.mark.parametrize("name", SERVICES)
def test_service_can_do_no_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid", "devices", "cap_add"} & set(service)
    assert "docker.sock" not in yaml.safe_dump(service)
    assert any(place.startswith("/tmp") for place in service["tmpfs"])
    assert {"cpus", "mem_limit", "pids_limit", "networks", "user"} <= set(service)
    once = service["restart"] == "no"
    assert once or "healthcheck" in service or name == "business"


def test_only_the_login_is_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["login"]
    assert not any("expose" in service for service in SERVICES.values())
    assert SERVICES["login"]["environment"]["OAUTH2_PROXY_UPSTREAMS"] == "http://web:3000/"
    # The login reaches the web server, and nothing else of ours.
    shared = {name for name, one in SERVICES.items() if "front" in one["networks"]}
    assert shared == {"login", "web"}
    assert "inside" not in SERVICES["login"]["networks"]
    assert COMPOSE["networks"]["front"]["internal"] is True


def test_web_server_is_the_guarded_one() -> None:
    assert SERVICES["web"]["command"][:2] == ["totesys", "web"]
    assert "dagster-webserver" not in (DEPLOY / "compose.yaml").read_text()


def merged(service: dict[str, Any]) -> dict[str, str]:
    return dict(service.get("environment", {}))


def test_each_service_has_the_passwords_that_it_needs() -> None:
    def having(name: str) -> set[str]:
        return {one for one, service in SERVICES.items() if name in str(merged(service))}

    assert having("TOTESYS_SOURCE_DSN:?") == {"code"}
    assert having("WAREHOUSE_LOADER_PASSWORD") == {"prepare", "migrate", "code"}
    assert having("WAREHOUSE_ADMIN_PASSWORD") == {"prepare", "migrate"}
    assert having("{POSTGRES_PASSWORD") == {"postgres", "prepare", "business"}
    assert having("LOGIN_") == {"login"}
    assert having("TOTESYS_SMTP_URL") == {"code"}


def test_every_variable_has_a_place_in_the_example_and_every_line_a_use() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    known = example()

    assert variables(text) | variables("".join(known.values())) | {"COMPOSE_PROFILES"} == set(known)


def test_every_setting_in_compose_is_one_of_the_platform() -> None:
    named = {
        name
        for service in SERVICES.values()
        for name in merged(service)
        if name.startswith("TOTESYS_")
    }

    assert named <= set(settings.SETTINGS)
    assert {*settings.LOCATIONS, settings.UI_URL} <= named


@pytest.mark.parametrize("name", sorted(OURS))
def test_command_is_one_of_the_image(name: str) -> None:
    service = SERVICES[name]
    assert service["image"] == "${IMAGE:-totesys:latest}"
    require_command(service["command"])
    if check := service.get("healthcheck"):
        assert check["test"][0] == "CMD"
        require_command(check["test"][1:])


def test_services_start_in_order() -> None:
    def waits(name: str) -> dict[str, str]:
        wanted = SERVICES[name].get("depends_on", {})
        return {other: how["condition"] for other, how in wanted.items()}

    done, well = "service_completed_successfully", "service_healthy"
    assert waits("prepare") == {"postgres": well}
    assert waits("migrate") == {"prepare": done}
    assert waits("code") == {"migrate": done}
    assert waits("daemon") == waits("web") == {"code": well}
    assert waits("login") == {"web": well}


def test_secrets_of_the_example_are_made_anew() -> None:
    new_env = script(DEPLOY / "compose" / "new_env.py")
    text = new_env.filled_in((DEPLOY / ".env.example").read_text())
    made = dict(re.findall(r"^(\w+)=([0-9a-f]{32})$", text, re.MULTILINE))

    assert {name for name, value in example().items() if value == "generate"} == set(made)
    assert len(set(made.values())) == len(made) >= 8
    assert "=generate" not in text


def test_file_of_secrets_is_ones_own_and_is_kept(tmp_path: Path) -> None:
    new_env = script(DEPLOY / "compose" / "new_env.py")
    (tmp_path / ".env.example").write_text("A=generate\n")

    assert new_env.main(tmp_path) is None
    written = (tmp_path / ".env").read_text()
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert "is left as it is" in new_env.main(tmp_path)
    assert (tmp_path / ".env").read_text() == written


def test_instance_of_compose_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in merged(SERVICES["web"]).items():
        monkeypatch.setenv(name, "eu-west-2" if "REGION" in name else value)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    reference = InstanceRef.from_dir(str(DEPLOY / "compose"))

    assert type(reference.run_launcher).__name__ == "WatchedRunLauncher"
    assert type(reference.compute_log_manager).__name__ == "S3ComputeLogManager"


# Helm


VALUES = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())
MANIFESTS = list(yaml.safe_load_all((DEPLOY / "helm" / "web.yaml").read_text()))


def snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


def test_launcher_of_kubernetes_takes_its_values() -> None:
    """As the chart writes them into its dagster.yaml."""
    given = dict(VALUES["runLauncher"]["config"]["k8sRunLauncher"])
    runs = {snake(name): value for name, value in given.pop("runK8sConfig").items()}
    config = {
        **{snake(name): value for name, value in given.items()},
        "run_k8s_config": runs,
        "service_account_name": "dagster",
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": VALUES["global"]["postgresqlSecretName"],
        "dagster_home": VALUES["global"]["dagsterHome"],
    }

    result = process_config(
        resolve_to_config_type(K8sRunLauncher.config_type()),  # type: ignore[arg-type]
        config,
    )

    assert result.success, result.errors


def test_chart_has_no_web_server_of_its_own_and_the_limits_of_every_instance() -> None:
    queue = VALUES["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]

    assert VALUES["dagsterWebserver"]["replicaCount"] == 0
    assert "ingress" not in VALUES
    assert [(one["value"], one["limit"]) for one in queue["tagConcurrencyLimits"]] == LIMITS
    assert VALUES["postgresql"]["postgresqlScheme"] == "postgresql+psycopg2"
    extra = VALUES["additionalInstanceConfig"]
    assert extra["run_retries"]["retry_on_asset_or_op_failure"] is False
    assert VALUES["dagsterDaemon"]["runRetries"]["enabled"] is False  # or it would be there twice


def pods() -> list[dict[str, Any]]:
    return [one["spec"]["template"]["spec"] for one in MANIFESTS if "template" in one["spec"]]


def test_pods_can_do_no_more_than_they_need() -> None:
    [deployment] = VALUES["dagster-user-deployments"]["deployments"]
    contexts = [
        VALUES["dagsterDaemon"]["securityContext"],
        deployment["securityContext"],
        VALUES["runLauncher"]["config"]["k8sRunLauncher"]["securityContext"],
        *(container["securityContext"] for pod in pods() for container in pod["containers"]),
    ]
    for context in contexts:
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
    assert all(pod["securityContext"]["runAsNonRoot"] for pod in pods())


def test_service_of_kubernetes_leads_to_the_login_alone() -> None:
    [service] = [one for one in MANIFESTS if one["kind"] == "Service"]
    [web] = [pod for pod in pods() if len(pod["containers"]) > 1]
    ports = {one["name"]: one.get("ports", []) for one in web["containers"]}

    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["login"]
    assert ports == {"web": [], "login": [{"name": "login", "containerPort": 4180}]}
    [command] = [one["command"] for one in web["containers"] if one["name"] == "web"]
    assert command[:4] == ["totesys", "web", "-h", "127.0.0.1"]


def test_commands_and_settings_of_kubernetes_exist() -> None:
    for pod in pods():
        for container in pod["containers"]:
            if command := container.get("command"):
                require_command(command)
    named = re.findall(
        r"\bTOTESYS_[A-Z_]+",
        "".join(path.read_text() for path in (DEPLOY / "helm").iterdir()),
    )

    assert set(named) <= set(settings.SETTINGS)


# systemd


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_unit_runs_a_command_of_the_image_with_little_around_it(path: Path) -> None:
    lines = path.read_text().splitlines()
    commands = [line.split("=", 1)[1].split() for line in lines if line.startswith("ExecStart=")]

    assert commands
    for words in commands:
        if words[0] != "/usr/local/bin/oauth2-proxy":
            require_command([Path(words[0]).name, *words[1:]])
    for line in ("ProtectSystem=strict", "PrivateTmp=true", "NoNewPrivileges=true"):
        assert line in lines, line
    assert "PartOf=totesys.target" in lines or path.stem == "totesys-migrate"


def test_units_listen_on_this_machine_alone() -> None:
    for path in UNITS:
        for host in re.findall(r"ExecStart=.* -h (\S+)", path.read_text()):
            assert host == "127.0.0.1", path


def test_target_starts_every_unit() -> None:
    target = (DEPLOY / "systemd" / "totesys.target").read_text()
    [wanted] = re.findall(r"^Wants=(.+)$", target, re.MULTILINE)

    assert set(wanted.split()) == {path.name for path in UNITS}


def test_dagster_is_the_release_that_the_pages_name() -> None:
    for place in (DEPLOY / "helm" / "values.yaml", ROOT / "docs" / "hosting.md"):
        assert set(re.findall(r"--version (\S+)", place.read_text())) == {dg.__version__}, place
