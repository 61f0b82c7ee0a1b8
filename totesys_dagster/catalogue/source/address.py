from totesys_dagster.catalogue.model import SourceTable
from totesys_dagster.catalogue.source_columns import CREATED_AT, LAST_UPDATED, key, text

TABLE = SourceTable(
    "address",
    "Addresses of counterparties and places of delivery.",
    (
        key("address_id", "Key of the address."),
        text("address_line_1", "Street and number."),
        text("address_line_2", "Second line of the street address.", nullable=True),
        text("district", "District or county.", nullable=True),
        text("city", "City."),
        text("postal_code", "Postal code, with its leading zeros."),
        text("country", "Country, in English."),
        text("phone", "Telephone number, with its leading zeros.", pii=True),
        CREATED_AT,
        LAST_UPDATED,
    ),
)
