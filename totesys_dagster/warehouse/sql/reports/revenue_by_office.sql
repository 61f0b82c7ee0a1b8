-- Question: How much does each office sell?
-- Unit: orders, bags, and money in the currency of the row.
-- Grain: a row for each office and each currency in which its staff has an order.
-- Trap: ToteSys spells one town in two ways, Leeds and Leds. Here it is one office, by the list below; the dimension keeps the spelling of ToteSys. An order counts where its member of staff works now.
-- Reads: fact_sales_order (units_sold, unit_price, currency_id, sales_staff_id), dim_staff (staff_id, location), dim_currency (currency_id, currency_code)
-- Columns: office, currency_code, orders, units, revenue
SELECT
    coalesce(spelling.office, s.location) AS office,
    c.currency_code,
    sum(o.orders)::bigint AS orders,
    sum(o.units)::bigint AS units,
    sum(o.revenue) AS revenue
FROM (
    SELECT
        sales_staff_id AS staff_id,
        currency_id,
        count(*) AS orders,
        sum(units_sold) AS units,
        sum(units_sold * unit_price) AS revenue
    FROM {current_fact_sales_order}
    GROUP BY sales_staff_id, currency_id
) AS o
JOIN {dim_staff} AS s USING (staff_id)
JOIN {dim_currency} AS c USING (currency_id)
LEFT JOIN (VALUES ('Leds', 'Leeds')) AS spelling (location, office) ON spelling.location = s.location
GROUP BY 1, 2
