-- Question: What have we sold, month by month, in one currency?
-- Unit: orders, bags, and money in the reporting currency.
-- Grain: a row for each month in which there is an order.
-- Trap: Orders of a day without a rate count as orders but not as revenue: orders_without_rate says how many. The current month is incomplete: it is marked as unfinished.
-- Columns: month, reporting_currency, orders, units, revenue, orders_at_carried_rate, orders_without_rate, unfinished
SELECT
    month,
    i.reporting_currency,
    count(*) AS orders,
    sum(i.units_sold)::bigint AS units,
    sum(i.converted) AS revenue,
    count(*) FILTER (WHERE i.carried) AS orders_at_carried_rate,
    count(*) FILTER (WHERE i.converted IS NULL) AS orders_without_rate,
    month >= date_trunc('month', now() AT TIME ZONE 'Europe/London')::date AS unfinished
FROM {orders_in_reporting_currency} AS i
CROSS JOIN LATERAL (SELECT date_trunc('month', i.created_date::timestamp)::date) AS m (month)
GROUP BY month, i.reporting_currency
