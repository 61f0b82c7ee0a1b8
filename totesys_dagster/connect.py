"""How people and their tools connect to the warehouse: as a role that may only read it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from urllib.parse import quote, urlencode

from psycopg import pq

from totesys_dagster import settings
from totesys_dagster.errors import SettingError, TotesysError
from totesys_dagster.postgres.sessions import Connection, Names, transaction
from totesys_dagster.postgres.targets import find_target, resolved
from totesys_dagster.warehouse.ddl import READER

# The parameters of a connection string that belong to its role, besides the user.
_OF_THE_ROLE = {
    *("password", "require_auth", "options", "requirepeer", "gssdelegation"),
    *("sslcert", "sslkey", "sslpassword", "scram_client_key", "scram_server_key"),
}
_SECRETS = {"password", "sslpassword", "scram_client_key", "scram_server_key"}
# Parameters that were resolved into others, or do not say where the server is.
_LEFT_OUT = {"service", "servicefile", "target_session_attrs", "passfile", "sslcertmode"}
_BY_DEFAULT = "prefer"
_ENCRYPTED = ("require", "verify-ca", "verify-full")

# The relation that Tableau shows first.
FIRST_REPORT = "revenue_by_month"


@dataclass(frozen=True)
class Reader:
    """A connection to the warehouse as a role that reads it. `parameters` are libpq's, those that
    are not what they are by default; secrets are among them, and in `repr` are not."""

    setting: str
    schemas: tuple[str, ...]
    parameters: Mapping[str, str] = field(repr=False)

    @property
    def user(self) -> str:
        return self.parameters["user"]

    @property
    def server(self) -> str:
        """A host, an address, the directory of a socket, or several of them with commas."""
        return self.parameters.get("host") or self.parameters.get("hostaddr") or ""

    @property
    def port(self) -> str:
        return self.parameters["port"]

    @property
    def database(self) -> str:
        return self.parameters["dbname"]

    @property
    def sslmode(self) -> str:
        return self.parameters["sslmode"]

    @property
    def password(self) -> str:
        """Raises SettingError where none is known."""
        if password := self.parameters.get("password"):
            return password
        raise SettingError(
            f"The password of {self.user} is not known here: set {settings.WAREHOUSE_READER_DSN} to"
            " a connection string that has it."
        )

    def uri(self, *, with_password: bool = False) -> str:
        """The connection string as libpq, and whatever is built on it, takes it."""
        login = quote(self.user, safe="")
        if with_password:
            login += ":" + quote(self.password, safe="")
        rest = {
            name: value
            for name, value in self.parameters.items()
            if name not in {"user", "host", "port", "dbname", *_SECRETS}
        }
        place = ""
        if self._is_one_host:
            place = f"[{self.server}]" if ":" in self.server else quote(self.server, safe="")
            place += f":{self.port}"
            if "host" not in self.parameters:
                del rest["hostaddr"]
        else:
            rest = {"host": self.parameters.get("host", ""), "port": self.port, **rest}
        if self.sslmode == _BY_DEFAULT:
            del rest["sslmode"]
        query = "?" + urlencode({k: v for k, v in rest.items() if v}, quote_via=quote)
        return f"postgresql://{login}@{place}/{quote(self.database, safe='')}{query.rstrip('?')}"

    @property
    def _is_one_host(self) -> bool:
        return bool(self.server) and self.server[0] not in "/@" and "," not in self.server

    def pieces(self, *, with_password: bool = False) -> dict[str, str]:
        """What a tool asks for, by what it is called there."""
        return {
            "server": self.server,
            "port": self.port,
            "database": self.database,
            "user": self.user,
            **({"password": self.password} if with_password else {}),
            "sslmode": self.sslmode,
            "schemas": ", ".join(self.schemas),
        }

    def _require_one_host(self, tool: str) -> None:
        if not self._is_one_host:
            raise SettingError(
                f"{self.setting} reaches the warehouse by a socket or at several hosts, and {tool}"
                f" takes one host: set {settings.WAREHOUSE_READER_DSN} to one."
            )

    def pbids(self) -> str:
        """A file that Power BI Desktop opens; it asks for user and password. Raises
        SettingError."""
        self._require_one_host("Power BI")
        host = f"[{self.server}]" if ":" in self.server else self.server
        address = {"server": f"{host}:{self.port}", "database": self.database}
        details = {"protocol": "postgresql", "address": address}
        connection = {"details": details, "options": {}, "mode": "Import"}
        return json.dumps({"version": "0.1", "connections": [connection]}, indent=2) + "\n"

    def tds(self) -> str:
        """A data source that Tableau opens; it asks for the password. Raises SettingError."""
        self._require_one_host("Tableau")
        values = {
            "server": self.server,
            "port": self.port,
            "database": self.database,
            "user": self.user,
            "sslmode": "require" if self.sslmode in _ENCRYPTED else "",
            "schema": self.schemas[0],
            "report": FIRST_REPORT,
        }
        return _TDS.format(**{name: escape(value) for name, value in values.items()})


_TDS = """\
<?xml version='1.0' encoding='utf-8' ?>
<datasource formatted-name='ToteSys' inline='true' version='18.1'>
  <connection class='federated'>
    <named-connections>
      <named-connection caption='{server}' name='postgres.totesys'>
        <connection authentication='username-password' class='postgres' dbname='{database}' \
port='{port}' schema='{schema}' server='{server}' sslmode='{sslmode}' username='{user}' />
      </named-connection>
    </named-connections>
    <relation connection='postgres.totesys' name='{report}' table='[{schema}].[{report}]' \
type='table' />
  </connection>
</datasource>
"""


def reader() -> Reader:
    """How a reader reaches the warehouse: as its setting says, or else as the loader does, with
    the name of the reader's role and no password. Raises SettingError."""
    own = settings.is_set(settings.WAREHOUSE_READER_DSN)
    setting = settings.WAREHOUSE_READER_DSN if own else settings.WAREHOUSE_DSN
    target = find_target(setting, settings.connection_string(setting))
    compiled = {
        option.keyword.decode(): (option.compiled or b"").decode()
        for option in pq.Conninfo.get_defaults()
    }
    always = {"user", "host", "port", "dbname", "sslmode"}
    parameters = {
        name: value
        for name, value in resolved(setting, target.conninfo).items()
        if value and name not in _LEFT_OUT and (name in always or value != compiled.get(name))
    }
    parameters.setdefault("port", compiled["port"])
    if not own:
        parameters = {n: v for n, v in parameters.items() if n not in _OF_THE_ROLE}
        parameters["user"] = READER
    names = Names(settings.warehouse_schema())
    return Reader(setting, (names.reports, names.schema), parameters)


_ROLE = """
SELECT
    rolsuper OR EXISTS (
        SELECT FROM pg_class
        WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname = ANY(%(schemas)s))
          AND relkind IN ('r', 'p', 'v')
          AND has_table_privilege(rolname, oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
    ),
    coalesce(
        has_schema_privilege(rolname, to_regnamespace(quote_ident(%(reports)s)), 'USAGE'), FALSE
    )
FROM pg_roles WHERE rolname = %(role)s
"""


def require_reader(connection: Connection, names: Names, role: str) -> None:
    """Refuse a role that does not exist, may write, or may not read, as seen by another role of the
    warehouse. Raises SettingError."""
    schemas = [names.schema, names.bookkeeping, names.reports]
    with transaction(connection):
        found = connection.execute(
            _ROLE, {"schemas": schemas, "reports": names.reports, "role": role}
        ).fetchone()
    if found is None:
        raise SettingError(
            f"The warehouse has no role {role}: make it, with its password, by warehouse/sql/"
            f"roles.sql, or set {settings.WAREHOUSE_READER_DSN} to a role that may read it."
        )
    writes, reads = found
    if writes:
        raise SettingError(
            f"The role {role} may change the warehouse: set {settings.WAREHOUSE_READER_DSN} to one"
            f" that may only read it, such as {READER}."
        )
    if not reads:
        raise SettingError(
            f"The role {role} may not read the schema {names.reports}: run `totesys migrate`, which"
            f" grants that to {READER}, or grant it yourself."
        )


def write(files: Mapping[Path, str], *, force: bool) -> None:
    """Write each file atomically; `force` replaces existing ones. Raises TotesysError, and writes
    nothing if one of them is in the way."""
    for path in files:
        if os.path.lexists(path) and not force:
            raise _in_the_way(path)
    for path, text in files.items():
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            try:
                unfinished.write_text(text, encoding="utf-8")
                if force:
                    unfinished.replace(path)
                else:
                    path.hardlink_to(unfinished)
            finally:
                unfinished.unlink(missing_ok=True)
        except FileExistsError:
            raise _in_the_way(path) from None
        except OSError as error:
            raise TotesysError(
                f"{path} cannot be written ({error.strerror}): name a file in a directory that is"
                " there and that you may write to."
            ) from None


def _in_the_way(path: Path) -> TotesysError:
    return TotesysError(f"{path} already exists: name another file, or replace it with --force.")
