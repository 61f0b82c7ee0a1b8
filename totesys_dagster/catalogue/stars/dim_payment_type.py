from totesys_dagster.catalogue.model import Kind, StarTable
from totesys_dagster.catalogue.star_columns import carry

TABLE = StarTable(
    "dim_payment_type",
    Kind.DIMENSION,
    "Kinds of payment.",
    base="payment_type",
    columns=(
        carry("payment_type.payment_type_id"),
        carry("payment_type.payment_type_name"),
    ),
)
