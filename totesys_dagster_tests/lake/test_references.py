"""Lists that rows are judged by, as objects of the lake."""

from __future__ import annotations

import pytest

from totesys_dagster.errors import LakeError
from totesys_dagster.lake import references
from totesys_dagster.lake.store import Store
from totesys_dagster_tests.hand_made import overwrite

EURO, KUNA = {"EUR": "Euro"}, {"HRK": "Kuna"}


def test_list_is_read_as_it_was_put(store: Store) -> None:
    hash_ = references.put(store, "currencies", KUNA | EURO)

    assert list(references.read(store, "currencies", hash_).items()) == [
        ("EUR", "Euro"),
        ("HRK", "Kuna"),
    ]


def test_equal_lists_are_one_object(store: Store) -> None:
    assert references.put(store, "currencies", KUNA | EURO) == references.put(
        store, "currencies", EURO | KUNA
    )
    assert len(store.list("references")) == 1


def test_code_that_is_dropped_stays_known(store: Store) -> None:
    first = references.put(store, "currencies", KUNA)
    second = references.put(store, "currencies", EURO, first)
    third = references.put(store, "currencies", EURO, second)

    assert references.read(store, "currencies", second) == EURO | KUNA
    assert third == second


def test_name_that_changed_is_the_new_one(store: Store) -> None:
    first = references.put(store, "currencies", {"TRY": "Turkish Lira"})
    second = references.put(store, "currencies", {"TRY": "Lira"}, first)

    assert references.read(store, "currencies", second) == {"TRY": "Lira"}


def test_list_that_was_changed_is_refused(directory: Store) -> None:
    hash_ = references.put(directory, "currencies", EURO)
    other = references.Reference(name="currencies", values=KUNA)
    overwrite(directory, f"references/currencies/{hash_[:16]}.json", other.to_bytes())

    with pytest.raises(LakeError, match="it was changed after it was written"):
        references.read(directory, "currencies", hash_)
