from totesys_dagster.catalogue.model import Kind, StarTable
from totesys_dagster.catalogue.star_columns import carry

TABLE = StarTable(
    "dim_transaction",
    Kind.DIMENSION,
    "The link between an order and its payment.",
    base="transaction",
    columns=(
        carry("transaction.transaction_id"),
        carry("transaction.transaction_type"),
        carry("transaction.sales_order_id"),
        carry("transaction.purchase_order_id"),
    ),
)
