"""Requests for a full read: open until a later batch has read the table in full."""

from __future__ import annotations

from totesys_dagster.lake import requests
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.lake.store import Store
from totesys_dagster_tests.hand_made import entry, manifest


def head(sequence: int, *, last_full_of_staff: int) -> Manifest:
    """Batch `sequence`, in which staff was last read in full in another one."""
    return manifest(sequence, {"staff": entry(last_full=last_full_of_staff)})


def test_nothing_was_asked_for(store: Store) -> None:
    assert requests.pending(store, head(1, last_full_of_staff=1)) == set()


def test_request_is_pending_until_the_table_was_read(store: Store) -> None:
    requests.put(store, "staff", 3)

    assert requests.pending(store, head(3, last_full_of_staff=1)) == {"staff"}
    assert requests.pending(store, head(3, last_full_of_staff=3)) == {"staff"}
    assert requests.pending(store, head(4, last_full_of_staff=4)) == set()


def test_any_later_full_read_answers_it(directory: Store) -> None:
    requests.put(directory, "staff", 3)

    assert requests.pending(directory, head(9, last_full_of_staff=7)) == set()


def test_answered_table_can_be_asked_for_again(directory: Store) -> None:
    requests.put(directory, "staff", 3)
    requests.put(directory, "staff", 5)

    assert requests.pending(directory, head(5, last_full_of_staff=4)) == {"staff"}


def test_asking_twice_is_asking_once(store: Store) -> None:
    requests.put(store, "staff", 3)
    requests.put(store, "staff", 3)

    assert store.list("requests") == ["requests/full-read/0000000003/staff.json"]


def test_several_tables_are_pending(directory: Store) -> None:
    requests.put(directory, "staff", 3)
    requests.put(directory, "sales_order", 3)

    assert requests.pending(directory, head(3, last_full_of_staff=1)) == {"staff", "sales_order"}


def test_lake_without_batches_needs_no_request(directory: Store) -> None:
    """The first batch reads every table in full anyway."""
    requests.put(directory, "staff", 0)

    assert requests.pending(directory, None) == set()


def test_other_objects_are_no_requests(directory: Store) -> None:
    directory.put("requests/full-read/0000000003/no_such_table.json", b"")
    directory.put("requests/full-read/notes.txt", b"")
    directory.put("requests/full-read/0000000003/staff.json.bak", b"")

    assert requests.pending(directory, head(3, last_full_of_staff=1)) == set()
