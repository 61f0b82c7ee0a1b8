-- Question: What have we sold and bought, month by month, side by side?
-- Unit: orders, and money in the currency of the row.
-- Grain: a row for each month and currency in which there is an order of either kind.
-- Trap: The difference is not a margin, because no purchase belongs to a sale. Whatever a month lacks is NULL, not zero. The current month is incomplete: it is marked as unfinished.
-- Columns: month, currency_code, sales_orders, revenue, purchase_orders, purchase_amount, unfinished
SELECT
    month,
    currency_code,
    sum(sales_orders)::bigint AS sales_orders,
    sum(revenue) AS revenue,
    sum(purchase_orders)::bigint AS purchase_orders,
    sum(purchase_amount) AS purchase_amount,
    bool_or(unfinished) AS unfinished
FROM (
    -- One below the other and not joined, as a month may have one kind only.
    SELECT
        month,
        currency_code,
        orders AS sales_orders,
        revenue,
        NULL::bigint AS purchase_orders,
        NULL::numeric AS purchase_amount,
        unfinished
    FROM {revenue_by_month}
    UNION ALL
    SELECT month, currency_code, NULL, NULL, orders, amount, unfinished
    FROM {purchases_by_month}
) AS both_kinds
GROUP BY month, currency_code
