-- Question: Which payments are overdue today, and why?
-- Unit: payments, and money in the currency of the row.
-- Grain: a row for each direction, currency and reason.
-- Trap: Today is the current day in London, wherever the server is. Payments due today are not overdue.
-- Columns: direction, currency_code, payments, amount, reason
SELECT direction, currency_code, payments, amount, reason
FROM {overdue}((now() AT TIME ZONE 'Europe/London')::date)
