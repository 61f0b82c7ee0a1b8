"""Everything that the platform uses outside Dagster's public interface, in one place.

Any of it can change with any release of Dagster, so check this module before an upgrade.

| used | for what | what would replace it |
| --- | --- | --- |
| `DefaultRunLauncher`, `LaunchRunContext`, `CheckRunHealthResult`, `WorkerStatus`, `ConfigurableClassData` | launchers that notice a run whose process has died | a default launcher that can tell |
| `GrpcServerCodeLocationOrigin`, `DagsterUserCodeUnreachableError`, `CanCancelExecution*` | asking the code server of a run whether it knows it | the same |
| `ExecuteRunArgs`, `InstanceRef`, `RepositoryPythonOrigin`, `serialize_value`, `deserialize_value`, `recon_repository_from_origin`, `api_cli` | a run as a fork of a process that has imported all it needs: 0.2 s instead of 2 | a launcher of Dagster's that keeps such a process |
| `DagsterSqliteStorage`, `DagsterStorage`, `SqliteRunStorage`, `SqliteScheduleStorage`, `ConsolidatedSqliteEventLogStorage` | a history in SQLite that is made in full or not at all, whose connections are held, with the events of all runs in one file; `create_db_conn_string` of their modules is replaced, for directories with `?` in their names | the same in Dagster's own storage |
| the files in `dagster._core.storage.alembic.versions`, and the table `alembic_version` | refusing a history whose schema a newer Dagster has made | the same in Dagster itself |
| `SerializableErrorInfo` | telling why a step failed, where Dagster's own exception only says in what | a public name of it |
| `SqlEventLogStorage`, `SqlEventLogStorageTable`, `AssetEventTagsTable`, `AssetCheckExecutionsTable`, `DynamicPartitionsTable`, `LocalComputeLogManager` | deleting many runs at once, and what `delete_run` leaves behind, checks and logs of steps; asking which runs hold the last evaluation of a check; partition keys in their order | a retention of Dagster's own for runs, and a list of keys that has an order |
| `dagster_webserver.cli`, whose `uvicorn` is replaced | Dagster's web server, served through the guard of `web/guard.py` | a way to give `dagster-webserver` a middleware |
| `dagster._cli.dev`, whose `open_ipc_subprocess` is replaced | `dagster dev` with another command for its web server | an option of `dagster dev` that names it |
| `dagster._core.execution.compute_logs`, whose `subprocess` is replaced, and `dagster._grpc.server`, whose `open_ipc_subprocess` is | processes that Ctrl-C in a terminal does not reach: they would print tracebacks | the same in Dagster |
| `InstanceRef.from_dir`, `process_config`, `dagster_postgres.utils` | asking a storage in PostgreSQL once, for seconds, before Dagster does so for longer | a time limit of Dagster's |
| `dagster._loggers` and `instigation_logger`, whose `create_console_logger` is replaced | runs and ticks that log as JSON | an option for runs and ticks, as `--log-format` is for servers |

Imports that take long, and that not every process needs, happen at first use.
"""  # noqa: E501

import importlib
import subprocess  # nosec B404
from collections.abc import Callable, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.instance import InstanceRef
from dagster._core.launcher import (
    CheckRunHealthResult,
    DefaultRunLauncher,
    LaunchRunContext,
    WorkerStatus,
)
from dagster._core.origin import RepositoryPythonOrigin
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._grpc.types import (
    CanCancelExecutionRequest,
    CanCancelExecutionResult,
    ExecuteRunArgs,
)
from dagster._serdes import deserialize_value, serialize_value
from dagster._serdes.config_class import ConfigurableClassData
from dagster_shared.error import SerializableErrorInfo

if TYPE_CHECKING:
    import click
    from dagster._cli.api import api_cli
    from dagster._core.storage.base_storage import DagsterStorage
    from dagster._core.storage.event_log.schema import (
        AssetCheckExecutionsTable,
        AssetEventTagsTable,
        DynamicPartitionsTable,
        SqlEventLogStorageTable,
    )
    from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
    from dagster._core.storage.event_log.sqlite.consolidated_sqlite_event_log import (
        ConsolidatedSqliteEventLogStorage,
    )
    from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
    from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
    from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
    from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
    from dagster._utils.hosted_user_process import recon_repository_from_origin

API = "dagster._cli.api"
_AT_FIRST_USE = {
    "api_cli": API,
    "AssetCheckExecutionsTable": "dagster._core.storage.event_log.schema",
    "AssetEventTagsTable": "dagster._core.storage.event_log.schema",
    "ConsolidatedSqliteEventLogStorage": (
        "dagster._core.storage.event_log.sqlite.consolidated_sqlite_event_log"
    ),
    "DagsterSqliteStorage": "dagster._core.storage.sqlite_storage",
    "DagsterStorage": "dagster._core.storage.base_storage",
    "DynamicPartitionsTable": "dagster._core.storage.event_log.schema",
    "LocalComputeLogManager": "dagster._core.storage.local_compute_log_manager",
    "SqlEventLogStorage": "dagster._core.storage.event_log.sql_event_log",
    "SqlEventLogStorageTable": "dagster._core.storage.event_log.schema",
    "SqliteRunStorage": "dagster._core.storage.runs.sqlite.sqlite_run_storage",
    "SqliteScheduleStorage": "dagster._core.storage.schedules.sqlite.sqlite_schedule_storage",
    "recon_repository_from_origin": "dagster._utils.hosted_user_process",
}


def __getattr__(name: str) -> Any:
    if name not in _AT_FIRST_USE:
        raise AttributeError(f"{__name__} has no {name}")
    return getattr(importlib.import_module(_AT_FIRST_USE[name]), name)


def knows_revision(revision: str) -> bool:
    """Whether this Dagster has the migration of that name, for the schema of its databases."""
    versions = resources.files("dagster._core.storage.alembic.versions")
    files = [file for file in versions.iterdir() if file.name.endswith(".py")]
    # Newer files contain it in their names.
    return any(revision in file.name for file in files) or any(
        f'\nrevision = "{revision}"\n' in file.read_text(encoding="utf-8") for file in files
    )


def web_server_command(run: Callable[..., None]) -> "click.Command":
    """The command `dagster-webserver`, changed to pass its ASGI application to `run`, with the
    options of `uvicorn.run`. It cannot serve it in another way."""
    from dagster_webserver import cli

    _replace(cli, "uvicorn", SimpleNamespace(run=run))
    return cli.dagster_webserver


def dev_command(web_server: Sequence[str]) -> "click.Command":
    """The command `dagster dev`, changed to start its web server with other arguments of Python."""
    from dagster._cli import dev

    own = ["-m", "dagster_webserver"]

    def start_ours(parts: list[str], **options: Any) -> Any:
        nonlocal own
        # It starts the web server first; nothing may be started before ours.
        if own and parts[1:3] != own:
            raise RuntimeError(f"dagster dev starts {parts[1:3]} in the place of its web server")
        if own:
            parts, own = [parts[0], *web_server, *parts[3:]], []
        return start(parts, **options)

    start = _replace(dev, "open_ipc_subprocess", start_ours)
    return dev.dev_command


def storage_addresses(home: Path) -> set[str]:
    """Connection strings of the PostgreSQL storages in the dagster.yaml of `home`, except those
    whose password is generated each time. Raises what Dagster raises for a dagster.yaml."""
    from dagster import DagsterInvalidConfigError
    from dagster._config import process_config, resolve_to_config_type

    ref = InstanceRef.from_dir(str(home))
    kinds = ("storage_data", "run_storage_data", "event_storage_data", "schedule_storage_data")
    found = set()
    for data in filter(None, (getattr(ref, kind) for kind in kinds)):
        if (
            not data.module_name.startswith("dagster_postgres")
            or "auth_provider" in data.config_dict
        ):
            continue
        from dagster_postgres.utils import pg_config, pg_url_from_config
        from psycopg.conninfo import make_conninfo
        from sqlalchemy import make_url

        result = process_config(resolve_to_config_type(pg_config()), data.config_dict)
        if not result.success:
            raise DagsterInvalidConfigError(  # type: ignore[no-untyped-call]
                "storage", result.errors or [], None
            )
        # SQLAlchemy reads a password with a slash as Dagster writes it; libpq does not.
        url = make_url(pg_url_from_config(result.value or {}))
        place = {"host": url.host, "port": url.port, "dbname": url.database}
        login = {"user": url.username, "password": url.password}
        found.add(make_conninfo(**{**url.query, **place, **login}))  # type: ignore[arg-type]
    return found


def detach_tails() -> None:
    """Shield the two processes that copy a step's output to the terminal from Ctrl-C. They end with
    the step, or a second after its process is killed, and would print tracebacks."""
    from dagster._core.execution import compute_logs

    popen = partial(subprocess.Popen, start_new_session=True)
    _replace(compute_logs, "subprocess", SimpleNamespace(Popen=popen))


def detach_code_servers() -> "list[subprocess.Popen[Any]]":
    """Shield the code servers that this process starts from Ctrl-C: it ends them itself. Returns
    the list of those started."""
    from dagster._grpc import server

    started: list[subprocess.Popen[Any]] = []

    def start_detached(*arguments: Any, **options: Any) -> "subprocess.Popen[Any]":
        started.append(start(*arguments, start_new_session=True, **options))
        return started[-1]

    start = _replace(server, "open_ipc_subprocess", start_detached)
    return started


def replace_consoles(create: Callable[[str, str | int], Any]) -> None:
    """Let `create` make the loggers, by name and level, that runs and ticks print with."""
    from dagster import _loggers
    from dagster._core.definitions import instigation_logger

    for module in (_loggers, instigation_logger):
        _replace(module, "create_console_logger", create)


def _replace(module: Any, name: str, value: object) -> Any:
    """Replace an attribute of a Dagster module, and return the old one. Raises AttributeError if
    this release does not have it."""
    before = getattr(module, name)
    setattr(module, name, value)
    return before


__all__ = [
    "API",
    "AssetCheckExecutionsTable",
    "AssetEventTagsTable",
    "CanCancelExecutionRequest",
    "CanCancelExecutionResult",
    "CheckRunHealthResult",
    "ConfigurableClassData",
    "ConsolidatedSqliteEventLogStorage",
    "DagsterSqliteStorage",
    "DagsterStorage",
    "DagsterUserCodeUnreachableError",
    "DefaultRunLauncher",
    "DynamicPartitionsTable",
    "ExecuteRunArgs",
    "GrpcServerCodeLocationOrigin",
    "InstanceRef",
    "LaunchRunContext",
    "LocalComputeLogManager",
    "RepositoryPythonOrigin",
    "SerializableErrorInfo",
    "SqlEventLogStorage",
    "SqlEventLogStorageTable",
    "SqliteRunStorage",
    "SqliteScheduleStorage",
    "WorkerStatus",
    "api_cli",
    "deserialize_value",
    "detach_code_servers",
    "detach_tails",
    "dev_command",
    "knows_revision",
    "recon_repository_from_origin",
    "replace_consoles",
    "serialize_value",
    "storage_addresses",
    "web_server_command",
]
