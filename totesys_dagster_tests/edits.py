"""What ToteSys does to the rows of `few_rows`: SQL for its application's connection."""

from __future__ import annotations

# As ToteSys edits orders: last_updated stays as it was.
EDIT_ORDER_1 = "UPDATE sales_order SET design_id = 2 WHERE sales_order_id = 1"
EDIT_ORDER_1_BACK = "UPDATE sales_order SET design_id = 1 WHERE sales_order_id = 1"

DELETE_ORDER_1 = """
    DELETE FROM payment WHERE payment_id = 1;
    DELETE FROM transaction WHERE transaction_id = 2;
    DELETE FROM sales_order WHERE sales_order_id = 1
"""


def new_sale(order_id: int, *, agreed: str = "2022-11-08", currency_id: int = 1) -> str:
    """An order with its transaction and payment, all three of one key."""
    return f"""
        INSERT INTO sales_order VALUES
            ({order_id}, '2022-11-07 10:00:00', '2022-11-07 10:00:00', 1, 1, 1, 2000, 2.10,
             {currency_id}, '{agreed}', '{agreed}', 1);
        INSERT INTO transaction VALUES
            ({order_id}, 'SALE', {order_id}, NULL, '2022-11-07 10:00:00', '2022-11-07 10:00:00');
        INSERT INTO payment VALUES
            ({order_id}, '2022-11-07 10:00:00', '2022-11-07 10:00:00', {order_id}, 1, 4200.00,
             {currency_id}, 1, FALSE, '{agreed}', 67305075, 31622269)
    """


def new_design(design_id: int) -> str:
    return (
        f"INSERT INTO design VALUES ({design_id}, '2022-11-07 10:00:00', 'Steel', '/lib',"
        " 'steel-20221107-ab12.json', '2022-11-07 10:00:00')"
    )
