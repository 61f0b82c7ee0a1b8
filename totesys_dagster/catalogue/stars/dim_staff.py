from totesys_dagster.catalogue.model import Kind, StarTable
from totesys_dagster.catalogue.star_columns import carry

TABLE = StarTable(
    "dim_staff",
    Kind.DIMENSION,
    "Members of staff, with their department.",
    base="staff",
    columns=(
        carry("staff.staff_id"),
        carry("staff.first_name"),
        carry("staff.last_name"),
        carry("department.department_name"),
        carry(
            "department.location", description="Town in which the department works.", nullable=False
        ),
        carry("staff.email_address"),
    ),
)
