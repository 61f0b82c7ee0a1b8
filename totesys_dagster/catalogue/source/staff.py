from totesys_dagster.catalogue.model import SourceTable
from totesys_dagster.catalogue.source_columns import CREATED_AT, LAST_UPDATED, key, reference, text

TABLE = SourceTable(
    "staff",
    "Members of staff.",
    (
        key("staff_id", "Key of the member of staff."),
        text("first_name", "First name.", pii=True),
        text("last_name", "Last name.", pii=True),
        reference("department_id", "department", "Department."),
        text("email_address", "E-mail address at work.", pii=True),
        CREATED_AT,
        LAST_UPDATED,
    ),
)
