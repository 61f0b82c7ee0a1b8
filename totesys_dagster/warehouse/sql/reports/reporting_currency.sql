-- Question: Into which currency do reports convert?
-- Unit: the code of a currency.
-- Grain: one row.
-- Trap: It is a setting, TOTESYS_REPORTING_CURRENCY: once that is another, all that is converted has other amounts, those of past months too.
-- Columns: reporting_currency
SELECT coalesce(
    (SELECT currency_code FROM {ledger_reporting_currency} ORDER BY number DESC LIMIT 1),
    'GBP'
) AS reporting_currency
