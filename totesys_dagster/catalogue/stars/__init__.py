"""The tables of the warehouse: stars that share dimensions, one module for each table."""

from totesys_dagster.catalogue.assemble import assemble
from totesys_dagster.catalogue.discover import discover
from totesys_dagster.catalogue.model import StarTable

# In the order in which a batch is loaded.
STAR_TABLES: dict[str, StarTable] = {table.name: table for table in assemble(discover(__name__))}
