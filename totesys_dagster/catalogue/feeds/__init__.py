"""The tables of the warehouse that feeds fill, and not ToteSys: one module for each, or a contract
of files."""

from totesys_dagster import settings
from totesys_dagster.catalogue.discover import discover
from totesys_dagster.catalogue.files import FileContract
from totesys_dagster.catalogue.model import StarTable
from totesys_dagster.catalogue.odcs import SUPPLIED, read_contracts
from totesys_dagster.catalogue.stars import STAR_TABLES
from totesys_dagster.errors import DeclarationError

CONTRACTS: tuple[FileContract, ...] = tuple(
    read_contracts(SUPPLIED, *settings.contract_directories())
)
FEED_TABLES: dict[str, StarTable] = {table.name: table for table in discover(__name__)}

for _contract in CONTRACTS:
    _name = _contract.table.name
    if _name in FEED_TABLES or _name in STAR_TABLES:
        raise DeclarationError(
            f"The contract of {_contract.title} has the table {_name}, which is declared already:"
            " give its schema another name."
        )
    FEED_TABLES[_name] = _contract.table
