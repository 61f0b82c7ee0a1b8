-- Two views of each fact, and one of each dimension that a row can be deleted from.
--
--   current_*   one row for each business key that the source has: its latest version. That is the
--               one that no later version follows, rather than the first of all versions when they
--               are sorted: so a question about a month reads that month's versions only, and all
--               cores may help with one about all.
--   history_*   every version with its number and the time during which it was current
--               (valid_to is NULL while it is); a deletion is a version with is_deleted.

CREATE VIEW current_dim_staff AS SELECT * FROM dim_staff WHERE NOT is_deleted;
CREATE VIEW current_dim_location AS SELECT * FROM dim_location WHERE NOT is_deleted;
CREATE VIEW current_dim_currency AS SELECT * FROM dim_currency WHERE NOT is_deleted;
CREATE VIEW current_dim_design AS SELECT * FROM dim_design WHERE NOT is_deleted;
CREATE VIEW current_dim_counterparty AS SELECT * FROM dim_counterparty WHERE NOT is_deleted;
CREATE VIEW current_dim_payment_type AS SELECT * FROM dim_payment_type WHERE NOT is_deleted;
CREATE VIEW current_dim_transaction AS SELECT * FROM dim_transaction WHERE NOT is_deleted;

CREATE VIEW current_fact_sales_order AS
SELECT *
FROM fact_sales_order AS fact
WHERE NOT is_deleted AND NOT EXISTS (
    SELECT FROM fact_sales_order AS later
    WHERE later.sales_order_id = fact.sales_order_id AND later.batch_seq > fact.batch_seq
);

CREATE VIEW current_fact_purchase_order AS
SELECT *
FROM fact_purchase_order AS fact
WHERE NOT is_deleted AND NOT EXISTS (
    SELECT FROM fact_purchase_order AS later
    WHERE later.purchase_order_id = fact.purchase_order_id AND later.batch_seq > fact.batch_seq
);

CREATE VIEW current_fact_payment AS
SELECT *
FROM fact_payment AS fact
WHERE NOT is_deleted AND NOT EXISTS (
    SELECT FROM fact_payment AS later
    WHERE later.payment_id = fact.payment_id AND later.batch_seq > fact.batch_seq
);

CREATE VIEW history_fact_sales_order AS
SELECT
    *,
    row_number() OVER versions AS version,
    observed_at AS valid_from,
    lead(observed_at) OVER versions AS valid_to
FROM fact_sales_order
WINDOW versions AS (PARTITION BY sales_order_id ORDER BY batch_seq);

CREATE VIEW history_fact_purchase_order AS
SELECT
    *,
    row_number() OVER versions AS version,
    observed_at AS valid_from,
    lead(observed_at) OVER versions AS valid_to
FROM fact_purchase_order
WINDOW versions AS (PARTITION BY purchase_order_id ORDER BY batch_seq);

CREATE VIEW history_fact_payment AS
SELECT
    *,
    row_number() OVER versions AS version,
    observed_at AS valid_from,
    lead(observed_at) OVER versions AS valid_to
FROM fact_payment
WINDOW versions AS (PARTITION BY payment_id ORDER BY batch_seq);
