from totesys_dagster.catalogue.model import SourceTable
from totesys_dagster.catalogue.source_columns import CREATED_AT, LAST_UPDATED, key, text

TABLE = SourceTable(
    "department",
    "Departments of Terrific Totes.",
    (
        key("department_id", "Key of the department."),
        text("department_name", "Name of the department."),
        text("location", "Town in which it works.", nullable=True),
        text("manager", "Name of its manager.", nullable=True, pii=True),
        CREATED_AT,
        LAST_UPDATED,
    ),
)
