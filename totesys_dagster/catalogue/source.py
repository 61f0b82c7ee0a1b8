"""The eleven tables of ToteSys, as its database declares them."""

from __future__ import annotations

from totesys_dagster.catalogue.model import SourceColumn, SourceTable, Type


def _key(name: str, meaning: str) -> SourceColumn:
    return SourceColumn(name, Type.INTEGER, "integer", meaning)


def _text(
    name: str, meaning: str, *, nullable: bool = False, personal: bool = False
) -> SourceColumn:
    return SourceColumn(name, Type.TEXT, "text", meaning, nullable=nullable, personal=personal)


def _date(name: str, meaning: str) -> SourceColumn:
    return SourceColumn(name, Type.DATE, "text", meaning)


def _quantity(name: str, meaning: str) -> SourceColumn:
    return SourceColumn(name, Type.INTEGER, "integer", meaning, minimum=1)


def _price(name: str, meaning: str) -> SourceColumn:
    return SourceColumn(name, Type.MONEY, "numeric(10,2)", meaning, minimum=0)


def _timestamp(name: str, meaning: str) -> SourceColumn:
    return SourceColumn(name, Type.TIMESTAMP, "timestamp(3) without time zone", meaning)


CREATED_AT = _timestamp("created_at", "When the application created the row.")
LAST_UPDATED = _timestamp(
    "last_updated",
    "When the application says that it last changed the row; many edits leave it as it was.",
)

ADDRESS = SourceTable(
    "address",
    "Addresses of counterparties and places of delivery.",
    (
        _key("address_id", "Key of the address."),
        _text("address_line_1", "Street and number."),
        _text("address_line_2", "Second line of the street address.", nullable=True),
        _text("district", "District or county.", nullable=True),
        _text("city", "City."),
        _text("postal_code", "Postal code, with its leading zeros."),
        _text("country", "Country, in English."),
        _text("phone", "Telephone number, with its leading zeros.", personal=True),
        CREATED_AT,
        LAST_UPDATED,
    ),
)

COUNTERPARTY = SourceTable(
    "counterparty",
    "Companies that Terrific Totes sells to or buys from.",
    (
        _key("counterparty_id", "Key of the counterparty."),
        _text("counterparty_legal_name", "Registered name of the company."),
        _key("legal_address_id", "Registered address (`address`)."),
        _text("commercial_contact", "Person to talk to about trade.", nullable=True, personal=True),
        _text(
            "delivery_contact", "Person to talk to about delivery.", nullable=True, personal=True
        ),
        CREATED_AT,
        LAST_UPDATED,
    ),
)

CURRENCY = SourceTable(
    "currency",
    "Currencies that orders and payments are made in.",
    (
        _key("currency_id", "Key of the currency."),
        SourceColumn(
            "currency_code",
            Type.TEXT,
            "character varying(3)",
            "ISO 4217 code.",
            currency=True,
        ),
        CREATED_AT,
        LAST_UPDATED,
    ),
)

DEPARTMENT = SourceTable(
    "department",
    "Departments of Terrific Totes.",
    (
        _key("department_id", "Key of the department."),
        _text("department_name", "Name of the department."),
        _text("location", "Town in which it works.", nullable=True),
        _text("manager", "Name of its manager.", nullable=True, personal=True),
        CREATED_AT,
        LAST_UPDATED,
    ),
)

DESIGN = SourceTable(
    "design",
    "Designs of tote bags.",
    (
        _key("design_id", "Key of the design."),
        CREATED_AT,
        _text("design_name", "Name of the design."),
        _text("file_location", "Directory of its drawing."),
        _text("file_name", "File of its drawing."),
        LAST_UPDATED,
    ),
)

STAFF = SourceTable(
    "staff",
    "Members of staff.",
    (
        _key("staff_id", "Key of the member of staff."),
        _text("first_name", "First name.", personal=True),
        _text("last_name", "Last name.", personal=True),
        _key("department_id", "Department (`department`)."),
        _text("email_address", "E-mail address at work.", personal=True),
        CREATED_AT,
        LAST_UPDATED,
    ),
)

PAYMENT_TYPE = SourceTable(
    "payment_type",
    "Kinds of payment.",
    (
        _key("payment_type_id", "Key of the kind of payment."),
        SourceColumn(
            "payment_type_name", Type.TEXT, 'public."PaymentTypeName"', "Name of the kind."
        ),
        CREATED_AT,
        LAST_UPDATED,
    ),
)

SALES_ORDER = SourceTable(
    "sales_order",
    "Orders from customers.",
    (
        _key("sales_order_id", "Key of the order."),
        CREATED_AT,
        LAST_UPDATED,
        _key("design_id", "Design ordered (`design`)."),
        _key("staff_id", "Member of staff who made the sale (`staff`)."),
        _key("counterparty_id", "Customer (`counterparty`)."),
        _quantity("units_sold", "Number of bags."),
        _price("unit_price", "Price of one bag in the order's currency."),
        _key("currency_id", "Currency of the price (`currency`)."),
        _date("agreed_delivery_date", "Date of delivery agreed."),
        _date("agreed_payment_date", "Date of payment agreed."),
        _key("agreed_delivery_location_id", "Place of delivery agreed (`address`)."),
    ),
)

PURCHASE_ORDER = SourceTable(
    "purchase_order",
    "Orders to suppliers.",
    (
        _key("purchase_order_id", "Key of the order."),
        CREATED_AT,
        LAST_UPDATED,
        _key("staff_id", "Member of staff who made the purchase (`staff`)."),
        _key("counterparty_id", "Supplier (`counterparty`)."),
        _text("item_code", "Supplier's code of the item, with its leading zeros."),
        _quantity("item_quantity", "Number of items."),
        _price("item_unit_price", "Price of one item in the order's currency."),
        _key("currency_id", "Currency of the price (`currency`)."),
        _date("agreed_delivery_date", "Date of delivery agreed."),
        _date("agreed_payment_date", "Date of payment agreed."),
        _key("agreed_delivery_location_id", "Place of delivery agreed (`address`)."),
    ),
)

TRANSACTION = SourceTable(
    "transaction",
    "The link between an order and its payment.",
    (
        _key("transaction_id", "Key of the transaction."),
        SourceColumn(
            "transaction_type", Type.TEXT, 'public."TransactionType"', "SALE or PURCHASE."
        ),
        SourceColumn(
            "sales_order_id",
            Type.INTEGER,
            "integer",
            "Sales order (`sales_order`), of a sale only.",
            nullable=True,
        ),
        SourceColumn(
            "purchase_order_id",
            Type.INTEGER,
            "integer",
            "Purchase order (`purchase_order`), of a purchase only.",
            nullable=True,
        ),
        CREATED_AT,
        LAST_UPDATED,
    ),
)

PAYMENT = SourceTable(
    "payment",
    "Payments due and made, one per transaction.",
    (
        _key("payment_id", "Key of the payment."),
        CREATED_AT,
        LAST_UPDATED,
        _key("transaction_id", "Transaction paid (`transaction`)."),
        _key("counterparty_id", "Company that pays or is paid (`counterparty`)."),
        SourceColumn(
            "payment_amount",
            Type.MONEY,
            "numeric(10,2)",
            "Amount in the payment's currency; its sign is left to ToteSys, which has refunds.",
        ),
        _key("currency_id", "Currency of the amount (`currency`)."),
        _key("payment_type_id", "Kind of payment (`payment_type`)."),
        SourceColumn("paid", Type.BOOLEAN, "boolean", "Whether the payment was made."),
        _date("payment_date", "Date on which the payment is due."),
        SourceColumn(
            "company_ac_number",
            Type.INTEGER,
            "integer",
            "Account of Terrific Totes.",
            personal=True,
        ),
        SourceColumn(
            "counterparty_ac_number",
            Type.INTEGER,
            "integer",
            "Account of the counterparty.",
            personal=True,
        ),
    ),
)

SOURCE_TABLES: dict[str, SourceTable] = {
    table.name: table
    for table in (
        ADDRESS,
        COUNTERPARTY,
        CURRENCY,
        DEPARTMENT,
        DESIGN,
        PAYMENT,
        PAYMENT_TYPE,
        PURCHASE_ORDER,
        SALES_ORDER,
        STAFF,
        TRANSACTION,
    )
}

# Tables beside the eleven that are no news: Prisma notes there which migrations it has run.
OTHER_TABLES = frozenset({"_prisma_migrations"})
