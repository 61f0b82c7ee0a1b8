"""Every setting of the platform, read from the environment. No other module reads it.

Settings are read where they are used, not once at start: a rotated password is picked up by the
next connection, and no secret is kept in a definition, a run's config or a log. Their names are
checked once, at start (`spelling.py`): a misspelt one would be ignored.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from totesys_dagster import aws_secrets, branches, connection_strings, spelling
from totesys_dagster.errors import SettingError

SOURCE_DSN = "TOTESYS_SOURCE_DSN"
WAREHOUSE_DSN = "TOTESYS_WAREHOUSE_DSN"
WAREHOUSE_ADMIN_DSN = "TOTESYS_WAREHOUSE_ADMIN_DSN"
WAREHOUSE_READER_DSN = "TOTESYS_WAREHOUSE_READER_DSN"
INGESTION_URL = "TOTESYS_INGESTION_URL"
PROCESSED_URL = "TOTESYS_PROCESSED_URL"
WAREHOUSE_SCHEMA = "TOTESYS_WAREHOUSE_SCHEMA"
POLL_SECONDS = "TOTESYS_POLL_SECONDS"
LOAD_EVERY_SECONDS = "TOTESYS_LOAD_EVERY_SECONDS"
PROCESS_AT_ONCE = "TOTESYS_PROCESS_AT_ONCE"
PART_BYTES = "TOTESYS_PART_BYTES"
ROW_BYTES = "TOTESYS_ROW_BYTES"
QUARANTINE_LIMIT = "TOTESYS_QUARANTINE_LIMIT"
VERIFY_SCHEDULE = "TOTESYS_VERIFY_SCHEDULE"
LISTED_BATCHES = "TOTESYS_LISTED_BATCHES"
HISTORY_DAYS = "TOTESYS_HISTORY_DAYS"
TRUSTED_HOSTS = "TOTESYS_TRUSTED_HOSTS"
HOME = "TOTESYS_HOME"
SMTP_URL = "TOTESYS_SMTP_URL"
ALERT_FROM = "TOTESYS_ALERT_FROM"
ALERT_TO = "TOTESYS_ALERT_TO"
ALERT_TOPIC = "TOTESYS_ALERT_TOPIC"
REPORT_TO = "TOTESYS_REPORT_TO"
REPORT_STAFF = "TOTESYS_REPORT_STAFF"
UI_URL = "TOTESYS_UI_URL"
CODE_URL = "TOTESYS_CODE_URL"
WEB_HOSTS = "TOTESYS_WEB_HOSTS"
FRESHNESS_MINUTES = "TOTESYS_FRESHNESS_MINUTES"
LOG_FORMAT = "TOTESYS_LOG_FORMAT"
POSTGRES_BIN = "TOTESYS_POSTGRES_BIN"
REPORTING_CURRENCY = "TOTESYS_REPORTING_CURRENCY"
RATES_URL = "TOTESYS_RATES_URL"
RATES_FALLBACK_URL = "TOTESYS_RATES_FALLBACK_URL"
DROPS_URL = "TOTESYS_DROPS_URL"
DROP_BYTES = "TOTESYS_DROP_BYTES"
CONTRACTS = "TOTESYS_CONTRACTS"
BRANCH_SOURCE_DSN = "TOTESYS_BRANCH_SOURCE_DSN"
BRANCH_WAREHOUSE_DSN = "TOTESYS_BRANCH_WAREHOUSE_DSN"
BRANCH_WAREHOUSE_ADMIN_DSN = "TOTESYS_BRANCH_WAREHOUSE_ADMIN_DSN"
BRANCH_WAREHOUSE_READER_DSN = "TOTESYS_BRANCH_WAREHOUSE_READER_DSN"
BRANCH_INGESTION_URL = "TOTESYS_BRANCH_INGESTION_URL"
BRANCH_PROCESSED_URL = "TOTESYS_BRANCH_PROCESSED_URL"
BRANCH_DROPS_URL = "TOTESYS_BRANCH_DROPS_URL"

# The embedded default provides those of these that are not set.
LOCATIONS = (SOURCE_DSN, WAREHOUSE_DSN, INGESTION_URL, PROCESSED_URL)
# A branch deployment of Dagster+ has its own places, and sends no messages.
PLACES = {
    SOURCE_DSN: BRANCH_SOURCE_DSN,
    WAREHOUSE_DSN: BRANCH_WAREHOUSE_DSN,
    WAREHOUSE_ADMIN_DSN: BRANCH_WAREHOUSE_ADMIN_DSN,
    WAREHOUSE_READER_DSN: BRANCH_WAREHOUSE_READER_DSN,
    INGESTION_URL: BRANCH_INGESTION_URL,
    PROCESSED_URL: BRANCH_PROCESSED_URL,
    DROPS_URL: BRANCH_DROPS_URL,
}
MESSAGES = (SMTP_URL, ALERT_FROM, ALERT_TO, ALERT_TOPIC, REPORT_TO)
SETTINGS = (
    *LOCATIONS,
    *PLACES.values(),
    WAREHOUSE_ADMIN_DSN,
    WAREHOUSE_READER_DSN,
    WAREHOUSE_SCHEMA,
    POLL_SECONDS,
    LOAD_EVERY_SECONDS,
    PROCESS_AT_ONCE,
    PART_BYTES,
    ROW_BYTES,
    QUARANTINE_LIMIT,
    VERIFY_SCHEDULE,
    LISTED_BATCHES,
    HISTORY_DAYS,
    TRUSTED_HOSTS,
    HOME,
    SMTP_URL,
    ALERT_FROM,
    ALERT_TO,
    ALERT_TOPIC,
    REPORT_TO,
    REPORT_STAFF,
    UI_URL,
    CODE_URL,
    WEB_HOSTS,
    FRESHNESS_MINUTES,
    LOG_FORMAT,
    POSTGRES_BIN,
    REPORTING_CURRENCY,
    RATES_URL,
    RATES_FALLBACK_URL,
    DROPS_URL,
    DROP_BYTES,
    CONTRACTS,
)
# Internal: names the settings that the embedded default has filled in, for child processes.
EMBEDDED = "TOTESYS_EMBEDDED"

LONGEST_IDENTIFIER = 63  # bytes, in PostgreSQL
BOOKKEEPING_SUFFIX = "_bookkeeping"
DEFAULT_SCHEMA = "warehouse"
# The rates of a day, available from 00:00 UTC on: the same file at two hosts.
PUBLIC_RATES = (
    "https://cdn.jsdelivr.net/npm/@fawazahmed0/currency-api@{date}/v1/currencies/gbp.json",
    "https://{date}.currency-api.pages.dev/v1/currencies/gbp.json",
)
REPORTING_CURRENCIES = ("GBP", "EUR", "USD")
REPORTS = "reports"


# The function that provides a setting when it is first read, by setting.
_providers: dict[str, Callable[[], object]] = {}
_providing = threading.RLock()


def provide(names: Iterable[str], provider: Callable[[], object]) -> None:
    """Let `provider` set these settings in the environment when one of them is first read."""
    with _providing:
        _providers.update(dict.fromkeys(names, provider))


def provide_all() -> None:
    """Set every setting that has a provider. Raises what the providers raise."""
    for name in [*_providers]:
        _value(name)


def _environment(name: str) -> str:
    if branches.is_branch(os.environ):
        if name in MESSAGES:
            return ""
        name = PLACES.get(name, name)
    return os.environ.get(name, "").strip()


def _value(name: str) -> str:
    if not _environment(name) and name in _providers:
        with _providing:
            # Another thread may have provided it meanwhile.
            if provider := _providers.get(name):
                provider()
                for other in [other for other, its in _providers.items() if its is provider]:
                    del _providers[other]
    return _environment(name)


def get(name: str, default: str | None = None) -> str:
    """The value of a setting. An empty value counts as not set. Raises SettingError, or what the
    provider of the setting raises."""
    value = _value(name) or default
    if name in PLACES and branches.is_branch(os.environ):
        if value is None:
            raise branches.not_set(name, PLACES[name])
        branches.require_apart(PLACES[name], os.environ, PLACES)
    if value is None:
        raise SettingError(
            f"{name} is not set: set it as README.md describes under Settings, or start through"
            " `totesys` or the workspace.yaml of the project, which provide an embedded default."
        )
    return aws_secrets.read(name, value) if value.startswith(aws_secrets.PREFIX) else value


def is_set(name: str) -> bool:
    """Whether a setting has a value, or will have one when it is first read."""
    return name in _providers or bool(_environment(name))


def forget_secret(name: str) -> bool:
    """Read the setting again next time, if it is a cached secret. Returns whether it was one."""
    return aws_secrets.forget(_environment(name))


def require_known(environ: Mapping[str, str], dotenv: Path | None) -> None:
    """Refuse names that are meant as settings but would be ignored or misread.

    `dotenv` is the file that is read into the environment: `.env` in the directory in which the
    program was started, as in Dagster. Raises SettingError.
    """
    if dotenv is not None:
        spelling.require_file(dotenv, SETTINGS, environ)
    spelling.require_environment(environ, SETTINGS, never_empty=LOCATIONS)


def _whole_number(name: str, default: int, minimum: int, maximum: int | None = None) -> int:
    text = get(name, str(default))
    try:
        number = int(text)
    except ValueError:
        number = None
    if number is None or number < minimum:
        raise SettingError(
            f"{name} is {text!r}, but must be a whole number of at least {minimum}."
        ) from None
    if maximum is not None and number > maximum:
        raise SettingError(f"{name} is {text!r}, but must be at most {maximum}.")
    return number


def connection_string(name: str) -> str:
    """The PostgreSQL connection string in a setting. Raises SettingError."""
    return connection_strings.checked(name, get(name))


def is_source_embedded() -> bool:
    """Whether ToteSys is the simulated one of the embedded default."""
    return SOURCE_DSN in os.environ.get(EMBEDDED, "").split()


def describe_source() -> str:
    """Describe for people which ToteSys is read, without any secret. Raises SettingError."""
    if is_source_embedded():
        return (
            f"the embedded ToteSys with simulated business (nothing real: {SOURCE_DSN} is not set)"
        )
    return f"ToteSys at {connection_strings.place(connection_string(SOURCE_DSN))}"


def admin_setting() -> str:
    """The setting with which to migrate and rebuild: the loader's own unless there is another."""
    return WAREHOUSE_ADMIN_DSN if is_set(WAREHOUSE_ADMIN_DSN) else WAREHOUSE_DSN


def warehouse_schema() -> str:
    """The schema that holds the warehouse's tables. Raises SettingError."""
    value = get(WAREHOUSE_SCHEMA, DEFAULT_SCHEMA)
    try:
        size = len((value + BOOKKEEPING_SUFFIX).encode())
    except UnicodeEncodeError:  # bytes that are no UTF-8
        size = LONGEST_IDENTIFIER + 1
    # In statements with parameters, psycopg reads a per cent sign as a placeholder.
    if size > LONGEST_IDENTIFIER or value.startswith("pg_") or "%" in value:
        raise SettingError(
            f"{WAREHOUSE_SCHEMA} is {value!r}, but must be a name of at most"
            f" {LONGEST_IDENTIFIER - len(BOOKKEEPING_SUFFIX)} bytes that does not start with pg_"
            " and has no per cent sign."
        )
    if value == REPORTS or value.endswith(f"_{REPORTS}"):
        raise SettingError(
            f"{WAREHOUSE_SCHEMA} is {value!r}, which is what the schema of another warehouse's"
            f" reports may be called: give it a name that does not end in {REPORTS}."
        )
    return value


def reports_schema(schema: str) -> str:
    """The schema of the reports of a warehouse whose tables are in `schema`."""
    return REPORTS if schema == DEFAULT_SCHEMA else f"{schema}_{REPORTS}"


def poll_seconds() -> int:
    """Seconds between two polls of the source, at least 1."""
    return _whole_number(POLL_SECONDS, 5, 1)


def load_every_seconds() -> int:
    """Seconds between two loads; 0 means that each batch is loaded as soon as it is processed."""
    return _whole_number(LOAD_EVERY_SECONDS, 0, 0)


def process_at_once() -> int:
    """Batches of a backlog that are processed at the same time, each in its own run."""
    return _whole_number(PROCESS_AT_ONCE, 10, 1)


def part_bytes() -> int:
    """Uncompressed bytes after which a part file is closed, at least 4096."""
    return _whole_number(PART_BYTES, 4 * 1024 * 1024, 4096)


def row_bytes() -> int:
    """Bytes of a ToteSys row above which only its key and sizes are archived.

    At least 4 MiB: the part that PostgreSQL keeps outside of TOAST is smaller. At most 128 MiB: as
    JSON a row may be six times as long, and PostgreSQL makes no text above a gigabyte.
    """
    return _whole_number(ROW_BYTES, 16 * 1024 * 1024, 4 * 1024 * 1024, 128 * 1024 * 1024)


def quarantine_limit() -> int:
    """Rows of one table and batch that may be quarantined before the batch is stopped."""
    return _whole_number(QUARANTINE_LIMIT, 100, 0)


def verify_schedule() -> str | None:
    """When the lake is verified, as a cron expression in UTC; None for only on request."""
    schedule = get(VERIFY_SCHEDULE, "30 3 * * *")
    return None if schedule == "off" else schedule


def listed_batches() -> int:
    """The most batches that Dagster lists, of those not older than its history."""
    return _whole_number(LISTED_BATCHES, 10_000, 1)


def history_days() -> int:
    """For how many days Dagster lists batches and keeps runs, at least 1."""
    return _whole_number(HISTORY_DAYS, 14, 1)


def is_trusted(host: str) -> bool:
    """Whether to connect to a remote database host without verifying its identity."""
    trusted = os.environ.get(TRUSTED_HOSTS, "").lower().split(",")
    return host.lower() in filter(None, map(str.strip, trusted))


def directory(name: str, path: str) -> Path:
    """The directory that a setting names, as an absolute path. Raises SettingError."""
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        raise SettingError(
            f"{name} is {path!r}, but that user has no home directory: write the path in full."
        ) from None


def home() -> Path:
    """The directory that holds the state of the embedded default."""
    return directory(HOME, get(HOME, ".totesys"))


def freshness_minutes() -> int:
    """Minutes for which changes or batches may wait without any batch being loaded, at least 1."""
    return _whole_number(FRESHNESS_MINUTES, 15, 1)


def log_format() -> str:
    """How runs and ticks log: `text` for people, or `json`. Raises SettingError."""
    value = get(LOG_FORMAT, "text").lower()
    if value not in ("text", "json"):
        raise SettingError(f"{LOG_FORMAT} is {value!r}, but must be text or json.")
    return value


def code_url() -> str | None:
    """Where the code of this release is on git, for links from the UI; None for no links.

    Raises SettingError.
    """
    value = get(CODE_URL, "").rstrip("/")
    if not value:
        return None
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise SettingError(
            f"{CODE_URL} is not the address of the code on git: write that of its folder at the"
            " commit that is deployed, as https://github.com/<owner>/<repository>/blob/<commit>."
        )
    return value


def reporting_currency() -> str:
    """The currency that reports convert into. Raises SettingError."""
    code = get(REPORTING_CURRENCY, "GBP").upper()
    if code not in REPORTING_CURRENCIES:
        raise SettingError(
            f"{REPORTING_CURRENCY} is {code!r}, but must be one of"
            f" {', '.join(REPORTING_CURRENCIES)}."
        )
    return code


def rates_urls() -> tuple[str, ...]:
    """The addresses that a day's exchange rates are requested from, in order, with `{date}` for the
    day; none if rates are off. Raises SettingError.

    For the simulated business there are none unless one is set: the embedded default needs no
    internet. If you set an address, the public fallback is not used.
    """
    own = is_set(RATES_URL)
    public = ("off", "off") if own or is_source_embedded() else PUBLIC_RATES
    pairs = zip((RATES_URL, RATES_FALLBACK_URL), public, strict=True)
    urls = [(name, get(name, default)) for name, default in pairs]
    if urls[0][1] == "off":
        return ()
    return tuple(_rates_url(name, url) for name, url in urls if url != "off")


def require_usable() -> None:
    """Raise SettingError if a setting has a value that cannot be used. Secrets and connection
    strings are not read: connecting checks them."""
    for read in (
        *(poll_seconds, load_every_seconds, process_at_once, part_bytes, row_bytes),
        *(quarantine_limit, listed_batches, history_days, freshness_minutes, log_format),
        *(warehouse_schema, reporting_currency, rates_urls, publishes_staff_names, drop_bytes),
    ):
        read()


def _rates_url(name: str, url: str) -> str:
    """Check an address. Messages do not show it: it may contain a key. Raises SettingError."""
    try:
        parts = urlsplit(url.replace("{date}", "2024-11-15"))
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known or "{date}" not in url:
        raise SettingError(
            f"{name} is no address of exchange rates: write http:// or https:// with {{date}} in"
            f" the place of the day, as in {PUBLIC_RATES[0]}, or off."
        )
    return url


def publishes_staff_names() -> bool:
    """Whether the published page names members of staff instead of giving their numbers.

    Raises SettingError.
    """
    value = get(REPORT_STAFF, "numbers")
    if value not in ("numbers", "names"):
        raise SettingError(f"{REPORT_STAFF} is {value!r}, but must be numbers or names.")
    return value == "names"


def drops() -> str:
    """The place of the drops: the setting's, or a directory of the embedded default."""
    return get(DROPS_URL, str(home() / "drops"))


def drop_bytes() -> int:
    """The most bytes of a drop that is taken."""
    return _whole_number(DROP_BYTES, 64 * 1024 * 1024, 1)


def contract_directories() -> tuple[Path, ...]:
    """The directories with contracts in addition to the platform's own: one, or none.

    Raises SettingError if it does not exist.
    """
    text = get(CONTRACTS, "")
    if not text:
        return ()
    found = directory(CONTRACTS, text)
    if not found.is_dir():
        raise SettingError(
            f"{CONTRACTS} is {text!r}, which is no directory: name one with files *.odcs.yaml."
        )
    return (found,)
