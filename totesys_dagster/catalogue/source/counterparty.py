from totesys_dagster.catalogue.model import SourceTable
from totesys_dagster.catalogue.source_columns import CREATED_AT, LAST_UPDATED, key, reference, text

TABLE = SourceTable(
    "counterparty",
    "Companies that Terrific Totes sells to or buys from.",
    (
        key("counterparty_id", "Key of the counterparty."),
        text("counterparty_legal_name", "Registered name of the company."),
        reference("legal_address_id", "address", "Registered address."),
        text("commercial_contact", "Commercial contact.", nullable=True, pii=True),
        text("delivery_contact", "Contact for deliveries.", nullable=True, pii=True),
        CREATED_AT,
        LAST_UPDATED,
    ),
)
