-- Question: How much does each customer buy?
-- Unit: orders, bags, and money in the currency of the row.
-- Grain: a row for each customer and each currency in which it has an order.
-- Trap: Two customers may share a name: group by counterparty_id. All customers are close together, so plot them on a scale that starts at zero.
-- Reads: fact_sales_order (units_sold, unit_price, currency_id, counterparty_id), dim_counterparty (counterparty_id, counterparty_legal_name), dim_currency (currency_id, currency_code)
-- Columns: counterparty_id, counterparty_legal_name, currency_code, orders, units, revenue
SELECT
    p.counterparty_id,
    p.counterparty_legal_name,
    c.currency_code,
    o.orders,
    o.units,
    o.revenue
FROM (
    SELECT
        counterparty_id,
        currency_id,
        count(*) AS orders,
        sum(units_sold)::bigint AS units,
        sum(units_sold * unit_price) AS revenue
    FROM {current_fact_sales_order}
    GROUP BY counterparty_id, currency_id
) AS o
JOIN {dim_counterparty} AS p USING (counterparty_id)
JOIN {dim_currency} AS c USING (currency_id)
