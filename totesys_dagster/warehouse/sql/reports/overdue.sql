-- Question: Which payments are overdue on a given day, and why?
-- Unit: payments, and money in the currency of the row.
-- Grain: a row for each direction, currency and reason.
-- Trap: The day sets the limit, not the knowledge: payments made since then are no longer overdue. Payments due on that day are not overdue.
-- Parameters: as_of date
-- Columns: direction, currency_code, payments, amount, reason
SELECT p.direction, p.currency_code, count(*), sum(p.amount), p.reason
FROM {open_payments} AS p
WHERE p.payment_date < as_of
GROUP BY p.direction, p.currency_code, p.reason
