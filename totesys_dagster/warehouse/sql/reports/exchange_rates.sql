-- Question: What was each currency worth in the reporting currency, day by day?
-- Unit: units of the reporting currency for one unit of the currency.
-- Grain: a row for each day and each currency but the reporting one.
-- Trap: Weekends, holidays and other days without a quotation use an earlier one (see carried_days), for up to seven days. A carried rate is replaced when the quotation of its day arrives: history_fact_exchange_rate has both.
-- Columns: rate_date, currency_code, reporting_currency, rate, quoted_on, carried_days, source
SELECT
    q.rate_date,
    q.currency_code,
    n.reporting_currency,
    q.rate_to_gbp / r.rate_to_gbp AS rate,
    least(q.quoted_on, r.quoted_on) AS quoted_on,
    greatest(q.carried_days, r.carried_days) AS carried_days,
    coalesce(q.source, r.source) AS source
FROM {pounds_for_currencies} AS q
JOIN {pounds_for_currencies} AS r ON r.rate_date = q.rate_date
JOIN {reporting_currency} AS n ON n.reporting_currency = r.currency_code
WHERE q.currency_code <> r.currency_code
