"""Every setting of the platform, read from the environment. No other module reads it.

Settings are read where they are used, not once at start: a rotated password is picked up by the
next connection, and no secret is kept in a definition, a run's config or a log. Their names are
judged once, at start (`spelling.py`): one that is misspelt would be ignored.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from psycopg import ProgrammingError, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from totesys_dagster import aws_secrets, spelling
from totesys_dagster.errors import SettingError

SOURCE_DSN = "TOTESYS_SOURCE_DSN"
WAREHOUSE_DSN = "TOTESYS_WAREHOUSE_DSN"
WAREHOUSE_ADMIN_DSN = "TOTESYS_WAREHOUSE_ADMIN_DSN"
INGESTION_URL = "TOTESYS_INGESTION_URL"
PROCESSED_URL = "TOTESYS_PROCESSED_URL"
WAREHOUSE_SCHEMA = "TOTESYS_WAREHOUSE_SCHEMA"
POLL_SECONDS = "TOTESYS_POLL_SECONDS"
LOAD_EVERY_SECONDS = "TOTESYS_LOAD_EVERY_SECONDS"
PROCESS_AT_ONCE = "TOTESYS_PROCESS_AT_ONCE"
PART_BYTES = "TOTESYS_PART_BYTES"
QUARANTINE_LIMIT = "TOTESYS_QUARANTINE_LIMIT"
VERIFY_SCHEDULE = "TOTESYS_VERIFY_SCHEDULE"
LISTED_BATCHES = "TOTESYS_LISTED_BATCHES"
TRUSTED_HOSTS = "TOTESYS_TRUSTED_HOSTS"
HOME = "TOTESYS_HOME"
SMTP_URL = "TOTESYS_SMTP_URL"
ALERT_FROM = "TOTESYS_ALERT_FROM"
ALERT_TO = "TOTESYS_ALERT_TO"
ALERT_TOPIC = "TOTESYS_ALERT_TOPIC"
UI_URL = "TOTESYS_UI_URL"
FRESHNESS_MINUTES = "TOTESYS_FRESHNESS_MINUTES"
POSTGRES_BIN = "TOTESYS_POSTGRES_BIN"

# Whatever of these is not set, the embedded default provides.
LOCATIONS = (SOURCE_DSN, WAREHOUSE_DSN, INGESTION_URL, PROCESSED_URL)
SETTINGS = (
    *LOCATIONS,
    WAREHOUSE_ADMIN_DSN,
    WAREHOUSE_SCHEMA,
    POLL_SECONDS,
    LOAD_EVERY_SECONDS,
    PROCESS_AT_ONCE,
    PART_BYTES,
    QUARANTINE_LIMIT,
    VERIFY_SCHEDULE,
    LISTED_BATCHES,
    TRUSTED_HOSTS,
    HOME,
    SMTP_URL,
    ALERT_FROM,
    ALERT_TO,
    ALERT_TOPIC,
    UI_URL,
    FRESHNESS_MINUTES,
    POSTGRES_BIN,
)
# Not for people: names the settings that the embedded default has filled in, for processes that
# inherit the environment.
EMBEDDED = "TOTESYS_EMBEDDED"

LONGEST_IDENTIFIER = 63  # bytes, in PostgreSQL
BOOKKEEPING_SUFFIX = "_bookkeeping"


def _get(name: str, default: str | None = None) -> str:
    """The value of a setting. An empty value counts as not set. Raises SettingError."""
    value = os.environ.get(name, "").strip() or default
    if value is None:
        raise SettingError(
            f"{name} is not set: set it as README.md describes under Settings, or start through"
            " `totesys` or the workspace.yaml of the project, which provide an embedded default."
        )
    return aws_secrets.read(name, value) if value.startswith(aws_secrets.PREFIX) else value


def forget_secret(name: str) -> bool:
    """Read the setting anew next time, if it is a secret that was kept; whether it was."""
    return aws_secrets.forget(os.environ.get(name, "").strip())


def require_known(environ: Mapping[str, str], dotenv: Path | None) -> None:
    """Refuse what is meant as a setting and would be ignored, or taken for something else.

    `dotenv` is the file that is read into the environment: `.env` in the directory in which the
    program was started, here and in Dagster alike. Raises SettingError.
    """
    if dotenv is not None:
        spelling.require_file(dotenv, SETTINGS, environ)
    spelling.require_environment(environ, SETTINGS, never_empty=LOCATIONS)


def _whole_number(name: str, default: int, minimum: int) -> int:
    text = _get(name, str(default))
    try:
        number = int(text)
    except ValueError:
        number = None
    if number is None or number < minimum:
        raise SettingError(
            f"{name} is {text!r}, but must be a whole number of at least {minimum}."
        ) from None
    return number


def connection_string(name: str) -> str:
    """The PostgreSQL connection string in setting `name`, checked for its form.

    Raises SettingError. libpq's own message is not passed on: it can quote the password.
    """
    value = _get(name)
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


# What secrets that AWS makes for databases call the parameters of a connection string.
_PARAMETERS = {"username": "user", "dbClusterIdentifier": None, "dbInstanceIdentifier": None}


def _from_json(text: str) -> str:
    """The connection string of a secret in JSON, as Amazon RDS makes them; ValueError if none."""
    fields = json.loads(text)
    if "engine" in fields and fields.pop("engine") != "postgres":
        raise ValueError
    parameters = {_PARAMETERS.get(name, name): value for name, value in fields.items()}
    parameters.pop(None, None)
    return make_conninfo(**parameters)


def describe_source() -> str:
    """Which ToteSys is read, in words for people and without any secret. Raises SettingError."""
    if SOURCE_DSN in os.environ.get(EMBEDDED, "").split():
        return (
            f"the embedded ToteSys with simulated business (nothing real: {SOURCE_DSN} is not set)"
        )
    return f"ToteSys at {_place(connection_string(SOURCE_DSN))}"


def _place(dsn: str) -> str:
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

    It does when an @ or / of the password is not encoded; it would show that part in its messages.
    """
    scheme, _, place = dsn.partition("://")
    authority, _, rest = place.partition("/")
    spills = authority.count("@") > 1 or "@" in rest.partition("?")[0]
    return scheme in ("postgresql", "postgres") and spills


def admin_setting() -> str:
    """The setting with which to migrate and rebuild: the loader's own unless there is another."""
    return WAREHOUSE_ADMIN_DSN if os.environ.get(WAREHOUSE_ADMIN_DSN, "").strip() else WAREHOUSE_DSN


# What follows the scheme is the path, to its end: a # or ? in it begins nothing else.
_BUCKET = re.compile(r"s3://([A-Za-z0-9][A-Za-z0-9._-]*)(/.*)?", re.IGNORECASE | re.DOTALL)
_FILE = re.compile(r"file:(?://(?:localhost)?)?(/(?!/).*)", re.IGNORECASE | re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def zone_url(name: str) -> str:
    """The place of a zone: `s3://bucket/prefix`, or an absolute `file:///` URL for a directory.

    Each place has one URL, and each zone a place of its own. Raises SettingError, without the
    value: it may be another setting's, with a password.
    """
    url = _zone(name, _get(name))
    if url is None:
        raise SettingError(
            f"{name} is neither a directory nor a place in a bucket: write s3://bucket/path, or the"
            " directory's path; credentials belong into the settings of AWS."
        )
    if _overlap(url, _other_zone(name)):
        raise SettingError(
            f"{INGESTION_URL} and {PROCESSED_URL} are the same place, or one lies within the other:"
            " give each zone a place of its own, such as s3://bucket/ingestion and"
            " s3://bucket/processed."
        )
    return url


def _zone(name: str, value: str) -> str | None:
    """The URL of the place that `value` of setting `name` says, None when it says none."""
    if place := _BUCKET.fullmatch(value):
        return _bucket(name, place[1], (place[2] or "/").removesuffix("/"))
    if place := _FILE.fullmatch(value):
        value = os.fsdecode(unquote_to_bytes(place[1]))
    elif _SCHEME.match(value):
        return None
    if "\0" in value:
        return None
    path = _directory(name, value)
    # Only the file system knows what .. leads to, when there are links.
    return (path.resolve() if ".." in path.parts else path).as_uri()


def _other_zone(name: str) -> str | None:
    """The URL of the zone beside that of setting `name`, None when there is none or it is wrong."""
    other = {INGESTION_URL: PROCESSED_URL, PROCESSED_URL: INGESTION_URL}.get(name)
    if other is None or not _is_set(other):
        return None
    try:
        return _zone(other, _get(other))
    except SettingError:
        return None  # said when that zone is opened


def _bucket(name: str, bucket: str, prefix: str) -> str:
    """The URL of a place in a bucket; `prefix` is empty or begins with a slash."""
    odd = not {"", ".", ".."}.isdisjoint(prefix.split("/")[1:])
    # SeaweedFS, for one, takes a backslash for a slash.
    if odd or "\\" in prefix or not prefix.isprintable():
        raise SettingError(
            f"{name} has a path that stores and tools read differently, with a part that is empty,"
            " . or .., a backslash, or what cannot be printed: write s3://bucket/path with plain"
            " names between single slashes."
        )
    return f"s3://{bucket}{prefix}"


def _overlap(one: str, other: str | None) -> bool:
    """Whether two zones are the same place, or one of them lies within the other."""
    if other is None or one[:4] != other[:4]:
        return False
    if one.startswith("file:"):
        one, other = (
            os.path.realpath(os.fsdecode(unquote_to_bytes(url.removeprefix("file://"))))
            for url in (one, other)
        )
    one, other = (f"{place.rstrip('/')}/" for place in (one, other))
    return one.startswith(other) or other.startswith(one)


def _directory(name: str, path: str) -> Path:
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        raise SettingError(
            f"{name} is {path!r}, but that user has no home directory: write the path in full."
        ) from None


def warehouse_schema() -> str:
    """The schema that holds the warehouse's tables. Raises SettingError."""
    value = _get(WAREHOUSE_SCHEMA, "warehouse")
    try:
        size = len((value + BOOKKEEPING_SUFFIX).encode())
    except UnicodeEncodeError:  # bytes that are no UTF-8
        size = LONGEST_IDENTIFIER + 1
    # psycopg takes a per cent sign for a placeholder, in the statements that have parameters.
    if size > LONGEST_IDENTIFIER or value.startswith("pg_") or "%" in value:
        raise SettingError(
            f"{WAREHOUSE_SCHEMA} is {value!r}, but must be a name of at most"
            f" {LONGEST_IDENTIFIER - len(BOOKKEEPING_SUFFIX)} bytes that does not start with pg_"
            " and has no per cent sign."
        )
    return value


def poll_seconds() -> int:
    """Seconds between two looks at the source, at least 1."""
    return _whole_number(POLL_SECONDS, 5, 1)


def load_every_seconds() -> int:
    """Seconds between two loads; 0 means that each batch is loaded as soon as it is processed."""
    return _whole_number(LOAD_EVERY_SECONDS, 0, 0)


def process_at_once() -> int:
    """Batches of a backlog that are processed at the same time, each in a run of its own."""
    return _whole_number(PROCESS_AT_ONCE, 10, 1)


def part_bytes() -> int:
    """Uncompressed bytes after which a part file is closed, at least 4096."""
    return _whole_number(PART_BYTES, 4 * 1024 * 1024, 4096)


def quarantine_limit() -> int:
    """Rows of one table and batch that may be quarantined before the batch is stopped."""
    return _whole_number(QUARANTINE_LIMIT, 100, 0)


def verify_schedule() -> str | None:
    """When the lake is verified, as a cron expression in UTC; None for never by itself."""
    schedule = _get(VERIFY_SCHEDULE, "30 3 * * *")
    return None if schedule == "off" else schedule


def listed_batches() -> int:
    """How many batches Dagster's list holds on to; older ones are taken off each night."""
    return _whole_number(LISTED_BATCHES, 10_000, 1)


def is_trusted(host: str) -> bool:
    """Whether a remote database host may be connected to without verifying who it is."""
    trusted = os.environ.get(TRUSTED_HOSTS, "").lower().split(",")
    return host.lower() in filter(None, map(str.strip, trusted))


def home() -> Path:
    """The directory that holds the state of the embedded default."""
    return _directory(HOME, _get(HOME, ".totesys"))


@dataclass(frozen=True)
class Mail:
    """Where alerts go. The password is not in the repr."""

    host: str
    port: int
    encrypted: bool
    user: str | None
    password: str | None
    sender: str
    recipients: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Mail({self.host}:{self.port} to {', '.join(self.recipients)})"


def _is_set(name: str) -> bool:
    return bool(os.environ.get(name, "").strip())


def mail_is_set() -> bool:
    """Whether any of the settings for mail is set."""
    return any(map(_is_set, (SMTP_URL, ALERT_FROM, ALERT_TO)))


def mail() -> Mail | None:
    """How to send alerts, or None when none of its settings is set. Raises SettingError."""
    if not mail_is_set():
        return None
    try:
        url = urlsplit(_get(SMTP_URL))
        port = url.port
    except ValueError:
        url, port = urlsplit(""), None
    # A / ? or # of the password that is not encoded ends the host.
    beyond_host = url.path.strip("/") or url.query or url.fragment
    if url.scheme not in ("smtp", "smtps") or not url.hostname or port == 0 or beyond_host:
        raise SettingError(
            f"{SMTP_URL} is not a mail server: write smtp://host:587 (STARTTLS when offered) or"
            " smtps://user:password@host:465, with special characters of the password"
            " percent-encoded."
        )
    recipients = tuple(part.strip() for part in _get(ALERT_TO).split(",") if part.strip())
    if not recipients:
        raise SettingError(
            f"{ALERT_TO} names no recipient: write one or more addresses, separated by commas."
        )
    return Mail(
        host=url.hostname,
        port=port or (465 if url.scheme == "smtps" else 587),
        encrypted=url.scheme == "smtps",
        user=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        sender=_get(ALERT_FROM),
        recipients=recipients,
    )


@dataclass(frozen=True)
class Topic:
    """A topic of Amazon SNS."""

    arn: str
    region: str


def alert_topic_is_set() -> bool:
    """Whether alerts are to be published to a topic of Amazon SNS."""
    return _is_set(ALERT_TOPIC)


def alert_topic() -> Topic | None:
    """The topic that alerts are published to, None when it is not set. Raises SettingError."""
    if not alert_topic_is_set():
        return None
    arn = _get(ALERT_TOPIC)
    fields = arn.split(":")
    if len(fields) != 6 or fields[0] != "arn" or fields[2] != "sns" or not all(fields):
        raise SettingError(
            f"{ALERT_TOPIC} is not the ARN of a topic of Amazon SNS: write it as"
            " arn:aws:sns:eu-west-2:123456789012:name."
        )
    return Topic(arn, region=fields[3])


def ui_url() -> str | None:
    """Where people reach Dagster's UI, for links in alerts; None for no links. Raises SettingError.

    The value is not shown: it may be another setting's, with a password.
    """
    if not _is_set(UI_URL):
        return None
    value = _get(UI_URL).rstrip("/")
    try:
        url = urlsplit(value)
    except ValueError:
        url = urlsplit("")
    if url.scheme not in ("http", "https") or not url.netloc or "@" in value:
        raise SettingError(
            f"{UI_URL} is not the address of Dagster's UI: write https://dagster.example.com,"
            " without user and password."
        )
    return value


def freshness_minutes() -> int:
    """Minutes for which changes or batches may wait without any batch being loaded, at least 1."""
    return _whole_number(FRESHNESS_MINUTES, 15, 1)
