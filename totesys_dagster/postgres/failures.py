"""What PostgreSQL and libpq report as one line, and what a person can do about it."""

from __future__ import annotations

import psycopg

from totesys_dagster.postgres.patience import SILENT, STOPPED

TAKEN = (
    "something that is not the platform's has that name: rename it, or let"
    " TOTESYS_WAREHOUSE_SCHEMA name another schema"
)

# By SQLSTATE, or its first two or three characters. `{setting}` is the one that points to the
# database.
REMEDIES = {
    "08": "the transaction is rolled back, and the next attempt starts again",
    "08P01": "a pooler or proxy reports this: check its log and its limits",
    "22021": (
        "the database does not check what it stores (its encoding is SQL_ASCII): rewrite that text"
        " in UTF-8"
    ),
    "23": (
        "if this is a constraint, trigger or column of your own, drop it or fix it; the"
        " warehouse's own accept everything in the lake"
    ),
    "25006": (
        "point {setting} to the primary, or reset default_transaction_read_only for the role"
        " and the database"
    ),
    "25P03": "what it waited for took ten minutes: check whether the lake's store answers",
    "25P04": "ALTER ROLE … SET transaction_timeout TO 0 for the role of {setting}",
    "2BP01": "move what depends on it elsewhere, then run again",
    "3D000": "name a database that exists in {setting}",
    "3F000": "the warehouse's tables were renamed or dropped: restore them",
    "40": "another transaction interfered; the next attempt starts again",
    "42501": "grant the role of {setting} what it lacks",
    "42703": "a column was renamed or dropped, or the table is not the platform's: restore it",
    "42804": "the type of a column was changed: change it back",
    "42809": "it has the name of a table: rename it, and restore the table",
    "42883": "the type of a column was changed: change it back",
    "42P01": (
        "a table was renamed or dropped: rename it back or restore it; `totesys migrate` makes a"
        " dropped table of the warehouse again, and fills it from the lake"
    ),
    "42P07": TAKEN,
    "42710": TAKEN,
    "42723": TAKEN,
    "53100": "free space on the server's disk",
    "53200": "give the server more memory, or fewer sessions and a lower work_mem",
    "53300": "raise that limit, or end idle sessions",
    "53400": "raise that limit for the role of {setting}",
    "55P03": "another session has held a lock for too long; the next attempt starts again",
    "57014": "an administrator or a time limit ended it; the next attempt starts again",
    "57P": "the transaction is rolled back, and the next attempt starts once the server is up",
    "57P02": "check its log and disk space; the transaction is rolled back",
    "57P04": "name a database that exists in {setting}",
    "57P05": (
        "sessions must outlast their pauses: ALTER ROLE … SET idle_session_timeout TO 0 for the"
        " role of {setting}"
    ),
    "58": "check the server's disk and its log",
    "XX": "check the server's log; restore damaged data from a backup",
}

UP = "wait until the server is up; if that takes long, its log says why, such as a full disk"
STANDBY = (
    "the query blocked the standby from replaying changes: raise max_standby_streaming_delay"
    " there, or turn hot_standby_feedback on, or point {setting} to the primary"
)
ROW_SECURITY = (
    "hidden rows would look deleted: grant the role of {setting} BYPASSRLS, or disable row"
    " security on the table"
)

# By words of the message, for failures without a SQLSTATE: those of libpq, and all failures to
# connect. The first match counts.
WORDS = (
    ("conflict with recovery", STANDBY),
    ("row-level security", ROW_SECURITY),
    ("rules", "remove the rule from the table: DROP RULE"),
    ("password authentication failed", "correct the user and the password in {setting}"),
    ("no password supplied", "add the password to {setting}"),
    ("SASL authentication failed", "correct the user and the password in {setting}"),
    ("is not permitted to log in", "name another role in {setting}, or ALTER ROLE … LOGIN"),
    ("no pg_hba.conf entry", "add a line for this role, database and host to pg_hba.conf there"),
    ("pg_hba.conf rejects", "change the line for this role and host in pg_hba.conf there"),
    ("permission denied for database", "grant the role of {setting} CONNECT on the database"),
    ("is not currently accepting connections", "ALTER DATABASE … ALLOW_CONNECTIONS true there"),
    ("not accepting connections", UP),
    ("not yet accepting connections", UP),
    ("is starting up", UP),
    ("is shutting down", UP),
    ("in recovery mode", UP),
    ("too many clients", "raise that limit, or end idle sessions"),
    ("too many connections", "raise that limit, or end idle sessions"),
    ("connection slots", "raise that limit, or end idle sessions"),
    ("query_wait_timeout", "the pooler had no session free: raise its pool size to 4 or more"),
    ("max_client_conn", "raise that limit of the pooler"),
    ("unsupported startup parameter", "leave it out of {setting}, or let the pooler ignore it"),
    ("does not exist", "correct the name in {setting}"),
    ("no such database", "correct the name in {setting}, or add it to the pooler"),
    ("no such user", "correct the user in {setting}, or add it to the pooler"),
    ("definition of service", "correct the service in {setting} or PGSERVICE, or its file"),
    ("service file", "correct PGSERVICEFILE, or leave the service out of {setting}"),
    ("resolve host", "correct the host in {setting}"),
    ("translate host name", "correct the host in {setting}"),
    (
        "Connection refused",
        "check host and port in {setting}, and that the server is running and its disk not full",
    ),
    ("timeout expired", "check host and port in {setting}, and the firewalls in between"),
    ("unreachable", "check the host in {setting}, and the network in between"),
    ("No route to host", "check the host in {setting}, and the network in between"),
    (
        "No such file",
        "check that the server is running on this machine, or name its host in {setting}",
    ),
    ("server does not support SSL", "enable TLS on the server: sslmode requires it"),
    ("has expired", "renew the certificate of the server"),
    ("not yet valid", "check the clock of this machine, and the certificate of the server"),
    ("self-signed", "let sslrootcert in {setting} name the authority that signed it"),
    ("self signed", "let sslrootcert in {setting} name the authority that signed it"),
    ("certificate verify failed", "let sslrootcert in {setting} name the authority that signed it"),
    ("does not match host name", "use the name in {setting} for which the certificate was made"),
    ("root certificate file", "let sslrootcert in {setting} name the authority's certificate"),
    ("channel binding", "correct channel_binding in {setting}, or let the server use SCRAM"),
    ("received invalid response", "the server there is not PostgreSQL: check host and port"),
    (
        "expected authentication request",
        "the server there is not PostgreSQL: check host and port",
    ),
    (STOPPED, "let it continue with `kill -CONT`, or end it; the transaction is rolled back"),
    (SILENT, "check that the server and the network work; the transaction is rolled back"),
    (
        "server closed the connection",
        "check its log and whether its disk is full; then try again",
    ),
)


def reason(error: psycopg.Error) -> str:
    """PostgreSQL's message as one line. It contains no row's content (that is in the detail)."""
    if error.diag.message_primary:
        return _line(error.diag.message_primary)
    # After several attempts, libpq lists all of them. What a server said matters more than that
    # another host was unreachable.
    text = str(error)
    last, _, all_ = text.partition("\nMultiple connection attempts failed")
    # libpq puts the last message last, except for hints, which it indents, and details, such as
    # those of a server that is still recovering. An empty error has no line.
    lines = [
        line
        for line in (*all_.splitlines(), *last.splitlines())
        if line and not line[0].isspace() and not line.startswith(("DETAIL:", "HINT:", "CONTEXT:"))
    ]
    # After the server's own words, libpq adds that the connection is gone.
    said = [line for line in lines if not line.startswith("server closed the connection")]
    by_server = [line for line in said if "FATAL:" in line or "ERROR:" in line]
    return _line((by_server or said or lines or [type(error).__name__])[-1])


def _line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def remedy(error: psycopg.Error, why: str, setting: str) -> str | None:
    """What to do about a failure whose `reason` is `why`; None if only its words can tell."""
    state = error.sqlstate or ""
    if not state or state.startswith(("08", "0A", "40", "42501")):
        by_words = next((text for words, text in WORDS if words in why), None)
    else:
        by_words = None
    by_state = (REMEDIES.get(state[:length]) for length in (5, 3, 2) if state)
    found = by_words or next((text for text in by_state if text), None)
    return found and found.format(setting=setting)
