"""Objects that are written once, on a directory and on S3 alike."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from totesys_dagster.errors import LakeError, ObjectConflictError, ObjectMissingError
from totesys_dagster.lake.store import Store, sha256
from totesys_dagster.settings import INGESTION_URL
from totesys_dagster_tests.lake.conftest import proven
from totesys_dagster_tests.object_store import ObjectStore


def test_object_comes_back_as_it_was_written(store: Store) -> None:
    store.put("rows/sales_order/part-00000.jsonl.zst", b"\x00\xff\r\n")

    assert store.get("rows/sales_order/part-00000.jsonl.zst") == b"\x00\xff\r\n"


def test_empty_object_is_an_object(store: Store) -> None:
    store.put("empty", b"")

    assert store.get("empty") == b""


def test_writing_the_same_content_again_is_no_conflict(store: Store) -> None:
    store.put("manifests/0000000001.json", b"one")
    store.put("manifests/0000000001.json", b"one")

    assert store.get("manifests/0000000001.json") == b"one"


def test_other_content_is_refused_and_the_first_stays(store: Store) -> None:
    store.put("manifests/0000000001.json", b"one")

    with pytest.raises(ObjectConflictError, match=r"0000000001\.json exists with other content"):
        store.put("manifests/0000000001.json", b"two")
    assert store.get("manifests/0000000001.json") == b"one"


def test_of_concurrent_writers_exactly_one_wins(store: Store) -> None:
    def write(writer: int) -> int | None:
        try:
            store.put("manifests/0000000001.json", b"writer %d" % writer)
        except ObjectConflictError:
            return None
        return writer

    with ThreadPoolExecutor(8) as pool:
        winners = [winner for winner in pool.map(write, range(24)) if winner is not None]

    assert len(winners) == 1
    assert store.get("manifests/0000000001.json") == b"writer %d" % winners[0]


def test_concurrent_writers_of_the_same_content_all_succeed(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        for written in [pool.submit(store.put, "keys/1.json", b"[[1,2]]") for _ in range(24)]:
            written.result()

    assert store.get("keys/1.json") == b"[[1,2]]"


def test_missing_object_is_named_with_the_setting(store: Store) -> None:
    with pytest.raises(ObjectMissingError) as error:
        store.get("manifests/0000000009.json")

    assert store.uri("manifests/0000000009.json") in str(error.value)
    assert INGESTION_URL in str(error.value)


def test_exists_tells_what_was_written(store: Store) -> None:
    store.put("manifests/0000000001.json", b"one")

    assert store.exists("manifests/0000000001.json")
    assert not store.exists("manifests/0000000002.json")


def test_folder_of_an_object_is_no_object(store: Store) -> None:
    store.put("manifests/0000000001.json", b"one")

    assert not store.exists("manifests")


def test_list_gives_the_keys_under_a_prefix_in_order(store: Store) -> None:
    for key in ("requests/2/b.json", "requests/2.json", "requests/2/a.json", "requests/10/c.json"):
        store.put(key, b"")
    store.put("other/d.json", b"")

    assert store.list("requests") == [
        "requests/10/c.json",
        "requests/2.json",
        "requests/2/a.json",
        "requests/2/b.json",
    ]


def test_list_of_nothing_is_empty(store: Store) -> None:
    assert store.list("requests") == []


def test_check_of_an_empty_place_passes_and_writes_nothing(store: Store) -> None:
    store.check()

    assert store.list("") == []


def test_keys_with_special_characters_come_back(store: Store) -> None:
    keys = ["batch=2026-11-23T09-15-00Z/a b%20c#d?e.json", "batch=2026-11-23T09-15-00Z/ü€.json"]
    for key in keys:
        store.put(key, key.encode())

    assert store.list("batch=2026-11-23T09-15-00Z") == sorted(keys)
    assert [store.get(key) for key in keys] == [key.encode() for key in keys]


def test_two_prefixes_of_one_bucket_do_not_see_each_other(s3: ObjectStore) -> None:
    ingestion = proven(Store(f"s3://{s3.bucket}/side-by-side/ingestion", INGESTION_URL))
    processed = Store(f"s3://{s3.bucket}/side-by-side/processed", INGESTION_URL)
    ingestion.put("manifests/0000000001.json", b"one")

    assert not processed.exists("manifests/0000000001.json")
    assert processed.list("manifests") == []


def test_uri_is_the_url_with_the_key(s3: ObjectStore) -> None:
    store = Store(f"s3://{s3.bucket}/ingestion/", INGESTION_URL)

    assert store.uri("manifests/1.json") == f"s3://{s3.bucket}/ingestion/manifests/1.json"


def every_failure(store: Store) -> list[str]:
    """What each operation says on a place that cannot be used at all."""
    messages = []
    for operation in (
        store.check,
        lambda: store.put("manifests/0000000001.json", b"one"),
        lambda: store.get("manifests/0000000001.json"),
        lambda: store.exists("manifests/0000000001.json"),
        lambda: store.list("manifests"),
    ):
        with pytest.raises(LakeError) as error:
            operation()
        messages.append(str(error.value))
    return messages


def assert_sentence(message: str) -> None:
    """One line that begins with the setting, says what to do, and is no XML."""
    assert message.startswith(f"{INGESTION_URL} (s3://")
    assert message.endswith("then run again.")
    assert "\n" not in message
    assert "<" not in message


def test_wrong_secret_gives_a_sentence_without_the_secret(
    s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-right-one")

    for message in every_failure(Store(f"s3://{s3.bucket}", INGESTION_URL)):
        assert_sentence(message)
        assert "not-the-right-one" not in message


def test_wrong_secret_is_named_as_the_reason(
    s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-right-one")

    with pytest.raises(LakeError, match="SignatureDoesNotMatch"):
        Store(f"s3://{s3.bucket}", INGESTION_URL).check()


def test_unknown_account_gives_a_sentence(s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")

    for message in every_failure(Store(f"s3://{s3.bucket}", INGESTION_URL)):
        assert_sentence(message)


def test_no_credentials_at_all_give_a_sentence(
    s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    for message in every_failure(Store(f"s3://{s3.bucket}", INGESTION_URL)):
        assert_sentence(message)


def test_unknown_profile_gives_a_sentence(s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    for message in every_failure(Store(f"s3://{s3.bucket}", INGESTION_URL)):
        assert_sentence(message)


@pytest.mark.usefixtures("s3")
def test_missing_bucket_is_found_by_the_check() -> None:
    with pytest.raises(LakeError, match="NoSuchBucket") as error:
        Store("s3://no-such-bucket", INGESTION_URL).check()

    assert_sentence(str(error.value))


@pytest.mark.usefixtures("s3")
def test_missing_bucket_is_found_by_the_first_write() -> None:
    with pytest.raises(LakeError, match="NoSuchBucket") as error:
        Store("s3://no-such-bucket", INGESTION_URL).put("manifests/0000000001.json", b"one")

    assert_sentence(str(error.value))


def test_unreachable_endpoint_gives_a_sentence(
    s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, but nobody listens
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        with pytest.raises(LakeError) as error:
            Store(f"s3://{s3.bucket}", INGESTION_URL).check()

    assert_sentence(str(error.value))


def test_directory_that_is_a_file_gives_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")

    for message in every_failure(Store((tmp_path / "file").as_uri(), INGESTION_URL)):
        assert message.startswith(f"{INGESTION_URL} (file:///")
        assert "\n" not in message


def test_sha256_is_the_one_of_fips_180() -> None:
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
