"""The log of manifests: batches that exist once, in one order, each vouching for the one before."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from totesys_dagster.errors import CommitConflictError, LakeError, ObjectMissingError
from totesys_dagster.lake import log as log_module
from totesys_dagster.lake.key_sets import key_set
from totesys_dagster.lake.manifest import Manifest, ManifestLog, Snapshot, batch_key
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.store import Store, sha256
from totesys_dagster.settings import INGESTION_URL
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.counting_store import CountingStore
from totesys_dagster_tests.hand_made import entry, manifest, manifest_key, marker_key, overwrite
from totesys_dagster_tests.landing import by_night

LONGEST_LOG = 70


def numbers(manifests: Iterable[Manifest | None]) -> list[int]:
    """The batches by their numbers; 0 for none."""
    return [manifest.sequence if manifest else 0 for manifest in manifests]


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A log of 70 batches, which no test adds to."""
    store = Store(tmp_path_factory.mktemp("long log").as_uri(), INGESTION_URL)
    for sequence in range(1, LONGEST_LOG + 1):
        ManifestLog(store).commit(manifest(sequence))
    return store


@pytest.fixture
def forgetful() -> Iterator[Callable[[], None]]:
    """Makes this process forget where logs ended, as if it were a new one."""
    log_module._ends.clear()
    yield log_module._ends.clear
    log_module._ends.clear()


def test_committed_batch_comes_back_as_it_was(store: Store) -> None:
    part = ObjectEntry(key="rows/t/part-00000-aa.jsonl.zst", rows=3, bytes=9, sha256="aa")
    gone = key_set("staff", [(3, 5)])
    original = manifest(
        1, {"staff": entry(read="full", rows=3, objects=(part,), deleted_keys=gone)}
    )
    ManifestLog(store).commit(original)

    read = ManifestLog(store).read(1)

    assert read.to_bytes() == original.to_bytes()
    assert read.tables["staff"].objects == (part,)
    assert read.tables["staff"].deleted == 3


def test_manifest_is_readable_json_under_its_number(directory: Store) -> None:
    ManifestLog(directory).commit(manifest(1))

    stored = json.loads(directory.get("manifests/totesys/0000000001.json"))
    assert (stored["format"], stored["log"], stored["sequence"]) == (3, "totesys", 1)


def test_hash_is_that_of_the_stored_object(store: Store) -> None:
    committed = ManifestLog(store).commit(manifest(1))

    assert committed.sha256 == sha256(store.get("manifests/totesys/0000000001.json"))


def test_each_manifest_names_the_hash_of_the_one_before(platform: Platform) -> None:
    for city in ("Leeds", "Manchester", "Leeds"):
        platform.application.execute("UPDATE department SET location = %s", [city])
        platform.capture()

    stored = [
        platform.ingestion.get(f"manifests/totesys/{number:010d}.json")
        for number in range(1, 3 + 1)
    ]
    assert [json.loads(data).get("previous_sha256") for data in stored] == [
        None,
        sha256(stored[0]),
        sha256(stored[1]),
    ]


def test_changed_manifest_breaks_the_chain(directory: Store) -> None:
    first = ManifestLog(directory).commit(manifest(1))
    overwrite(directory, manifest_key(1), manifest(1).to_bytes().replace(b"by hand", b"forged"))

    assert ManifestLog(directory).read(1).sha256 != first.sha256


def test_empty_log_has_no_head(store: Store) -> None:
    assert ManifestLog(store).head() is None


def test_head_is_the_last_of_any_number_of_batches(
    directory: Store, forgetful: Callable[[], None]
) -> None:
    watcher = ManifestLog(directory)  # looks after each commit
    for sequence in range(1, LONGEST_LOG + 1):
        ManifestLog(directory).commit(manifest(sequence))
        seen_by_others = numbers([ManifestLog(directory).head(), watcher.head()])
        forgetful()
        newcomer = ManifestLog(directory)  # looks for the first time

        assert [*seen_by_others, *numbers([newcomer.head()])] == [sequence] * 3


@pytest.mark.parametrize("seen", by_night(range(0, LONGEST_LOG, 7), but=[0, 4, 9]))
def test_head_is_found_from_wherever_the_log_was_last_seen(seen: int, directory: Store) -> None:
    log = ManifestLog(directory)
    for sequence in range(1, seen + 1):
        log.commit(manifest(sequence))
    log.head()
    for sequence in range(seen + 1, LONGEST_LOG + 1):
        ManifestLog(directory).commit(manifest(sequence))

    assert numbers([log.head()]) == [LONGEST_LOG]


def test_head_of_a_long_log_takes_few_looks(long_log: Store, forgetful: Callable[[], None]) -> None:
    forgetful()
    store = CountingStore(long_log.url, INGESTION_URL)
    log = ManifestLog(store)

    def looks(log: ManifestLog) -> int:
        store.asked = 0
        log.head()
        return store.asked

    assert looks(log) <= 15  # out and back: 2 log2(70), and the manifest itself
    assert looks(log) == 2  # the next manifest, and its marker
    assert looks(ManifestLog(store)) == 4  # whether the last one is there still, and that one


def test_log_that_became_another_is_searched_anew(directory: Store) -> None:
    """As when a bucket was emptied and filled again while the process went on."""
    for sequence in (1, 2, 3):
        ManifestLog(directory).commit(manifest(sequence))
    ManifestLog(directory).head()
    for number in (2, 3):
        for key in (manifest_key(number), marker_key(number)):
            Path(unquote(urlsplit(directory.url).path), key).unlink()

    assert numbers([ManifestLog(directory).head()]) == [1]


def test_newest_batches_are_found_with_few_looks(long_log: Store) -> None:
    store = CountingStore(long_log.url, INGESTION_URL)
    ManifestLog(store).head()
    store.asked = 0

    ManifestLog(store).find(batch_key(LONGEST_LOG))
    assert store.asked == 4  # it is the head

    store.asked = 0
    ManifestLog(store).find(batch_key(LONGEST_LOG - 3))
    assert store.asked <= 4 + 5


def test_head_on_s3(bucket: Store) -> None:
    for sequence in (1, 2, 3, 4, 5):
        ManifestLog(bucket).commit(manifest(sequence))

    assert numbers([ManifestLog(bucket).head()]) == [5]


def test_every_batch_is_found_by_its_key(long_log: Store) -> None:
    log = ManifestLog(long_log)

    found = [log.find(batch_key(number)) for number in range(1, LONGEST_LOG + 1)]

    assert numbers(found) == list(range(1, LONGEST_LOG + 1))


@pytest.mark.parametrize(
    "key", [batch_key(0), batch_key(71), "9999999999", "71", "2026-11-23T09-15-00Z", ""]
)
def test_batch_that_is_not_there_is_named_with_the_setting(key: str, long_log: Store) -> None:
    with pytest.raises(ObjectMissingError) as error:
        ManifestLog(long_log).find(key)

    assert str(error.value) == (
        f"Batch {key} is not in the lake at {long_log.url}: it was never committed, or"
        f" {INGESTION_URL} points to another lake."
    )


def test_nothing_is_found_in_an_empty_log(directory: Store) -> None:
    with pytest.raises(ObjectMissingError, match="was never committed"):
        ManifestLog(directory).find(batch_key(1))


def test_after_gives_the_later_batches_in_order(long_log: Store) -> None:
    assert numbers(ManifestLog(long_log).after(66)) == [67, 68, 69, 70]


def test_after_zero_gives_all_batches(long_log: Store) -> None:
    assert numbers(ManifestLog(long_log).after(0)) == list(range(1, LONGEST_LOG + 1))


@pytest.mark.parametrize("sequence", [70, 71])
def test_after_the_last_comes_nothing(sequence: int, long_log: Store) -> None:
    assert list(ManifestLog(long_log).after(sequence)) == []


@pytest.mark.parametrize(
    ("running", "covered"),
    [
        ((), True),  # all that ran then has ended
        ((7,), True),  # ran then, and does still
        ((9, 12), True),  # began after it
        ((5,), False),  # had ended by then: this snapshot is older
    ],
)
def test_snapshot_covers_another_that_saw_no_more(running: tuple[int, ...], covered: bool) -> None:
    other = Snapshot(xmin=7, xmax=9, running=(7,))

    assert Snapshot(xmin=5, xmax=13, running=running).covers(other) is covered
    assert not Snapshot(xmin=8, xmax=8, running=()).covers(other)


def test_batches_that_were_passed_are_not_kept_in_memory(long_log: Store) -> None:
    log = ManifestLog(long_log)
    passed = [weakref.ref(manifest) for manifest in log.after(0)]
    gc.collect()

    assert sum(manifest() is not None for manifest in passed) <= 2


def test_next_batches_are_fetched_while_one_is_read(
    long_log: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, two = Store.get, threading.Barrier(2)

    def together(store: Store, key: str) -> bytes:
        two.wait(timeout=10)  # for the fetch of another
        return get(store, key)

    monkeypatch.setattr(Store, "get", together)

    assert numbers(ManifestLog(long_log).after(66)) == [67, 68, 69, 70]


def test_nothing_was_deleted_from_a_table_that_was_declared_later(directory: Store) -> None:
    assert ManifestLog(directory).deleted(manifest(2), "declared_later") == 0


def test_after_in_an_empty_log_is_nothing(directory: Store) -> None:
    assert list(ManifestLog(directory).after(0)) == []


def other_capture(sequence: int, run: str) -> Manifest:
    return manifest(sequence).model_copy(update={"run_id": run})


def test_number_is_taken_once(store: Store) -> None:
    ManifestLog(store).commit(other_capture(1, "first"))

    with pytest.raises(CommitConflictError, match="another capture took sequence 1 first"):
        ManifestLog(store).commit(other_capture(1, "second"))
    assert ManifestLog(store).read(1).run_id == "first"


def test_of_concurrent_captures_one_commits(store: Store) -> None:
    def commit(run: int) -> str | None:
        try:
            return ManifestLog(store).commit(other_capture(1, f"run {run}")).run_id
        except CommitConflictError:
            return None

    with ThreadPoolExecutor(8) as pool:
        committed = [run for run in pool.map(commit, range(16)) if run]

    assert committed == [ManifestLog(store).read(1).run_id]


def test_commit_whose_acknowledgement_was_lost_can_be_repeated(store: Store) -> None:
    first = ManifestLog(store).commit(manifest(1))

    assert ManifestLog(store).commit(manifest(1)).sha256 == first.sha256


def test_missing_manifest_is_named(directory: Store) -> None:
    with pytest.raises(ObjectMissingError, match=r"totesys/0000000001\.json does not exist"):
        ManifestLog(directory).read(1)


def test_document_of_an_earlier_format_says_how_to_start_anew(directory: Store) -> None:
    earlier = manifest(1).to_bytes().replace(b'"format": 3', b'"format": 1')
    directory.put(manifest_key(1), earlier)

    with pytest.raises(LakeError, match=r"is of format 1, .*: start again with empty zones"):
        ManifestLog(directory).head()


def test_lake_of_the_earlier_form_is_not_taken_for_an_empty_one(directory: Store) -> None:
    """Its manifests lay elsewhere: a new log beside them would make two lakes of one place."""
    directory.put("manifests/0000000001.json", b'{"format": 1}')

    with pytest.raises(LakeError, match=r"is of format 1, .*: start again with empty zones"):
        ManifestLog(directory).head()


def test_unknown_field_asks_for_an_upgrade(directory: Store) -> None:
    newer = manifest(1).to_bytes().replace(b'"run_id"', b'"colour": "blue", "run_id"')
    directory.put(manifest_key(1), newer)

    with pytest.raises(LakeError, match=r"\(colour: .*upgrade\.$"):
        ManifestLog(directory).read(1)


@pytest.mark.parametrize("damage", [b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"format": 3}'])
def test_damaged_manifest_is_named_in_one_sentence(damage: bytes, directory: Store) -> None:
    directory.put(manifest_key(1), damage)

    with pytest.raises(LakeError) as error:
        ManifestLog(directory).read(1)

    assert str(error.value).startswith(f"{directory.uri(manifest_key(1))} is not a manifest")
    assert "\n" not in str(error.value)


def test_truncated_manifest_is_named(directory: Store) -> None:
    directory.put(manifest_key(1), manifest(1).to_bytes()[:-30])

    with pytest.raises(LakeError, match=r"0000000001\.json is not a manifest .* damaged"):
        ManifestLog(directory).read(1)


def test_moved_manifest_is_named(directory: Store) -> None:
    ManifestLog(directory).commit(manifest(1))
    directory.put(manifest_key(2), manifest(1).to_bytes())

    with pytest.raises(LakeError, match=r"0000000002\.json says that it is number 1 of"):
        ManifestLog(directory).head()
