-- Question: How much does each customer buy, in one currency?
-- Unit: orders, bags, and money in the reporting currency.
-- Grain: a row for each customer that has an order.
-- Trap: Orders of a day without a rate count as orders but not as revenue: orders_without_rate says how many. Two customers may share a name: group by counterparty_id.
-- Reads: dim_counterparty (counterparty_id, counterparty_legal_name)
-- Columns: counterparty_id, counterparty_legal_name, reporting_currency, orders, units, revenue, orders_at_carried_rate, orders_without_rate
SELECT
    i.counterparty_id,
    p.counterparty_legal_name,
    i.reporting_currency,
    count(*) AS orders,
    sum(i.units_sold)::bigint AS units,
    sum(i.converted) AS revenue,
    count(*) FILTER (WHERE i.carried) AS orders_at_carried_rate,
    count(*) FILTER (WHERE i.converted IS NULL) AS orders_without_rate
FROM {orders_in_reporting_currency} AS i
JOIN {dim_counterparty} AS p USING (counterparty_id)
GROUP BY i.counterparty_id, p.counterparty_legal_name, i.reporting_currency
