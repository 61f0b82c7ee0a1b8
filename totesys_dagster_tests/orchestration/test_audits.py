"""The audit of every table: what it asks for, and what is left of one that was cut short."""

from __future__ import annotations

import datetime as dt

import pytest

from totesys_dagster.definitions import defs
from totesys_dagster.errors import CommitConflictError
from totesys_dagster.ingestion import changes
from totesys_dagster.ingestion.capture import open_capture
from totesys_dagster.ingestion.changes import ALTERED, DELETED, MAYBE_DELETED
from totesys_dagster.ingestion.poll import Poll, PollCursor, poll
from totesys_dagster.lake.audits import AuditLog, SourceAudit
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.requests import Requests
from totesys_dagster.orchestration.audits import Audited, audit_all, not_compared
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster.warehouse import audit as audit_module
from totesys_dagster.warehouse.healing import DIFFERED, request_healing
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.ingestion.test_without_a_transaction_id import COPY_OF_PAYMENT
from totesys_dagster_tests.orchestra import Orchestra

START = dt.datetime(2024, 11, 15, 12, tzinfo=dt.UTC)


def audit() -> Audited:
    return audit_all(SourceDatabase(), Lake(), Warehouse(), "test")


def write_audit(platform: Platform) -> SourceAudit:
    """An audit that was killed before it compared anything."""
    with open_capture(
        platform.source, platform.ingestion, run_id="killed", part_bytes=1 << 20, whole=True
    ) as capture:
        return capture.write_audit()


def cut_short(platform: Platform) -> SourceAudit | None:
    return not_compared(platform.warehouse, platform.names, ManifestLog(platform.ingestion))


def compared(platform: Platform) -> list[int]:
    """The numbers of the audit objects that the warehouse was compared with."""
    return [
        n for (n,) in platform.rows("SELECT DISTINCT audit FROM audit WHERE audit > 0 ORDER BY 1")
    ]


def reasons(platform: Platform) -> dict[str, str]:
    """The tables that wait to be read in full, each with the reason."""
    head = ManifestLog(platform.ingestion).head()
    return Requests(platform.ingestion).full_reads(head)


def look(platform: Platform, cursor: PollCursor, seconds: int) -> Poll:
    """The poll that comes so many seconds after the first one."""
    now = START + dt.timedelta(seconds=seconds)
    return poll(platform.source, platform.ingestion, cursor, now)


# An audit that was cut short


def test_audit_that_was_killed_before_it_compared_is_found(platform: Platform) -> None:
    platform.first()
    before = cut_short(platform)
    written = write_audit(platform)
    found = cut_short(platform)
    audit()

    assert before is None
    assert found == written
    assert cut_short(platform) is None


def test_audit_of_an_earlier_batch_is_not_to_be_completed(platform: Platform) -> None:
    """The batch that came since was compared."""
    platform.first()
    write_audit(platform)
    platform.application.execute("UPDATE payment SET paid = TRUE WHERE payment_id = 1")
    platform.capture()
    waits = cut_short(platform)
    platform.process(ManifestLog(platform.ingestion).read(2))
    platform.load(ManifestLog(platform.ingestion).read(2))

    assert (waits, cut_short(platform)) == (None, None)


@pytest.mark.long
def test_next_audit_first_compares_with_the_object_of_the_one_that_was_killed(
    platform: Platform,
) -> None:
    platform.first()
    write_audit(platform)
    found = audit()

    assert found.reason is None
    assert {one.audit for one in found.audits.values() if one.star != "dim_date"} == {2}
    assert compared(platform) == [1, 2]


@pytest.mark.long
def test_difference_that_a_killed_audit_did_not_see_is_asked_for(platform: Platform) -> None:
    platform.first()
    platform.rows("SELECT 1")
    platform.warehouse.execute("UPDATE fact_payment SET paid = TRUE WHERE payment_id = 2")
    write_audit(platform)
    found = audit()

    assert found.reason == "the source has changed, and a batch is due"
    assert compared(platform) == [1]
    assert reasons(platform) == {"payment": DIFFERED}


def test_nothing_is_compared_while_a_batch_is_not_loaded(platform: Platform) -> None:
    none = audit()
    platform.capture()
    waits = audit()

    assert none.reason == waits.reason == "a batch is not loaded yet"
    assert AuditLog(platform.ingestion).end() == 0


# What only an audit finds in the source


def test_rows_that_only_an_audit_finds_altered_open_a_batch(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a table that is swapped by a rename, on a platform that knows of no fingerprint."""
    platform.application.execute(COPY_OF_PAYMENT)
    platform.run()
    monkeypatch.setattr(changes, "_reason", lambda _, __, table, full: full.get(table, ""))
    first = look(platform, PollCursor(), 0)
    platform.application.execute(
        "ALTER TABLE payment RENAME TO payment_old; ALTER TABLE payment_new RENAME TO payment"
    )
    before = look(platform, first.cursor, 5)
    audited = audit()
    after = look(platform, before.cursor, 10)
    loaded = platform.run()

    assert (before.changed, before.audit_due) == ([], True)
    assert audited.reason == "the source has changed, and a batch is due"
    assert after.changed == ["payment"]
    read = ManifestLog(platform.ingestion).read(2).tables["payment"]
    assert (read.read, read.reason) == ("full", ALTERED)
    assert loaded is not None
    assert loaded.tables["fact_payment"].updated == 3
    assert audit().reason is None


@pytest.mark.long
def test_deletions_from_a_large_table_that_an_audit_finds_open_a_batch(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Polls look for them once an hour."""
    monkeypatch.setattr(changes, "LARGE_TABLE_ROWS", -1)
    platform.come_to("first of large tables", Platform.run, source=False)
    first = look(platform, PollCursor(), 0)
    platform.application.execute("DELETE FROM payment WHERE payment_id = 3")
    before = look(platform, first.cursor, 5)
    audit()
    after = look(platform, before.cursor, 10)
    loaded = platform.run()

    assert before.changed == []
    assert after.changed == ["payment"]
    assert ManifestLog(platform.ingestion).read(2).tables["payment"].reason == DELETED
    assert loaded is not None
    assert loaded.tables["fact_payment"].deleted == 1


@pytest.mark.long
def test_row_in_quarantine_makes_a_batch_compare_a_large_table_and_not_read_it(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A payment may have come and gone since the keys were read: no audit object tells of that."""
    monkeypatch.setattr(changes, "LARGE_TABLE_ROWS", -1)
    platform.come_to("first of large tables", Platform.run, source=False)
    platform.application.execute("UPDATE payment SET payment_date = 'soon' WHERE payment_id = 3")
    platform.run()
    first = look(platform, PollCursor(), 0)
    request_healing(platform.warehouse, platform.names, platform.ingestion)
    found = look(platform, first.cursor, 5)
    loaded = platform.run()

    assert first.changed == []
    assert (found.changed, found.audit_due, found.asked) == (["payment"], False, True)
    read = ManifestLog(platform.ingestion).read(3).tables["payment"]
    assert (read.read, read.rows, read.reconcile) == ("delta", 0, True)
    assert loaded is not None
    assert loaded.audits["fact_payment"].equal_without
    assert look(platform, found.cursor, 10).changed == []


@pytest.mark.long
def test_large_table_that_changed_since_its_keys_were_read_is_asked_for_with_its_reason(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person asks for the audit, and no poll would for an hour."""
    monkeypatch.setattr(changes, "LARGE_TABLE_ROWS", -1)
    platform.come_to("first of large tables", Platform.run, source=False)
    platform.application.execute("UPDATE payment SET paid = TRUE WHERE payment_id = 3")
    platform.run()
    found = audit()

    assert found.reason == "the source has changed, and a batch is due"
    assert reasons(platform) == {"payment": MAYBE_DELETED}


def test_change_that_polls_find_by_themselves_is_not_read_in_full(platform: Platform) -> None:
    platform.first()
    platform.application.execute("UPDATE payment SET paid = TRUE WHERE payment_id = 3")
    audited = audit()

    assert audited.reason == "the source has changed, and a batch is due"
    assert reasons(platform) == {}


# Two at once


@pytest.fixture
def overtaken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another audit always writes the next number first."""
    write = AuditLog.write

    def second(log: AuditLog, mine: SourceAudit) -> SourceAudit:
        write(log, mine.model_copy(update={"run_id": "another"}))
        return write(log, mine)

    monkeypatch.setattr(AuditLog, "write", second)


@pytest.mark.long
@pytest.mark.usefixtures("overtaken")
def test_audit_number_is_taken_once(platform: Platform) -> None:
    platform.first()
    with pytest.raises(CommitConflictError) as error:
        write_audit(platform)

    assert str(error.value) == (
        "Audit 1 of the source was not written because another process wrote that number first:"
        " nothing is lost, its result counts."
    )
    assert AuditLog(platform.ingestion).read(1).run_id == "another"


@pytest.mark.long
@pytest.mark.usefixtures("overtaken")
def test_audit_that_is_overtaken_ends_quietly(orchestra: Orchestra) -> None:
    orchestra.platform.first()
    result = defs.resolve_job_def("audit").execute_in_process(instance=orchestra.instance)
    said = [entry.user_message for entry in orchestra.instance.all_logs(result.run_id)]

    assert result.success
    assert result.get_asset_check_evaluations() == []
    assert (
        "Nothing was compared: another audit ran at the same time, and its result counts." in said
    )


@pytest.mark.long
def test_two_audits_compare_with_one_object_and_note_it_once(platform: Platform) -> None:
    """The one that wrote it, and one that found it not compared yet."""
    platform.first()
    write_audit(platform)
    before = AuditLog(platform.ingestion).read(1)
    audit()
    rows = platform.rows("SELECT * FROM audit WHERE audit = 1")
    with platform.warehouse.transaction():
        audit_module.audit_source(platform.warehouse, platform.names, before)

    assert platform.rows("SELECT * FROM audit WHERE audit = 1") == rows
