-- Question: What have we sold, week by week?
-- Unit: orders, bags, and money in the currency of the row.
-- Grain: a row for each ISO week (named by its Monday) and currency in which there is an order.
-- Trap: A week without an order is missing, not zero. The current week is incomplete: it is marked as unfinished. A week may belong to two months.
-- Reads: fact_sales_order (created_date, units_sold, unit_price, currency_id), dim_currency (currency_id, currency_code)
-- Columns: week, currency_code, orders, units, revenue, unfinished
SELECT
    week,
    c.currency_code,
    count(*) AS orders,
    sum(o.units_sold)::bigint AS units,
    sum(o.units_sold * o.unit_price) AS revenue,
    week >= date_trunc('week', now() AT TIME ZONE 'Europe/London')::date AS unfinished
FROM {current_fact_sales_order} AS o
JOIN {dim_currency} AS c USING (currency_id)
CROSS JOIN LATERAL (SELECT date_trunc('week', o.created_date::timestamp)::date) AS w (week)
GROUP BY week, c.currency_code
