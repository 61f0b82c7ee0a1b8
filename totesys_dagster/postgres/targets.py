"""Where a connection string actually leads, determined before a byte is sent."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn

from totesys_dagster import settings
from totesys_dagster.errors import SettingError
from totesys_dagster.postgres.failures import reason, remedy


@dataclass(frozen=True)
class Target:
    """Where libpq would connect to, and whether by TLS that verifies the server's identity."""

    conninfo: str
    place: str
    verified: bool


def find_target(setting: str, dsn: str) -> Target:
    """What libpq makes of a connection string. Raises SettingError unless a password may go there.

    Host and TLS come from the string, from a service that it or the environment names, and from a
    dozen variables. `conninfo` pins all of them, so we connect to nothing else.
    """
    values = resolved(setting, dsn)
    # If both name and address are given, libpq connects to the address; show the name all the same.
    places = [*values["host"].split(","), *values["hostaddr"].split(",")]
    remote = [place for place in places if not (_is_local(place) or settings.is_trusted(place))]
    mode = values["sslmode"]
    if remote and mode != "verify-full":
        raise SettingError(
            f"{setting} reaches {remote[0]} with sslmode={mode}, which does not verify that it is"
            " the right server: add sslmode=verify-full and sslrootcert to it, or, on a network"
            f" that you trust, add the host to {settings.TRUSTED_HOSTS}."
        )
    if remote and values["gssencmode"] == "require":
        raise SettingError(
            f"{setting} reaches {remote[0]} with gssencmode=require, which replaces TLS:"
            " leave gssencmode and PGGSSENCMODE out."
        )
    pinned = {name: values[name] for name in ("host", "hostaddr", "port", "sslmode")}
    if remote:
        pinned["gssencmode"] = "disable"  # it would take precedence over TLS
    port = values["port"].strip(",") or 5432
    where = values["host"] or values["hostaddr"] or "the local socket"
    return Target(
        make_conninfo(dsn, **pinned),
        f"{where}:{port}, database {values['dbname'] or 'of the user'}",
        verified=mode == "verify-full",
    )


def resolved(setting: str, dsn: str) -> dict[str, str]:
    """The parameters of a connection as libpq resolves them; an empty text for what is not set.

    libpq reveals them only for an attempt to connect. It refuses this one before it looks up a
    host, because of a parameter that it checks last. Raises SettingError if it refuses another one.
    """
    attempt = make_conninfo(dsn, target_session_attrs="none that there is")
    pgconn = PGconn.connect_start(attempt.encode())
    try:
        refusal = pgconn.get_error_message()
        values = {one.keyword.decode(): (one.val or b"").decode() for one in pgconn.info}
    finally:
        pgconn.finish()
    if "target_session_attrs" not in refusal:
        error = psycopg.OperationalError(refusal)
        raise unusable(setting, "not looked for", reason(error), error)
    return values


def _is_local(place: str) -> bool:
    """Whether a host or an address is this machine: its sockets, or its loopback."""
    if not place or place.startswith(("/", "@")) or place.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(place).is_loopback
    except ValueError:
        return False


def conninfo(setting: str) -> str:
    """The connection string of `setting`, its host and TLS as libpq resolves them.

    Raises SettingError, also when a password must not go there.
    """
    return find_target(setting, settings.connection_string(setting)).conninfo


def unusable(setting: str, place: str, why: str, error: psycopg.Error) -> SettingError:
    what = remedy(error, why, setting) or f"check address, user and password in {setting}"
    return SettingError(
        f"{setting} points to a database that cannot be used ({place}): {why}; {what}."
    )
