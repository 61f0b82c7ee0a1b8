-- Question: Which sales orders did ToteSys hold at a given moment?
-- Unit: bags, and money in the currency of the row.
-- Grain: a row for each order that existed, in the version of that moment.
-- Trap: It shows what the last batch before that moment read, without any later change in ToteSys. For what the warehouse knew by then, use orders_as_of.
-- Parameters: moment timestamp with time zone
-- Columns: sales_order_id, created_date, sales_staff_id, counterparty_id, design_id, units_sold, unit_price, currency_code, revenue, agreed_payment_date, agreed_delivery_date, agreed_delivery_location_id, batch_seq, observed_at
SELECT
    v.sales_order_id,
    v.created_date,
    v.sales_staff_id,
    v.counterparty_id,
    v.design_id,
    v.units_sold,
    v.unit_price,
    v.currency_code,
    v.revenue,
    v.agreed_payment_date,
    v.agreed_delivery_date,
    v.agreed_delivery_location_id,
    v.batch_seq,
    v.observed_at
FROM {order_versions} AS v
WHERE NOT v.is_deleted
  AND v.batch_seq <= (SELECT max(b.batch_seq) FROM {batches} AS b WHERE b.observed_at <= moment)
  AND NOT EXISTS (
    SELECT FROM {order_versions} AS later
    WHERE later.sales_order_id = v.sales_order_id AND later.batch_seq > v.batch_seq
      -- As in current_*: no version of the first batch follows another one.
      AND later.batch_seq > 1
      AND later.batch_seq <= (SELECT max(b.batch_seq) FROM {batches} AS b WHERE b.observed_at <= moment)
)
