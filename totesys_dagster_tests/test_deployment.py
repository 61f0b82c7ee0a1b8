"""What is deployed, as far as it can be held without an account: files load, names agree, and what
must not be in them is not. Policies are evaluated in totesys_dagster_tests/deployment.
"""

from __future__ import annotations

import fnmatch
import importlib
import importlib.util
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
import yaml
from dagster._core.instance.ref import InstanceRef
from dagster._core.workspace.load import location_origins_from_yaml_paths
from dagster_aws.ecs.container_context import EcsContainerContext
from psycopg.conninfo import conninfo_to_dict

from tools import render
from totesys_dagster import aws_secrets, settings
from totesys_dagster.definitions import defs
from totesys_dagster.local import server as postgres
from totesys_dagster.orchestration import life
from totesys_dagster.orchestration.jobs import JOBS
from totesys_dagster.web import guard
from totesys_dagster_tests import warm
from totesys_dagster_tests.scripts import script

ROOT = Path(__file__).parent.parent
AWS = ROOT / "deploy" / "aws"
TERRAFORM = ROOT / "terraform"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTION = ROOT / ".github" / "actions" / "apply" / "action.yml"

# What an image may be built with: for ECS and Compose, for Kubernetes, for Dagster+.
LOCKS = ["requirements.lock", "requirements-k8s.lock", "requirements-plus.lock"]

# For AWS's libraries: nothing here talks to AWS.
ENVIRONMENT = {
    "AWS_REGION": "eu-west-2",
    "AWS_DEFAULT_REGION": "eu-west-2",
    "AWS_EC2_METADATA_DISABLED": "true",
    "DAGSTER_POSTGRES_HOST": "db.example.com",
    "DAGSTER_POSTGRES_PORT": "5432",
    "DAGSTER_POSTGRES_DB": "dagster",
    "DAGSTER_POSTGRES_USER": "dagster",
    "DAGSTER_POSTGRES_PASSWORD": "secret",
    "DAGSTER_COMPUTE_BUCKET": "compute",
    "DAGSTER_RUN_FAMILY": "totesys-test",
    "DAGSTER_RUN_SECURITY_GROUPS": '{"capture": "sg-capture"}',
    "DAGSTER_CODE_HOST": "code.totesys.internal",
    "DAGSTER_CODE_PORT": "4000",
}

# How many runs of each stage may be at work, whoever launches them.
LIMITS = [
    ("batch", 1),
    ("capture", 1),
    ("load", 1),
    ("verify", 1),
    ("audit", 1),
    ("history", 1),
]


@pytest.fixture
def image(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the image and ECS set: variables, and the launcher on Python's path."""
    monkeypatch.syspath_prepend(str(AWS))
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def deployed() -> dict[str, str]:
    """The text of everything that this module looks at, by path."""
    listed = subprocess.run(
        ["git", "ls-files", "terraform", "deploy", ".github", "Dockerfile"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    assert not listed or len(listed) > 50
    found = [ROOT / name for name in listed] or [
        path
        for place in ("terraform", "deploy", ".github")
        for path in (ROOT / place).rglob("*")
        if path.is_file() and ".terraform" not in path.parts
    ]
    return {
        str(path.relative_to(ROOT)): path.read_text()
        for path in found
        if path.suffix not in (".lock", ".hcl") or path.name.endswith(".tftest.hcl")
    }


def terraform() -> dict[str, str]:
    """Terraform's modules and roots, without their tests."""
    return {path: text for path, text in deployed().items() if path.endswith(".tf")}


# The instance


@pytest.mark.usefixtures("image")
def test_instance_of_one_machine_loads() -> None:
    ref = InstanceRef.from_dir(str(ROOT / "deploy"))

    assert type(ref.run_launcher).__name__ == "WatchedRunLauncher"
    assert ref.storage_data is not None
    assert ref.storage_data.class_name == "DagsterPostgresStorage"


@pytest.mark.usefixtures("image")
def test_instance_on_aws_loads() -> None:
    ref = InstanceRef.from_dir(str(AWS))

    assert type(ref.run_launcher).__name__ == "StageRunLauncher"
    assert type(ref.compute_log_manager).__name__ == "S3ComputeLogManager"
    assert ref.storage_data is not None
    assert ref.storage_data.config_dict["postgres_db"]["params"]["sslmode"] == "verify-full"
    assert ref.settings is not None
    assert ref.settings["run_monitoring"]["enabled"] is True
    assert ref.settings["run_retries"]["retry_on_asset_or_op_failure"] is False


def test_all_instances_let_one_batch_at_a_time_be_captured_and_loaded() -> None:
    for place in (ROOT, ROOT / "deploy", ROOT / "deploy" / "compose", AWS):
        queue = yaml.safe_load((place / "dagster.yaml").read_text())["run_queue"]

        limits = [(one["value"], one["limit"]) for one in queue["tag_concurrency_limits"]]
        assert limits == LIMITS, place


@pytest.mark.usefixtures("image")
def test_workspace_finds_the_code_location() -> None:
    [origin] = location_origins_from_yaml_paths([str(ROOT / "deploy" / "workspace.yaml")])

    assert (origin.host, origin.port) == ("code.totesys.internal", 4000)  # type: ignore[attr-defined]


# Runs in ECS


@pytest.mark.parametrize(
    ("job", "stage"),
    [
        ("capture", "capture"),
        ("process", "process"),
        ("load_warehouse", "load"),
        ("batch", "whole"),
        ("whole_path", "whole"),
        ("__ASSET_JOB", "whole"),
    ],
)
@pytest.mark.usefixtures("image")
def test_each_job_runs_with_the_rights_of_its_stage(job: str, stage: str) -> None:
    launcher = importlib.import_module("stage_launcher").StageRunLauncher(
        family="totesys-test", security_groups="{}", use_current_ecs_task_config=False
    )
    kwargs = launcher._run_task_kwargs(dg.DagsterRun(job), None, EcsContainerContext())

    assert kwargs == {"taskDefinition": f"totesys-test-{stage}"}


@pytest.mark.parametrize(
    ("job", "group"), [("capture", "sg-capture"), ("load_warehouse", "sg-load"), ("batch", "sg-0")]
)
@pytest.mark.usefixtures("image")
def test_each_job_runs_in_the_network_of_its_stage(job: str, group: str) -> None:
    network = {"subnets": ["subnet-0"], "securityGroups": ["sg-0"], "assignPublicIp": "DISABLED"}
    launcher = importlib.import_module("stage_launcher").StageRunLauncher(
        family="totesys-test",
        security_groups='{"capture": "sg-capture", "load": "sg-load"}',
        use_current_ecs_task_config=False,
        # Where the daemon's own network comes from.
        run_task_kwargs={"networkConfiguration": {"awsvpcConfiguration": network}},
    )

    kwargs = launcher._run_task_kwargs(dg.DagsterRun(job), None, EcsContainerContext())

    chosen = kwargs["networkConfiguration"]["awsvpcConfiguration"]
    assert chosen == {**network, "securityGroups": [group]}


@pytest.mark.usefixtures("image")
def test_every_job_has_a_task_definition() -> None:
    launcher = importlib.import_module("stage_launcher")
    tasks = terraform()["terraform/modules/cluster/tasks.tf"]
    parts = set(re.findall(r"^    (\w+)\s+= \{ container = ", tasks, re.MULTILINE))
    known = {job.name for job in JOBS}

    assert set(launcher.STAGES) <= known
    assert {*launcher.STAGES.values(), launcher.WHOLE} <= parts
    assert known == {job.name for job in defs.resolve_all_job_defs()} - {"__ASSET_JOB"}


def test_settings_of_tasks_exist() -> None:
    known = {value for value in vars(settings).values() if isinstance(value, str)}
    named = {
        name
        for path in ("modules/cluster/tasks.tf", "modules/platform/main.tf")
        for name in re.findall(r"\bTOTESYS_[A-Z_]+", (TERRAFORM / path).read_text())
    }

    assert {settings.SOURCE_DSN, settings.WAREHOUSE_DSN, settings.INGESTION_URL} <= named
    assert named <= known


def test_every_setting_can_be_set_on_aws_or_has_no_use_there() -> None:
    """By its own variable or in `settings`; the reader's address follows from the loader's."""
    elsewhere = {settings.HOME, settings.POSTGRES_BIN, settings.WAREHOUSE_READER_DSN}
    texts = "".join(
        (TERRAFORM / path).read_text()
        for path in (
            *("modules/cluster/tasks.tf", "modules/cluster/variables.tf"),
            "modules/platform/main.tf",
        )
    )
    named = set(re.findall(r"\bTOTESYS_[A-Z_]+", texts))
    branches = {*settings.PLACES.values()}

    assert {*settings.SETTINGS} - named == elsewhere | branches


def test_tasks_refer_to_secrets_as_the_platform_reads_them() -> None:
    tasks = terraform()["terraform/modules/cluster/tasks.tf"]

    assert re.findall(r'setting => "(.+)\$\{arn\}"', tasks) == [aws_secrets.PREFIX]
    # boto3 takes the region from this variable alone.
    assert re.search(r"\bAWS_DEFAULT_REGION += var\.region", tasks)


def test_no_rule_leads_round_the_login_of_the_load_balancer() -> None:
    """What has no rule of its own falls to the listener's default: a login, then the web server."""
    texts = terraform()

    assert not any("aws_lb_listener_rule" in text for text in texts.values())
    balancer = texts["terraform/modules/cluster/balancer.tf"]
    [listener] = re.findall(
        r'resource "aws_lb_listener" .+?^\}', balancer, re.MULTILINE | re.DOTALL
    )
    assert re.findall(r'^    type += "(.+)"', listener, re.MULTILINE) == [
        "authenticate-cognito",
        "forward",
    ]


def test_variables_of_the_instance_are_set_by_ecs() -> None:
    tasks = terraform()["terraform/modules/cluster/tasks.tf"]
    platform = terraform()["terraform/modules/platform/main.tf"]
    wanted = re.findall(
        r"env: (\w+)",
        (AWS / "dagster.yaml").read_text() + (ROOT / "deploy/workspace.yaml").read_text(),
    )

    assert wanted
    for name in wanted:
        assert re.search(rf"\b{name}\s+=", tasks + platform), name


def test_alarms_of_life_count_lines_that_are_logged() -> None:
    filters = terraform()["terraform/modules/alerts/filters.tf"]
    sensors = set(re.findall(r'sensor = \\"(\w+)\\"', filters))

    assert set(re.findall(r'event = \\"(\w+)\\"', filters)) == {life.TICK}
    assert sensors == {"source_changes", "alerts"}
    assert {defs.resolve_sensor_def(one).name for one in sensors} == sensors


@pytest.mark.parametrize("path", render.FILES, ids=lambda path: path.name)
def test_file_that_follows_from_the_catalogue_is_up_to_date(path: Path) -> None:
    """`make render` writes them."""
    assert path.read_text() == render.FILES[path]()


# The databases


@pytest.fixture
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> postgres.Server:
    """A server without roles: that of the session has some, whose passwords other tests use."""
    return postgres.start(tmp_path_factory.mktemp("empty"))


@pytest.fixture
def administrator(empty_server: postgres.Server) -> Iterator[psycopg.Connection]:
    """The owner of a database, who may make roles and is no superuser: as on RDS."""
    with psycopg.connect(
        empty_server.dsn(postgres.SUPERUSER, "postgres"), autocommit=True
    ) as connection:
        connection.execute("CREATE ROLE administrator LOGIN CREATEROLE CREATEDB PASSWORD 'x'")
        connection.execute("CREATE DATABASE prepared OWNER administrator")
    dsn = f"postgresql://administrator:x@127.0.0.1:{empty_server.port}/prepared"
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def test_databases_are_prepared_and_passwords_rotated(
    empty_server: postgres.Server, administrator: psycopg.Connection
) -> None:
    prepare = script(AWS / "prepare_databases.py")
    place = f"127.0.0.1:{empty_server.port}/prepared"

    first = prepare.prepare_warehouse(administrator, place, "sslmode=disable")
    second = prepare.prepare_warehouse(administrator, place, "sslmode=disable")

    assert set(second) == {"warehouse_loader", "warehouse_admin"}
    for role, dsn in second.items():
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (role,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(first["warehouse_loader"])
    with psycopg.connect(second["warehouse_admin"]) as connection:
        connection.execute("SET ROLE warehouse_owner")
        connection.execute("CREATE SCHEMA warehouse")

    password = prepare.prepare_dagster(administrator, "prepared")
    with psycopg.connect(f"postgresql://dagster:{password}@{place}?sslmode=disable") as connection:
        connection.execute("CREATE TABLE runs ()")


@pytest.mark.long
@pytest.mark.usefixtures("administrator")
def test_passwords_of_one_database_can_be_rotated_alone(
    empty_server: postgres.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = script(AWS / "prepare_databases.py")
    place = f"127.0.0.1:{empty_server.port}/prepared"
    # The embedded server has no certificate of Amazon's.
    monkeypatch.setattr(
        prepare,
        "connect",
        lambda *_: psycopg.connect(f"postgresql://administrator:x@{place}", autocommit=True),
    )
    used = re.findall(r'environment\["(\w+)"\]', (AWS / "prepare_databases.py").read_text())
    environment = {
        **{name: "{}" if name.endswith("ADMINISTRATOR") else name for name in used},
        "DAGSTER_POSTGRES_DB": "prepared",
    }

    def rotated(*arguments: str) -> dict[str, str]:
        put: dict[str, str] = {}
        prepare.main(arguments, environment, put.__setitem__)
        return put

    both, warehouse = rotated(), rotated("--only", "warehouse")

    assert set(warehouse) == {"WAREHOUSE_DSN_SECRET", "WAREHOUSE_ADMIN_DSN_SECRET"}
    assert set(both) == {*warehouse, "DAGSTER_PASSWORD_SECRET"}
    psycopg.connect(f"postgresql://dagster:{both['DAGSTER_PASSWORD_SECRET']}@{place}").close()

    assert set(rotated("--only", "dagster")) == {"DAGSTER_PASSWORD_SECRET"}
    loader = conninfo_to_dict(warehouse["WAREHOUSE_DSN_SECRET"])["password"]
    psycopg.connect(f"postgresql://warehouse_loader:{loader}@{place}").close()


# What must not be in them


def test_no_account_address_or_secret_is_in_the_code() -> None:
    forbidden = {
        "an account": re.compile(r"(?<![\w.-])(?!0{12}\b)\d{12}(?![\w-])"),
        "an address": re.compile(r"[\w.+-]+@(?!example\.com)[\w-]+\.(?:com|org|net|io|co)\b"),
        "a key": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|-----BEGIN"),
        "a password": re.compile(r"(?i)(?<!-)password\"?\s*[=:]\s*\"(?!arn:)[^\"$]+\""),
        "a connection string": re.compile(r"postgresql://\w+:(?!\$?[{])[^\s@]+@(?!host)"),
    }

    found = [
        f"{path}: {what}: {match[0]}"
        for path, text in deployed().items()
        for what, pattern in forbidden.items()
        for match in pattern.finditer(text)
    ]

    assert found == []


# Workflows


def test_actions_are_pinned_by_commit() -> None:
    used = [
        (path.name, use)
        for path in [*WORKFLOWS, ACTION]
        for use in re.findall(r"uses:\s*(\S+.*)", path.read_text())
    ]

    assert len(used) > 10
    for name, use in used:
        assert use.startswith("./") or re.fullmatch(
            r"[\w-]+/[\w.-]+@[0-9a-f]{40} # v\d+(\.\d+)*", use
        ), f"{name}: {use}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_jobs_ask_for_each_permission(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    triggers = workflow[True]  # YAML 1.1 takes `on` for a boolean

    assert workflow["permissions"] == {}
    # Of a deployment, each environment is one at a time: an approval must not hold up staging.
    assert "workflow_call" in triggers or "concurrency" in workflow or path.stem == "deploy"
    assert "pull_request_target" not in triggers
    for name, job in workflow["jobs"].items():
        asked = job["permissions"]
        # These push a branch of their own; one makes a release.
        proposes = (path.stem, name) in {("locks", "propose"), ("locks", "terraform")}
        writes = proposes or (path.stem, name) == ("release", "publish")
        more = {"pull-requests"} if proposes else set()
        more |= {"attestations"} if path.stem == "release" else set()
        assert set(asked) <= {"contents", "id-token", "packages"} | more, name
        assert asked["contents"] == ("write" if writes else "read"), name
        # With an environment of GitHub, AWS would not know the job as one of the main branch.
        known = {("deploy", "production"): "production", ("release", "pypi"): "pypi"}
        assert job.get("environment") == known.get((path.stem, name)), name


def deploy_jobs() -> dict[str, Any]:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text())
    jobs: dict[str, Any] = workflow["jobs"]
    return jobs


def test_production_is_applied_after_all_checks_staging_and_an_approval() -> None:
    jobs = deploy_jobs()

    assert jobs["checks"]["uses"] == "./.github/workflows/checks.yml"
    order = [(job, jobs[job]["needs"]) for job in ("image", "staging", "production")]
    assert order == [("image", "checks"), ("staging", "image"), ("production", "staging")]
    assert jobs["production"]["environment"] == "production"
    for name in ("staging", "production"):
        one_at_a_time = {"group": f"deploy-{name}", "cancel-in-progress": False}
        assert jobs[name]["concurrency"] == one_at_a_time
    applied = {job: jobs[job]["steps"][-1] for job in ("staging", "production")}
    assert {job: step["uses"] for job, step in applied.items()} == {
        "staging": "./.github/actions/apply",
        "production": "./.github/actions/apply",
    }
    assert {job: step["with"]["environment"] for job, step in applied.items()} == {
        "staging": "staging",
        "production": "production",
    }
    assert {job: step["with"]["role"] for job, step in applied.items()} == {
        "staging": "${{ vars.AWS_STAGING_ROLE }}",
        "production": "${{ vars.AWS_PRODUCTION_ROLE }}",
    }
    assert applied["staging"]["with"]["gate"] == "true"


def test_the_image_that_was_rehearsed_is_the_one_that_is_pushed() -> None:
    pushes = json.dumps(deploy_jobs()["image"])
    checks = yaml.safe_load((ROOT / ".github" / "workflows" / "checks.yml").read_text())
    steps = [str(step) for step in checks["jobs"]["image"]["steps"]]

    def place(words: str) -> int:
        return next(index for index, step in enumerate(steps) if words in step)

    built, rehearsed = place("--output"), place("make rehearsal IMAGE=totesys:check")
    assert "oci-archive:$RUNNER_TEMP/image.tar docker-daemon:totesys:check" in (
        steps[built].replace('"', "")
    )
    assert built < rehearsed < place("image.tar', 'retention-days")
    assert "build" not in pushes
    assert "needs.checks.outputs.image-sha256" in pushes
    assert "sha256sum --check" in pushes
    assert "oci-archive:image.tar" in pushes
    assert deploy_jobs()["checks"]["with"] == {"keep-image": True}


def test_a_migration_runs_between_the_push_and_the_services() -> None:
    action = yaml.safe_load(ACTION.read_text())
    steps = [step.get("run", step.get("uses", "")) for step in action["runs"]["steps"]]
    order = [re.findall(r"deploy\.py (\w+)|(-target='[^']+')|(-out=plan)", step) for step in steps]
    found = [next(filter(None, one)) for step in order for one in step]

    assert found == [
        """-target='module.platform.module.cluster.aws_ecs_task_definition.this["admin"]'""",
        "migrate",
        "-out=plan",
        "services",
        "migrate",
        "gate",
    ]
    tasks = terraform()["terraform/modules/cluster/tasks.tf"]
    assert 'resource "aws_ecs_task_definition" "this"' in tasks
    assert "create_before_destroy = true" in tasks
    assert "skip_destroy = true" in tasks


def test_the_script_reads_what_each_environment_puts_out() -> None:
    read = set(re.findall(r'\boutputs\["(\w+)"\]', (ROOT / ".ci" / "deploy.py").read_text()))

    assert read == {"one_off", "task_definitions", "stopped_services"}
    for environment in ("staging", "production"):
        text = (TERRAFORM / "environments" / environment / "outputs.tf").read_text()
        assert read <= set(re.findall(r'^output "(\w+)"', text, re.MULTILINE)), environment


# The image


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_image_that_a_person_builds_is_for_the_processors_of_the_tasks(environment: str) -> None:
    """Fargate cannot run what is built for those of somebody's laptop."""
    variables = (TERRAFORM / "environments" / environment / "variables.tf").read_text()
    [default] = re.findall(
        r'variable "cpu_architecture" \{.+?default += "(\w+)"', variables, re.DOTALL
    )
    platform = {"X86_64": "linux/amd64", "ARM64": "linux/arm64"}[default]
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]

    commands = [
        command
        for document in documents
        for command in re.findall(r"docker build [^`\n]+", document.read_text())
    ]

    assert len(commands) == 2
    assert [one for one in commands if f"--platform {platform} " not in one] == []


def test_image_is_pinned_small_and_not_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    stages = re.split(r"^FROM ", dockerfile, flags=re.MULTILINE)

    # In both lines, and the same: a bot reads no arguments.
    [base, again] = [stage.split()[0] for stage in stages[1:]]
    assert re.fullmatch(r"python:3\.13\.\d+-slim@sha256:[0-9a-f]{64}", base)
    assert again == base
    assert re.findall(r"^USER (.+)$", stages[-1], re.MULTILINE) == ["10001:10001"]
    assert "pip install" not in stages[-1]
    assert re.findall(r"user += \"(.+)\"", terraform()["terraform/modules/cluster/tasks.tf"]) == [
        "10001:10001"
    ]
    for line in re.findall(r"pip install (.+)", dockerfile):
        assert "--require-hashes" in line or "--no-deps" in line, line


def test_image_does_without_the_simulator() -> None:
    """It has the package alone, and its commands come by the embedded default."""
    program = (
        "import sys; sys.modules['totesys_simulator'] = None;"
        "import totesys_dagster.cli, totesys_dagster.local.stack, totesys_dagster.definitions"
    )
    done = warm.run(program)

    assert done.returncode == 0, done.stderr


def test_web_server_stands_behind_the_guard() -> None:
    """Dagster's own command executes what any page in a browser sends to it."""
    tasks = terraform()["terraform/modules/cluster/tasks.tf"]
    assert 'command = ["totesys", "web", ' in tasks
    assert "dagster-webserver" not in tasks
    assert re.search(r"TOTESYS_UI_URL += \"https://\$\{var.domain_name\}\"", tasks)
    balancer = terraform()["terraform/modules/cluster/balancer.tf"]
    assert re.findall(r"^    path += \"(.+)\"", balancer, re.MULTILINE) == [guard.HEALTH]


def test_image_copies_what_is_there_and_not_ignored() -> None:
    ignored = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    shown = [line[1:] for line in ignored if line.startswith("!")]
    copied = [
        source
        for line in re.findall(
            r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
        )
        for name in line.split()[:-1]
        for source in (LOCKS if name == "${LOCK}" else [name])
    ]

    assert ignored[0] == "*"
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, one) or source.startswith(f"{one}/") for one in shown), (
            source
        )
