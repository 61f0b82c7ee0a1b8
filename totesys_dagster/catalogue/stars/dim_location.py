from totesys_dagster.catalogue.model import Kind, StarTable
from totesys_dagster.catalogue.star_columns import carry

TABLE = StarTable(
    "dim_location",
    Kind.DIMENSION,
    "Places of delivery.",
    base="address",
    columns=(
        carry("address.address_id", "location_id"),
        carry("address.address_line_1"),
        carry("address.address_line_2", description="Second address line."),
        carry("address.district"),
        carry("address.city"),
        carry("address.postal_code"),
        carry("address.country"),
        carry("address.phone", description="Telephone number."),
    ),
)
