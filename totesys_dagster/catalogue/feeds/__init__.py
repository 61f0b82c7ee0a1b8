"""The tables of the warehouse that feeds fill, and not ToteSys: one module for each, or a contract
of files."""

from totesys_dagster import settings
from totesys_dagster.catalogue.discover import discover
from totesys_dagster.catalogue.files import FileContract
from totesys_dagster.catalogue.model import StarTable
from totesys_dagster.catalogue.odcs import SUPPLIED, read_contracts
from totesys_dagster.catalogue.source import SOURCE_TABLES
from totesys_dagster.catalogue.stars import STAR_TABLES
from totesys_dagster.errors import DeclarationError

CONTRACTS: tuple[FileContract, ...] = tuple(
    read_contracts(SUPPLIED, *settings.contract_directories())
)
FEED_TABLES: dict[str, StarTable] = {table.name: table for table in discover(__name__)}

# Names of logs and assets that are no tables'.
_TAKEN = frozenset(("totesys", "exchange_rate_history"))


def require_free(contract: FileContract) -> None:
    """Raise DeclarationError where a table, a log or an asset has the name of a contract's."""
    table, feed = contract.table.name, contract.table.feed
    if table in FEED_TABLES or table in STAR_TABLES:
        what = f"the table {table}"
    elif feed in _TAKEN or feed in SOURCE_TABLES or feed in STAR_TABLES:
        what = f"the name {feed}"
    else:
        return
    raise DeclarationError(
        f"The contract of {contract.title} has {what}, which is declared already: give its schema"
        " another name."
    )


for _contract in CONTRACTS:
    require_free(_contract)
    FEED_TABLES[_contract.table.name] = _contract.table
