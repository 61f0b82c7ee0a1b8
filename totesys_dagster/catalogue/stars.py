"""The eleven tables of the warehouse: three stars that share eight dimensions."""

from __future__ import annotations

from totesys_dagster.catalogue.model import (
    Join,
    Kind,
    Part,
    SourceTable,
    StarColumn,
    StarTable,
    Type,
)
from totesys_dagster.catalogue.source import SOURCE_TABLES

STAFF_DEPARTMENT = Join("staff", "department_id", "department", "department_id")
COUNTERPARTY_ADDRESS = Join("counterparty", "legal_address_id", "address", "address_id")

# Every pair of source tables whose rows are processed together. A batch that holds a changed row
# of one holds the rows of the other that belong to it.
JOINS: tuple[Join, ...] = (STAFF_DEPARTMENT, COUNTERPARTY_ADDRESS)


def _key(name: str, source: str, meaning: str, *, references: str | None = None) -> StarColumn:
    table, column = source.split(".")
    return StarColumn(
        name, Type.INTEGER, "integer", meaning, (table, column), references=references
    )


def _text(
    name: str, source: str, meaning: str, *, nullable: bool = False, personal: bool = False
) -> StarColumn:
    table, column = source.split(".")
    return StarColumn(
        name,
        Type.TEXT,
        "character varying",
        meaning,
        (table, column),
        nullable=nullable,
        personal=personal,
    )


def _quantity(name: str, source: str, meaning: str) -> StarColumn:
    table, column = source.split(".")
    return StarColumn(name, Type.INTEGER, "integer", meaning, (table, column))


def _money(name: str, source: str, meaning: str, sql_type: str = "numeric") -> StarColumn:
    table, column = source.split(".")
    return StarColumn(name, Type.MONEY, sql_type, meaning, (table, column))


def _date(name: str, source: str, meaning: str) -> StarColumn:
    table, column = source.split(".")
    return StarColumn(name, Type.DATE, "date", meaning, (table, column), references="dim_date")


def _moments(table: str) -> tuple[StarColumn, ...]:
    """The four columns into which a fact splits `created_at` and `last_updated`."""

    def half(name: str, column: str, part: Part, meaning: str) -> StarColumn:
        is_date = part is Part.DATE
        return StarColumn(
            name,
            Type.DATE if is_date else Type.TIME,
            "date" if is_date else "time without time zone",
            meaning,
            (table, column),
            part=part,
            references="dim_date" if is_date else None,
        )

    return (
        half("created_date", "created_at", Part.DATE, "Date on which the row was created."),
        half("created_time", "created_at", Part.TIME, "Time at which the row was created."),
        half("last_updated_date", "last_updated", Part.DATE, "Date of the last declared update."),
        half("last_updated_time", "last_updated", Part.TIME, "Time of the last declared update."),
    )


def _calendar(name: str, meaning: str, type_: Type = Type.INTEGER) -> StarColumn:
    sql_types = {
        Type.INTEGER: "integer",
        Type.TEXT: "character varying",
        Type.DATE: "date",
    }
    return StarColumn(name, type_, sql_types[type_], meaning)


DIM_DATE = StarTable(
    "dim_date",
    Kind.CALENDAR,
    "A calendar without gaps over every date that the facts use.",
    (
        _calendar("date_id", "The day.", Type.DATE),
        _calendar("year", "Year, as 2024."),
        _calendar("month", "Month, 1 to 12."),
        _calendar("day", "Day of the month, 1 to 31."),
        _calendar("day_of_week", "ISO day of the week, Monday 1 to Sunday 7."),
        _calendar("day_name", "Name of the day in English, as Monday.", Type.TEXT),
        _calendar("month_name", "Name of the month in English, as January.", Type.TEXT),
        _calendar("quarter", "Quarter of the year, 1 to 4."),
    ),
    key="date_id",
    sources=("payment", "purchase_order", "sales_order"),
    version=2,  # made from the facts, and no more from rows that they do not have
)

DIM_STAFF = StarTable(
    "dim_staff",
    Kind.DIMENSION,
    "Members of staff with their department.",
    (
        _key("staff_id", "staff.staff_id", "Key of the member of staff."),
        _text("first_name", "staff.first_name", "First name.", personal=True),
        _text("last_name", "staff.last_name", "Last name.", personal=True),
        _text("department_name", "department.department_name", "Name of the department."),
        _text("location", "department.location", "Town in which the department works."),
        _text("email_address", "staff.email_address", "E-mail address at work.", personal=True),
    ),
    key="staff_id",
    base="staff",
    joins=(STAFF_DEPARTMENT,),
    sources=("staff", "department"),
)

DIM_LOCATION = StarTable(
    "dim_location",
    Kind.DIMENSION,
    "Places of delivery.",
    (
        _key("location_id", "address.address_id", "Key of the address."),
        _text("address_line_1", "address.address_line_1", "Street and number."),
        _text("address_line_2", "address.address_line_2", "Second line.", nullable=True),
        _text("district", "address.district", "District or county.", nullable=True),
        _text("city", "address.city", "City."),
        _text("postal_code", "address.postal_code", "Postal code, with its leading zeros."),
        _text("country", "address.country", "Country, in English."),
        _text("phone", "address.phone", "Telephone number.", personal=True),
    ),
    key="location_id",
    base="address",
    sources=("address",),
)

DIM_CURRENCY = StarTable(
    "dim_currency",
    Kind.DIMENSION,
    "Currencies of orders and payments.",
    (
        _key("currency_id", "currency.currency_id", "Key of the currency."),
        _text("currency_code", "currency.currency_code", "ISO 4217 code, as GBP."),
        StarColumn(
            "currency_name",
            Type.TEXT,
            "character varying",
            "Name that ISO 4217 gives to the code, as Pound Sterling.",
        ),
    ),
    key="currency_id",
    base="currency",
    sources=("currency",),
)

DIM_DESIGN = StarTable(
    "dim_design",
    Kind.DIMENSION,
    "Designs of tote bags.",
    (
        _key("design_id", "design.design_id", "Key of the design."),
        _text("design_name", "design.design_name", "Name of the design."),
        _text("file_location", "design.file_location", "Directory of its drawing."),
        _text("file_name", "design.file_name", "File of its drawing."),
    ),
    key="design_id",
    base="design",
    sources=("design",),
)

DIM_COUNTERPARTY = StarTable(
    "dim_counterparty",
    Kind.DIMENSION,
    "Customers and suppliers with their registered address.",
    (
        _key("counterparty_id", "counterparty.counterparty_id", "Key of the counterparty."),
        _text(
            "counterparty_legal_name",
            "counterparty.counterparty_legal_name",
            "Registered name of the company.",
        ),
        _text("counterparty_legal_address_line_1", "address.address_line_1", "Street and number."),
        _text(
            "counterparty_legal_address_line_2",
            "address.address_line_2",
            "Second line.",
            nullable=True,
        ),
        _text(
            "counterparty_legal_district",
            "address.district",
            "District or county.",
            nullable=True,
        ),
        _text("counterparty_legal_city", "address.city", "City."),
        _text(
            "counterparty_legal_postal_code",
            "address.postal_code",
            "Postal code, with its leading zeros.",
        ),
        _text("counterparty_legal_country", "address.country", "Country, in English."),
        _text(
            "counterparty_legal_phone_number",
            "address.phone",
            "Telephone number.",
            personal=True,
        ),
    ),
    key="counterparty_id",
    base="counterparty",
    joins=(COUNTERPARTY_ADDRESS,),
    sources=("counterparty", "address"),
)

DIM_PAYMENT_TYPE = StarTable(
    "dim_payment_type",
    Kind.DIMENSION,
    "Kinds of payment.",
    (
        _key("payment_type_id", "payment_type.payment_type_id", "Key of the kind of payment."),
        _text("payment_type_name", "payment_type.payment_type_name", "Name of the kind."),
    ),
    key="payment_type_id",
    base="payment_type",
    sources=("payment_type",),
)

DIM_TRANSACTION = StarTable(
    "dim_transaction",
    Kind.DIMENSION,
    "The link between an order and its payment.",
    (
        _key("transaction_id", "transaction.transaction_id", "Key of the transaction."),
        _text("transaction_type", "transaction.transaction_type", "SALE or PURCHASE."),
        StarColumn(
            "sales_order_id",
            Type.INTEGER,
            "integer",
            "Sales order, of a sale only.",
            ("transaction", "sales_order_id"),
            nullable=True,
        ),
        StarColumn(
            "purchase_order_id",
            Type.INTEGER,
            "integer",
            "Purchase order, of a purchase only.",
            ("transaction", "purchase_order_id"),
            nullable=True,
        ),
    ),
    key="transaction_id",
    base="transaction",
    sources=("transaction",),
)

FACT_SALES_ORDER = StarTable(
    "fact_sales_order",
    Kind.FACT,
    "Every version of every sales order.",
    (
        _key("sales_order_id", "sales_order.sales_order_id", "Key of the order."),
        *_moments("sales_order"),
        _key(
            "sales_staff_id",
            "sales_order.staff_id",
            "Member of staff who made the sale.",
            references="dim_staff",
        ),
        _key(
            "counterparty_id",
            "sales_order.counterparty_id",
            "Customer.",
            references="dim_counterparty",
        ),
        _quantity("units_sold", "sales_order.units_sold", "Number of bags."),
        _money(
            "unit_price",
            "sales_order.unit_price",
            "Price of one bag in the order's currency.",
            "numeric(10,2)",
        ),
        _key(
            "currency_id",
            "sales_order.currency_id",
            "Currency of the price.",
            references="dim_currency",
        ),
        _key("design_id", "sales_order.design_id", "Design ordered.", references="dim_design"),
        _date("agreed_payment_date", "sales_order.agreed_payment_date", "Date of payment agreed."),
        _date(
            "agreed_delivery_date", "sales_order.agreed_delivery_date", "Date of delivery agreed."
        ),
        _key(
            "agreed_delivery_location_id",
            "sales_order.agreed_delivery_location_id",
            "Place of delivery agreed.",
            references="dim_location",
        ),
    ),
    key="sales_order_id",
    base="sales_order",
    sources=("sales_order",),
    record_id="sales_record_id",
)

FACT_PURCHASE_ORDER = StarTable(
    "fact_purchase_order",
    Kind.FACT,
    "Every version of every purchase order.",
    (
        _key("purchase_order_id", "purchase_order.purchase_order_id", "Key of the order."),
        *_moments("purchase_order"),
        _key(
            "staff_id",
            "purchase_order.staff_id",
            "Member of staff who made the purchase.",
            references="dim_staff",
        ),
        _key(
            "counterparty_id",
            "purchase_order.counterparty_id",
            "Supplier.",
            references="dim_counterparty",
        ),
        _text("item_code", "purchase_order.item_code", "Supplier's code of the item."),
        _quantity("item_quantity", "purchase_order.item_quantity", "Number of items."),
        _money(
            "item_unit_price",
            "purchase_order.item_unit_price",
            "Price of one item in the order's currency.",
        ),
        _key(
            "currency_id",
            "purchase_order.currency_id",
            "Currency of the price.",
            references="dim_currency",
        ),
        _date(
            "agreed_delivery_date",
            "purchase_order.agreed_delivery_date",
            "Date of delivery agreed.",
        ),
        _date(
            "agreed_payment_date", "purchase_order.agreed_payment_date", "Date of payment agreed."
        ),
        _key(
            "agreed_delivery_location_id",
            "purchase_order.agreed_delivery_location_id",
            "Place of delivery agreed.",
            references="dim_location",
        ),
    ),
    key="purchase_order_id",
    base="purchase_order",
    sources=("purchase_order",),
    record_id="purchase_record_id",
)

FACT_PAYMENT = StarTable(
    "fact_payment",
    Kind.FACT,
    "Every version of every payment.",
    (
        _key("payment_id", "payment.payment_id", "Key of the payment."),
        *_moments("payment"),
        _key(
            "transaction_id",
            "payment.transaction_id",
            "Transaction paid.",
            references="dim_transaction",
        ),
        _key(
            "counterparty_id",
            "payment.counterparty_id",
            "Company that pays or is paid.",
            references="dim_counterparty",
        ),
        _money("payment_amount", "payment.payment_amount", "Amount in the payment's currency."),
        _key(
            "currency_id",
            "payment.currency_id",
            "Currency of the amount.",
            references="dim_currency",
        ),
        _key(
            "payment_type_id",
            "payment.payment_type_id",
            "Kind of payment.",
            references="dim_payment_type",
        ),
        StarColumn(
            "paid",
            Type.BOOLEAN,
            "boolean",
            "Whether the payment was made.",
            ("payment", "paid"),
        ),
        _date("payment_date", "payment.payment_date", "Date on which the payment is due."),
    ),
    key="payment_id",
    base="payment",
    sources=("payment",),
    record_id="payment_record_id",
)

# Dimensions come before the facts that refer to them: the order in which a batch is loaded.
STAR_TABLES: dict[str, StarTable] = {
    table.name: table
    for table in (
        DIM_DATE,
        DIM_STAFF,
        DIM_LOCATION,
        DIM_CURRENCY,
        DIM_DESIGN,
        DIM_COUNTERPARTY,
        DIM_PAYMENT_TYPE,
        DIM_TRANSACTION,
        FACT_SALES_ORDER,
        FACT_PURCHASE_ORDER,
        FACT_PAYMENT,
    )
}


def contract(star: StarTable, source: str) -> SourceTable:
    """A source table as `star` needs it: with the columns that it takes, and no others."""
    return SOURCE_TABLES[source].only(star.takes(source))


def needed_columns(source: str) -> frozenset[str]:
    """The columns of a source table that any star takes: without the others nothing is lost."""
    return frozenset().union(*(star.takes(source) for star in STAR_TABLES.values()))
