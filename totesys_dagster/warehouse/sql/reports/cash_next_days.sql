-- Question: Which payments fall due in the days after a given day?
-- Unit: payments, and money in the currency of the row.
-- Grain: a row for each of so many days after the given one, each direction and currency.
-- Trap: The given day and overdue payments are excluded. Payments due on a weekend have never been paid so far. Days without a payment are missing.
-- Parameters: as_of date, days integer
-- Columns: payment_date, direction, currency_code, payments, amount
SELECT p.payment_date, p.direction, p.currency_code, count(*), sum(p.amount)
FROM {open_payments} AS p
WHERE p.payment_date > as_of AND p.payment_date <= as_of + days
GROUP BY p.payment_date, p.direction, p.currency_code
