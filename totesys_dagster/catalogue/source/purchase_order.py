from totesys_dagster.catalogue.model import SourceTable
from totesys_dagster.catalogue.source_columns import (
    CREATED_AT,
    LAST_UPDATED,
    date,
    key,
    price,
    quantity,
    reference,
    text,
)

TABLE = SourceTable(
    "purchase_order",
    "Orders to suppliers.",
    (
        key("purchase_order_id", "Key of the order."),
        CREATED_AT,
        LAST_UPDATED,
        reference("staff_id", "staff", "Member of staff who made the purchase."),
        reference("counterparty_id", "counterparty", "Supplier."),
        text("item_code", "Supplier's code of the item, with its leading zeros."),
        quantity("item_quantity", "Number of items."),
        price("item_unit_price", "Price of one item in the order's currency."),
        reference("currency_id", "currency", "Currency of the price."),
        date("agreed_delivery_date", "Agreed delivery date."),
        date("agreed_payment_date", "Agreed payment date."),
        reference("agreed_delivery_location_id", "address", "Agreed place of delivery."),
    ),
)
