from totesys_dagster.catalogue.model import Kind, StarTable
from totesys_dagster.catalogue.star_columns import carry

TABLE = StarTable(
    "dim_design",
    Kind.DIMENSION,
    "Designs of tote bags.",
    base="design",
    columns=(
        carry("design.design_id"),
        carry("design.design_name"),
        carry("design.file_location"),
        carry("design.file_name"),
    ),
)
