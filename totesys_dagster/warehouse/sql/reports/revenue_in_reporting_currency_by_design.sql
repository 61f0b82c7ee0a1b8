-- Question: How much does each design sell, by name, in one currency?
-- Unit: orders, bags, and money in the reporting currency.
-- Grain: a row for each name of a design that was ordered.
-- Trap: Orders of a day without a rate count as orders but not as revenue: orders_without_rate says how many. A name is not a key: many designs share one.
-- Reads: dim_design (design_id, design_name)
-- Columns: design_name, reporting_currency, orders, units, revenue, orders_at_carried_rate, orders_without_rate
SELECT
    d.design_name,
    i.reporting_currency,
    count(*) AS orders,
    sum(i.units_sold)::bigint AS units,
    sum(i.converted) AS revenue,
    count(*) FILTER (WHERE i.carried) AS orders_at_carried_rate,
    count(*) FILTER (WHERE i.converted IS NULL) AS orders_without_rate
FROM {orders_in_reporting_currency} AS i
JOIN {dim_design} AS d USING (design_id)
GROUP BY d.design_name, i.reporting_currency
