-- Question: Which versions of sales orders exist?
-- Unit: bags, and money in the currency of the row.
-- Grain: a row for each version of an order; a deletion is a version, too.
-- Trap: An order has several rows: count them in `current_fact_sales_order`. A state that came and went between two batches was never seen.
-- Reads: fact_sales_order (sales_order_id, created_date, sales_staff_id, counterparty_id, units_sold, unit_price, currency_id, design_id, agreed_payment_date, agreed_delivery_date, agreed_delivery_location_id), dim_currency (currency_id, currency_code)
-- Columns: sales_order_id, batch_seq, observed_at, loaded_at, is_deleted, created_date, sales_staff_id, counterparty_id, design_id, units_sold, unit_price, currency_code, revenue, agreed_payment_date, agreed_delivery_date, agreed_delivery_location_id
SELECT
    o.sales_order_id,
    o.batch_seq,
    o.observed_at,
    b.loaded_at,
    o.is_deleted,
    o.created_date,
    o.sales_staff_id,
    o.counterparty_id,
    o.design_id,
    o.units_sold,
    o.unit_price,
    c.currency_code,
    o.units_sold * o.unit_price AS revenue,
    o.agreed_payment_date,
    o.agreed_delivery_date,
    o.agreed_delivery_location_id
FROM {fact_sales_order} AS o
-- Each refers to one row: where a query does not ask for its column, PostgreSQL leaves it out.
LEFT JOIN {ledger_batch} AS b ON b.log = 'totesys' AND b.sequence = o.batch_seq
LEFT JOIN {dim_currency} AS c ON c.currency_id = o.currency_id
