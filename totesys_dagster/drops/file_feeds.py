"""The feeds of files: one for each contract."""

from __future__ import annotations

from totesys_dagster.catalogue import CONTRACTS, FileContract
from totesys_dagster.drops.doubts import doubts
from totesys_dagster.drops.place import Drops
from totesys_dagster.drops.reading import reader
from totesys_dagster.feeds.feed import Feed
from totesys_dagster.postgres.sessions import Connection, Names


def file_feed(contract: FileContract) -> Feed:
    """The feed of a contract's files."""

    def lying() -> frozenset[str]:
        return Drops().names(contract.location)

    def doubtful(connection: Connection, names: Names) -> list[str]:
        return doubts(connection, names, contract)

    return Feed(
        contract.title,
        contract.table,
        reader(contract),
        replaces=contract.name_column,
        lying=lying,
        doubts=doubtful if any(column.listed_in for column in contract.columns) else None,
    )


FILE_FEEDS: tuple[tuple[FileContract, Feed], ...] = tuple(
    (contract, file_feed(contract)) for contract in CONTRACTS
)
