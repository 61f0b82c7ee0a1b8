-- Question: How many pounds sterling was each currency worth, day by day, including the pound?
-- Unit: pounds sterling for one unit of the currency.
-- Grain: a row for each day and currency.
-- Trap: Other reports convert with it; people use exchange_rates. The pound has no source, and has the rate 1 on every day.
-- Reads: fact_exchange_rate (rate_date, currency_code, rate_to_gbp, quoted_on, carried_days, source)
-- Columns: rate_date, currency_code, rate_to_gbp, quoted_on, carried_days, source
SELECT rate_date, currency_code, rate_to_gbp, quoted_on, carried_days, source
FROM {current_fact_exchange_rate}
UNION ALL
SELECT DISTINCT rate_date, 'GBP', 1::numeric(28, 18), NULL::date, NULL::integer, NULL
FROM {current_fact_exchange_rate}
