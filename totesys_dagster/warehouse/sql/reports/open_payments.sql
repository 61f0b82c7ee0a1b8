-- Question: Which payments are open, from whom or to whom, and since when?
-- Unit: money in the currency of the row.
-- Grain: a row for each payment that is not marked as paid, due or not.
-- Trap: Each weekday, a run pays what is due that day and nothing else. So payments due on a weekend, or created after that run, are never paid. That does not make a customer late; see `reason`.
-- Reads: fact_payment (payment_id, created_date, counterparty_id, payment_amount, currency_id, payment_type_id, paid, payment_date), dim_payment_type (payment_type_id, payment_type_name), dim_currency (currency_id, currency_code)
-- Columns: payment_id, direction, counterparty_id, currency_code, amount, payment_date, reason
SELECT
    p.payment_id,
    CASE t.payment_type_name
        WHEN 'SALES_RECEIPT' THEN 'receivable'
        WHEN 'PURCHASE_REFUND' THEN 'receivable'
        WHEN 'PURCHASE_PAYMENT' THEN 'payable'
        WHEN 'SALES_REFUND' THEN 'payable'
        ELSE 'unknown'
    END AS direction,
    p.counterparty_id,
    c.currency_code,
    p.payment_amount AS amount,
    p.payment_date,
    CASE
        WHEN extract(isodow FROM p.payment_date) >= 6 THEN 'due on a weekend'
        WHEN p.payment_date = p.created_date THEN 'due on the day it was made'
        ELSE 'other'
    END AS reason
FROM {current_fact_payment} AS p
JOIN {dim_payment_type} AS t USING (payment_type_id)
JOIN {dim_currency} AS c USING (currency_id)
WHERE NOT p.paid
