"""The verification: a sound platform passes, and each kind of damage is found and named.

The first finding is the first link of the chain that is broken.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from totesys_dagster import settings
from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.errors import LakeError
from totesys_dagster.lake import key_sets, references
from totesys_dagster.lake.key_sets import KeyObject
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.lake.receipt import Receipt, read_receipt, receipt_key
from totesys_dagster.lake.requests import Requests, put_full_read
from totesys_dagster.lake.schemas import Schema, read_schema, schema_key
from totesys_dagster.lake.store import Store, sha256
from totesys_dagster.operations import verify as verify_module
from totesys_dagster.operations.verify import Verification, due_at_night, verify
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import DELETE_ORDER_1, EDIT_ORDER_1, new_design
from totesys_dagster_tests.hand_made import manifest_key, marker_key
from totesys_dagster_tests.orchestra import damage


@pytest.fixture
def sound(platform: Platform) -> Platform:
    """A platform with four batches; the third one has deletions and a row in quarantine."""
    platform.come_to("sound", four_batches)
    return platform


def four_batches(platform: Platform) -> None:
    platform.first()
    platform.application.execute(EDIT_ORDER_1)
    platform.run()
    platform.application.execute(DELETE_ORDER_1)
    platform.application.execute("INSERT INTO currency VALUES (4, 'ZZZ', now(), now())")
    platform.run()
    platform.application.execute("DELETE FROM currency WHERE currency_id = 4")
    platform.run()


def verification(platform: Platform) -> Verification:
    return verify(platform.warehouse, platform.names, platform.ingestion, platform.processed)


def batch(platform: Platform, sequence: int) -> Manifest:
    return ManifestLog(platform.ingestion).read(sequence)


def findings_after(platform: Platform, store: Store, key: str, data: bytes | None) -> list[str]:
    """What the verification finds while one object is damaged."""
    with damage(store, key, data):
        return verification(platform).findings


def edited(platform: Platform, sequence: int) -> bytes:
    """A manifest in which somebody changed a word."""
    text = platform.ingestion.get(manifest_key(sequence))
    assert b'"run_id": "test"' in text
    return text.replace(b'"run_id": "test"', b'"run_id": "tset"')


def test_sound_platform_passes(sound: Platform) -> None:
    found = verification(sound)

    assert found.findings == []
    assert found.passed
    assert (found.batches, found.deliveries, found.audits) == (4, 0, len(STAR_TABLES))
    assert found.objects > 35
    assert found.bytes > 10_000


def test_platform_without_a_batch_passes(platform: Platform) -> None:
    assert verification(platform) == Verification()


def test_batches_that_are_not_processed_yet_pass(platform: Platform) -> None:
    platform.first()
    platform.application.execute(EDIT_ORDER_1)
    platform.capture()

    assert verification(platform).passed


def test_progress_is_told(sound: Platform) -> None:
    said: list[tuple[int, int]] = []
    verify(
        sound.warehouse,
        sound.names,
        sound.ingestion,
        sound.processed,
        lambda done, all_: said.append((done, all_)),
    )

    assert said == [(1, 4), (2, 4), (3, 4), (4, 4)]


# The log


def broken_link_to(manifest: Manifest) -> str:
    return (
        f"Batch {manifest.sequence} ({manifest.batch}) does not follow from the batch before it:"
        " one of the two manifests was changed after it was written."
    )


def broken_marker_of(platform: Platform, sequence: int) -> str:
    return (
        f"{platform.ingestion.uri(manifest_key(sequence))} is not what was committed, as"
        f" {marker_key(sequence)} tells: one of the two was changed after it was written; restore"
        " it from the bucket's older versions."
    )


@pytest.mark.long
def test_manifest_that_was_edited_is_named_first(sound: Platform) -> None:
    """The last one has no successor whose hash would tell; the warehouse's ledger does."""
    for sequence in (1, 2, 4):
        found = findings_after(
            sound, sound.ingestion, manifest_key(sequence), edited(sound, sequence)
        )
        assert found[0] == (
            f"Batch {sequence} ({batch(sound, sequence).batch}) is not the one that the warehouse"
            " loaded: its manifest was changed after it was written, or the warehouse was loaded"
            " from another lake."
        )
        after = [] if sequence == 4 else [broken_link_to(batch(sound, sequence + 1))]
        assert found[1:] == [broken_marker_of(sound, sequence), *after]


def test_break_in_the_chain_is_named_though_nothing_is_loaded(platform: Platform) -> None:
    platform.first_capture()
    platform.application.execute(EDIT_ORDER_1)
    platform.capture()
    found = findings_after(platform, platform.ingestion, manifest_key(1), edited(platform, 1))

    assert found == [broken_marker_of(platform, 1), broken_link_to(batch(platform, 2))]


def test_manifest_that_cannot_be_read_is_named(sound: Platform) -> None:
    for key in map(manifest_key, (1, 2, 4)):
        [finding] = findings_after(sound, sound.ingestion, key, b"{}")
        assert finding.startswith(
            f"{sound.ingestion.uri(key)} is not a manifest of format 3 (sequence: Field required)"
        )


@pytest.mark.long
def test_manifest_that_was_removed_is_named(sound: Platform) -> None:
    """The log may even look shorter, or empty, for it: the warehouse knows better."""
    for key in map(manifest_key, (1, 2, 4)):
        [finding] = findings_after(sound, sound.ingestion, key, None)
        assert finding.startswith(f"{sound.ingestion.uri(key)} does not exist")


@pytest.mark.parametrize("at_once", [1, 8])
def test_several_damages_are_named_in_the_order_of_the_log(
    at_once: int, sound: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_module, "AT_ONCE", at_once)
    rows = batch(sound, 1).tables["design"].objects[0].key
    manifest = manifest_key(2)
    later = batch(sound, 3).tables["currency"].objects[0].key
    with damage(sound.ingestion, later, None), damage(sound.ingestion, manifest, b"{}"):
        found = findings_after(sound, sound.ingestion, rows, None)

    assert [finding.split()[0] for finding in found] == [
        sound.ingestion.uri(key) for key in (rows, manifest, later)
    ]


# Objects


def test_object_of_the_ingestion_zone_that_is_damaged_is_named(sound: Platform) -> None:
    key = batch(sound, 2).tables["sales_order"].objects[0].key
    uri = sound.ingestion.uri(key)
    [changed] = findings_after(sound, sound.ingestion, key, b"[[1,2]]")
    [removed] = findings_after(sound, sound.ingestion, key, None)

    assert changed.startswith(f"{uri} does not have the SHA-256 that its manifest records")
    assert removed.startswith(f"{uri} does not exist")


@pytest.mark.long
def test_key_set_that_is_damaged_is_named(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the keys that a table had, and of those that are gone from it."""
    monkeypatch.setattr(key_sets, "FEW_RANGES", 0)
    platform.run()
    platform.application.execute(DELETE_ORDER_1)
    platform.run()
    gone = batch(platform, 2).tables["payment"].deleted_keys
    assert gone is not None
    for key in (batch(platform, 1).tables["payment"].keys.key, gone.key):
        assert key is not None
        uri = platform.ingestion.uri(key)
        other = KeyObject(ranges=((7, 9),)).to_bytes()
        [changed] = findings_after(platform, platform.ingestion, key, other)
        [removed] = findings_after(platform, platform.ingestion, key, None)
        assert changed.startswith(f"{uri} is not the set of ")
        assert removed.startswith(f"{uri} does not exist")


def test_list_that_rows_are_judged_by_is_verified(sound: Platform) -> None:
    [key] = sound.ingestion.list("references")
    uri = sound.ingestion.uri(key)
    other = references.Reference(name="currencies", values={"GBP": "Pound"}).to_bytes()
    [changed] = findings_after(sound, sound.ingestion, key, other)
    [removed] = findings_after(sound, sound.ingestion, key, None)

    assert changed.startswith(f"{uri} does not have the SHA-256 that its manifest records")
    assert removed.startswith(f"{uri} does not exist")


def test_schema_that_is_damaged_is_named(sound: Platform) -> None:
    sha = batch(sound, 1).tables["design"].schema_sha256
    key = schema_key("design", sha)
    uri = sound.ingestion.uri(key)
    [changed] = findings_after(sound, sound.ingestion, key, b"{}")
    [removed] = findings_after(sound, sound.ingestion, key, None)

    assert changed.startswith(f"{uri} is not a schema of format 3")
    assert removed.startswith(f"{uri} does not exist")


@pytest.mark.parametrize(
    ("table", "columns"),
    [("staff", (("design_id", "integer", True),)), ("design", (("design_id", "text", True),))],
)
def test_schema_of_another_table_or_hash_is_refused(
    table: str, columns: tuple[tuple[str, str, bool], ...], tmp_path: Path
) -> None:
    store = Store(tmp_path.as_uri(), settings.INGESTION_URL)
    right = Schema(table="design", columns=(("design_id", "integer", True),), shape={}).to_bytes()
    wrong = Schema(table=table, columns=columns, shape={}).to_bytes()
    store.put(schema_key("design", sha256(right)), wrong)

    with pytest.raises(LakeError, match="does not have the SHA-256 that its manifest records"):
        read_schema(store, "design", sha256(right))


def test_schema_that_a_capture_wrote_is_read(sound: Platform) -> None:
    sha = batch(sound, 1).tables["currency"].schema_sha256

    assert read_schema(sound.ingestion, "currency", sha).columns[:2] == (
        ("currency_id", "integer", True),
        ("currency_code", "character varying(3)", True),
    )


def test_object_of_the_processed_zone_that_is_damaged_is_named(sound: Platform) -> None:
    def receipt(star: str, sequence: int) -> Receipt:
        found = read_receipt(sound.processed, STAR_TABLES[star], batch(sound, sequence))
        assert found is not None
        return found

    for entry in (
        receipt("fact_sales_order", 2).objects[0],
        receipt("dim_currency", 3).quarantine[0],
    ):
        uri = sound.processed.uri(entry.key)
        [changed] = findings_after(sound, sound.processed, entry.key, b"damaged")
        [removed] = findings_after(sound, sound.processed, entry.key, None)
        assert changed.startswith(f"{uri} does not have the SHA-256 that its manifest records")
        assert removed.startswith(f"{uri} does not exist")


def test_receipt_that_is_damaged_is_named(sound: Platform) -> None:
    key = receipt_key(STAR_TABLES["fact_sales_order"], batch(sound, 2).batch)
    [changed] = findings_after(sound, sound.processed, key, b"{}")
    [removed] = findings_after(sound, sound.processed, key, None)

    assert changed.startswith(f"{sound.processed.uri(key)} is not a receipt")
    assert removed == (
        f"Batch {batch(sound, 2).batch} is in the warehouse, but fact_sales_order of it is not in"
        f" {sound.processed.url}: TOTESYS_PROCESSED_URL points to another place, or the receipt was"
        " removed, and `totesys verify --repair` re-creates it."
    )


# The warehouse


def test_last_audit_that_failed_is_named(sound: Platform) -> None:
    """The earlier one of dim_currency failed, too, but a later batch mended what it found."""
    sound.application.execute("UPDATE payment SET payment_date = 'soon' WHERE payment_id = 3")
    sound.run()

    assert verification(sound).findings == [
        "fact_payment does not equal the source as of batch 5: 2 rows expected, 2 found."
    ]


@pytest.mark.long
def test_table_that_equals_but_for_rows_in_quarantine_is_named_so(sound: Platform) -> None:
    sound.application.execute("UPDATE payment SET payment_date = 'soon' WHERE payment_id = 3")
    sound.run()
    sound.audit()  # asks for a digest without that row
    sound.audit()

    [finding] = verification(sound).findings
    assert finding == (
        "fact_payment does not equal the source as of batch 5, except for 1 row in"
        " quarantine: 2 rows expected, 2 found."
    )


@pytest.mark.long
def test_receipt_that_was_exchanged_is_named(sound: Platform) -> None:
    """The ledger has the hash of each receipt that was loaded."""
    star = STAR_TABLES["fact_sales_order"]
    key = receipt_key(star, batch(sound, 2).batch)
    loaded = read_receipt(sound.processed, star, batch(sound, 2))
    assert loaded is not None
    other = loaded.to_bytes() + b"\n"
    of_batch_1 = sound.processed.get(receipt_key(star, batch(sound, 1).batch))
    of_another_star = sound.processed.get(receipt_key(STAR_TABLES["dim_date"], loaded.batch))
    [edited_] = findings_after(sound, sound.processed, key, other)
    [older] = findings_after(sound, sound.processed, key, of_batch_1)
    [strange] = findings_after(sound, sound.processed, key, of_another_star)

    uri = sound.processed.uri(key)
    assert edited_ == (
        f"{uri} is not the receipt that the warehouse loaded: it was changed after it was written,"
        " and `totesys verify --repair` re-creates it; or its row in the ledger was, and"
        " `totesys rebuild` restores that."
    )
    assert older.startswith(f"{uri} was made from another batch of the same name")
    assert strange.startswith(f"{uri} says that it is of dim_date: it was moved")


def test_commit_marker_that_was_exchanged_is_named(sound: Platform) -> None:
    """Also that of the newest batch, on which no other one builds yet."""
    for sequence in (2, 4):
        other = sound.ingestion.get(marker_key(sequence - 1))
        found = findings_after(sound, sound.ingestion, marker_key(sequence), other)
        assert found == [broken_marker_of(sound, sequence)]


def test_commit_marker_that_is_damaged_is_named(sound: Platform) -> None:
    [finding] = findings_after(sound, sound.ingestion, marker_key(2), b"{}")

    assert finding.startswith(
        f"{sound.ingestion.uri(marker_key(2))} is not a commit marker of format 3"
    )


@pytest.mark.long
def test_request_that_was_exchanged_or_damaged_is_named(sound: Platform) -> None:
    """One that was answered long ago, too, which no poll reads any more."""
    put_full_read(sound.ingestion, "staff", 1, "it was asked for")
    put_full_read(sound.ingestion, "design", 1, "it was asked for")
    for stars in ({"fact_payment": (3,)}, {}):
        Requests(sound.ingestion).put_without(stars)
    sound.run()
    assert verification(sound).findings == []
    _, design, staff, first, second = sound.ingestion.list("requests")

    for key, other in ((staff, design), (first, second)):
        [exchanged] = findings_after(sound, sound.ingestion, key, sound.ingestion.get(other))
        [damaged] = findings_after(sound, sound.ingestion, key, b"{}")
        uri = sound.ingestion.uri(key)
        assert exchanged.startswith(
            (f"{uri} asks for design after", f"{uri} says that it is number 2")
        )
        assert "it was moved" in exchanged
        assert damaged.startswith(f"{uri} is not a ")


@pytest.mark.long
def test_audit_object_that_was_exchanged_is_named(sound: Platform) -> None:
    """Though it is the newest one, which no other one names."""
    sound.audit()
    sound.application.execute(new_design(9))
    sound.run()
    sound.audit()
    key = "audits/totesys/0000000002.json"
    older = sound.ingestion.get("audits/totesys/0000000001.json")
    heads = [batch(sound, sequence).sha256.encode() for sequence in (5, 4)]
    of_another_batch = sound.ingestion.get(key).replace(*heads)
    [moved] = findings_after(sound, sound.ingestion, key, older)
    [other] = findings_after(sound, sound.ingestion, key, of_another_batch)

    assert moved.startswith(f"{sound.ingestion.uri(key)} says that it is number 1 of totesys")
    assert other.startswith("Audit 2 of the source was taken after another batch 0000000005 than")


@pytest.mark.long
def test_newest_audit_object_that_was_edited_or_removed_is_named(sound: Platform) -> None:
    """No later one tells; the warehouse, which was compared with it, does."""
    sound.audit()
    key = "audits/totesys/0000000001.json"
    forged = sound.ingestion.get(key).replace(b'"audit"', b'"tidua"')
    [edited_] = findings_after(sound, sound.ingestion, key, forged)
    [removed] = findings_after(sound, sound.ingestion, key, None)

    assert edited_.startswith(
        "Audit 1 of the source is not the one that the warehouse was compared"
    )
    assert removed.startswith(f"{sound.ingestion.uri(key)} does not exist")


@pytest.mark.long
def test_audit_object_that_was_edited_breaks_its_chain(sound: Platform) -> None:
    for _ in range(3):
        sound.audit()
    key = "audits/totesys/0000000002.json"
    forged = sound.ingestion.get(key).replace(b'"audit"', b'"tidua"')
    [edited_] = findings_after(sound, sound.ingestion, key, forged)
    [damaged] = findings_after(sound, sound.ingestion, key, b"{}")

    assert edited_.startswith("Audit 3 of the source does not follow from the previous one")
    assert damaged.startswith(f"{sound.ingestion.uri(key)} is not a source audit of format 3")


def test_lake_that_cannot_be_reached_is_an_error(sound: Platform, tmp_path: Path) -> None:
    """And no list of every object in it."""
    (tmp_path / "a file").touch()
    sound.ingestion = Store((tmp_path / "a file").as_uri(), settings.INGESTION_URL)

    with pytest.raises(LakeError, match=r"TOTESYS_INGESTION_URL .* cannot be used"):
        verification(sound)


def test_outage_in_the_middle_is_an_error_and_no_damage(
    sound: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every object after it would be called damaged."""

    def stop(done: int, _all: int) -> None:
        if done == 1:
            (tmp_path / "processed").rename(tmp_path / "away")
            (tmp_path / "processed").touch()

    monkeypatch.setattr(verify_module, "AT_ONCE", 1)
    with pytest.raises(LakeError, match=r"TOTESYS_PROCESSED_URL .* cannot be used"):
        verify(sound.warehouse, sound.names, sound.ingestion, sound.processed, stop)


def test_warehouse_that_has_no_tables_yet_passes(platform: Platform) -> None:
    platform.first_capture()
    platform.warehouse.execute("DROP SCHEMA warehouse, warehouse_bookkeeping CASCADE")

    assert verification(platform).findings == []


@pytest.mark.parametrize("night", range(3))
def test_short_log_is_due_as_a_whole_each_night(night: int) -> None:
    numbers = [n for block in due_at_night(2500, 3000, night) for n in block]

    assert numbers == list(range(1, 2501))


def test_long_log_is_due_in_turn() -> None:
    nights = [due_at_night(100_500, 30_000, night) for night in range(4)]
    numbers = [{n for block in blocks for n in block} for blocks in nights]

    assert set.union(*numbers) == set(range(1, 100_501))
    assert all(len(found) < 30_000 for found in numbers)
    assert all(set(range(99_001, 100_501)) <= found for found in numbers)


def test_empty_log_has_nothing_due() -> None:
    assert due_at_night(0, 1000, 0) == []


def test_first_batch_of_a_block_is_compared_with_the_one_before(sound: Platform) -> None:
    forged = edited(sound, 2)
    with damage(sound.ingestion, manifest_key(2), forged):
        found = verify(
            sound.warehouse,
            sound.names,
            sound.ingestion,
            sound.processed,
            blocks=lambda last: [range(3, last + 1)],
        )

    assert found.batches == 2
    [finding] = found.findings
    assert "does not follow from the batch before it" in finding
    assert finding.startswith("Batch 3 ")
