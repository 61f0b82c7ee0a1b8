-- Question: How much does each office sell, in one currency?
-- Unit: orders, bags, and money in the reporting currency.
-- Grain: a row for each office whose staff has an order.
-- Trap: Orders of a day without a rate count as orders but not as revenue: orders_without_rate says how many. Leds counts as Leeds, as in revenue_by_office. An order counts where its member of staff works now.
-- Reads: dim_staff (staff_id, location)
-- Columns: office, reporting_currency, orders, units, revenue, orders_at_carried_rate, orders_without_rate
SELECT
    coalesce(spelling.office, s.location) AS office,
    i.reporting_currency,
    count(*) AS orders,
    sum(i.units_sold)::bigint AS units,
    sum(i.converted) AS revenue,
    count(*) FILTER (WHERE i.carried) AS orders_at_carried_rate,
    count(*) FILTER (WHERE i.converted IS NULL) AS orders_without_rate
FROM {orders_in_reporting_currency} AS i
JOIN {dim_staff} AS s ON s.staff_id = i.sales_staff_id
LEFT JOIN (VALUES ('Leds', 'Leeds')) AS spelling (location, office) ON spelling.location = s.location
GROUP BY 1, i.reporting_currency
