-- Question: For how long have payments been overdue on a day?
-- Unit: payments, and money in the currency of the row; buckets are days since the payment was due.
-- Grain: a row for each direction, currency and bucket with an overdue payment.
-- Trap: The day moves the limit, not the knowledge: what has been paid since then is in no bucket. Nor is what is due on the day itself or later.
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
