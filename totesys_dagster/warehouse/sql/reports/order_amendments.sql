-- Question: What was changed in sales orders, and when was the change seen?
-- Unit: changes of one column; values as text.
-- Grain: a row for each column in which a version of an order differs from the previous one.
-- Trap: ToteSys does not record when these edits were made: observed_at is when they were first seen. Deletions and returns are changes of is_deleted. What changed before the first batch is not known.
-- Reads: fact_sales_order (sales_order_id, created_date, created_time, last_updated_date, last_updated_time, sales_staff_id, counterparty_id, units_sold, unit_price, currency_id, design_id, agreed_payment_date, agreed_delivery_date, agreed_delivery_location_id)
-- Columns: sales_order_id, changed, from_value, to_value, observed_at, batch_seq
SELECT
    o.sales_order_id,
    c.changed,
    c.from_value,
    c.to_value,
    o.observed_at,
    o.batch_seq
FROM {fact_sales_order} AS f
JOIN {fact_sales_order} AS o ON o.sales_order_id = f.sales_order_id AND o.batch_seq > f.batch_seq
CROSS JOIN LATERAL (
    VALUES
        ('created_date', f.created_date::text, o.created_date::text),
        ('created_time', f.created_time::text, o.created_time::text),
        ('last_updated_date', f.last_updated_date::text, o.last_updated_date::text),
        ('last_updated_time', f.last_updated_time::text, o.last_updated_time::text),
        ('sales_staff_id', f.sales_staff_id::text, o.sales_staff_id::text),
        ('counterparty_id', f.counterparty_id::text, o.counterparty_id::text),
        ('units_sold', f.units_sold::text, o.units_sold::text),
        ('unit_price', f.unit_price::text, o.unit_price::text),
        ('currency_id', f.currency_id::text, o.currency_id::text),
        ('design_id', f.design_id::text, o.design_id::text),
        ('agreed_payment_date', f.agreed_payment_date::text, o.agreed_payment_date::text),
        ('agreed_delivery_date', f.agreed_delivery_date::text, o.agreed_delivery_date::text),
        (
            'agreed_delivery_location_id',
            f.agreed_delivery_location_id::text,
            o.agreed_delivery_location_id::text
        ),
        ('is_deleted', f.is_deleted::text, o.is_deleted::text)
) AS c (changed, from_value, to_value)
-- No version of the first batch follows another one, and most versions are of that.
WHERE o.batch_seq > 1 AND c.from_value IS DISTINCT FROM c.to_value AND NOT EXISTS (
    SELECT FROM {fact_sales_order} AS between_them
    WHERE between_them.sales_order_id = f.sales_order_id
      AND between_them.batch_seq > f.batch_seq AND between_them.batch_seq < o.batch_seq
      AND between_them.batch_seq > 1
)
