-- Question: Which currency do reports convert to?
-- Unit: the code of a currency.
-- Grain: one row.
-- Trap: It is a setting, TOTESYS_REPORTING_CURRENCY. When it changes, all converted amounts change, including those of past months.
-- Columns: reporting_currency
SELECT coalesce(
    (SELECT currency_code FROM {ledger_reporting_currency} ORDER BY number DESC LIMIT 1),
    'GBP'
) AS reporting_currency
