from totesys_dagster.catalogue.model import SourceTable
from totesys_dagster.catalogue.source_columns import (
    CREATED_AT,
    LAST_UPDATED,
    date,
    key,
    price,
    quantity,
    reference,
)

TABLE = SourceTable(
    "sales_order",
    "Orders from customers.",
    (
        key("sales_order_id", "Key of the order."),
        CREATED_AT,
        LAST_UPDATED,
        reference("design_id", "design", "Design ordered."),
        reference("staff_id", "staff", "Member of staff who made the sale."),
        reference("counterparty_id", "counterparty", "Customer."),
        quantity("units_sold", "Number of bags."),
        price("unit_price", "Price of one bag in the order's currency."),
        reference("currency_id", "currency", "Currency of the price."),
        date("agreed_delivery_date", "Agreed delivery date."),
        date("agreed_payment_date", "Agreed payment date."),
        reference("agreed_delivery_location_id", "address", "Agreed place of delivery."),
    ),
)
