-- Question: Where do we deliver to?
-- Unit: orders and bags.
-- Grain: a row for each country that an order goes to, as ToteSys names it.
-- Trap: Names are looked up in a list (`country_names`) and never guessed, since a fuzzy search takes the Republic of Korea for North Korea. A name that is not in the list has no code; its orders count all the same.
-- Reads: fact_sales_order (units_sold, agreed_delivery_location_id), dim_location (location_id, country)
-- Columns: country, country_code, orders, units
SELECT
    l.country,
    n.country_code,
    sum(o.orders)::bigint AS orders,
    sum(o.units)::bigint AS units
FROM (
    SELECT
        agreed_delivery_location_id AS location_id,
        count(*) AS orders,
        sum(units_sold) AS units
    FROM {current_fact_sales_order}
    GROUP BY agreed_delivery_location_id
) AS o
JOIN {dim_location} AS l USING (location_id)
LEFT JOIN {country_names} AS n ON lower(n.country_name) = lower(l.country)
GROUP BY l.country, n.country_code
