-- Question: What have we bought, month by month?
-- Unit: purchase orders, and money in the currency of the row.
-- Grain: a row for each month and currency in which there is a purchase order.
-- Trap: A month without a purchase is missing, not zero. The current month is incomplete: it is marked as unfinished. Each item code occurs once, so there are no top items.
-- Reads: fact_purchase_order (created_date, item_quantity, item_unit_price, currency_id), dim_currency (currency_id, currency_code)
-- Columns: month, currency_code, orders, amount, unfinished
SELECT
    month,
    c.currency_code,
    count(*) AS orders,
    sum(o.item_quantity * o.item_unit_price) AS amount,
    month >= date_trunc('month', now() AT TIME ZONE 'Europe/London')::date AS unfinished
FROM {current_fact_purchase_order} AS o
JOIN {dim_currency} AS c USING (currency_id)
CROSS JOIN LATERAL (SELECT date_trunc('month', o.created_date::timestamp)::date) AS m (month)
GROUP BY month, c.currency_code
