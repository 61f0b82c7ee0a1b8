"""Branch deployments of Dagster+, which must not touch production's source, lake or warehouse.

An agent that serves both gives a branch's code the variables and secrets of production. So a branch
reads its locations from variables of its own (TOTESYS_BRANCH_SOURCE_DSN and others), never from
production's, and refuses one that leads to the same place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from totesys_dagster.errors import SettingError

# Dagster+ sets it to 1 or 0. Any other value does not prove that this is production.
VARIABLE = "DAGSTER_CLOUD_IS_BRANCH_DEPLOYMENT"


def is_branch(environ: Mapping[str, str]) -> bool:
    """Whether this is a branch deployment."""
    return environ.get(VARIABLE, "").strip() not in ("", "0")


def not_set(name: str, own: str) -> SettingError:
    """What is wrong where a branch has no place of its own, in the variable `own`."""
    return SettingError(
        f"This is a branch deployment of Dagster+, which does not use {name}, as that is"
        f" production's: set {own} to a place of its own."
    )


def require_apart(own: str, environ: Mapping[str, str], production: Iterable[str]) -> None:
    """Raise SettingError, without the value, where the place in the variable `own` of a branch is
    that of one of the settings `production`."""
    for name in production:
        if is_same_place(environ.get(own, "").strip(), environ.get(name, "").strip()):
            raise SettingError(
                f"{own} leads to the place of {name}, which is production's, and this is a branch"
                " deployment of Dagster+: give it a place of its own."
            )


def is_same_place(one: str, other: str) -> bool:
    """Whether two connection strings or locations lead to the same database, or one location lies
    within the other. Of a secret that is not read yet, only its name is known."""
    if not one or not other:
        return False
    if one == other:
        return True
    databases = _database(one), _database(other)
    if None not in databases:
        return databases[0] == databases[1]
    one, other = _location(one), _location(other)
    return one.startswith(other) or other.startswith(one)


def _database(text: str) -> tuple[str, ...] | None:
    """Host, port and name of the database of a connection string; None where it is none."""
    try:
        given = conninfo_to_dict(text)
    except ProgrammingError:
        return None
    host = str(given.get("host") or given.get("hostaddr") or given.get("service") or "")
    name = str(given.get("dbname") or given.get("user") or "")
    return host.lower(), str(given.get("port") or 5432), name


def _location(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    return f"{scheme.lower()}{separator}{rest}".rstrip("/") + "/"
