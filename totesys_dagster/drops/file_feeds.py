"""The feeds of files: one for each contract."""

from __future__ import annotations

from totesys_dagster.catalogue import CONTRACTS, FileContract
from totesys_dagster.drops.place import Drops
from totesys_dagster.drops.reading import reader
from totesys_dagster.feeds.feed import Feed


def file_feed(contract: FileContract) -> Feed:
    """The feed of a contract's files."""

    def lying() -> frozenset[str]:
        return frozenset(drop.name for drop in Drops().all(contract.location))

    return Feed(
        contract.title,
        contract.table,
        reader(contract),
        replaces=contract.name_column,
        lying=lying,
    )


FILE_FEEDS: tuple[tuple[FileContract, Feed], ...] = tuple(
    (contract, file_feed(contract)) for contract in CONTRACTS
)
