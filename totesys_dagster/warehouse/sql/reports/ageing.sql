-- Question: How long have payments been overdue on a given day?
-- Unit: payments, and money in the currency of the row; buckets are days since the payment was due.
-- Grain: a row for each direction, currency and bucket with an overdue payment.
-- Trap: The day sets the limit, not the knowledge: payments made since then are in no bucket. Nor are payments due on that day or later.
-- Parameters: as_of date
-- Columns: direction, currency_code, bucket, payments, amount
SELECT p.direction, p.currency_code, b.bucket, count(*), sum(p.amount)
FROM {open_payments} AS p
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN as_of - p.payment_date <= 30 THEN '1-30'
        WHEN as_of - p.payment_date <= 60 THEN '31-60'
        WHEN as_of - p.payment_date <= 90 THEN '61-90'
        WHEN as_of - p.payment_date <= 365 THEN '91-365'
        ELSE 'over 365'
    END
) AS b (bucket)
WHERE p.payment_date < as_of
GROUP BY p.direction, p.currency_code, b.bucket
