from totesys_dagster.catalogue.model import SourceTable
from totesys_dagster.catalogue.source_columns import (
    CREATED_AT,
    LAST_UPDATED,
    boolean,
    date,
    integer,
    key,
    money,
    reference,
)

TABLE = SourceTable(
    "payment",
    "Payments due and made, one per transaction.",
    (
        key("payment_id", "Key of the payment."),
        CREATED_AT,
        LAST_UPDATED,
        reference("transaction_id", "transaction", "Transaction that the payment settles."),
        reference("counterparty_id", "counterparty", "Company that pays or is paid."),
        money(
            "payment_amount",
            "Amount in the payment's currency. Either sign is valid, since there are refunds.",
        ),
        reference("currency_id", "currency", "Currency of the amount."),
        reference("payment_type_id", "payment_type", "Kind of payment."),
        boolean("paid", "Whether the payment was made."),
        date("payment_date", "Date on which the payment is due."),
        integer("company_ac_number", "Account of Terrific Totes.", pii=True),
        integer("counterparty_ac_number", "Account of the counterparty.", pii=True),
    ),
)
