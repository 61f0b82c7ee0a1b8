-- Question: How many orders does each member of staff have?
-- Unit: orders and bags.
-- Grain: a row for each member of staff with an order.
-- Trap: Two people may share a name: group by staff_id. Staff without an order are missing. Silent edits move orders to other staff; the current one counts.
-- Reads: fact_sales_order (units_sold, sales_staff_id), dim_staff (staff_id, first_name, last_name, department_name)
-- Columns: staff_id, staff_name, department_name, orders, units
SELECT
    s.staff_id,
    s.first_name || ' ' || s.last_name AS staff_name,
    s.department_name,
    o.orders,
    o.units
FROM (
    SELECT sales_staff_id AS staff_id, count(*) AS orders, sum(units_sold)::bigint AS units
    FROM {current_fact_sales_order}
    GROUP BY sales_staff_id
) AS o
JOIN {dim_staff} AS s USING (staff_id)
