from totesys_dagster.catalogue.model import SourceTable
from totesys_dagster.catalogue.source_columns import CREATED_AT, LAST_UPDATED, key, text

TABLE = SourceTable(
    "design",
    "Designs of tote bags.",
    (
        key("design_id", "Key of the design."),
        CREATED_AT,
        text("design_name", "Name of the design."),
        text("file_location", "Directory of the drawing."),
        text("file_name", "File name of the drawing."),
        LAST_UPDATED,
    ),
)
