from totesys_dagster.catalogue.model import SourceTable
from totesys_dagster.catalogue.source_columns import CREATED_AT, LAST_UPDATED, key, label

TABLE = SourceTable(
    "payment_type",
    "Kinds of payment.",
    (
        key("payment_type_id", "Key of the payment type."),
        label("payment_type_name", 'public."PaymentTypeName"', "Name of the payment type."),
        CREATED_AT,
        LAST_UPDATED,
    ),
)
