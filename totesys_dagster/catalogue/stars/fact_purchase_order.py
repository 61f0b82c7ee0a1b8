from totesys_dagster.catalogue.model import Kind, StarTable
from totesys_dagster.catalogue.star_columns import carry, moments

TABLE = StarTable(
    "fact_purchase_order",
    Kind.FACT,
    "Every version of every purchase order.",
    base="purchase_order",
    record_id="purchase_record_id",
    columns=(
        carry("purchase_order.purchase_order_id"),
        *moments("purchase_order"),
        carry("purchase_order.staff_id"),
        carry("purchase_order.counterparty_id"),
        carry("purchase_order.item_code", description="Supplier's code of the item."),
        carry("purchase_order.item_quantity"),
        carry("purchase_order.item_unit_price", sql_type="numeric"),
        carry("purchase_order.currency_id"),
        carry("purchase_order.agreed_delivery_date"),
        carry("purchase_order.agreed_payment_date"),
        carry("purchase_order.agreed_delivery_location_id"),
    ),
)
