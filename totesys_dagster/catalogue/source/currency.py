from totesys_dagster.catalogue.model import SourceTable
from totesys_dagster.catalogue.source_columns import CREATED_AT, LAST_UPDATED, key, text

TABLE = SourceTable(
    "currency",
    "Currencies that orders and payments are made in.",
    (
        key("currency_id", "Key of the currency."),
        text("currency_code", "ISO 4217 code.", sql_type="character varying(3)", currency=True),
        CREATED_AT,
        LAST_UPDATED,
    ),
)
