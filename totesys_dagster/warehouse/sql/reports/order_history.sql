-- Question: How has one sales order changed?
-- Unit: bags, and money in the currency of the row.
-- Grain: a row for each version of the order, in order; a deletion is a version, too.
-- Trap: A version is current from the snapshot that first had it, so times are as precise as batches are frequent. A deleted order still shows its last values.
-- Parameters: sales_order_id integer
-- Columns: version, valid_from, valid_to, loaded_at, is_deleted, created_date, sales_staff_id, counterparty_id, design_id, units_sold, unit_price, currency_code, revenue, agreed_payment_date, agreed_delivery_date, agreed_delivery_location_id, batch_seq
SELECT
    row_number() OVER versions,
    v.observed_at,
    lead(v.observed_at) OVER versions,
    v.loaded_at,
    v.is_deleted,
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
    v.batch_seq
FROM {order_versions} AS v
WHERE v.sales_order_id = order_history.sales_order_id
WINDOW versions AS (ORDER BY v.batch_seq)
ORDER BY v.batch_seq
