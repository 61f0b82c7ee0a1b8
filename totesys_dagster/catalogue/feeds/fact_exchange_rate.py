from totesys_dagster.catalogue.model import Kind, StarTable, Type
from totesys_dagster.catalogue.star_columns import given

TABLE = StarTable(
    "fact_exchange_rate",
    Kind.FACT,
    "Every version of the rate of each currency and day, in pounds sterling.",
    feed="exchange_rate",
    key_columns=("rate_date", "currency_code"),
    record_id="exchange_rate_record_id",
    columns=(
        given("rate_date", Type.DATE, "The day to which the rate applies."),
        given("currency_code", Type.TEXT, "ISO 4217 code of the currency."),
        given(
            "rate_to_gbp",
            Type.MONEY,
            "Pounds sterling for one unit of the currency; NULL where no quotation of the seven"
            " days before is known.",
            nullable=True,
            digits=(28, 18),
        ),
        given("quoted_on", Type.DATE, "The day on which the rate was quoted.", nullable=True),
        given(
            "carried_days",
            Type.INTEGER,
            "How many days before rate_date the rate was quoted.",
            nullable=True,
        ),
        given("source", Type.TEXT, "Who quoted the rate.", nullable=True),
    ),
)
