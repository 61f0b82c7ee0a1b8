from totesys_dagster.catalogue.model import Kind, StarTable
from totesys_dagster.catalogue.star_columns import carry

TABLE = StarTable(
    "dim_counterparty",
    Kind.DIMENSION,
    "Customers and suppliers, with their registered address.",
    base="counterparty",
    columns=(
        carry("counterparty.counterparty_id"),
        carry("counterparty.counterparty_legal_name"),
        carry("address.address_line_1", "counterparty_legal_address_line_1"),
        carry(
            "address.address_line_2",
            "counterparty_legal_address_line_2",
            description="Second address line.",
        ),
        carry("address.district", "counterparty_legal_district"),
        carry("address.city", "counterparty_legal_city"),
        carry("address.postal_code", "counterparty_legal_postal_code"),
        carry("address.country", "counterparty_legal_country"),
        carry("address.phone", "counterparty_legal_phone_number", description="Telephone number."),
    ),
)
