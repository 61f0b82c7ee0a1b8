"""What audits ask of the next capture: full reads, and digests without some keys."""

from __future__ import annotations

import json
from collections.abc import Collection

import pytest

from totesys_dagster.errors import LakeError
from totesys_dagster.lake import requests
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.lake.requests import Requests
from totesys_dagster.lake.store import Store
from totesys_dagster_tests.hand_made import entry, manifest


def head(sequence: int, *, last_full_of_staff: int) -> Manifest:
    """Batch `sequence`, in which staff was last read in full in another one."""
    return manifest(sequence, {"staff": entry(last_full=last_full_of_staff)})


def pending(store: Store, head: Manifest | None) -> Collection[str]:
    return {*Requests(store).full_reads(head)}


def test_nothing_was_asked_for(store: Store) -> None:
    assert pending(store, head(1, last_full_of_staff=1)) == set()


def test_request_is_pending_until_the_table_was_read(store: Store) -> None:
    requests.put_full_read(store, "staff", 3, "it was asked for")

    assert pending(store, head(3, last_full_of_staff=1)) == {"staff"}
    assert pending(store, head(3, last_full_of_staff=3)) == {"staff"}
    assert pending(store, head(4, last_full_of_staff=4)) == set()


def test_any_later_full_read_answers_it(directory: Store) -> None:
    requests.put_full_read(directory, "staff", 3, "it was asked for")

    assert pending(directory, head(9, last_full_of_staff=7)) == set()


def test_answered_table_can_be_asked_for_again(directory: Store) -> None:
    requests.put_full_read(directory, "staff", 3, "it was asked for")
    requests.put_full_read(directory, "staff", 5, "it was asked for")

    assert pending(directory, head(5, last_full_of_staff=4)) == {"staff"}


def test_asking_twice_is_asking_once(store: Store) -> None:
    requests.put_full_read(store, "staff", 3, "it was asked for")
    requests.put_full_read(store, "staff", 3, "it was asked for")

    assert store.list("requests") == ["requests/full-read/0000000003/staff.json"]


def test_several_tables_are_pending(directory: Store) -> None:
    requests.put_full_read(directory, "staff", 3, "it was asked for")
    requests.put_full_read(directory, "sales_order", 3, "it was asked for")

    assert pending(directory, head(3, last_full_of_staff=1)) == {"staff", "sales_order"}


def test_lake_without_batches_needs_no_request(directory: Store) -> None:
    """The first batch reads every table in full anyway."""
    requests.put_full_read(directory, "staff", 0, "it was asked for")

    assert pending(directory, None) == set()


def test_other_objects_are_no_requests(directory: Store) -> None:
    directory.put("requests/full-read/0000000003/no_such_table.json", b"")
    directory.put("requests/full-read/notes.txt", b"")
    directory.put("requests/full-read/0000000003/staff.json.bak", b"")

    assert pending(directory, head(3, last_full_of_staff=1)) == set()


def test_table_that_the_head_does_not_know_is_read_in_full_anyway(directory: Store) -> None:
    requests.put_full_read(directory, "staff", 3, "it was asked for")
    head_ = manifest(3)
    del head_.tables["staff"]

    assert pending(directory, head_) == set()


def test_newest_request_for_digests_without_keys_holds(store: Store) -> None:
    assert Requests(store).without() is None

    Requests(store).put_without({"fact_payment": (30,)})
    Requests(store).put_without({"fact_payment": (7, 30)})

    newest = Requests(store).without()
    assert newest is not None
    assert newest.stars == {"fact_payment": (7, 30)}


def test_of_two_that_ask_at_once_one_stands(store: Store) -> None:
    one, other = Requests(store), Requests(store)

    one.put_without({"fact_payment": (30,)})
    other.put_without({"fact_payment": (7, 30)})

    newest = Requests(store).without()
    assert newest is not None
    assert newest.stars == {"fact_payment": (30,)}


def test_requests_for_digests_are_numbered_and_none_is_overwritten(store: Store) -> None:
    Requests(store).put_without({"fact_payment": (30,)})
    seen = Requests(store)
    Requests(store).put_without({"fact_payment": (7, 30)})
    seen.put_without({})  # asks at the same moment as the other
    seen = Requests(store)
    seen.put_without({})

    keys = store.list("requests")
    assert keys == [f"requests/without/{number:010d}.json" for number in (1, 2, 3)]
    asked = [json.loads(store.get(key))["stars"] for key in keys]
    assert asked == [{"fact_payment": [30]}, {"fact_payment": [7, 30]}, {}]


def test_request_for_a_full_read_is_readable_json(directory: Store) -> None:
    requests.put_full_read(directory, "staff", 3, "it was asked for")

    assert json.loads(directory.get("requests/full-read/0000000003/staff.json")) == {
        "format": 3,
        "log": "totesys",
        "table": "staff",
        "after": 3,
        "reason": "it was asked for",
    }


MALFORMED = [b"", b"{", b"null", b"\xff", b'{"format": 3, "log": "totesys"}']


@pytest.mark.parametrize("data", MALFORMED)
def test_malformed_request_for_a_full_read_is_one_sentence(data: bytes, directory: Store) -> None:
    key = requests.full_read_key("staff", 3)
    directory.put(key, data)
    with pytest.raises(LakeError) as error:
        pending(directory, head(3, last_full_of_staff=1))

    assert str(error.value).startswith(
        f"{directory.uri(key)} is not a full read request of format 3 ("
    )
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", MALFORMED)
def test_malformed_request_for_digests_is_one_sentence(data: bytes, directory: Store) -> None:
    key = "requests/without/0000000001.json"
    directory.put(key, data)
    with pytest.raises(LakeError) as error:
        Requests(directory).without()

    assert str(error.value).startswith(
        f"{directory.uri(key)} is not a digest request of format 3 ("
    )
    assert "\n" not in str(error.value)


def test_request_for_digests_that_was_moved_is_refused(directory: Store) -> None:
    Requests(directory).put_without({})
    data = directory.get("requests/without/0000000001.json")
    directory.put("requests/without/0000000002.json", data)

    with pytest.raises(LakeError, match="says that it is number 1: it was moved"):
        Requests(directory).without()


def test_request_that_was_moved_is_refused(directory: Store) -> None:
    requests.put_full_read(directory, "staff", 3, "it was asked for")
    data = directory.get(requests.full_read_key("staff", 3))
    directory.put(requests.full_read_key("design", 3), data)

    with pytest.raises(LakeError, match="asks for staff after batch 3: it was moved"):
        pending(directory, head(3, last_full_of_staff=1))


def test_first_reason_for_a_full_read_stands(store: Store) -> None:
    requests.put_full_read(store, "staff", 3, "it was asked for")
    requests.put_full_read(store, "staff", 3, "rows of it were deleted")

    found = Requests(store).full_reads(head(3, last_full_of_staff=1))
    assert found == {"staff": "it was asked for"}


def test_another_request_is_seen_by_the_poll(directory: Store) -> None:
    seen = []
    for sequence in (1, 2):
        seen.append(str(Requests(directory)))
        requests.put_full_read(directory, "staff", sequence, "it was asked for")
    seen.append(str(Requests(directory)))

    assert len({*seen}) == 3
