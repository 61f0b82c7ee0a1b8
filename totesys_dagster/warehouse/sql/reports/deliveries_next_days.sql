-- Question: How much is to be delivered in the days after a given day?
-- Unit: orders and bags.
-- Grain: a row for each of so many days after the given one.
-- Trap: The given day is excluded. Silent edits move deliveries; the date agreed now counts. Days without a delivery are missing.
-- Reads: fact_sales_order (units_sold, agreed_delivery_date)
-- Parameters: as_of date, days integer
-- Columns: agreed_delivery_date, orders, units
SELECT o.agreed_delivery_date, count(*), sum(o.units_sold)::bigint
FROM {current_fact_sales_order} AS o
WHERE o.agreed_delivery_date > as_of AND o.agreed_delivery_date <= as_of + days
GROUP BY o.agreed_delivery_date
