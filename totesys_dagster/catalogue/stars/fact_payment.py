from totesys_dagster.catalogue.model import Kind, StarTable
from totesys_dagster.catalogue.star_columns import carry, moments

TABLE = StarTable(
    "fact_payment",
    Kind.FACT,
    "Every version of every payment.",
    base="payment",
    record_id="payment_record_id",
    columns=(
        carry("payment.payment_id"),
        *moments("payment"),
        carry("payment.transaction_id"),
        carry("payment.counterparty_id"),
        carry(
            "payment.payment_amount",
            description="Amount in the payment's currency.",
            sql_type="numeric",
        ),
        carry("payment.currency_id"),
        carry("payment.payment_type_id"),
        carry("payment.paid"),
        carry("payment.payment_date"),
    ),
)
