from totesys_dagster.catalogue.model import Kind, StarTable
from totesys_dagster.catalogue.star_columns import carry, moments

TABLE = StarTable(
    "fact_sales_order",
    Kind.FACT,
    "Every version of every sales order.",
    base="sales_order",
    record_id="sales_record_id",
    columns=(
        carry("sales_order.sales_order_id"),
        *moments("sales_order"),
        carry("sales_order.staff_id", "sales_staff_id"),
        carry("sales_order.counterparty_id"),
        carry("sales_order.units_sold"),
        carry("sales_order.unit_price"),
        carry("sales_order.currency_id"),
        carry("sales_order.design_id"),
        carry("sales_order.agreed_payment_date"),
        carry("sales_order.agreed_delivery_date"),
        carry("sales_order.agreed_delivery_location_id"),
    ),
)
