"""What becomes of a batch when PostgreSQL fails: a sentence, no trace, and the next is exact.

The faults are real: roles without connections, killed backends, deadlocks, timeouts. Where the
server cannot be brought to fail (a full disk), a trigger raises its error in the middle of a load.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from totesys_dagster import settings
from totesys_dagster.errors import LoadError, SettingError, SourceError
from totesys_dagster.ingestion.capture import TableRead, open_capture
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.lake.store import Store
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster.postgres import sessions as postgres
from totesys_dagster.postgres.failures import reason, remedy
from totesys_dagster.postgres.sessions import connect
from totesys_dagster.warehouse import ledger, load
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1

pytestmark = pytest.mark.long

SETTINGS = [settings.SOURCE_DSN, settings.WAREHOUSE_DSN]


def database(platform: Platform, setting: str) -> str:
    if setting == settings.SOURCE_DSN:
        return platform.source_database
    return platform.warehouse_database


@contextmanager
def administrator(platform: Platform, setting: str) -> Iterator[psycopg.Connection]:
    """A superuser's connection to one of the two databases."""
    dsn = platform.server.dsn(SUPERUSER, database(platform, setting))
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def assert_exact(platform: Platform) -> None:
    """Whatever is left to do is done by one more attempt, and the warehouse equals the source."""
    platform.run()
    log = ManifestLog(platform.ingestion)
    for manifest in log.after(ledger.head(platform.warehouse, platform.names)):
        platform.process(manifest)
        platform.load(manifest)
    head = log.head()
    assert head is not None
    audits = ledger.outcome(platform.warehouse, platform.names, head).audits
    assert audits
    assert all(audit.equal for audit in audits.values())


# The server cannot be connected to


@pytest.fixture
def place(
    server: Server, new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str]:
    """An empty database that both settings point to, and the role that they use."""
    name = new_database(stack.LOADER)
    for setting in SETTINGS:
        monkeypatch.setenv(setting, server.dsn(stack.LOADER, name))
    return name, stack.LOADER


def assert_refused(setting: str, said: str, to_do: str) -> None:
    """One sentence that begins with the setting; no password is in it."""
    with pytest.raises(SettingError) as error:
        connect(setting)
    message = str(error.value)
    assert message.startswith(f"{setting} points to a database that cannot be used (")
    assert said in message
    assert to_do in message
    assert "\n" not in message
    assert "hidden" not in message


# Name, changed parts of the connection string, what is said, and what is said to be done.
WRONG_PLACES: list[tuple[str, dict[str, object], str, str]] = [
    (
        "refused",
        {"host": "127.0.0.1", "port": 1},
        "Connection refused",
        "that the server is running",
    ),
    ("no such host", {"host": "no.invalid"}, "failed to resolve host", "correct the host"),
    ("no socket", {"host": "/no/such/directory"}, "No such file or directory", "name its host"),
    ("wrong password", {"password": "hidden"}, "authentication failed for user", "the password"),
    ("no password", {"password": ""}, "no password supplied", "add the password"),
    ("no such user", {"user": "nobody"}, 'failed for user "nobody"', "correct the user"),
    ("no such database", {"dbname": "nix"}, 'database "nix" does not exist', "correct the name"),
    ("TLS is not offered", {"sslmode": "require"}, "server does not support SSL", "enable TLS"),
    ("no such service", {"service": "nix"}, 'definition of service "nix" not', "PGSERVICE"),
    (
        "several hosts",
        {"host": "localhost,127.0.0.1", "port": 1},
        "refused",
        "the server is running",
    ),
]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(
    ("parts", "said", "to_do"),
    [row[1:] for row in WRONG_PLACES],
    ids=[row[0] for row in WRONG_PLACES],
)
@pytest.mark.usefixtures("place")
def test_wrong_place_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, setting: str, parts: dict[str, object], said: str, to_do: str
) -> None:
    monkeypatch.setenv(settings.TRUSTED_HOSTS, "no.invalid")
    monkeypatch.setenv(setting, make_conninfo(os.environ[setting], **parts))

    assert_refused(setting, said, to_do)


# Name, what an administrator does to the database or the role, how it is undone, what is said, and
# what is said to be done.
CLOSED_DOORS = [
    (
        "too many connections to the database",
        "ALTER DATABASE {database} CONNECTION LIMIT 0",
        "ALTER DATABASE {database} CONNECTION LIMIT -1",
        "too many connections for database",
        "raise that limit",
    ),
    (
        "too many connections of the role",
        "ALTER ROLE {role} CONNECTION LIMIT 0",
        "ALTER ROLE {role} CONNECTION LIMIT -1",
        "too many connections for role",
        "raise that limit",
    ),
    (
        "role may not log in",
        "ALTER ROLE {role} NOLOGIN",
        "ALTER ROLE {role} LOGIN",
        "is not permitted to log in",
        "ALTER ROLE … LOGIN",
    ),
    (
        "password has expired",
        "ALTER ROLE {role} VALID UNTIL '2000-01-01'",
        "ALTER ROLE {role} VALID UNTIL 'infinity'",
        "password authentication failed",
        "correct the user and the password",
    ),
    (
        "database is closed",
        "ALTER DATABASE {database} ALLOW_CONNECTIONS FALSE",
        "ALTER DATABASE {database} ALLOW_CONNECTIONS TRUE",
        "is not currently accepting connections",
        "ALLOW_CONNECTIONS true",
    ),
]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(
    ("shut", "open_again", "said", "to_do"),
    [row[1:] for row in CLOSED_DOORS],
    ids=[row[0] for row in CLOSED_DOORS],
)
def test_closed_door_is_a_sentence_until_it_opens(
    server: Server,
    place: tuple[str, str],
    setting: str,
    shut: str,
    open_again: str,
    said: str,
    to_do: str,
) -> None:
    names = dict(zip(("database", "role"), map(sql.Identifier, place), strict=True))
    with psycopg.connect(server.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL(shut).format(**names))  # type: ignore[arg-type]
        try:
            assert_refused(setting, said, to_do)
        finally:
            admin.execute(sql.SQL(open_again).format(**names))  # type: ignore[arg-type]

    connect(setting).close()


@contextmanager
def answering(first: bytes | None) -> Iterator[int]:
    """A port that takes connections and says one thing, or nothing at all."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(first or b"")

        if first is not None:
            threading.Thread(target=answer, daemon=True).start()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("first", "said", "to_do"),
    [
        (None, "timeout expired", "the firewalls in between"),
        (b"", "server closed the connection unexpectedly", "check its log"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "received invalid response", "is not PostgreSQL"),
    ],
    ids=["hangs", "hangs up", "is not PostgreSQL"],
)
@pytest.mark.parametrize("setting", SETTINGS)
def test_server_that_does_not_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch, setting: str, first: bytes | None, said: str, to_do: str
) -> None:
    monkeypatch.setattr(postgres, "CONNECT_SECONDS", 2)  # libpq takes no less
    start = time.monotonic()
    with answering(first) as port:
        monkeypatch.setenv(setting, f"postgresql://loader:hidden@127.0.0.1:{port}/warehouse")
        assert_refused(setting, said, to_do)

    assert time.monotonic() - start < 6


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("setting", SETTINGS)
def test_server_that_vanishes_is_noticed_within_a_minute(setting: str) -> None:
    with connect(setting) as connection:
        parameters = connection.info.get_parameters()

    seconds = int(parameters["keepalives_idle"]) + int(parameters["keepalives_interval"]) * int(
        parameters["keepalives_count"]
    )
    assert seconds <= 60


# The source fails in the middle of a capture


def kill(platform: Platform, connection: psycopg.Connection, setting: str) -> None:
    with administrator(platform, setting) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])


def cancel(platform: Platform, connection: psycopg.Connection, setting: str) -> None:
    with administrator(platform, setting) as admin:
        admin.execute("SELECT pg_cancel_backend(%s)", [connection.info.backend_pid])


def cut(_: Platform, connection: psycopg.Connection, __: str) -> None:
    """The network breaks the connection, as this side sees it."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


Interference = Callable[[Platform, psycopg.Connection, str], None]

# Name, what happens, what is said.
INTERRUPTIONS: list[tuple[str, Interference, str]] = [
    ("terminated", kill, "terminating connection due to administrator command"),
    ("cancelled", cancel, "(57014): canceling statement due to user request"),
    ("connection cut", cut, "server closed the connection unexpectedly"),
]

MUCH = """
    INSERT INTO design SELECT n, now(), 'Steel', '/lib', repeat('x', 8000), now()
    FROM generate_series(3, 3000) AS n
"""  # more than the buffers between the two ends of a connection hold


def capture_with(platform: Platform, interfere: Callable[[TableRead], None]) -> None:
    """A capture in which something happens after the first bytes of `design`."""
    with open_capture(
        platform.source,
        platform.ingestion,
        run_id="test",
        part_bytes=1 << 20,
    ) as batch:
        for read in batch.reads():
            if read.table == "design":
                interfere(read)
            read.write(platform.ingestion)
        batch.commit()


@pytest.mark.parametrize(
    ("interfere", "said"), [row[1:] for row in INTERRUPTIONS], ids=[row[0] for row in INTERRUPTIONS]
)
def test_capture_that_is_interrupted_leaves_no_batch_and_the_next_is_exact(
    platform: Platform, interfere: Interference, said: str
) -> None:
    platform.application.execute(MUCH)
    with pytest.raises(SourceError) as error:
        capture_with(platform, lambda _: interfere(platform, platform.source, settings.SOURCE_DSN))
    left = platform.ingestion.list("manifests")
    with connect(settings.SOURCE_DSN) as platform.source:
        assert_exact(platform)

    assert str(error.value).startswith("PostgreSQL stopped the read of design")
    # A server that is ended while it waits for its reader says nothing any more.
    silent = interfere is kill and "server closed the connection unexpectedly" in str(error.value)
    assert said in str(error.value) or silent
    assert "\n" not in str(error.value)
    assert left == []
    assert platform.rows("SELECT count(*) FROM current_dim_design") == [(3000,)]


# What a role presets for its sessions; none of it makes a batch other than exact.
ROLE_SETTINGS = [
    # On a busy machine one of a millisecond is over before the first word of a transaction is read.
    ("statement_timeout", "50ms"),
    ("lock_timeout", "1ms"),
    ("idle_in_transaction_session_timeout", "50ms"),
    ("datestyle", "German"),
    ("timezone", "Asia/Tokyo"),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_deferrable", "on"),
    ("extra_float_digits", "-15"),
    ("bytea_output", "escape"),
    ("intervalstyle", "sql_standard"),
    ("search_path", ""),
    ("client_encoding", "LATIN1"),
    ("quote_all_identifiers", "on"),
    ("standard_conforming_strings", "off"),
    ("row_security", "on"),
    ("exit_on_error", "on"),
    ("gin_fuzzy_search_limit", "1"),
    ("client_min_messages", "debug5"),
    ("array_nulls", "off"),
    ("backslash_quote", "off"),
    ("transform_null_equals", "on"),
    ("xmlbinary", "hex"),
    ("plan_cache_mode", "force_generic_plan"),
    ("synchronous_commit", "off"),
    ("session_replication_role", "replica"),
    ("enable_hashjoin", "off"),
    ("enable_seqscan", "off"),
    ("work_mem", "64kB"),
    ("log_parameter_max_length_on_error", "-1"),
]
NEWER_SETTINGS = [("transaction_timeout", "50ms"), ("debug_parallel_query", "on")]


def test_presets_of_the_roles_change_nothing(platform: Platform) -> None:
    for setting in SETTINGS:
        role = stack.EXTRACTOR if setting == settings.SOURCE_DSN else stack.LOADER
        with administrator(platform, setting) as admin:
            newer = admin.info.server_version >= 170000
            for name, value in [*ROLE_SETTINGS, *(NEWER_SETTINGS if newer else [])]:
                admin.execute(
                    sql.SQL("ALTER ROLE {} IN DATABASE {} SET {} TO {}").format(
                        sql.Identifier(role),
                        sql.Identifier(database(platform, setting)),
                        sql.Identifier(name),
                        value,
                    )
                )
    with (
        connect(settings.SOURCE_DSN) as platform.source,
        connect(settings.WAREHOUSE_DSN) as platform.warehouse,
    ):
        assert_exact(platform)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", ["zero_damaged_pages", "ignore_checksum_failure"])
def test_session_that_passes_damage_over_is_refused(
    platform: Platform, setting: str, name: str
) -> None:
    with administrator(platform, setting) as admin:
        preset = sql.SQL("ALTER DATABASE {} SET {} TO on")
        admin.execute(
            preset.format(sql.Identifier(database(platform, setting)), sql.Identifier(name))
        )
    with pytest.raises(SettingError) as error:
        connect(setting)

    assert str(error.value).startswith(
        f"{setting} points to a database whose sessions have {name} on ("
    )


def test_session_that_is_ended_between_two_transactions_is_a_sentence(platform: Platform) -> None:
    """`idle_session_timeout` is the one setting that no transaction can set for itself."""
    with administrator(platform, settings.WAREHOUSE_DSN) as admin:
        name = sql.Identifier(platform.warehouse_database)
        admin.execute(sql.SQL("ALTER DATABASE {} SET idle_session_timeout TO 50").format(name))
    with connect(settings.WAREHOUSE_DSN) as connection:
        time.sleep(0.5)
        with pytest.raises(LoadError) as error:
            ledger.head(connection, platform.names)

    assert str(error.value) == (
        "PostgreSQL stopped a read of the ledger (57P05): terminating connection due to"
        " idle-session timeout; sessions must outlast their pauses: ALTER ROLE … SET"
        " idle_session_timeout TO 0 for the role of TOTESYS_WAREHOUSE_DSN."
    )


def test_row_security_in_the_warehouse_is_a_sentence(platform: Platform) -> None:
    """It would hide rows from the audit."""
    manifest = second_batch(platform)
    with administrator(platform, settings.WAREHOUSE_DSN) as admin:
        admin.execute(
            "ALTER TABLE warehouse.dim_design ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
        )
    sentence = refused_load(platform, manifest)
    with administrator(platform, settings.WAREHOUSE_DSN) as admin:
        admin.execute("ALTER TABLE warehouse.dim_design DISABLE ROW LEVEL SECURITY")
    assert_exact(platform)

    assert 'row-level security policy for table "dim_design"' in sentence
    assert "grant the role of TOTESYS_WAREHOUSE_DSN BYPASSRLS" in sentence


def test_rule_in_the_warehouse_is_a_sentence(platform: Platform) -> None:
    manifest = second_batch(platform)
    with administrator(platform, settings.WAREHOUSE_DSN) as admin:
        admin.execute("CREATE RULE own AS ON INSERT TO warehouse.fact_payment DO INSTEAD NOTHING")
    sentence = refused_load(platform, manifest)
    with administrator(platform, settings.WAREHOUSE_DSN) as admin:
        admin.execute("DROP RULE own ON warehouse.fact_payment")
    assert_exact(platform)

    assert sentence.endswith("; remove the rule from the table: DROP RULE.")


def test_what_to_do_about_text_that_is_not_utf_8_is_said(
    server: Server, new_database: Callable[..., str]
) -> None:
    dsn = server.dsn(SUPERUSER, new_database(SUPERUSER, encoding="SQL_ASCII"))
    with (
        psycopg.connect(dsn, client_encoding="UTF8") as connection,
        pytest.raises(psycopg.DataError) as error,
    ):
        connection.execute("SELECT chr(233)")
    what = remedy(error.value, reason(error.value), settings.SOURCE_DSN)

    assert what is not None
    assert what.endswith("(its encoding is SQL_ASCII): rewrite that text in UTF-8")


# The warehouse fails in the middle of a load


class Interrupted(Store):
    """A real zone, in which something happens while one table is being copied into staging."""

    def __init__(self, store: Store, star: str, happen: Callable[[], None]) -> None:
        super().__init__(store.url, store.setting)
        self._star = star
        self._happen = happen

    def get(self, key: str, *more: int) -> bytes:
        if key.startswith(f"rows/{self._star}/"):
            self._happen()
        return super().get(key, *more)


def second_batch(platform: Platform) -> Manifest:
    """A batch that is ready to be loaded on top of another."""
    platform.run()
    platform.application.execute(
        f"{EDIT_ORDER_1}; UPDATE design SET design_name = 'A'; UPDATE payment SET paid = TRUE"
    )
    manifest = platform.capture()
    assert manifest is not None
    platform.process(manifest)
    return manifest


def state(platform: Platform) -> list[list[tuple[object, ...]]]:
    tables = ["dim_design", "fact_sales_order", "fact_payment"]
    ledger = ["batch", "batch_table", "quarantine", "audit"]
    names = [platform.names.table(table) for table in tables]
    names += [platform.names.ledger(table) for table in ledger]
    with administrator(platform, settings.WAREHOUSE_DSN) as admin:
        query = sql.SQL("SELECT * FROM {} ORDER BY 1, 2")
        return [admin.execute(query.format(name)).fetchall() for name in names]


def refused_load(platform: Platform, manifest: Manifest) -> str:
    """The sentence of a load that fails; checks that nothing of it is left."""
    before = state(platform)
    with pytest.raises(LoadError) as error:
        platform.load(manifest)
    assert state(platform) == before
    assert "\n" not in str(error.value)
    assert manifest.batch in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("star", ["dim_design", "fact_payment"])
@pytest.mark.parametrize(
    ("interfere", "said"),
    [row[1:] for row in INTERRUPTIONS if row[0] != "cancelled"],  # nothing runs that could be
    ids=[row[0] for row in INTERRUPTIONS if row[0] != "cancelled"],
)
def test_load_that_is_interrupted_in_its_copy_leaves_nothing_and_the_next_is_exact(
    platform: Platform, interfere: Interference, said: str, star: str
) -> None:
    manifest = second_batch(platform)
    processed = platform.processed
    platform.processed = Interrupted(
        processed, star, lambda: interfere(platform, platform.warehouse, settings.WAREHOUSE_DSN)
    )
    message = refused_load(platform, manifest)
    platform.processed = processed
    with connect(settings.WAREHOUSE_DSN) as platform.warehouse:
        assert_exact(platform)

    assert message.startswith(f"PostgreSQL stopped the load of batch {manifest.batch}")
    assert said in message


def failing_trigger(platform: Platform, code: str, message: str, *, times: int) -> None:
    """Let the first loads of payments, the last of all tables, end with this error.

    A sequence counts them: it is not taken back with the transaction.
    """
    with administrator(platform, settings.WAREHOUSE_DSN) as admin:
        admin.execute(
            sql.SQL(
                """
                CREATE SEQUENCE public.attempts;
                CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
                $$ BEGIN
                    IF nextval('public.attempts') <= {} THEN
                        RAISE EXCEPTION USING ERRCODE = {}, MESSAGE = {}, DETAIL = 'row 4711';
                    END IF;
                    RETURN NULL;
                END $$;
                CREATE TRIGGER fail BEFORE INSERT ON warehouse.fact_payment
                EXECUTE FUNCTION public.fail()
                """
            ).format(times, code, message)
        )


def attempts(platform: Platform) -> int:
    with administrator(platform, settings.WAREHOUSE_DSN) as admin:
        row = admin.execute("SELECT last_value FROM public.attempts").fetchone()
    assert row is not None
    return int(row[0])


NO_SPACE = 'could not extend file "base/16384/16397": No space left on device'

HIDDEN = 'query would be affected by row-level security policy for table "fact_payment"'

# SQLSTATE, message, how often it comes, attempts within one load (more failures than that stop it),
# and what is said to be done.
ERRORS = [
    ("53100", NO_SPACE, 1, 1, "free space on the server's disk"),
    ("53200", "out of memory", 1, 1, "give the server more memory"),
    ("53400", "temporary file size exceeds temp_file_limit", 1, 1, "raise that limit"),
    ("57014", "canceling statement due to statement timeout", 1, 1, "a time limit ended it"),
    ("57014", "canceling statement due to user request", 1, 1, "an administrator or"),
    ("58030", "could not read blocks: Input/output error", 1, 1, "check the server's disk"),
    ("XX001", "invalid page in block 7 of relation", 1, 1, "restore damaged data from a backup"),
    ("42501", "permission denied for table fact_payment", 1, 1, "TOTESYS_WAREHOUSE_DSN what it"),
    ("42501", HIDDEN, 1, 1, "grant the role of TOTESYS_WAREHOUSE_DSN BYPASSRLS"),
    ("23514", "violates check constraint", 1, 1, "constraint, trigger or column of your own"),
    ("40001", "could not serialize access due to concurrent update", 9, 4, "starts again"),
    ("40001", "canceling statement due to conflict with recovery", 9, 4, "hot_standby_feedback"),
    ("40P01", "deadlock detected", 9, 4, "starts again"),
]


@pytest.mark.parametrize(("code", "message", "times", "tried", "to_do"), ERRORS)
def test_error_in_the_last_table_takes_back_the_batch_and_the_next_load_is_exact(
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    message: str,
    times: int,
    tried: int,
    to_do: str,
) -> None:
    monkeypatch.setattr(load, "CONFLICT_PAUSES", (0.01, 0.01, 0.01))
    manifest = second_batch(platform)
    failing_trigger(platform, code, message, times=times)
    sentence = refused_load(platform, manifest)
    found = attempts(platform)
    with administrator(platform, settings.WAREHOUSE_DSN) as admin:
        admin.execute("ALTER TABLE warehouse.fact_payment DISABLE TRIGGER fail")
    assert_exact(platform)

    start = f"PostgreSQL stopped the load of batch {manifest.batch} ({code}): {message}; "
    assert sentence.startswith(start)
    assert to_do in sentence
    assert found == tried


@pytest.mark.parametrize("code", ["40001", "40P01"])
@pytest.mark.parametrize("times", [1, 3])
def test_conflict_that_passes_is_tried_again_and_exact(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, code: str, times: int
) -> None:
    monkeypatch.setattr(load, "CONFLICT_PAUSES", (0.01, 0.01, 0.01))
    manifest = second_batch(platform)
    failing_trigger(platform, code, "it passes", times=times)
    loaded = platform.load(manifest)

    assert not loaded.already
    assert all(audit.equal for audit in loaded.audits.values())
    assert attempts(platform) == times + 1
    assert platform.rows("SELECT max(payment_record_id), count(*) FROM fact_payment") == [(6, 6)]


def test_real_deadlock_is_tried_again_and_exact(platform: Platform) -> None:
    """Somebody locks payments, then waits for designs, which the load has written to before."""
    manifest = second_batch(platform)
    loads: list[ledger.Loaded] = []
    thread = threading.Thread(target=lambda: loads.append(platform.load(manifest)), daemon=True)
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
    with administrator(platform, settings.WAREHOUSE_DSN) as other:
        other.execute("SET deadlock_timeout TO '20s'")  # so the load notices first
        other.execute("BEGIN; LOCK warehouse.fact_payment IN ACCESS EXCLUSIVE MODE")
        thread.start()
        deadline = time.monotonic() + 20
        with administrator(platform, settings.WAREHOUSE_DSN) as watcher:
            while not watcher.execute(waiting, ["warehouse.fact_payment"]).fetchone():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            other.execute("LOCK warehouse.dim_design IN ACCESS EXCLUSIVE MODE")
            other.execute("COMMIT")
            thread.join(20)
            watcher.execute("SELECT pg_stat_clear_snapshot()")
            found = watcher.execute(deadlocks).fetchone()

    [loaded] = loads
    assert found is not None
    assert found[0] >= 1
    assert all(audit.equal for audit in loaded.audits.values())


def test_table_that_stays_locked_is_waited_for_and_then_left(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "LOCK_TIMEOUT", "50ms")
    manifest = second_batch(platform)
    with administrator(platform, settings.WAREHOUSE_DSN) as other:
        other.execute("BEGIN; LOCK warehouse.fact_payment IN SHARE MODE")
        with pytest.raises(LoadError) as error:
            platform.load(manifest)
        other.execute("ROLLBACK")
    assert_exact(platform)

    assert str(error.value) == (
        "Another session has locked a table of the warehouse for over 50ms: nothing of batch"
        f" {manifest.batch} was loaded; the next attempt tries again."
    )


def test_read_only_warehouse_is_a_sentence(platform: Platform) -> None:
    """As a standby is, or a database whose disk is nearly full at a provider."""
    manifest = second_batch(platform)
    read_only = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only TO {}")
    name = sql.Identifier(platform.warehouse_database)
    with administrator(platform, settings.WAREHOUSE_DSN) as admin:
        admin.execute(read_only.format(name, "on"))
    with connect(settings.WAREHOUSE_DSN) as platform.warehouse:
        sentence = refused_load(platform, manifest)
    with administrator(platform, settings.WAREHOUSE_DSN) as admin:
        admin.execute("SET default_transaction_read_only TO off")
        admin.execute(read_only.format(name, "off"))
    with connect(settings.WAREHOUSE_DSN) as platform.warehouse:
        assert_exact(platform)

    assert sentence == (
        f"PostgreSQL stopped the load of batch {manifest.batch} (25006): cannot execute INSERT in a"
        " read-only transaction; point TOTESYS_WAREHOUSE_DSN to the primary, or reset"
        " default_transaction_read_only for the role and the database."
    )


UNEXPECTEDLY = "server closed the connection unexpectedly\n\tThis probably means …\n"

# What libpq says as it says it, what is taken for the reason, and the beginning of what to do.
MESSAGES = [
    # a server that was started again after a power cut, as the rehearsal saw it
    (
        (
            "connection failed: FATAL:  the database system is not yet accepting connections\n"
            "DETAIL:  Consistent recovery state has not been yet reached.\n"
        ),
        "the database system is not yet accepting connections",
        "wait until the server is up",
    ),
    ("FATAL:  the database system is starting up", "is starting up", "wait until"),
    ("FATAL:  the database system is shutting down", "is shutting down", "wait until"),
    ("FATAL:  the database system is in recovery mode", "in recovery mode", "wait until"),
    (
        (
            "FATAL:  terminating connection due to conflict with recovery\n"
            "DETAIL:  User query might have needed to see row versions that must be removed.\n"
            f"HINT:  In a moment you should be able to reconnect.\n{UNEXPECTEDLY}"
        ),
        "terminating connection due to conflict with recovery",
        "the query blocked the standby",
    ),
    (
        f"terminating connection due to administrator command\n{UNEXPECTEDLY}",
        "terminating connection due to administrator command",
        "",
    ),
    (UNEXPECTEDLY, "server closed the connection unexpectedly", "check its log"),
    ("FATAL:  sorry, too many clients already", "too many clients already", "raise that limit"),
    (
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "the SUPERUSER attribute",
        "raise that limit",
    ),
    (
        'FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "x", database "y", no encryption',
        "no encryption",
        "add a line for this role",
    ),
    ("FATAL:  query_wait_timeout", "query_wait_timeout", "the pooler had no session free"),
    (
        (
            'connection failed: connection to server at "::1", port 1 failed: Connection refused\n'
            "\tIs the server running on that host?\n"
            "Multiple connection attempts failed. All failures were:\n"
            '- host: h, port: 1, hostaddr: 127.0.0.1: FATAL:  database "x" does not exist\n'
            "- host: h, port: 1, hostaddr: ::1: Connection refused"
        ),
        'database "x" does not exist',
        "correct the name",
    ),
    ("", "OperationalError", ""),
]


@pytest.mark.parametrize(("text", "said", "to_do"), MESSAGES)
def test_reason_is_what_the_server_said(text: str, said: str, to_do: str) -> None:
    error = psycopg.OperationalError(text)
    why = reason(error)
    what = remedy(error, why, settings.SOURCE_DSN) or ""

    assert why.endswith(said)
    assert "\n" not in why
    assert what.startswith(to_do)
