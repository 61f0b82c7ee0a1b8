from totesys_dagster.catalogue.model import SourceTable
from totesys_dagster.catalogue.source_columns import CREATED_AT, LAST_UPDATED, key, label, reference

TABLE = SourceTable(
    "transaction",
    "The link between an order and its payment.",
    (
        key("transaction_id", "Key of the transaction."),
        label("transaction_type", 'public."TransactionType"', "SALE or PURCHASE."),
        reference(
            "sales_order_id", "sales_order", "The sales order; only for sales.", nullable=True
        ),
        reference(
            "purchase_order_id",
            "purchase_order",
            "The purchase order; only for purchases.",
            nullable=True,
        ),
        CREATED_AT,
        LAST_UPDATED,
    ),
)
