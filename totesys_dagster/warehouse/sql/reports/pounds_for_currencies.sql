-- Question: How many pounds sterling was a currency, day by day, the pound among them?
-- Unit: pounds sterling for one unit of the currency.
-- Grain: a row for each day and currency.
-- Trap: It is what other reports convert with; exchange_rates is for people. The pound has no source, and quotes itself each day.
-- Reads: fact_exchange_rate (rate_date, currency_code, rate_to_gbp, quoted_on, carried_days, source)
-- Columns: rate_date, currency_code, rate_to_gbp, quoted_on, carried_days, source
SELECT rate_date, currency_code, rate_to_gbp, quoted_on, carried_days, source
FROM {current_fact_exchange_rate}
UNION ALL
SELECT DISTINCT rate_date, 'GBP', 1::numeric(28, 18), NULL::date, NULL::integer, NULL
FROM {current_fact_exchange_rate}
