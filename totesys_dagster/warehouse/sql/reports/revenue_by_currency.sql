-- Question: What have we sold, by currency?
-- Unit: orders, bags, and money in the currency of the row.
-- Grain: a row for each currency in which there is an order.
-- Trap: Never add revenue in different currencies without converting it: the sum would be meaningless.
-- Reads: fact_sales_order (units_sold, unit_price, currency_id), dim_currency (currency_id, currency_code)
-- Columns: currency_code, orders, units, revenue
SELECT
    c.currency_code,
    count(*) AS orders,
    sum(o.units_sold)::bigint AS units,
    sum(o.units_sold * o.unit_price) AS revenue
FROM {current_fact_sales_order} AS o
JOIN {dim_currency} AS c USING (currency_id)
GROUP BY c.currency_code
