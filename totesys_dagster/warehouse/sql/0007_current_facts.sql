-- The current version of a fact is the one that no later version follows, rather than the first of
-- all versions when they are sorted: so a question about a month reads that month's versions only,
-- and all cores may help with one about all.

CREATE OR REPLACE VIEW current_fact_sales_order AS
SELECT *
FROM fact_sales_order AS fact
WHERE NOT is_deleted AND NOT EXISTS (
    SELECT FROM fact_sales_order AS later
    WHERE later.sales_order_id = fact.sales_order_id AND later.batch_seq > fact.batch_seq
);

CREATE OR REPLACE VIEW current_fact_purchase_order AS
SELECT *
FROM fact_purchase_order AS fact
WHERE NOT is_deleted AND NOT EXISTS (
    SELECT FROM fact_purchase_order AS later
    WHERE later.purchase_order_id = fact.purchase_order_id AND later.batch_seq > fact.batch_seq
);

CREATE OR REPLACE VIEW current_fact_payment AS
SELECT *
FROM fact_payment AS fact
WHERE NOT is_deleted AND NOT EXISTS (
    SELECT FROM fact_payment AS later
    WHERE later.payment_id = fact.payment_id AND later.batch_seq > fact.batch_seq
);
