-- What the loader and the reader may do. Run by the owner after each migration; repeatable.
--
-- The loader can neither change nor delete a version of a fact or a row of the ledger: history is
-- written once, by privilege and not only by intent.

GRANT USAGE ON SCHEMA :"schema", :"bookkeeping" TO warehouse_loader, warehouse_reader;

GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO warehouse_loader, warehouse_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA :"bookkeeping" TO warehouse_loader, warehouse_reader;

GRANT INSERT ON
    :"schema".fact_sales_order,
    :"schema".fact_purchase_order,
    :"schema".fact_payment
TO warehouse_loader;

GRANT INSERT, UPDATE ON
    :"schema".dim_date,
    :"schema".dim_staff,
    :"schema".dim_location,
    :"schema".dim_currency,
    :"schema".dim_design,
    :"schema".dim_counterparty,
    :"schema".dim_payment_type,
    :"schema".dim_transaction
TO warehouse_loader;

GRANT INSERT ON
    :"bookkeeping".batch,
    :"bookkeeping".batch_table,
    :"bookkeeping".quarantine,
    :"bookkeeping".released,
    :"bookkeeping".audit
TO warehouse_loader;

-- Taking the keys off a fact that has no rows, and putting them on again.
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA :"bookkeeping" TO warehouse_loader;
