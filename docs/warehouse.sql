-- The warehouse, as `totesys migrate` makes it on PostgreSQL 18 where the roles of
-- roles.sql exist. Written by `make render`.

BEGIN;

CREATE SCHEMA warehouse;

CREATE SCHEMA warehouse_bookkeeping;

CREATE TABLE IF NOT EXISTS warehouse_bookkeeping.migration (number integer PRIMARY KEY, file text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp());

SET LOCAL search_path TO warehouse_bookkeeping, pg_temp;

-- The ledger of the warehouse: which batches it holds, and what was found about them.
-- Runs with the bookkeeping schema first in the search path. Rows here are only ever added.
--
-- A batch is named by its log and its sequence there; all tables of ToteSys are in the log `totesys`.

CREATE TABLE batch (
    log text NOT NULL,
    sequence integer NOT NULL,
    manifest_sha256 text NOT NULL,
    observed_at timestamptz NOT NULL,
    run_id text NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (log, sequence)
);
COMMENT ON TABLE batch IS 'The ledger: one row for each batch that the warehouse holds, written in the transaction that loaded it.';

CREATE TABLE batch_table (
    log text NOT NULL DEFAULT 'totesys',
    sequence integer NOT NULL,
    star text NOT NULL,
    receipt_sha256 text NOT NULL,
    revision text NOT NULL,
    staged integer NOT NULL,
    inserted integer NOT NULL,
    updated integer NOT NULL,
    deleted integer NOT NULL,
    orphans integer NOT NULL,
    PRIMARY KEY (log, sequence, star),
    FOREIGN KEY (log, sequence) REFERENCES batch
);
-- Each audit of a fact asks for the first and the last batch that brought rows of it.
CREATE INDEX ON batch_table (star, sequence);
COMMENT ON TABLE batch_table IS 'What a batch did to a table: the receipt that was loaded, the revision by which the batch was processed, rows staged, new keys, new versions of known keys, deletions, and orphans: rows in quarantine because the warehouse has no such dimension row.';

CREATE TABLE quarantine (
    log text NOT NULL DEFAULT 'totesys',
    sequence integer NOT NULL,
    star text NOT NULL,
    source text NOT NULL,
    key bigint,
    reason text NOT NULL,
    dimension text,
    dimension_key text,
    FOREIGN KEY (log, sequence) REFERENCES batch
);
CREATE INDEX ON quarantine (star, sequence);
-- A rebuild replaces the ledger, and for each batch that goes, PostgreSQL asks what refers to it.
CREATE INDEX ON quarantine (log, sequence);
COMMENT ON TABLE quarantine IS 'Rows of a batch that are not in the warehouse and why: the source table of the row, and its key where it is a row of the base of the star; orphans name the dimension row that they lack.';

CREATE TABLE released (
    log text NOT NULL DEFAULT 'totesys',
    sequence integer NOT NULL,
    star text NOT NULL,
    key bigint NOT NULL,
    PRIMARY KEY (star, key, sequence),
    FOREIGN KEY (log, sequence) REFERENCES batch
);
CREATE INDEX ON released (log, sequence);
COMMENT ON TABLE released IS 'Keys of rows in quarantine that a later batch brought or deleted, whether or not the rows of the warehouse changed by it.';

CREATE TABLE audit (
    log text NOT NULL DEFAULT 'totesys',
    sequence integer NOT NULL,
    star text NOT NULL,
    scope text NOT NULL CHECK (scope IN ('whole', 'touched')),
    audit integer NOT NULL,
    audit_sha256 text,
    observed_at timestamptz NOT NULL,
    full_read boolean NOT NULL,
    expected_rows bigint NOT NULL,
    found_rows bigint NOT NULL,
    equal boolean NOT NULL,
    quarantined bigint NOT NULL,
    equal_without boolean,
    compared_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (log, star, scope, sequence, audit),
    FOREIGN KEY (log, sequence) REFERENCES batch
);
CREATE INDEX ON audit (log, sequence);
COMMENT ON TABLE audit IS 'Whether the current rows of a table, when the warehouse held that batch, equalled the source as it was at observed_at: all rows (whole) or those of the keys that the batch touched. audit and audit_sha256 name the audit object that says so, 0 and NULL where the manifest of the batch does. equal_without tells whether they equalled without the quarantined keys, those of rows in quarantine; it is NULL where that is not known.';

CREATE TABLE star (
    star text PRIMARY KEY,
    revision text NOT NULL,
    definition jsonb NOT NULL,
    columns text[] NOT NULL,
    sequence integer NOT NULL,
    renewed boolean NOT NULL DEFAULT FALSE
);
COMMENT ON TABLE star IS 'What each table is: the result of this declaration, over the batches up to that sequence. columns are all that it ever had; renewed tells that it was rebuilt from the lake for it.';

CREATE TABLE declaration (
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE declaration IS 'The declarations of all tables that the warehouse was brought to, by hash; the last one counts.';

INSERT INTO warehouse_bookkeeping.migration (number, file) VALUES (1, '0001_ledger.sql');

CREATE TABLE warehouse.dim_date (
    date_id date PRIMARY KEY,
    year integer NOT NULL,
    month integer NOT NULL,
    day integer NOT NULL,
    day_of_week integer NOT NULL,
    day_name character varying NOT NULL,
    month_name character varying NOT NULL,
    quarter integer NOT NULL,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE
);

CREATE TABLE warehouse.dim_counterparty (
    counterparty_id integer PRIMARY KEY,
    counterparty_legal_name character varying NOT NULL,
    counterparty_legal_address_line_1 character varying NOT NULL,
    counterparty_legal_address_line_2 character varying,
    counterparty_legal_district character varying,
    counterparty_legal_city character varying NOT NULL,
    counterparty_legal_postal_code character varying NOT NULL,
    counterparty_legal_country character varying NOT NULL,
    counterparty_legal_phone_number character varying NOT NULL,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE
);

CREATE TABLE warehouse.dim_currency (
    currency_id integer PRIMARY KEY,
    currency_code character varying NOT NULL,
    currency_name character varying NOT NULL,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE
);

CREATE TABLE warehouse.dim_design (
    design_id integer PRIMARY KEY,
    design_name character varying NOT NULL,
    file_location character varying NOT NULL,
    file_name character varying NOT NULL,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE
);

CREATE TABLE warehouse.dim_location (
    location_id integer PRIMARY KEY,
    address_line_1 character varying NOT NULL,
    address_line_2 character varying,
    district character varying,
    city character varying NOT NULL,
    postal_code character varying NOT NULL,
    country character varying NOT NULL,
    phone character varying NOT NULL,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE
);

CREATE TABLE warehouse.dim_payment_type (
    payment_type_id integer PRIMARY KEY,
    payment_type_name character varying NOT NULL,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE
);

CREATE TABLE warehouse.dim_staff (
    staff_id integer PRIMARY KEY,
    first_name character varying NOT NULL,
    last_name character varying NOT NULL,
    department_name character varying NOT NULL,
    location character varying NOT NULL,
    email_address character varying NOT NULL,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE
);

CREATE TABLE warehouse.dim_transaction (
    transaction_id integer PRIMARY KEY,
    transaction_type character varying NOT NULL,
    sales_order_id integer,
    purchase_order_id integer,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE
);

CREATE TABLE warehouse.fact_payment (
    payment_record_id serial PRIMARY KEY,
    payment_id integer NOT NULL,
    created_date date NOT NULL,
    created_time time without time zone NOT NULL,
    last_updated_date date NOT NULL,
    last_updated_time time without time zone NOT NULL,
    transaction_id integer NOT NULL,
    counterparty_id integer NOT NULL,
    payment_amount numeric NOT NULL,
    currency_id integer NOT NULL,
    payment_type_id integer NOT NULL,
    paid boolean NOT NULL,
    payment_date date NOT NULL,
    batch_seq integer NOT NULL,
    observed_at timestamp with time zone NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE,
    UNIQUE (payment_id, batch_seq)
);

CREATE TABLE warehouse.fact_purchase_order (
    purchase_record_id serial PRIMARY KEY,
    purchase_order_id integer NOT NULL,
    created_date date NOT NULL,
    created_time time without time zone NOT NULL,
    last_updated_date date NOT NULL,
    last_updated_time time without time zone NOT NULL,
    staff_id integer NOT NULL,
    counterparty_id integer NOT NULL,
    item_code character varying NOT NULL,
    item_quantity integer NOT NULL,
    item_unit_price numeric NOT NULL,
    currency_id integer NOT NULL,
    agreed_delivery_date date NOT NULL,
    agreed_payment_date date NOT NULL,
    agreed_delivery_location_id integer NOT NULL,
    batch_seq integer NOT NULL,
    observed_at timestamp with time zone NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE,
    UNIQUE (purchase_order_id, batch_seq)
);

CREATE TABLE warehouse.fact_sales_order (
    sales_record_id serial PRIMARY KEY,
    sales_order_id integer NOT NULL,
    created_date date NOT NULL,
    created_time time without time zone NOT NULL,
    last_updated_date date NOT NULL,
    last_updated_time time without time zone NOT NULL,
    sales_staff_id integer NOT NULL,
    counterparty_id integer NOT NULL,
    units_sold integer NOT NULL,
    unit_price numeric(10,2) NOT NULL,
    currency_id integer NOT NULL,
    design_id integer NOT NULL,
    agreed_payment_date date NOT NULL,
    agreed_delivery_date date NOT NULL,
    agreed_delivery_location_id integer NOT NULL,
    batch_seq integer NOT NULL,
    observed_at timestamp with time zone NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE,
    UNIQUE (sales_order_id, batch_seq)
);

CREATE VIEW warehouse.current_dim_counterparty AS
SELECT
    counterparty_id,
    counterparty_legal_name,
    counterparty_legal_address_line_1,
    counterparty_legal_address_line_2,
    counterparty_legal_district,
    counterparty_legal_city,
    counterparty_legal_postal_code,
    counterparty_legal_country,
    counterparty_legal_phone_number,
    batch_seq,
    is_deleted
FROM warehouse.dim_counterparty
WHERE NOT is_deleted;

CREATE VIEW warehouse.current_dim_currency AS
SELECT
    currency_id,
    currency_code,
    currency_name,
    batch_seq,
    is_deleted
FROM warehouse.dim_currency
WHERE NOT is_deleted;

CREATE VIEW warehouse.current_dim_design AS
SELECT
    design_id,
    design_name,
    file_location,
    file_name,
    batch_seq,
    is_deleted
FROM warehouse.dim_design
WHERE NOT is_deleted;

CREATE VIEW warehouse.current_dim_location AS
SELECT
    location_id,
    address_line_1,
    address_line_2,
    district,
    city,
    postal_code,
    country,
    phone,
    batch_seq,
    is_deleted
FROM warehouse.dim_location
WHERE NOT is_deleted;

CREATE VIEW warehouse.current_dim_payment_type AS
SELECT
    payment_type_id,
    payment_type_name,
    batch_seq,
    is_deleted
FROM warehouse.dim_payment_type
WHERE NOT is_deleted;

CREATE VIEW warehouse.current_dim_staff AS
SELECT
    staff_id,
    first_name,
    last_name,
    department_name,
    location,
    email_address,
    batch_seq,
    is_deleted
FROM warehouse.dim_staff
WHERE NOT is_deleted;

CREATE VIEW warehouse.current_dim_transaction AS
SELECT
    transaction_id,
    transaction_type,
    sales_order_id,
    purchase_order_id,
    batch_seq,
    is_deleted
FROM warehouse.dim_transaction
WHERE NOT is_deleted;

CREATE VIEW warehouse.current_fact_payment AS
SELECT
    payment_record_id,
    payment_id,
    created_date,
    created_time,
    last_updated_date,
    last_updated_time,
    transaction_id,
    counterparty_id,
    payment_amount,
    currency_id,
    payment_type_id,
    paid,
    payment_date,
    batch_seq,
    observed_at,
    is_deleted
FROM warehouse.fact_payment AS fact
WHERE NOT is_deleted AND NOT EXISTS (
    SELECT FROM warehouse.fact_payment AS later
    WHERE later.payment_id = fact.payment_id AND later.batch_seq > fact.batch_seq
);

CREATE VIEW warehouse.history_fact_payment AS
SELECT
    payment_record_id,
    payment_id,
    created_date,
    created_time,
    last_updated_date,
    last_updated_time,
    transaction_id,
    counterparty_id,
    payment_amount,
    currency_id,
    payment_type_id,
    paid,
    payment_date,
    batch_seq,
    observed_at,
    is_deleted,
    row_number() OVER versions AS version,
    observed_at AS valid_from,
    lead(observed_at) OVER versions AS valid_to
FROM warehouse.fact_payment
WINDOW versions AS (PARTITION BY payment_id ORDER BY batch_seq);

CREATE VIEW warehouse.current_fact_purchase_order AS
SELECT
    purchase_record_id,
    purchase_order_id,
    created_date,
    created_time,
    last_updated_date,
    last_updated_time,
    staff_id,
    counterparty_id,
    item_code,
    item_quantity,
    item_unit_price,
    currency_id,
    agreed_delivery_date,
    agreed_payment_date,
    agreed_delivery_location_id,
    batch_seq,
    observed_at,
    is_deleted
FROM warehouse.fact_purchase_order AS fact
WHERE NOT is_deleted AND NOT EXISTS (
    SELECT FROM warehouse.fact_purchase_order AS later
    WHERE later.purchase_order_id = fact.purchase_order_id AND later.batch_seq > fact.batch_seq
);

CREATE VIEW warehouse.history_fact_purchase_order AS
SELECT
    purchase_record_id,
    purchase_order_id,
    created_date,
    created_time,
    last_updated_date,
    last_updated_time,
    staff_id,
    counterparty_id,
    item_code,
    item_quantity,
    item_unit_price,
    currency_id,
    agreed_delivery_date,
    agreed_payment_date,
    agreed_delivery_location_id,
    batch_seq,
    observed_at,
    is_deleted,
    row_number() OVER versions AS version,
    observed_at AS valid_from,
    lead(observed_at) OVER versions AS valid_to
FROM warehouse.fact_purchase_order
WINDOW versions AS (PARTITION BY purchase_order_id ORDER BY batch_seq);

CREATE VIEW warehouse.current_fact_sales_order AS
SELECT
    sales_record_id,
    sales_order_id,
    created_date,
    created_time,
    last_updated_date,
    last_updated_time,
    sales_staff_id,
    counterparty_id,
    units_sold,
    unit_price,
    currency_id,
    design_id,
    agreed_payment_date,
    agreed_delivery_date,
    agreed_delivery_location_id,
    batch_seq,
    observed_at,
    is_deleted
FROM warehouse.fact_sales_order AS fact
WHERE NOT is_deleted AND NOT EXISTS (
    SELECT FROM warehouse.fact_sales_order AS later
    WHERE later.sales_order_id = fact.sales_order_id AND later.batch_seq > fact.batch_seq
);

CREATE VIEW warehouse.history_fact_sales_order AS
SELECT
    sales_record_id,
    sales_order_id,
    created_date,
    created_time,
    last_updated_date,
    last_updated_time,
    sales_staff_id,
    counterparty_id,
    units_sold,
    unit_price,
    currency_id,
    design_id,
    agreed_payment_date,
    agreed_delivery_date,
    agreed_delivery_location_id,
    batch_seq,
    observed_at,
    is_deleted,
    row_number() OVER versions AS version,
    observed_at AS valid_from,
    lead(observed_at) OVER versions AS valid_to
FROM warehouse.fact_sales_order
WINDOW versions AS (PARTITION BY sales_order_id ORDER BY batch_seq);

ALTER TABLE warehouse.fact_payment ADD FOREIGN KEY (created_date) REFERENCES warehouse.dim_date NOT ENFORCED;

ALTER TABLE warehouse.fact_payment ADD FOREIGN KEY (last_updated_date) REFERENCES warehouse.dim_date NOT ENFORCED;

ALTER TABLE warehouse.fact_payment ADD FOREIGN KEY (transaction_id) REFERENCES warehouse.dim_transaction NOT ENFORCED;

ALTER TABLE warehouse.fact_payment ADD FOREIGN KEY (counterparty_id) REFERENCES warehouse.dim_counterparty NOT ENFORCED;

ALTER TABLE warehouse.fact_payment ADD FOREIGN KEY (currency_id) REFERENCES warehouse.dim_currency NOT ENFORCED;

ALTER TABLE warehouse.fact_payment ADD FOREIGN KEY (payment_type_id) REFERENCES warehouse.dim_payment_type NOT ENFORCED;

ALTER TABLE warehouse.fact_payment ADD FOREIGN KEY (payment_date) REFERENCES warehouse.dim_date NOT ENFORCED;

ALTER TABLE warehouse.fact_purchase_order ADD FOREIGN KEY (created_date) REFERENCES warehouse.dim_date NOT ENFORCED;

ALTER TABLE warehouse.fact_purchase_order ADD FOREIGN KEY (last_updated_date) REFERENCES warehouse.dim_date NOT ENFORCED;

ALTER TABLE warehouse.fact_purchase_order ADD FOREIGN KEY (staff_id) REFERENCES warehouse.dim_staff NOT ENFORCED;

ALTER TABLE warehouse.fact_purchase_order ADD FOREIGN KEY (counterparty_id) REFERENCES warehouse.dim_counterparty NOT ENFORCED;

ALTER TABLE warehouse.fact_purchase_order ADD FOREIGN KEY (currency_id) REFERENCES warehouse.dim_currency NOT ENFORCED;

ALTER TABLE warehouse.fact_purchase_order ADD FOREIGN KEY (agreed_delivery_date) REFERENCES warehouse.dim_date NOT ENFORCED;

ALTER TABLE warehouse.fact_purchase_order ADD FOREIGN KEY (agreed_payment_date) REFERENCES warehouse.dim_date NOT ENFORCED;

ALTER TABLE warehouse.fact_purchase_order ADD FOREIGN KEY (agreed_delivery_location_id) REFERENCES warehouse.dim_location NOT ENFORCED;

ALTER TABLE warehouse.fact_sales_order ADD FOREIGN KEY (created_date) REFERENCES warehouse.dim_date NOT ENFORCED;

ALTER TABLE warehouse.fact_sales_order ADD FOREIGN KEY (last_updated_date) REFERENCES warehouse.dim_date NOT ENFORCED;

ALTER TABLE warehouse.fact_sales_order ADD FOREIGN KEY (sales_staff_id) REFERENCES warehouse.dim_staff NOT ENFORCED;

ALTER TABLE warehouse.fact_sales_order ADD FOREIGN KEY (counterparty_id) REFERENCES warehouse.dim_counterparty NOT ENFORCED;

ALTER TABLE warehouse.fact_sales_order ADD FOREIGN KEY (currency_id) REFERENCES warehouse.dim_currency NOT ENFORCED;

ALTER TABLE warehouse.fact_sales_order ADD FOREIGN KEY (design_id) REFERENCES warehouse.dim_design NOT ENFORCED;

ALTER TABLE warehouse.fact_sales_order ADD FOREIGN KEY (agreed_payment_date) REFERENCES warehouse.dim_date NOT ENFORCED;

ALTER TABLE warehouse.fact_sales_order ADD FOREIGN KEY (agreed_delivery_date) REFERENCES warehouse.dim_date NOT ENFORCED;

ALTER TABLE warehouse.fact_sales_order ADD FOREIGN KEY (agreed_delivery_location_id) REFERENCES warehouse.dim_location NOT ENFORCED;

COMMENT ON TABLE warehouse.dim_date IS 'A calendar without gaps over every date that the facts use.';

COMMENT ON COLUMN warehouse.dim_date.date_id IS 'The day.';

COMMENT ON COLUMN warehouse.dim_date.year IS 'Year, as 2024.';

COMMENT ON COLUMN warehouse.dim_date.month IS 'Month, 1 to 12.';

COMMENT ON COLUMN warehouse.dim_date.day IS 'Day of the month, 1 to 31.';

COMMENT ON COLUMN warehouse.dim_date.day_of_week IS 'ISO day of the week, Monday 1 to Sunday 7.';

COMMENT ON COLUMN warehouse.dim_date.day_name IS 'Name of the day in English, as Monday.';

COMMENT ON COLUMN warehouse.dim_date.month_name IS 'Name of the month in English, as January.';

COMMENT ON COLUMN warehouse.dim_date.quarter IS 'Quarter of the year, 1 to 4.';

COMMENT ON COLUMN warehouse.dim_date.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.dim_date.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON TABLE warehouse.dim_counterparty IS 'Customers and suppliers with their registered address.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_id IS 'Key of the counterparty.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_legal_name IS 'Registered name of the company.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_legal_address_line_1 IS 'Street and number.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_legal_address_line_2 IS 'Second line.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_legal_district IS 'District or county.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_legal_city IS 'City.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_legal_postal_code IS 'Postal code, with its leading zeros.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_legal_country IS 'Country, in English.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_legal_phone_number IS 'Telephone number.';

COMMENT ON COLUMN warehouse.dim_counterparty.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.dim_counterparty.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_dim_counterparty IS 'Customers and suppliers with their registered address. Only the rows that the source has now.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_id IS 'Key of the counterparty.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_legal_name IS 'Registered name of the company.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_legal_address_line_1 IS 'Street and number.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_legal_address_line_2 IS 'Second line.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_legal_district IS 'District or county.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_legal_city IS 'City.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_legal_postal_code IS 'Postal code, with its leading zeros.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_legal_country IS 'Country, in English.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_legal_phone_number IS 'Telephone number.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON TABLE warehouse.dim_currency IS 'Currencies of orders and payments.';

COMMENT ON COLUMN warehouse.dim_currency.currency_id IS 'Key of the currency.';

COMMENT ON COLUMN warehouse.dim_currency.currency_code IS 'ISO 4217 code, as GBP.';

COMMENT ON COLUMN warehouse.dim_currency.currency_name IS 'Name that ISO 4217 gives to the code, as Pound Sterling.';

COMMENT ON COLUMN warehouse.dim_currency.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.dim_currency.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_dim_currency IS 'Currencies of orders and payments. Only the rows that the source has now.';

COMMENT ON COLUMN warehouse.current_dim_currency.currency_id IS 'Key of the currency.';

COMMENT ON COLUMN warehouse.current_dim_currency.currency_code IS 'ISO 4217 code, as GBP.';

COMMENT ON COLUMN warehouse.current_dim_currency.currency_name IS 'Name that ISO 4217 gives to the code, as Pound Sterling.';

COMMENT ON COLUMN warehouse.current_dim_currency.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.current_dim_currency.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON TABLE warehouse.dim_design IS 'Designs of tote bags.';

COMMENT ON COLUMN warehouse.dim_design.design_id IS 'Key of the design.';

COMMENT ON COLUMN warehouse.dim_design.design_name IS 'Name of the design.';

COMMENT ON COLUMN warehouse.dim_design.file_location IS 'Directory of its drawing.';

COMMENT ON COLUMN warehouse.dim_design.file_name IS 'File of its drawing.';

COMMENT ON COLUMN warehouse.dim_design.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.dim_design.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_dim_design IS 'Designs of tote bags. Only the rows that the source has now.';

COMMENT ON COLUMN warehouse.current_dim_design.design_id IS 'Key of the design.';

COMMENT ON COLUMN warehouse.current_dim_design.design_name IS 'Name of the design.';

COMMENT ON COLUMN warehouse.current_dim_design.file_location IS 'Directory of its drawing.';

COMMENT ON COLUMN warehouse.current_dim_design.file_name IS 'File of its drawing.';

COMMENT ON COLUMN warehouse.current_dim_design.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.current_dim_design.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON TABLE warehouse.dim_location IS 'Places of delivery.';

COMMENT ON COLUMN warehouse.dim_location.location_id IS 'Key of the address.';

COMMENT ON COLUMN warehouse.dim_location.address_line_1 IS 'Street and number.';

COMMENT ON COLUMN warehouse.dim_location.address_line_2 IS 'Second line.';

COMMENT ON COLUMN warehouse.dim_location.district IS 'District or county.';

COMMENT ON COLUMN warehouse.dim_location.city IS 'City.';

COMMENT ON COLUMN warehouse.dim_location.postal_code IS 'Postal code, with its leading zeros.';

COMMENT ON COLUMN warehouse.dim_location.country IS 'Country, in English.';

COMMENT ON COLUMN warehouse.dim_location.phone IS 'Telephone number.';

COMMENT ON COLUMN warehouse.dim_location.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.dim_location.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_dim_location IS 'Places of delivery. Only the rows that the source has now.';

COMMENT ON COLUMN warehouse.current_dim_location.location_id IS 'Key of the address.';

COMMENT ON COLUMN warehouse.current_dim_location.address_line_1 IS 'Street and number.';

COMMENT ON COLUMN warehouse.current_dim_location.address_line_2 IS 'Second line.';

COMMENT ON COLUMN warehouse.current_dim_location.district IS 'District or county.';

COMMENT ON COLUMN warehouse.current_dim_location.city IS 'City.';

COMMENT ON COLUMN warehouse.current_dim_location.postal_code IS 'Postal code, with its leading zeros.';

COMMENT ON COLUMN warehouse.current_dim_location.country IS 'Country, in English.';

COMMENT ON COLUMN warehouse.current_dim_location.phone IS 'Telephone number.';

COMMENT ON COLUMN warehouse.current_dim_location.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.current_dim_location.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON TABLE warehouse.dim_payment_type IS 'Kinds of payment.';

COMMENT ON COLUMN warehouse.dim_payment_type.payment_type_id IS 'Key of the kind of payment.';

COMMENT ON COLUMN warehouse.dim_payment_type.payment_type_name IS 'Name of the kind.';

COMMENT ON COLUMN warehouse.dim_payment_type.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.dim_payment_type.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_dim_payment_type IS 'Kinds of payment. Only the rows that the source has now.';

COMMENT ON COLUMN warehouse.current_dim_payment_type.payment_type_id IS 'Key of the kind of payment.';

COMMENT ON COLUMN warehouse.current_dim_payment_type.payment_type_name IS 'Name of the kind.';

COMMENT ON COLUMN warehouse.current_dim_payment_type.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.current_dim_payment_type.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON TABLE warehouse.dim_staff IS 'Members of staff with their department.';

COMMENT ON COLUMN warehouse.dim_staff.staff_id IS 'Key of the member of staff.';

COMMENT ON COLUMN warehouse.dim_staff.first_name IS 'First name.';

COMMENT ON COLUMN warehouse.dim_staff.last_name IS 'Last name.';

COMMENT ON COLUMN warehouse.dim_staff.department_name IS 'Name of the department.';

COMMENT ON COLUMN warehouse.dim_staff.location IS 'Town in which the department works.';

COMMENT ON COLUMN warehouse.dim_staff.email_address IS 'E-mail address at work.';

COMMENT ON COLUMN warehouse.dim_staff.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.dim_staff.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_dim_staff IS 'Members of staff with their department. Only the rows that the source has now.';

COMMENT ON COLUMN warehouse.current_dim_staff.staff_id IS 'Key of the member of staff.';

COMMENT ON COLUMN warehouse.current_dim_staff.first_name IS 'First name.';

COMMENT ON COLUMN warehouse.current_dim_staff.last_name IS 'Last name.';

COMMENT ON COLUMN warehouse.current_dim_staff.department_name IS 'Name of the department.';

COMMENT ON COLUMN warehouse.current_dim_staff.location IS 'Town in which the department works.';

COMMENT ON COLUMN warehouse.current_dim_staff.email_address IS 'E-mail address at work.';

COMMENT ON COLUMN warehouse.current_dim_staff.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.current_dim_staff.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON TABLE warehouse.dim_transaction IS 'The link between an order and its payment.';

COMMENT ON COLUMN warehouse.dim_transaction.transaction_id IS 'Key of the transaction.';

COMMENT ON COLUMN warehouse.dim_transaction.transaction_type IS 'SALE or PURCHASE.';

COMMENT ON COLUMN warehouse.dim_transaction.sales_order_id IS 'Sales order, of a sale only.';

COMMENT ON COLUMN warehouse.dim_transaction.purchase_order_id IS 'Purchase order, of a purchase only.';

COMMENT ON COLUMN warehouse.dim_transaction.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.dim_transaction.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_dim_transaction IS 'The link between an order and its payment. Only the rows that the source has now.';

COMMENT ON COLUMN warehouse.current_dim_transaction.transaction_id IS 'Key of the transaction.';

COMMENT ON COLUMN warehouse.current_dim_transaction.transaction_type IS 'SALE or PURCHASE.';

COMMENT ON COLUMN warehouse.current_dim_transaction.sales_order_id IS 'Sales order, of a sale only.';

COMMENT ON COLUMN warehouse.current_dim_transaction.purchase_order_id IS 'Purchase order, of a purchase only.';

COMMENT ON COLUMN warehouse.current_dim_transaction.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.current_dim_transaction.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON TABLE warehouse.fact_payment IS 'Every version of every payment.';

COMMENT ON COLUMN warehouse.fact_payment.payment_record_id IS 'The number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.fact_payment.payment_id IS 'Key of the payment.';

COMMENT ON COLUMN warehouse.fact_payment.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.fact_payment.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.fact_payment.last_updated_date IS 'Date of the last declared update.';

COMMENT ON COLUMN warehouse.fact_payment.last_updated_time IS 'Time of the last declared update.';

COMMENT ON COLUMN warehouse.fact_payment.transaction_id IS 'Transaction paid.';

COMMENT ON COLUMN warehouse.fact_payment.counterparty_id IS 'Company that pays or is paid.';

COMMENT ON COLUMN warehouse.fact_payment.payment_amount IS 'Amount in the payment''s currency.';

COMMENT ON COLUMN warehouse.fact_payment.currency_id IS 'Currency of the amount.';

COMMENT ON COLUMN warehouse.fact_payment.payment_type_id IS 'Kind of payment.';

COMMENT ON COLUMN warehouse.fact_payment.paid IS 'Whether the payment was made.';

COMMENT ON COLUMN warehouse.fact_payment.payment_date IS 'Date on which the payment is due.';

COMMENT ON COLUMN warehouse.fact_payment.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.fact_payment.observed_at IS 'When the source was read that had the version.';

COMMENT ON COLUMN warehouse.fact_payment.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_fact_payment IS 'Every version of every payment. Only the rows that the source has now. Each in its latest version.';

COMMENT ON COLUMN warehouse.current_fact_payment.payment_record_id IS 'The number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.current_fact_payment.payment_id IS 'Key of the payment.';

COMMENT ON COLUMN warehouse.current_fact_payment.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.current_fact_payment.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.current_fact_payment.last_updated_date IS 'Date of the last declared update.';

COMMENT ON COLUMN warehouse.current_fact_payment.last_updated_time IS 'Time of the last declared update.';

COMMENT ON COLUMN warehouse.current_fact_payment.transaction_id IS 'Transaction paid.';

COMMENT ON COLUMN warehouse.current_fact_payment.counterparty_id IS 'Company that pays or is paid.';

COMMENT ON COLUMN warehouse.current_fact_payment.payment_amount IS 'Amount in the payment''s currency.';

COMMENT ON COLUMN warehouse.current_fact_payment.currency_id IS 'Currency of the amount.';

COMMENT ON COLUMN warehouse.current_fact_payment.payment_type_id IS 'Kind of payment.';

COMMENT ON COLUMN warehouse.current_fact_payment.paid IS 'Whether the payment was made.';

COMMENT ON COLUMN warehouse.current_fact_payment.payment_date IS 'Date on which the payment is due.';

COMMENT ON COLUMN warehouse.current_fact_payment.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.current_fact_payment.observed_at IS 'When the source was read that had the version.';

COMMENT ON COLUMN warehouse.current_fact_payment.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.history_fact_payment IS 'Every version of every payment. With its number, and the time during which it was current.';

COMMENT ON COLUMN warehouse.history_fact_payment.payment_record_id IS 'The number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.history_fact_payment.payment_id IS 'Key of the payment.';

COMMENT ON COLUMN warehouse.history_fact_payment.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.history_fact_payment.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.history_fact_payment.last_updated_date IS 'Date of the last declared update.';

COMMENT ON COLUMN warehouse.history_fact_payment.last_updated_time IS 'Time of the last declared update.';

COMMENT ON COLUMN warehouse.history_fact_payment.transaction_id IS 'Transaction paid.';

COMMENT ON COLUMN warehouse.history_fact_payment.counterparty_id IS 'Company that pays or is paid.';

COMMENT ON COLUMN warehouse.history_fact_payment.payment_amount IS 'Amount in the payment''s currency.';

COMMENT ON COLUMN warehouse.history_fact_payment.currency_id IS 'Currency of the amount.';

COMMENT ON COLUMN warehouse.history_fact_payment.payment_type_id IS 'Kind of payment.';

COMMENT ON COLUMN warehouse.history_fact_payment.paid IS 'Whether the payment was made.';

COMMENT ON COLUMN warehouse.history_fact_payment.payment_date IS 'Date on which the payment is due.';

COMMENT ON COLUMN warehouse.history_fact_payment.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.history_fact_payment.observed_at IS 'When the source was read that had the version.';

COMMENT ON COLUMN warehouse.history_fact_payment.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON COLUMN warehouse.history_fact_payment.version IS 'The number of the version of its row, from 1 on.';

COMMENT ON COLUMN warehouse.history_fact_payment.valid_from IS 'From when on the version was current.';

COMMENT ON COLUMN warehouse.history_fact_payment.valid_to IS 'Until when; NULL while it is.';

COMMENT ON TABLE warehouse.fact_purchase_order IS 'Every version of every purchase order.';

COMMENT ON COLUMN warehouse.fact_purchase_order.purchase_record_id IS 'The number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.fact_purchase_order.purchase_order_id IS 'Key of the order.';

COMMENT ON COLUMN warehouse.fact_purchase_order.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.fact_purchase_order.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.fact_purchase_order.last_updated_date IS 'Date of the last declared update.';

COMMENT ON COLUMN warehouse.fact_purchase_order.last_updated_time IS 'Time of the last declared update.';

COMMENT ON COLUMN warehouse.fact_purchase_order.staff_id IS 'Member of staff who made the purchase.';

COMMENT ON COLUMN warehouse.fact_purchase_order.counterparty_id IS 'Supplier.';

COMMENT ON COLUMN warehouse.fact_purchase_order.item_code IS 'Supplier''s code of the item.';

COMMENT ON COLUMN warehouse.fact_purchase_order.item_quantity IS 'Number of items.';

COMMENT ON COLUMN warehouse.fact_purchase_order.item_unit_price IS 'Price of one item in the order''s currency.';

COMMENT ON COLUMN warehouse.fact_purchase_order.currency_id IS 'Currency of the price.';

COMMENT ON COLUMN warehouse.fact_purchase_order.agreed_delivery_date IS 'Date of delivery agreed.';

COMMENT ON COLUMN warehouse.fact_purchase_order.agreed_payment_date IS 'Date of payment agreed.';

COMMENT ON COLUMN warehouse.fact_purchase_order.agreed_delivery_location_id IS 'Place of delivery agreed.';

COMMENT ON COLUMN warehouse.fact_purchase_order.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.fact_purchase_order.observed_at IS 'When the source was read that had the version.';

COMMENT ON COLUMN warehouse.fact_purchase_order.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_fact_purchase_order IS 'Every version of every purchase order. Only the rows that the source has now. Each in its latest version.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.purchase_record_id IS 'The number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.purchase_order_id IS 'Key of the order.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.last_updated_date IS 'Date of the last declared update.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.last_updated_time IS 'Time of the last declared update.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.staff_id IS 'Member of staff who made the purchase.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.counterparty_id IS 'Supplier.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.item_code IS 'Supplier''s code of the item.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.item_quantity IS 'Number of items.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.item_unit_price IS 'Price of one item in the order''s currency.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.currency_id IS 'Currency of the price.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.agreed_delivery_date IS 'Date of delivery agreed.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.agreed_payment_date IS 'Date of payment agreed.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.agreed_delivery_location_id IS 'Place of delivery agreed.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.observed_at IS 'When the source was read that had the version.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.history_fact_purchase_order IS 'Every version of every purchase order. With its number, and the time during which it was current.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.purchase_record_id IS 'The number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.purchase_order_id IS 'Key of the order.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.last_updated_date IS 'Date of the last declared update.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.last_updated_time IS 'Time of the last declared update.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.staff_id IS 'Member of staff who made the purchase.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.counterparty_id IS 'Supplier.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.item_code IS 'Supplier''s code of the item.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.item_quantity IS 'Number of items.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.item_unit_price IS 'Price of one item in the order''s currency.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.currency_id IS 'Currency of the price.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.agreed_delivery_date IS 'Date of delivery agreed.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.agreed_payment_date IS 'Date of payment agreed.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.agreed_delivery_location_id IS 'Place of delivery agreed.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.observed_at IS 'When the source was read that had the version.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.version IS 'The number of the version of its row, from 1 on.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.valid_from IS 'From when on the version was current.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.valid_to IS 'Until when; NULL while it is.';

COMMENT ON TABLE warehouse.fact_sales_order IS 'Every version of every sales order.';

COMMENT ON COLUMN warehouse.fact_sales_order.sales_record_id IS 'The number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.fact_sales_order.sales_order_id IS 'Key of the order.';

COMMENT ON COLUMN warehouse.fact_sales_order.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.fact_sales_order.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.fact_sales_order.last_updated_date IS 'Date of the last declared update.';

COMMENT ON COLUMN warehouse.fact_sales_order.last_updated_time IS 'Time of the last declared update.';

COMMENT ON COLUMN warehouse.fact_sales_order.sales_staff_id IS 'Member of staff who made the sale.';

COMMENT ON COLUMN warehouse.fact_sales_order.counterparty_id IS 'Customer.';

COMMENT ON COLUMN warehouse.fact_sales_order.units_sold IS 'Number of bags.';

COMMENT ON COLUMN warehouse.fact_sales_order.unit_price IS 'Price of one bag in the order''s currency.';

COMMENT ON COLUMN warehouse.fact_sales_order.currency_id IS 'Currency of the price.';

COMMENT ON COLUMN warehouse.fact_sales_order.design_id IS 'Design ordered.';

COMMENT ON COLUMN warehouse.fact_sales_order.agreed_payment_date IS 'Date of payment agreed.';

COMMENT ON COLUMN warehouse.fact_sales_order.agreed_delivery_date IS 'Date of delivery agreed.';

COMMENT ON COLUMN warehouse.fact_sales_order.agreed_delivery_location_id IS 'Place of delivery agreed.';

COMMENT ON COLUMN warehouse.fact_sales_order.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.fact_sales_order.observed_at IS 'When the source was read that had the version.';

COMMENT ON COLUMN warehouse.fact_sales_order.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_fact_sales_order IS 'Every version of every sales order. Only the rows that the source has now. Each in its latest version.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.sales_record_id IS 'The number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.sales_order_id IS 'Key of the order.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.last_updated_date IS 'Date of the last declared update.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.last_updated_time IS 'Time of the last declared update.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.sales_staff_id IS 'Member of staff who made the sale.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.counterparty_id IS 'Customer.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.units_sold IS 'Number of bags.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.unit_price IS 'Price of one bag in the order''s currency.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.currency_id IS 'Currency of the price.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.design_id IS 'Design ordered.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.agreed_payment_date IS 'Date of payment agreed.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.agreed_delivery_date IS 'Date of delivery agreed.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.agreed_delivery_location_id IS 'Place of delivery agreed.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.observed_at IS 'When the source was read that had the version.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.history_fact_sales_order IS 'Every version of every sales order. With its number, and the time during which it was current.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.sales_record_id IS 'The number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.sales_order_id IS 'Key of the order.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.last_updated_date IS 'Date of the last declared update.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.last_updated_time IS 'Time of the last declared update.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.sales_staff_id IS 'Member of staff who made the sale.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.counterparty_id IS 'Customer.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.units_sold IS 'Number of bags.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.unit_price IS 'Price of one bag in the order''s currency.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.currency_id IS 'Currency of the price.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.design_id IS 'Design ordered.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.agreed_payment_date IS 'Date of payment agreed.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.agreed_delivery_date IS 'Date of delivery agreed.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.agreed_delivery_location_id IS 'Place of delivery agreed.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.batch_seq IS 'The batch that brought the row: of a dimension, its values.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.observed_at IS 'When the source was read that had the version.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.version IS 'The number of the version of its row, from 1 on.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.valid_from IS 'From when on the version was current.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.valid_to IS 'Until when; NULL while it is.';

CREATE OR REPLACE FUNCTION warehouse_bookkeeping.keys_of(
    fact text, OUT record_id text, OUT business_key text
)
LANGUAGE sql STRICT AS $body$
    SELECT record_id, business_key
    FROM (VALUES
        ('fact_payment', 'payment_record_id', 'payment_id'),
        ('fact_purchase_order', 'purchase_record_id', 'purchase_order_id'),
        ('fact_sales_order', 'sales_record_id', 'sales_order_id')
    ) AS facts (name, record_id, business_key)
    WHERE name = fact
$body$;

CREATE OR REPLACE FUNCTION warehouse_bookkeeping.may_be_null(star text, attribute text) RETURNS boolean
LANGUAGE sql STRICT AS $body$
    SELECT (star, attribute) IN (VALUES
        ('dim_date', 'year'),
        ('dim_date', 'month'),
        ('dim_date', 'day'),
        ('dim_date', 'day_of_week'),
        ('dim_date', 'day_name'),
        ('dim_date', 'month_name'),
        ('dim_date', 'quarter'),
        ('dim_counterparty', 'counterparty_legal_name'),
        ('dim_counterparty', 'counterparty_legal_address_line_1'),
        ('dim_counterparty', 'counterparty_legal_address_line_2'),
        ('dim_counterparty', 'counterparty_legal_district'),
        ('dim_counterparty', 'counterparty_legal_city'),
        ('dim_counterparty', 'counterparty_legal_postal_code'),
        ('dim_counterparty', 'counterparty_legal_country'),
        ('dim_counterparty', 'counterparty_legal_phone_number'),
        ('dim_currency', 'currency_code'),
        ('dim_currency', 'currency_name'),
        ('dim_design', 'design_name'),
        ('dim_design', 'file_location'),
        ('dim_design', 'file_name'),
        ('dim_location', 'address_line_1'),
        ('dim_location', 'address_line_2'),
        ('dim_location', 'district'),
        ('dim_location', 'city'),
        ('dim_location', 'postal_code'),
        ('dim_location', 'country'),
        ('dim_location', 'phone'),
        ('dim_payment_type', 'payment_type_name'),
        ('dim_staff', 'first_name'),
        ('dim_staff', 'last_name'),
        ('dim_staff', 'department_name'),
        ('dim_staff', 'location'),
        ('dim_staff', 'email_address'),
        ('dim_transaction', 'transaction_type'),
        ('dim_transaction', 'sales_order_id'),
        ('dim_transaction', 'purchase_order_id'),
        ('fact_payment', 'created_date'),
        ('fact_payment', 'created_time'),
        ('fact_payment', 'last_updated_date'),
        ('fact_payment', 'last_updated_time'),
        ('fact_payment', 'transaction_id'),
        ('fact_payment', 'counterparty_id'),
        ('fact_payment', 'payment_amount'),
        ('fact_payment', 'currency_id'),
        ('fact_payment', 'payment_type_id'),
        ('fact_payment', 'paid'),
        ('fact_payment', 'payment_date'),
        ('fact_purchase_order', 'created_date'),
        ('fact_purchase_order', 'created_time'),
        ('fact_purchase_order', 'last_updated_date'),
        ('fact_purchase_order', 'last_updated_time'),
        ('fact_purchase_order', 'staff_id'),
        ('fact_purchase_order', 'counterparty_id'),
        ('fact_purchase_order', 'item_code'),
        ('fact_purchase_order', 'item_quantity'),
        ('fact_purchase_order', 'item_unit_price'),
        ('fact_purchase_order', 'currency_id'),
        ('fact_purchase_order', 'agreed_delivery_date'),
        ('fact_purchase_order', 'agreed_payment_date'),
        ('fact_purchase_order', 'agreed_delivery_location_id'),
        ('fact_sales_order', 'created_date'),
        ('fact_sales_order', 'created_time'),
        ('fact_sales_order', 'last_updated_date'),
        ('fact_sales_order', 'last_updated_time'),
        ('fact_sales_order', 'sales_staff_id'),
        ('fact_sales_order', 'counterparty_id'),
        ('fact_sales_order', 'units_sold'),
        ('fact_sales_order', 'unit_price'),
        ('fact_sales_order', 'currency_id'),
        ('fact_sales_order', 'design_id'),
        ('fact_sales_order', 'agreed_payment_date'),
        ('fact_sales_order', 'agreed_delivery_date'),
        ('fact_sales_order', 'agreed_delivery_location_id')
    )
$body$;

-- What the loader, who owns no table, has to do to some: these run as their owner, and so with a
-- search path in which nobody can put a table of the same name first. Made again by each migration.
-- keys_of and may_be_null, which say what is declared, are made from the catalogue.

-- The two keys of a fact, taken off while its first rows are copied in and put on again in the same
-- transaction: an index that is made of all rows takes a third of the time of one that grows row by
-- row. A table that has rows is refused, and what somebody else has put on a table stays.
CREATE OR REPLACE FUNCTION warehouse_bookkeeping.take_keys_off(fact text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, warehouse, warehouse_bookkeeping, pg_temp
SET lock_timeout TO '1s' AS $body$
DECLARE
    drops text[];
    has_rows boolean;
BEGIN
    SELECT array_agg(format('DROP CONSTRAINT %I', conname) ORDER BY contype) INTO drops
    FROM pg_constraint
    WHERE conrelid = to_regclass(quote_ident(fact)) AND (contype = 'p' OR contype = 'u' AND (
        SELECT array_agg(attname::text ORDER BY attnum)
        FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)
    ) = ARRAY[(keys_of(fact)).business_key, 'batch_seq']);
    IF cardinality(drops) IS DISTINCT FROM 2 THEN
        RAISE undefined_object USING MESSAGE = format('%s has not the two keys that it was made with', fact);
    END IF;
    EXECUTE format('ALTER TABLE %I %s', fact, array_to_string(drops, ', '));
    -- Nobody else can write from here on.
    EXECUTE format('SELECT EXISTS (SELECT FROM %I)', fact) INTO has_rows;
    IF has_rows THEN
        RAISE object_not_in_prerequisite_state
            USING MESSAGE = format('the keys of %s stay on, for it has rows', fact);
    END IF;
END
$body$;

CREATE OR REPLACE FUNCTION warehouse_bookkeeping.put_keys_on(fact text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, warehouse, warehouse_bookkeeping, pg_temp
AS $body$
BEGIN
    EXECUTE format(
        'ALTER TABLE %1$I ADD PRIMARY KEY (%2$I), ADD UNIQUE (%3$I, batch_seq)',
        fact, (keys_of(fact)).record_id, (keys_of(fact)).business_key
    );
END
$body$;

-- A batch that is older than a column has rows without it.
CREATE OR REPLACE FUNCTION warehouse_bookkeeping.allow_null(star text, attribute text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, warehouse, warehouse_bookkeeping, pg_temp
AS $body$
BEGIN
    IF NOT may_be_null(star, attribute) THEN
        RAISE insufficient_privilege USING MESSAGE = format('%s.%s is never NULL', star, attribute);
    END IF;
    IF EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = to_regclass(quote_ident(star)) AND attname = attribute AND attnotnull
    ) THEN
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I DROP NOT NULL', star, attribute);
    END IF;
END
$body$;

REVOKE ALL ON FUNCTION
    warehouse_bookkeeping.take_keys_off(text),
    warehouse_bookkeeping.put_keys_on(text),
    warehouse_bookkeeping.allow_null(text, text)
FROM PUBLIC;

GRANT USAGE ON SCHEMA warehouse, warehouse_bookkeeping TO warehouse_loader, warehouse_reader;

GRANT SELECT ON ALL TABLES IN SCHEMA warehouse_bookkeeping TO warehouse_loader, warehouse_reader;

GRANT SELECT ON warehouse.dim_date, warehouse.dim_counterparty, warehouse.dim_currency, warehouse.dim_design, warehouse.dim_location, warehouse.dim_payment_type, warehouse.dim_staff, warehouse.dim_transaction, warehouse.fact_payment, warehouse.fact_purchase_order, warehouse.fact_sales_order, warehouse.current_dim_counterparty, warehouse.current_dim_currency, warehouse.current_dim_design, warehouse.current_dim_location, warehouse.current_dim_payment_type, warehouse.current_dim_staff, warehouse.current_dim_transaction, warehouse.current_fact_payment, warehouse.history_fact_payment, warehouse.current_fact_purchase_order, warehouse.history_fact_purchase_order, warehouse.current_fact_sales_order, warehouse.history_fact_sales_order TO warehouse_loader, warehouse_reader;

GRANT INSERT ON warehouse.fact_payment, warehouse.fact_purchase_order, warehouse.fact_sales_order TO warehouse_loader;

GRANT INSERT, UPDATE ON warehouse.dim_date, warehouse.dim_counterparty, warehouse.dim_currency, warehouse.dim_design, warehouse.dim_location, warehouse.dim_payment_type, warehouse.dim_staff, warehouse.dim_transaction TO warehouse_loader;

GRANT INSERT ON warehouse_bookkeeping.batch, warehouse_bookkeeping.batch_table, warehouse_bookkeeping.quarantine, warehouse_bookkeeping.released, warehouse_bookkeeping.audit TO warehouse_loader;

GRANT INSERT, UPDATE ON warehouse_bookkeeping.star TO warehouse_loader;

GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA warehouse_bookkeeping TO warehouse_loader;

INSERT INTO warehouse_bookkeeping.declaration (sha256) VALUES ('15b69746d2d8fbe6f3786720873891b5d4edb8899bc8ff712d4ce7ab5a8dcc62');

COMMIT;
