"""The tables of ToteSys, as its database declares them: one module each."""

from totesys_dagster.catalogue.discover import discover
from totesys_dagster.catalogue.model import SourceTable

SOURCE_TABLES: dict[str, SourceTable] = {table.name: table for table in discover(__name__)}

# Further tables that are no news: Prisma notes there which migrations it has run.
OTHER_TABLES = frozenset({"_prisma_migrations"})
