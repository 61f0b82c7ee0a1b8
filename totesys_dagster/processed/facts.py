"""The three facts, as pure functions of accepted source rows.

Each takes a frame in Arrow types (see `contracts.accept`) and gives one row for each of its rows,
with the same index and the columns of the star table in their order.
"""

from __future__ import annotations

import pandas as pd


def _moments(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """The dates and times of creation and of the last declared update."""
    return {
        "created_date": rows["created_at"].dt.date,
        "created_time": rows["created_at"].dt.time,
        "last_updated_date": rows["last_updated"].dt.date,
        "last_updated_time": rows["last_updated"].dt.time,
    }


def fact_sales_order(sales_order: pd.DataFrame) -> pd.DataFrame:
    """Sales orders, their timestamps split; `staff_id` is called `sales_staff_id` here."""
    return pd.DataFrame(
        {
            "sales_order_id": sales_order["sales_order_id"],
            **_moments(sales_order),
            "sales_staff_id": sales_order["staff_id"],
            "counterparty_id": sales_order["counterparty_id"],
            "units_sold": sales_order["units_sold"],
            "unit_price": sales_order["unit_price"],
            "currency_id": sales_order["currency_id"],
            "design_id": sales_order["design_id"],
            "agreed_payment_date": sales_order["agreed_payment_date"],
            "agreed_delivery_date": sales_order["agreed_delivery_date"],
            "agreed_delivery_location_id": sales_order["agreed_delivery_location_id"],
        }
    )


def fact_purchase_order(purchase_order: pd.DataFrame) -> pd.DataFrame:
    """Purchase orders, their timestamps split."""
    return pd.DataFrame(
        {
            "purchase_order_id": purchase_order["purchase_order_id"],
            **_moments(purchase_order),
            "staff_id": purchase_order["staff_id"],
            "counterparty_id": purchase_order["counterparty_id"],
            "item_code": purchase_order["item_code"],
            "item_quantity": purchase_order["item_quantity"],
            "item_unit_price": purchase_order["item_unit_price"],
            "currency_id": purchase_order["currency_id"],
            "agreed_delivery_date": purchase_order["agreed_delivery_date"],
            "agreed_payment_date": purchase_order["agreed_payment_date"],
            "agreed_delivery_location_id": purchase_order["agreed_delivery_location_id"],
        }
    )


def fact_payment(payment: pd.DataFrame) -> pd.DataFrame:
    """Payments, their timestamps split; account numbers are not carried."""
    return pd.DataFrame(
        {
            "payment_id": payment["payment_id"],
            **_moments(payment),
            "transaction_id": payment["transaction_id"],
            "counterparty_id": payment["counterparty_id"],
            "payment_amount": payment["payment_amount"],
            "currency_id": payment["currency_id"],
            "payment_type_id": payment["payment_type_id"],
            "paid": payment["paid"],
            "payment_date": payment["payment_date"],
        }
    )
