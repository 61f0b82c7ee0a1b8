-- Question: Which deliveries were moved from the day first agreed?
-- Unit: days; a positive number means later.
-- Grain: a row for each sales order whose delivery date differs from that of its first version.
-- Trap: What ToteSys changed before the first batch is not known. A date that was moved and moved back has not slipped; `order_amendments` shows both moves.
-- Reads: fact_sales_order (sales_order_id, agreed_delivery_date)
-- Columns: sales_order_id, first_agreed, now_agreed, days
SELECT
    o.sales_order_id,
    f.agreed_delivery_date AS first_agreed,
    o.agreed_delivery_date AS now_agreed,
    o.agreed_delivery_date - f.agreed_delivery_date AS days
FROM {fact_sales_order} AS f
JOIN {fact_sales_order} AS o ON o.sales_order_id = f.sales_order_id AND o.batch_seq > f.batch_seq
-- No version of the first batch follows another one, and most versions are of that.
WHERE o.batch_seq > 1 AND o.agreed_delivery_date <> f.agreed_delivery_date AND NOT o.is_deleted
  AND NOT EXISTS (
    SELECT FROM {fact_sales_order} AS earlier
    WHERE earlier.sales_order_id = f.sales_order_id AND earlier.batch_seq < f.batch_seq
) AND NOT EXISTS (
    SELECT FROM {fact_sales_order} AS later
    WHERE later.sales_order_id = o.sales_order_id AND later.batch_seq > o.batch_seq
      AND later.batch_seq > 1
)
