-- Question: How do each office's sales compare with its target?
-- Unit: orders, and money in the currency of the row.
-- Grain: a row for each month, office and currency that has an order, a target, or both.
-- Trap: Missing values are NULL, not zero: a target without an order has no revenue, and sales without a target have nothing to compare with. An order counts where its member of staff works now, and Leds counts as Leeds, as in revenue_by_office. The current month is incomplete: it is marked as unfinished.
-- Reads: fact_sales_order (created_date, units_sold, unit_price, currency_id, sales_staff_id), dim_staff (staff_id, location), dim_currency (currency_id, currency_code), fact_sales_target (month, office, currency_code, target_amount)
-- Columns: month, office, currency_code, orders, revenue, target_amount, difference, percent_of_target, unfinished
SELECT
    month,
    office,
    currency_code,
    sum(orders)::bigint AS orders,
    sum(revenue) AS revenue,
    sum(target_amount) AS target_amount,
    sum(revenue) - sum(target_amount) AS difference,
    round(100 * sum(revenue) / nullif(sum(target_amount), 0), 1) AS percent_of_target,
    month >= date_trunc('month', now() AT TIME ZONE 'Europe/London')::date AS unfinished
FROM (
    -- One below the other and not joined, as a month may have one of the two only.
    SELECT
        o.month,
        coalesce(spelling.office, s.location) AS office,
        c.currency_code,
        o.orders,
        o.revenue,
        NULL::numeric AS target_amount
    FROM (
        SELECT
            date_trunc('month', created_date::timestamp)::date AS month,
            sales_staff_id AS staff_id,
            currency_id,
            count(*) AS orders,
            sum(units_sold * unit_price) AS revenue
        FROM {current_fact_sales_order}
        GROUP BY 1, 2, 3
    ) AS o
    JOIN {dim_staff} AS s USING (staff_id)
    JOIN {dim_currency} AS c USING (currency_id)
    LEFT JOIN (VALUES ('Leds', 'Leeds')) AS spelling (location, office)
        ON spelling.location = s.location
    UNION ALL
    SELECT t.month, coalesce(spelling.office, t.office), t.currency_code, NULL, NULL, t.target_amount
    FROM {current_fact_sales_target} AS t
    LEFT JOIN (VALUES ('Leds', 'Leeds')) AS spelling (location, office)
        ON spelling.location = t.office
) AS sold_and_targeted
GROUP BY month, office, currency_code
