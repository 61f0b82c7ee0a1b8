-- Question: What is each order worth in the reporting currency, at the rate of its day?
-- Unit: money in the reporting currency, rounded to hundredths for each order.
-- Grain: a row for each order.
-- Trap: Without a rate of its day or the seven days before, `converted` is NULL and in no sum: count such orders beside every sum. An order in the reporting currency needs no rate, but is still marked as carried on a day whose rates are carried.
-- Reads: fact_sales_order (sales_order_id, created_date, units_sold, unit_price, currency_id, counterparty_id, design_id, sales_staff_id), dim_currency (currency_id, currency_code), fact_exchange_rate (rate_date, currency_code, rate_to_gbp, carried_days)
-- Columns: sales_order_id, created_date, counterparty_id, design_id, sales_staff_id, currency_code, units_sold, revenue, reporting_currency, converted, carried
SELECT
    o.sales_order_id,
    o.created_date,
    o.counterparty_id,
    o.design_id,
    o.sales_staff_id,
    c.currency_code,
    o.units_sold,
    o.units_sold * o.unit_price AS revenue,
    n.reporting_currency,
    round(o.units_sold * o.unit_price * rate, 2) AS converted,
    rate IS NOT NULL AND greatest(q.carried_days, r.carried_days, 0) > 0 AS carried
FROM {current_fact_sales_order} AS o
JOIN {dim_currency} AS c USING (currency_id)
CROSS JOIN {reporting_currency} AS n
LEFT JOIN {current_fact_exchange_rate} AS q
    -- The pound is fixed with the euro.
    ON q.rate_date = o.created_date
    AND q.currency_code = CASE c.currency_code WHEN 'GBP' THEN 'EUR' ELSE c.currency_code END
LEFT JOIN {current_fact_exchange_rate} AS r
    ON r.rate_date = o.created_date AND r.currency_code = n.reporting_currency
CROSS JOIN LATERAL (
    -- The pound is what rates are in, and has none.
    SELECT CASE c.currency_code WHEN 'GBP' THEN 1 ELSE q.rate_to_gbp END AS of_order,
        CASE n.reporting_currency WHEN 'GBP' THEN 1 ELSE r.rate_to_gbp END AS of_report
) AS pounds
CROSS JOIN LATERAL (
    SELECT CASE c.currency_code
        WHEN n.reporting_currency THEN 1
        ELSE pounds.of_order / pounds.of_report
    END
) AS exchange (rate)
