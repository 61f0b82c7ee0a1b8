"""PostgreSQL connection strings as settings have them: checked, and described without secrets."""

from __future__ import annotations

import json

from psycopg import ProgrammingError, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from totesys_dagster.errors import SettingError

# Parameters of a connection string, by their names in the secrets that AWS makes for databases.
_PARAMETERS = {"username": "user", "dbClusterIdentifier": None, "dbInstanceIdentifier": None}


def checked(name: str, value: str) -> str:
    """The connection string in `value` of setting `name`, after a check of its form.

    Raises SettingError. libpq's own message is not passed on: it can quote the password.
    """
    try:
        value = _from_json(value) if value.startswith("{") else value
        conninfo_to_dict(value)
        malformed = _spills_password(value)
    except (ProgrammingError, ValueError, AttributeError):
        malformed = True
    if malformed:
        raise SettingError(
            f"{name} is not a PostgreSQL connection string: write it as"
            " postgresql://user:password@host:5432/database, with special characters of the"
            " password percent-encoded."
        )
    return value


def _from_json(text: str) -> str:
    """The connection string of a JSON secret, as Amazon RDS makes them. Raises ValueError."""
    fields = json.loads(text)
    if "engine" in fields and fields.pop("engine") != "postgres":
        raise ValueError
    parameters = {_PARAMETERS.get(name, name): value for name, value in fields.items()}
    parameters.pop(None, None)
    return make_conninfo(**parameters)


def place(dsn: str) -> str:
    """Where libpq would connect to, as `host:port, database name`."""
    given = conninfo_to_dict(dsn)
    if "service" in given:
        return f"the service {given['service']} of libpq"
    defaults = {option.keyword.decode(): option.val for option in pq.Conninfo.get_defaults()}
    parameters = {name: value.decode() for name, value in defaults.items() if value}
    parameters |= {name: str(value) for name, value in given.items() if value}
    hosts = (parameters.get("host") or parameters.get("hostaddr") or "this machine").split(",")
    ports = parameters["port"].split(",")
    ports = ports if len(ports) == len(hosts) else ports[:1] * len(hosts)
    pairs = (
        f"{f'[{host}]' if ':' in host else host}:{port or 5432}"
        for host, port in zip(hosts, ports, strict=True)
    )
    return f"{' or '.join(pairs)}, database {parameters.get('dbname') or parameters.get('user')}"


def _spills_password(dsn: str) -> bool:
    """Whether libpq would take a part of the password for the host or the database.

    It does if an @ or / in the password is not encoded, and would quote that part in its messages.
    """
    scheme, _, place = dsn.partition("://")
    authority, _, rest = place.partition("/")
    spills = authority.count("@") > 1 or "@" in rest.partition("?")[0]
    return scheme in ("postgresql", "postgres") and spills
