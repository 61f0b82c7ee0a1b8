-- Question: Which payments are overdue on a day, and why?
-- Unit: payments, and money in the currency of the row.
-- Grain: a row for each direction, currency and reason.
-- Trap: The day moves the limit, not the knowledge: what has been paid since then is not overdue any more. What is due on the day itself is not overdue.
-- Parameters: as_of date
-- Columns: direction, currency_code, payments, amount, reason
SELECT p.direction, p.currency_code, count(*), sum(p.amount), p.reason
FROM {open_payments} AS p
WHERE p.payment_date < as_of
GROUP BY p.direction, p.currency_code, p.reason
