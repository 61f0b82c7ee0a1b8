-- Question: What have we sold, month by month?
-- Unit: orders, bags, and money in the currency of the row.
-- Grain: a row for each month and currency in which there is an order.
-- Trap: A month without an order is missing, not zero. The current month is incomplete: it is marked as unfinished, and lower than the previous one for that reason alone.
-- Reads: fact_sales_order (created_date, units_sold, unit_price, currency_id), dim_currency (currency_id, currency_code)
-- Columns: month, currency_code, orders, units, revenue, unfinished
SELECT
    month,
    c.currency_code,
    count(*) AS orders,
    sum(o.units_sold)::bigint AS units,
    sum(o.units_sold * o.unit_price) AS revenue,
    month >= date_trunc('month', now() AT TIME ZONE 'Europe/London')::date AS unfinished
FROM {current_fact_sales_order} AS o
JOIN {dim_currency} AS c USING (currency_id)
CROSS JOIN LATERAL (SELECT date_trunc('month', o.created_date::timestamp)::date) AS m (month)
GROUP BY month, c.currency_code
