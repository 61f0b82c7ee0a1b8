"""The columns of the reports: a name means one thing in all of them, and has one type.

Those of the warehouse's tables are as the catalogue declares them; the others are here.
"""

from __future__ import annotations

from totesys_dagster.catalogue import WAREHOUSE_TABLES
from totesys_dagster.warehouse import ddl
from totesys_dagster.warehouse.ddl import Attribute

_COMPUTED = {
    name: Attribute(name, type_, False, comment)
    for name, type_, comment in (
        ("amount", "numeric", "Money, in the currency of the row."),
        ("audited_in_batch", "integer", "The batch with which the whole table was last compared."),
        ("bucket", "text", "For how many days it has been overdue."),
        ("carried", "boolean", "Whether its day uses an earlier day's rates."),
        ("changed", "text", "The column that was changed."),
        ("converted", "numeric", "Revenue in the reporting currency; NULL without a rate."),
        ("country_code", "text", "ISO 3166 code; NULL if the name is unknown."),
        ("country_name", "text", "Name of a country."),
        ("days", "integer", "Number of days."),
        ("designs", "bigint", "Number of designs."),
        ("difference", "numeric", "Revenue less the target, in the currency of the row."),
        ("direction", "text", "Whether the money is due to us (receivable) or from us (payable)."),
        ("first_agreed", "date", "Delivery date agreed in the first version."),
        (
            "fresh_as_of",
            "timestamp with time zone",
            "The source's latest known state that the table reflects.",
        ),
        ("from_value", "text", "What the column held before."),
        ("loaded_at", "timestamp with time zone", "When the batch was loaded."),
        ("month", "date", "The first day of the month."),
        ("now_agreed", "date", "Delivery date agreed in the latest version."),
        ("office", "text", "The town where the member of staff works."),
        ("orders", "bigint", "Number of orders."),
        (
            "orders_at_carried_rate",
            "bigint",
            "Orders whose day uses an earlier day's rates, even if they need no rate.",
        ),
        (
            "orders_without_rate",
            "bigint",
            "Orders that cannot be converted, and are not in the revenue.",
        ),
        ("payments", "bigint", "Number of payments."),
        ("percent_of_target", "numeric", "Revenue as a percentage of the target."),
        ("purchase_amount", "numeric", "Amount of the purchases, in the currency of the row."),
        ("purchase_orders", "bigint", "Number of purchase orders."),
        ("quarantined", "bigint", "Number of its rows in quarantine."),
        ("rate", "numeric", "What one unit of the currency is worth in the reporting currency."),
        (
            "reason",
            "text",
            "Why it is open: each weekday, a run pays only what is due that day.",
        ),
        ("reporting_currency", "text", "The currency that reports convert to; a setting."),
        ("revenue", "numeric", "Units times unit price, in the currency of the row."),
        ("sales_orders", "bigint", "Number of sales orders."),
        ("staff_name", "text", "First and last name."),
        ("state", "text", "Result of the latest comparison with the source."),
        ("table_name", "text", "A table of the warehouse."),
        ("target_amount", "numeric", "The target, in the currency of the row."),
        ("to_value", "text", "What the column has held since."),
        ("unfinished", "boolean", "Whether the month or week is still in progress, in London."),
        ("units", "bigint", "Number of bags."),
        ("week", "date", "The Monday of the week."),
    )
}

# The tables that declare a column that is carried: the first of them that is declared counts.
_OF = {
    "agreed_delivery_date": ("fact_sales_order",),
    "agreed_delivery_location_id": ("fact_sales_order",),
    "agreed_payment_date": ("fact_sales_order",),
    "carried_days": ("fact_exchange_rate",),
    "counterparty_id": ("dim_counterparty", "fact_sales_order", "fact_payment"),
    "counterparty_legal_name": ("dim_counterparty",),
    "country": ("dim_location",),
    "created_date": ("fact_sales_order",),
    "currency_code": ("dim_currency", "fact_exchange_rate", "fact_sales_target"),
    "day_name": ("dim_date",),
    "day_of_week": ("dim_date",),
    "department_name": ("dim_staff",),
    "design_id": ("dim_design", "fact_sales_order"),
    "design_name": ("dim_design",),
    "file_name": ("dim_design",),
    "payment_date": ("fact_payment",),
    "payment_id": ("fact_payment",),
    "quoted_on": ("fact_exchange_rate",),
    "rate_date": ("fact_exchange_rate",),
    "rate_to_gbp": ("fact_exchange_rate",),
    "sales_order_id": ("fact_sales_order",),
    "sales_staff_id": ("fact_sales_order",),
    "source": ("fact_exchange_rate",),
    "staff_id": ("dim_staff",),
    "unit_price": ("fact_sales_order",),
    "units_sold": ("fact_sales_order",),
}


def column(name: str) -> Attribute:
    """The column of that name. Raises KeyError where no table that has it is declared."""
    if name in _COMPUTED:
        return _COMPUTED[name]
    stars = [WAREHOUSE_TABLES[star] for star in _OF.get(name, ()) if star in WAREHOUSE_TABLES]
    declared = [attribute for star in stars for attribute in ddl.attributes(star)]
    found = [a for a in (*ddl.LINEAGE, *ddl.VERSIONS, *declared) if a.name == name]
    if not found:
        raise KeyError(f"no table is declared that has a column {name}")
    return found[0]
