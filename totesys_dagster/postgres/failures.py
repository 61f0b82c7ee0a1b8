"""What PostgreSQL and libpq say is wrong, as one line, and what a person can do about it."""

from __future__ import annotations

import psycopg

from totesys_dagster.postgres.patience import SILENT, STOPPED

TAKEN = (
    "the platform did not make what has that name: rename it, or let TOTESYS_WAREHOUSE_SCHEMA name"
    " another schema"
)

# By SQLSTATE, or by its first two letters. `{setting}` is the one that points to the database.
REMEDIES = {
    "08": "what was begun is taken back, and the next attempt starts again",
    "08P01": "a pooler or proxy says so: look at its log and its limits",
    "22021": (
        "the database does not check what it stores (its encoding is SQL_ASCII): write that text in"
        " UTF-8"
    ),
    "23": (
        "if a constraint, trigger or column of your own says so, drop it or fix it; the"
        " warehouse's own do not refuse what the lake holds"
    ),
    "25006": (
        "point {setting} to the primary, or take default_transaction_read_only off the role"
        " and the database"
    ),
    "25P03": "what it waited for took ten minutes: look whether the lake's store answers",
    "25P04": "ALTER ROLE … SET transaction_timeout TO 0 for the role of {setting}",
    "2BP01": "move elsewhere what was built upon it, then run again",
    "3D000": "name a database that exists in {setting}",
    "3F000": "the warehouse's tables were renamed or dropped: restore them",
    "40": "another transaction was in the way; the next attempt starts again",
    "42501": "grant the role of {setting} what it lacks",
    "42703": "a column was renamed or dropped, or the table is not the platform's: restore it",
    "42804": "the type of a column was changed: change it back",
    "42809": "it stands where a table should: rename it, and restore the table",
    "42883": "the type of a column was changed: change it back",
    "42P01": "a table was renamed or dropped: restore it",
    "42P07": TAKEN,
    "42710": TAKEN,
    "42723": TAKEN,
    "53100": "make room on the server's disk",
    "53200": "give the server more memory, or fewer sessions and a lower work_mem",
    "53300": "raise that limit, or end sessions that nobody needs",
    "53400": "raise that limit for the role of {setting}",
    "55P03": "somebody holds a lock for long; the next attempt starts again",
    "57014": "an administrator or a time limit ended it; the next attempt starts again",
    "57P": "what was begun is taken back, and the next attempt starts again once the server is up",
    "57P02": "look at its log, and whether its disk is full; what was begun is taken back",
    "57P04": "name a database that exists in {setting}",
    "57P05": (
        "sessions have to outlast their pauses: ALTER ROLE … SET idle_session_timeout TO 0 for the"
        " role of {setting}"
    ),
    "58": "look at the server's disk and its log",
    "XX": "look at the server's log; data that is damaged comes back from a backup",
}

UP = "wait until the server is up; where that takes long, its log says why, such as a full disk"
STANDBY = (
    "the standby replays changes that the query was in the way of: raise"
    " max_standby_streaming_delay there, or turn hot_standby_feedback on, or point {setting} to"
    " the primary"
)
ROW_SECURITY = (
    "rows would be hidden, and would pass for deleted: grant the role of {setting} BYPASSRLS, or"
    " take row security off the table"
)

# By words of the message, for failures without a SQLSTATE: those of libpq, and all of a connection
# that does not come about. The first that fits counts. Servers that speak another language get the
# last one.
WORDS = (
    ("conflict with recovery", STANDBY),
    ("row-level security", ROW_SECURITY),
    ("rules", "take the rule off the table: DROP RULE"),
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
    ("too many clients", "raise that limit, or end sessions that nobody needs"),
    ("too many connections", "raise that limit, or end sessions that nobody needs"),
    ("connection slots", "raise that limit, or end sessions that nobody needs"),
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
        "check host and port in {setting}, and that the server runs; its log tells of a full disk",
    ),
    ("timeout expired", "check host and port in {setting}, and the firewalls on the way"),
    ("unreachable", "check the host in {setting}, and the network on the way"),
    ("No route to host", "check the host in {setting}, and the network on the way"),
    ("No such file", "check that the server runs on this machine, or name its host in {setting}"),
    ("server does not support SSL", "turn TLS on at the server: sslmode asks for it"),
    ("has expired", "renew the certificate of the server"),
    ("not yet valid", "check the clock of this machine, and the certificate of the server"),
    ("self-signed", "let sslrootcert in {setting} name the authority that signed it"),
    ("self signed", "let sslrootcert in {setting} name the authority that signed it"),
    ("certificate verify failed", "let sslrootcert in {setting} name the authority that signed it"),
    ("does not match host name", "use the name in {setting} for which the certificate was made"),
    ("root certificate file", "let sslrootcert in {setting} name the authority's certificate"),
    ("channel binding", "correct channel_binding in {setting}, or let the server use SCRAM"),
    ("received invalid response", "what listens there is not PostgreSQL: check host and port"),
    (
        "expected authentication request",
        "what listens there is not PostgreSQL: check host and port",
    ),
    (STOPPED, "let it go on by `kill -CONT`, or end it; what was begun is taken back"),
    (SILENT, "look whether the server and the network work; what was begun is taken back"),
    (
        "server closed the connection",
        "look at its log, and whether its disk is full; then try again",
    ),
)


def reason(error: psycopg.Error) -> str:
    """What PostgreSQL says is wrong, as one line; no row's content (that is in the detail)."""
    if error.diag.message_primary:
        return _line(error.diag.message_primary)
    # After several attempts all are listed; what a server said tells more than that one is missing.
    text = str(error)
    last, _, all_ = text.partition("\nMultiple connection attempts failed")
    # libpq says the last thing last, but for hints, which it indents, and details, as of a server
    # that is still recovering; an empty error has no line.
    lines = [
        line
        for line in (*all_.splitlines(), *last.splitlines())
        if line and not line[0].isspace() and not line.startswith(("DETAIL:", "HINT:", "CONTEXT:"))
    ]
    # That the connection is gone, libpq says after what the server said when it hung up.
    said = [line for line in lines if not line.startswith("server closed the connection")]
    by_server = [line for line in said if "FATAL:" in line or "ERROR:" in line]
    return _line((by_server or said or lines or [type(error).__name__])[-1])


def _line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def remedy(error: psycopg.Error, why: str, setting: str) -> str | None:
    """What to do about a failure whose `reason` is `why`; None when only its words can tell."""
    state = error.sqlstate or ""
    if not state or state.startswith(("08", "0A", "40", "42501")):
        by_words = next((text for words, text in WORDS if words in why), None)
    else:
        by_words = None
    by_state = (REMEDIES.get(state[:length]) for length in (5, 3, 2) if state)
    found = by_words or next((text for text in by_state if text), None)
    return found and found.format(setting=setting)
