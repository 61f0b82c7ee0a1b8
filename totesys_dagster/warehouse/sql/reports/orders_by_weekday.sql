-- Question: On which days of the week do orders come in?
-- Unit: orders and bags; `days` counts the days on which there was one.
-- Grain: a row for each day of the week on which an order was made.
-- Trap: The office is closed at weekends, so these are missing. The data may contain more Mondays than Fridays: compare orders per day.
-- Reads: fact_sales_order (created_date, units_sold), dim_date (date_id, day_of_week, day_name)
-- Columns: day_of_week, day_name, days, orders, units
SELECT
    d.day_of_week,
    d.day_name,
    count(*)::integer AS days,
    sum(o.orders)::bigint AS orders,
    sum(o.units)::bigint AS units
FROM (
    SELECT created_date AS date_id, count(*) AS orders, sum(units_sold) AS units
    FROM {current_fact_sales_order}
    GROUP BY created_date
) AS o
JOIN {dim_date} AS d USING (date_id)
GROUP BY d.day_of_week, d.day_name
