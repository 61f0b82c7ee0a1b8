-- Question: How much does each design sell, by name?
-- Unit: designs, orders, bags, and money in the currency of the row.
-- Grain: a row for each name of a design and each currency in which it was ordered.
-- Trap: A name is not a key: many designs share one, and `designs` counts those that were ordered. Silent edits move orders to other designs; the current design counts.
-- Reads: fact_sales_order (units_sold, unit_price, currency_id, design_id), dim_design (design_id, design_name), dim_currency (currency_id, currency_code)
-- Columns: design_name, currency_code, designs, orders, units, revenue
SELECT
    d.design_name,
    c.currency_code,
    count(*) AS designs,
    sum(o.orders)::bigint AS orders,
    sum(o.units)::bigint AS units,
    sum(o.revenue) AS revenue
FROM (
    SELECT
        design_id,
        currency_id,
        count(*) AS orders,
        sum(units_sold) AS units,
        sum(units_sold * unit_price) AS revenue
    FROM {current_fact_sales_order}
    GROUP BY design_id, currency_id
) AS o
JOIN {dim_design} AS d USING (design_id)
JOIN {dim_currency} AS c USING (currency_id)
GROUP BY d.design_name, c.currency_code
