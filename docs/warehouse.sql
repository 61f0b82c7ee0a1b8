-- The warehouse, as `totesys migrate` makes it on PostgreSQL 18 where the roles of
-- roles.sql exist. Written by `make render`.

BEGIN;

CREATE SCHEMA warehouse;

CREATE SCHEMA warehouse_bookkeeping;

CREATE SCHEMA reports;

SET LOCAL search_path TO warehouse_bookkeeping, pg_temp;

-- The warehouse's bookkeeping: the batches that it holds, the audits of them, the declarations of
-- its tables, its reports and pages. Runs with the bookkeeping schema first in the search path.

-- The numbered files that have run. A release refuses a warehouse on which an unknown file has run,
-- unless that file's `needs` names one that it knows: a file that only adds names the previous one.
CREATE TABLE migration (
    number integer PRIMARY KEY,
    file text NOT NULL,
    needs integer,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE migration IS 'The numbered SQL files that have run. needs is the number of the newest file that a release must know to use the warehouse since; NULL stands for the file itself.';

-- The ledger. A batch is identified by its log and its sequence; all tables of ToteSys are in the
-- log `totesys`. Rows of the ledger are only ever added.

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
-- Each audit of a fact looks up the first and the last batch that brought rows of it.
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
-- A rebuild replaces the ledger; for each batch that it deletes, PostgreSQL looks up references.
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

-- The reports that the platform created. Anything else in their schema belongs to somebody else.
CREATE TABLE report (
    name text PRIMARY KEY
);
COMMENT ON TABLE report IS 'The views and functions that the platform has made in the schema of the reports.';

-- The currency that reports convert into: the newest row. Views cannot read the setting itself.
CREATE TABLE reporting_currency (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    currency_code text NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE reporting_currency IS 'The currencies that reports were to convert into, the newest last.';

-- The report pages in the processed zone, and those of them that were mailed. A rebuild keeps both:
-- what was published stays published.
CREATE TABLE page (
    day date NOT NULL,
    sequence integer NOT NULL,
    manifest_sha256 text NOT NULL,
    key text NOT NULL,
    sha256 text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (day, manifest_sha256)
);
COMMENT ON TABLE page IS 'The pages of the reports that are in the processed zone: the day in London and the batch that each is of, the key of the object, and its hash.';

CREATE TABLE page_mail (
    day date NOT NULL,
    manifest_sha256 text NOT NULL,
    mailed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (day, manifest_sha256) REFERENCES page
);
COMMENT ON TABLE page_mail IS 'When a page was mailed to its readers.';

INSERT INTO warehouse_bookkeeping.migration (number, file, needs) VALUES (1, '0001_bookkeeping.sql', 1);

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

CREATE TABLE warehouse.fact_exchange_rate (
    exchange_rate_record_id serial PRIMARY KEY,
    rate_date date NOT NULL,
    currency_code character varying NOT NULL,
    rate_to_gbp numeric(28,18),
    quoted_on date,
    carried_days integer,
    source character varying,
    batch_seq integer NOT NULL,
    observed_at timestamp with time zone NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE,
    UNIQUE (rate_date, currency_code, batch_seq)
);

CREATE TABLE warehouse.fact_sales_target (
    sales_target_record_id serial PRIMARY KEY,
    month date NOT NULL,
    office character varying NOT NULL,
    currency_code character varying NOT NULL,
    target_amount numeric(14,2) NOT NULL,
    file_name character varying NOT NULL,
    batch_seq integer NOT NULL,
    observed_at timestamp with time zone NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE,
    UNIQUE (month, office, currency_code, batch_seq)
);

CREATE TABLE warehouse.past_dim_counterparty (
    counterparty_id integer NOT NULL,
    counterparty_legal_name character varying,
    counterparty_legal_address_line_1 character varying,
    counterparty_legal_address_line_2 character varying,
    counterparty_legal_district character varying,
    counterparty_legal_city character varying,
    counterparty_legal_postal_code character varying,
    counterparty_legal_country character varying,
    counterparty_legal_phone_number character varying,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE,
    PRIMARY KEY (counterparty_id, batch_seq)
);

CREATE TABLE warehouse.past_dim_currency (
    currency_id integer NOT NULL,
    currency_code character varying,
    currency_name character varying,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE,
    PRIMARY KEY (currency_id, batch_seq)
);

CREATE TABLE warehouse.past_dim_design (
    design_id integer NOT NULL,
    design_name character varying,
    file_location character varying,
    file_name character varying,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE,
    PRIMARY KEY (design_id, batch_seq)
);

CREATE TABLE warehouse.past_dim_location (
    location_id integer NOT NULL,
    address_line_1 character varying,
    address_line_2 character varying,
    district character varying,
    city character varying,
    postal_code character varying,
    country character varying,
    phone character varying,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE,
    PRIMARY KEY (location_id, batch_seq)
);

CREATE TABLE warehouse.past_dim_payment_type (
    payment_type_id integer NOT NULL,
    payment_type_name character varying,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE,
    PRIMARY KEY (payment_type_id, batch_seq)
);

CREATE TABLE warehouse.past_dim_staff (
    staff_id integer NOT NULL,
    first_name character varying,
    last_name character varying,
    department_name character varying,
    location character varying,
    email_address character varying,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE,
    PRIMARY KEY (staff_id, batch_seq)
);

CREATE TABLE warehouse.past_dim_transaction (
    transaction_id integer NOT NULL,
    transaction_type character varying,
    sales_order_id integer,
    purchase_order_id integer,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE,
    PRIMARY KEY (transaction_id, batch_seq)
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

CREATE VIEW warehouse.history_dim_counterparty AS
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
    observed_at,
    is_deleted,
    row_number() OVER versions AS version,
    observed_at AS valid_from,
    lead(observed_at) OVER versions AS valid_to
FROM (
    SELECT counterparty_id,
    counterparty_legal_name,
    counterparty_legal_address_line_1,
    counterparty_legal_address_line_2,
    counterparty_legal_district,
    counterparty_legal_city,
    counterparty_legal_postal_code,
    counterparty_legal_country,
    counterparty_legal_phone_number,
    batch_seq,
    is_deleted FROM warehouse.past_dim_counterparty
    UNION ALL
    SELECT counterparty_id,
    counterparty_legal_name,
    counterparty_legal_address_line_1,
    counterparty_legal_address_line_2,
    counterparty_legal_district,
    counterparty_legal_city,
    counterparty_legal_postal_code,
    counterparty_legal_country,
    counterparty_legal_phone_number,
    batch_seq,
    is_deleted FROM warehouse.dim_counterparty
) AS held
JOIN warehouse_bookkeeping.batch AS batch ON batch.log = 'totesys' AND batch.sequence = held.batch_seq
WINDOW versions AS (PARTITION BY counterparty_id ORDER BY batch_seq);

CREATE VIEW warehouse.current_dim_currency AS
SELECT
    currency_id,
    currency_code,
    currency_name,
    batch_seq,
    is_deleted
FROM warehouse.dim_currency
WHERE NOT is_deleted;

CREATE VIEW warehouse.history_dim_currency AS
SELECT
    currency_id,
    currency_code,
    currency_name,
    batch_seq,
    observed_at,
    is_deleted,
    row_number() OVER versions AS version,
    observed_at AS valid_from,
    lead(observed_at) OVER versions AS valid_to
FROM (
    SELECT currency_id,
    currency_code,
    currency_name,
    batch_seq,
    is_deleted FROM warehouse.past_dim_currency
    UNION ALL
    SELECT currency_id,
    currency_code,
    currency_name,
    batch_seq,
    is_deleted FROM warehouse.dim_currency
) AS held
JOIN warehouse_bookkeeping.batch AS batch ON batch.log = 'totesys' AND batch.sequence = held.batch_seq
WINDOW versions AS (PARTITION BY currency_id ORDER BY batch_seq);

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

CREATE VIEW warehouse.history_dim_design AS
SELECT
    design_id,
    design_name,
    file_location,
    file_name,
    batch_seq,
    observed_at,
    is_deleted,
    row_number() OVER versions AS version,
    observed_at AS valid_from,
    lead(observed_at) OVER versions AS valid_to
FROM (
    SELECT design_id,
    design_name,
    file_location,
    file_name,
    batch_seq,
    is_deleted FROM warehouse.past_dim_design
    UNION ALL
    SELECT design_id,
    design_name,
    file_location,
    file_name,
    batch_seq,
    is_deleted FROM warehouse.dim_design
) AS held
JOIN warehouse_bookkeeping.batch AS batch ON batch.log = 'totesys' AND batch.sequence = held.batch_seq
WINDOW versions AS (PARTITION BY design_id ORDER BY batch_seq);

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

CREATE VIEW warehouse.history_dim_location AS
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
    observed_at,
    is_deleted,
    row_number() OVER versions AS version,
    observed_at AS valid_from,
    lead(observed_at) OVER versions AS valid_to
FROM (
    SELECT location_id,
    address_line_1,
    address_line_2,
    district,
    city,
    postal_code,
    country,
    phone,
    batch_seq,
    is_deleted FROM warehouse.past_dim_location
    UNION ALL
    SELECT location_id,
    address_line_1,
    address_line_2,
    district,
    city,
    postal_code,
    country,
    phone,
    batch_seq,
    is_deleted FROM warehouse.dim_location
) AS held
JOIN warehouse_bookkeeping.batch AS batch ON batch.log = 'totesys' AND batch.sequence = held.batch_seq
WINDOW versions AS (PARTITION BY location_id ORDER BY batch_seq);

CREATE VIEW warehouse.current_dim_payment_type AS
SELECT
    payment_type_id,
    payment_type_name,
    batch_seq,
    is_deleted
FROM warehouse.dim_payment_type
WHERE NOT is_deleted;

CREATE VIEW warehouse.history_dim_payment_type AS
SELECT
    payment_type_id,
    payment_type_name,
    batch_seq,
    observed_at,
    is_deleted,
    row_number() OVER versions AS version,
    observed_at AS valid_from,
    lead(observed_at) OVER versions AS valid_to
FROM (
    SELECT payment_type_id,
    payment_type_name,
    batch_seq,
    is_deleted FROM warehouse.past_dim_payment_type
    UNION ALL
    SELECT payment_type_id,
    payment_type_name,
    batch_seq,
    is_deleted FROM warehouse.dim_payment_type
) AS held
JOIN warehouse_bookkeeping.batch AS batch ON batch.log = 'totesys' AND batch.sequence = held.batch_seq
WINDOW versions AS (PARTITION BY payment_type_id ORDER BY batch_seq);

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

CREATE VIEW warehouse.history_dim_staff AS
SELECT
    staff_id,
    first_name,
    last_name,
    department_name,
    location,
    email_address,
    batch_seq,
    observed_at,
    is_deleted,
    row_number() OVER versions AS version,
    observed_at AS valid_from,
    lead(observed_at) OVER versions AS valid_to
FROM (
    SELECT staff_id,
    first_name,
    last_name,
    department_name,
    location,
    email_address,
    batch_seq,
    is_deleted FROM warehouse.past_dim_staff
    UNION ALL
    SELECT staff_id,
    first_name,
    last_name,
    department_name,
    location,
    email_address,
    batch_seq,
    is_deleted FROM warehouse.dim_staff
) AS held
JOIN warehouse_bookkeeping.batch AS batch ON batch.log = 'totesys' AND batch.sequence = held.batch_seq
WINDOW versions AS (PARTITION BY staff_id ORDER BY batch_seq);

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

CREATE VIEW warehouse.history_dim_transaction AS
SELECT
    transaction_id,
    transaction_type,
    sales_order_id,
    purchase_order_id,
    batch_seq,
    observed_at,
    is_deleted,
    row_number() OVER versions AS version,
    observed_at AS valid_from,
    lead(observed_at) OVER versions AS valid_to
FROM (
    SELECT transaction_id,
    transaction_type,
    sales_order_id,
    purchase_order_id,
    batch_seq,
    is_deleted FROM warehouse.past_dim_transaction
    UNION ALL
    SELECT transaction_id,
    transaction_type,
    sales_order_id,
    purchase_order_id,
    batch_seq,
    is_deleted FROM warehouse.dim_transaction
) AS held
JOIN warehouse_bookkeeping.batch AS batch ON batch.log = 'totesys' AND batch.sequence = held.batch_seq
WINDOW versions AS (PARTITION BY transaction_id ORDER BY batch_seq);

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
    WHERE later.payment_id = fact.payment_id AND later.batch_seq > fact.batch_seq AND later.batch_seq > 1
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
    WHERE later.purchase_order_id = fact.purchase_order_id AND later.batch_seq > fact.batch_seq AND later.batch_seq > 1
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
    WHERE later.sales_order_id = fact.sales_order_id AND later.batch_seq > fact.batch_seq AND later.batch_seq > 1
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

CREATE VIEW warehouse.current_fact_exchange_rate AS
SELECT
    exchange_rate_record_id,
    rate_date,
    currency_code,
    rate_to_gbp,
    quoted_on,
    carried_days,
    source,
    batch_seq,
    observed_at,
    is_deleted
FROM warehouse.fact_exchange_rate AS fact
WHERE NOT is_deleted AND NOT EXISTS (
    SELECT FROM warehouse.fact_exchange_rate AS later
    WHERE later.rate_date = fact.rate_date AND later.currency_code = fact.currency_code AND later.batch_seq > fact.batch_seq AND later.batch_seq > 1
);

CREATE VIEW warehouse.history_fact_exchange_rate AS
SELECT
    exchange_rate_record_id,
    rate_date,
    currency_code,
    rate_to_gbp,
    quoted_on,
    carried_days,
    source,
    batch_seq,
    observed_at,
    is_deleted,
    row_number() OVER versions AS version,
    observed_at AS valid_from,
    lead(observed_at) OVER versions AS valid_to
FROM warehouse.fact_exchange_rate
WINDOW versions AS (PARTITION BY rate_date, currency_code ORDER BY batch_seq);

CREATE VIEW warehouse.current_fact_sales_target AS
SELECT
    sales_target_record_id,
    month,
    office,
    currency_code,
    target_amount,
    file_name,
    batch_seq,
    observed_at,
    is_deleted
FROM warehouse.fact_sales_target AS fact
WHERE NOT is_deleted AND NOT EXISTS (
    SELECT FROM warehouse.fact_sales_target AS later
    WHERE later.month = fact.month AND later.office = fact.office AND later.currency_code = fact.currency_code AND later.batch_seq > fact.batch_seq AND later.batch_seq > 1
);

CREATE VIEW warehouse.history_fact_sales_target AS
SELECT
    sales_target_record_id,
    month,
    office,
    currency_code,
    target_amount,
    file_name,
    batch_seq,
    observed_at,
    is_deleted,
    row_number() OVER versions AS version,
    observed_at AS valid_from,
    lead(observed_at) OVER versions AS valid_to
FROM warehouse.fact_sales_target
WINDOW versions AS (PARTITION BY month, office, currency_code ORDER BY batch_seq);

CREATE VIEW reports.batches AS
SELECT sequence AS batch_seq, observed_at, loaded_at
FROM warehouse_bookkeeping.batch
WHERE log = 'totesys';

CREATE VIEW reports.country_names AS
-- Written by `make render`.
SELECT country_name, country_code
FROM (VALUES
    ('Afghanistan', 'AF'),
    ('Aland Islands', 'AX'),
    ('Albania', 'AL'),
    ('Algeria', 'DZ'),
    ('American Samoa', 'AS'),
    ('Andorra', 'AD'),
    ('Angola', 'AO'),
    ('Anguilla', 'AI'),
    ('Antarctica', 'AQ'),
    ('Antarctica (the territory South of 60 deg S)', 'AQ'),
    ('Antigua and Barbuda', 'AG'),
    ('Arab Republic of Egypt', 'EG'),
    ('Argentina', 'AR'),
    ('Argentine Republic', 'AR'),
    ('Armenia', 'AM'),
    ('Aruba', 'AW'),
    ('Australia', 'AU'),
    ('Austria', 'AT'),
    ('Azerbaijan', 'AZ'),
    ('Bahamas', 'BS'),
    ('Bahrain', 'BH'),
    ('Bangladesh', 'BD'),
    ('Barbados', 'BB'),
    ('Belarus', 'BY'),
    ('Belgium', 'BE'),
    ('Belize', 'BZ'),
    ('Benin', 'BJ'),
    ('Bermuda', 'BM'),
    ('Bhutan', 'BT'),
    ('Bolivarian Republic of Venezuela', 'VE'),
    ('Bolivia', 'BO'),
    ('Bolivia, Plurinational State of', 'BO'),
    ('Bonaire, Sint Eustatius and Saba', 'BQ'),
    ('Bosnia and Herzegovina', 'BA'),
    ('Botswana', 'BW'),
    ('Bouvet Island', 'BV'),
    ('Bouvet Island (Bouvetoya)', 'BV'),
    ('Brazil', 'BR'),
    ('British Indian Ocean Territory', 'IO'),
    ('British Indian Ocean Territory (Chagos Archipelago)', 'IO'),
    ('British Virgin Islands', 'VG'),
    ('Brunei Darussalam', 'BN'),
    ('Bulgaria', 'BG'),
    ('Burkina Faso', 'BF'),
    ('Burundi', 'BI'),
    ('Cabo Verde', 'CV'),
    ('Cambodia', 'KH'),
    ('Cameroon', 'CM'),
    ('Canada', 'CA'),
    ('Cape Verde', 'CV'),
    ('Cayman Islands', 'KY'),
    ('Central African Republic', 'CF'),
    ('Chad', 'TD'),
    ('Chile', 'CL'),
    ('China', 'CN'),
    ('Christmas Island', 'CX'),
    ('Cocos (Keeling) Islands', 'CC'),
    ('Colombia', 'CO'),
    ('Commonwealth of Dominica', 'DM'),
    ('Commonwealth of the Bahamas', 'BS'),
    ('Commonwealth of the Northern Mariana Islands', 'MP'),
    ('Comoros', 'KM'),
    ('Congo', 'CG'),
    ('Congo, The Democratic Republic of the', 'CD'),
    ('Cook Islands', 'CK'),
    ('Costa Rica', 'CR'),
    ('Cote d''Ivoire', 'CI'),
    ('Croatia', 'HR'),
    ('Cuba', 'CU'),
    ('Curacao', 'CW'),
    ('Curaçao', 'CW'),
    ('Cyprus', 'CY'),
    ('Czech Republic', 'CZ'),
    ('Czechia', 'CZ'),
    ('Côte d''Ivoire', 'CI'),
    ('Democratic People''s Republic of Korea', 'KP'),
    ('Democratic Republic of Sao Tome and Principe', 'ST'),
    ('Democratic Republic of Timor-Leste', 'TL'),
    ('Democratic Republic of the Congo', 'CD'),
    ('Democratic Socialist Republic of Sri Lanka', 'LK'),
    ('Denmark', 'DK'),
    ('Djibouti', 'DJ'),
    ('Dominica', 'DM'),
    ('Dominican Republic', 'DO'),
    ('Eastern Republic of Uruguay', 'UY'),
    ('Ecuador', 'EC'),
    ('Egypt', 'EG'),
    ('El Salvador', 'SV'),
    ('Equatorial Guinea', 'GQ'),
    ('Eritrea', 'ER'),
    ('Estonia', 'EE'),
    ('Eswatini', 'SZ'),
    ('Ethiopia', 'ET'),
    ('Falkland Islands (Malvinas)', 'FK'),
    ('Faroe Islands', 'FO'),
    ('Federal Democratic Republic of Ethiopia', 'ET'),
    ('Federal Democratic Republic of Nepal', 'NP'),
    ('Federal Republic of Germany', 'DE'),
    ('Federal Republic of Nigeria', 'NG'),
    ('Federal Republic of Somalia', 'SO'),
    ('Federated States of Micronesia', 'FM'),
    ('Federative Republic of Brazil', 'BR'),
    ('Fiji', 'FJ'),
    ('Finland', 'FI'),
    ('France', 'FR'),
    ('French Guiana', 'GF'),
    ('French Polynesia', 'PF'),
    ('French Republic', 'FR'),
    ('French Southern Territories', 'TF'),
    ('Gabon', 'GA'),
    ('Gabonese Republic', 'GA'),
    ('Gambia', 'GM'),
    ('Georgia', 'GE'),
    ('Germany', 'DE'),
    ('Ghana', 'GH'),
    ('Gibraltar', 'GI'),
    ('Grand Duchy of Luxembourg', 'LU'),
    ('Greece', 'GR'),
    ('Greenland', 'GL'),
    ('Grenada', 'GD'),
    ('Guadeloupe', 'GP'),
    ('Guam', 'GU'),
    ('Guatemala', 'GT'),
    ('Guernsey', 'GG'),
    ('Guinea', 'GN'),
    ('Guinea-Bissau', 'GW'),
    ('Guyana', 'GY'),
    ('Haiti', 'HT'),
    ('Hashemite Kingdom of Jordan', 'JO'),
    ('Heard Island and McDonald Islands', 'HM'),
    ('Hellenic Republic', 'GR'),
    ('Holy See (Vatican City State)', 'VA'),
    ('Honduras', 'HN'),
    ('Hong Kong', 'HK'),
    ('Hong Kong Special Administrative Region of China', 'HK'),
    ('Hungary', 'HU'),
    ('Iceland', 'IS'),
    ('Independent State of Papua New Guinea', 'PG'),
    ('Independent State of Samoa', 'WS'),
    ('India', 'IN'),
    ('Indonesia', 'ID'),
    ('Iran', 'IR'),
    ('Iran, Islamic Republic of', 'IR'),
    ('Iraq', 'IQ'),
    ('Ireland', 'IE'),
    ('Islamic Republic of Afghanistan', 'AF'),
    ('Islamic Republic of Iran', 'IR'),
    ('Islamic Republic of Mauritania', 'MR'),
    ('Islamic Republic of Pakistan', 'PK'),
    ('Isle of Man', 'IM'),
    ('Israel', 'IL'),
    ('Italian Republic', 'IT'),
    ('Italy', 'IT'),
    ('Ivory Coast', 'CI'),
    ('Jamaica', 'JM'),
    ('Japan', 'JP'),
    ('Jersey', 'JE'),
    ('Jordan', 'JO'),
    ('Kazakhstan', 'KZ'),
    ('Kenya', 'KE'),
    ('Kingdom of Bahrain', 'BH'),
    ('Kingdom of Belgium', 'BE'),
    ('Kingdom of Bhutan', 'BT'),
    ('Kingdom of Cambodia', 'KH'),
    ('Kingdom of Denmark', 'DK'),
    ('Kingdom of Eswatini', 'SZ'),
    ('Kingdom of Lesotho', 'LS'),
    ('Kingdom of Morocco', 'MA'),
    ('Kingdom of Norway', 'NO'),
    ('Kingdom of Saudi Arabia', 'SA'),
    ('Kingdom of Spain', 'ES'),
    ('Kingdom of Sweden', 'SE'),
    ('Kingdom of Thailand', 'TH'),
    ('Kingdom of Tonga', 'TO'),
    ('Kingdom of the Netherlands', 'NL'),
    ('Kiribati', 'KI'),
    ('Korea, Democratic People''s Republic of', 'KP'),
    ('Korea, Republic of', 'KR'),
    ('Kuwait', 'KW'),
    ('Kyrgyz Republic', 'KG'),
    ('Kyrgyzstan', 'KG'),
    ('Lao People''s Democratic Republic', 'LA'),
    ('Laos', 'LA'),
    ('Latvia', 'LV'),
    ('Lebanese Republic', 'LB'),
    ('Lebanon', 'LB'),
    ('Lesotho', 'LS'),
    ('Liberia', 'LR'),
    ('Libya', 'LY'),
    ('Libyan Arab Jamahiriya', 'LY'),
    ('Liechtenstein', 'LI'),
    ('Lithuania', 'LT'),
    ('Luxembourg', 'LU'),
    ('Macao', 'MO'),
    ('Macao Special Administrative Region of China', 'MO'),
    ('Macedonia', 'MK'),
    ('Madagascar', 'MG'),
    ('Malawi', 'MW'),
    ('Malaysia', 'MY'),
    ('Maldives', 'MV'),
    ('Mali', 'ML'),
    ('Malta', 'MT'),
    ('Marshall Islands', 'MH'),
    ('Martinique', 'MQ'),
    ('Mauritania', 'MR'),
    ('Mauritius', 'MU'),
    ('Mayotte', 'YT'),
    ('Mexico', 'MX'),
    ('Micronesia', 'FM'),
    ('Micronesia, Federated States of', 'FM'),
    ('Moldova', 'MD'),
    ('Moldova, Republic of', 'MD'),
    ('Monaco', 'MC'),
    ('Mongolia', 'MN'),
    ('Montenegro', 'ME'),
    ('Montserrat', 'MS'),
    ('Morocco', 'MA'),
    ('Mozambique', 'MZ'),
    ('Myanmar', 'MM'),
    ('Namibia', 'NA'),
    ('Nauru', 'NR'),
    ('Nepal', 'NP'),
    ('Netherlands', 'NL'),
    ('New Caledonia', 'NC'),
    ('New Zealand', 'NZ'),
    ('Nicaragua', 'NI'),
    ('Niger', 'NE'),
    ('Nigeria', 'NG'),
    ('Niue', 'NU'),
    ('Norfolk Island', 'NF'),
    ('North Korea', 'KP'),
    ('North Macedonia', 'MK'),
    ('Northern Mariana Islands', 'MP'),
    ('Norway', 'NO'),
    ('Oman', 'OM'),
    ('Pakistan', 'PK'),
    ('Palau', 'PW'),
    ('Palestine, State of', 'PS'),
    ('Palestinian Territory', 'PS'),
    ('Panama', 'PA'),
    ('Papua New Guinea', 'PG'),
    ('Paraguay', 'PY'),
    ('People''s Democratic Republic of Algeria', 'DZ'),
    ('People''s Republic of Bangladesh', 'BD'),
    ('People''s Republic of China', 'CN'),
    ('Peru', 'PE'),
    ('Philippines', 'PH'),
    ('Pitcairn', 'PN'),
    ('Pitcairn Islands', 'PN'),
    ('Plurinational State of Bolivia', 'BO'),
    ('Poland', 'PL'),
    ('Portugal', 'PT'),
    ('Portuguese Republic', 'PT'),
    ('Principality of Andorra', 'AD'),
    ('Principality of Liechtenstein', 'LI'),
    ('Principality of Monaco', 'MC'),
    ('Puerto Rico', 'PR'),
    ('Qatar', 'QA'),
    ('Republic of Albania', 'AL'),
    ('Republic of Angola', 'AO'),
    ('Republic of Armenia', 'AM'),
    ('Republic of Austria', 'AT'),
    ('Republic of Azerbaijan', 'AZ'),
    ('Republic of Belarus', 'BY'),
    ('Republic of Benin', 'BJ'),
    ('Republic of Bosnia and Herzegovina', 'BA'),
    ('Republic of Botswana', 'BW'),
    ('Republic of Bulgaria', 'BG'),
    ('Republic of Burundi', 'BI'),
    ('Republic of Cabo Verde', 'CV'),
    ('Republic of Cameroon', 'CM'),
    ('Republic of Chad', 'TD'),
    ('Republic of Chile', 'CL'),
    ('Republic of Colombia', 'CO'),
    ('Republic of Costa Rica', 'CR'),
    ('Republic of Croatia', 'HR'),
    ('Republic of Cuba', 'CU'),
    ('Republic of Cyprus', 'CY'),
    ('Republic of Côte d''Ivoire', 'CI'),
    ('Republic of Djibouti', 'DJ'),
    ('Republic of Ecuador', 'EC'),
    ('Republic of El Salvador', 'SV'),
    ('Republic of Equatorial Guinea', 'GQ'),
    ('Republic of Estonia', 'EE'),
    ('Republic of Fiji', 'FJ'),
    ('Republic of Finland', 'FI'),
    ('Republic of Ghana', 'GH'),
    ('Republic of Guatemala', 'GT'),
    ('Republic of Guinea', 'GN'),
    ('Republic of Guinea-Bissau', 'GW'),
    ('Republic of Guyana', 'GY'),
    ('Republic of Haiti', 'HT'),
    ('Republic of Honduras', 'HN'),
    ('Republic of Iceland', 'IS'),
    ('Republic of India', 'IN'),
    ('Republic of Indonesia', 'ID'),
    ('Republic of Iraq', 'IQ'),
    ('Republic of Kazakhstan', 'KZ'),
    ('Republic of Kenya', 'KE'),
    ('Republic of Kiribati', 'KI'),
    ('Republic of Korea', 'KR'),
    ('Republic of Latvia', 'LV'),
    ('Republic of Liberia', 'LR'),
    ('Republic of Lithuania', 'LT'),
    ('Republic of Madagascar', 'MG'),
    ('Republic of Malawi', 'MW'),
    ('Republic of Maldives', 'MV'),
    ('Republic of Mali', 'ML'),
    ('Republic of Malta', 'MT'),
    ('Republic of Mauritius', 'MU'),
    ('Republic of Moldova', 'MD'),
    ('Republic of Mozambique', 'MZ'),
    ('Republic of Myanmar', 'MM'),
    ('Republic of Namibia', 'NA'),
    ('Republic of Nauru', 'NR'),
    ('Republic of Nicaragua', 'NI'),
    ('Republic of North Macedonia', 'MK'),
    ('Republic of Palau', 'PW'),
    ('Republic of Panama', 'PA'),
    ('Republic of Paraguay', 'PY'),
    ('Republic of Peru', 'PE'),
    ('Republic of Poland', 'PL'),
    ('Republic of San Marino', 'SM'),
    ('Republic of Senegal', 'SN'),
    ('Republic of Serbia', 'RS'),
    ('Republic of Seychelles', 'SC'),
    ('Republic of Sierra Leone', 'SL'),
    ('Republic of Singapore', 'SG'),
    ('Republic of Slovenia', 'SI'),
    ('Republic of South Africa', 'ZA'),
    ('Republic of South Sudan', 'SS'),
    ('Republic of Suriname', 'SR'),
    ('Republic of Tajikistan', 'TJ'),
    ('Republic of Trinidad and Tobago', 'TT'),
    ('Republic of Tunisia', 'TN'),
    ('Republic of Türkiye', 'TR'),
    ('Republic of Uganda', 'UG'),
    ('Republic of Uzbekistan', 'UZ'),
    ('Republic of Vanuatu', 'VU'),
    ('Republic of Yemen', 'YE'),
    ('Republic of Zambia', 'ZM'),
    ('Republic of Zimbabwe', 'ZW'),
    ('Republic of the Congo', 'CG'),
    ('Republic of the Gambia', 'GM'),
    ('Republic of the Marshall Islands', 'MH'),
    ('Republic of the Niger', 'NE'),
    ('Republic of the Philippines', 'PH'),
    ('Republic of the Sudan', 'SD'),
    ('Reunion', 'RE'),
    ('Romania', 'RO'),
    ('Russian Federation', 'RU'),
    ('Rwanda', 'RW'),
    ('Rwandese Republic', 'RW'),
    ('Réunion', 'RE'),
    ('Saint Barthelemy', 'BL'),
    ('Saint Barthélemy', 'BL'),
    ('Saint Helena', 'SH'),
    ('Saint Helena, Ascension and Tristan da Cunha', 'SH'),
    ('Saint Kitts and Nevis', 'KN'),
    ('Saint Lucia', 'LC'),
    ('Saint Martin', 'MF'),
    ('Saint Martin (French part)', 'MF'),
    ('Saint Pierre and Miquelon', 'PM'),
    ('Saint Vincent and the Grenadines', 'VC'),
    ('Samoa', 'WS'),
    ('San Marino', 'SM'),
    ('Sao Tome and Principe', 'ST'),
    ('Saudi Arabia', 'SA'),
    ('Senegal', 'SN'),
    ('Serbia', 'RS'),
    ('Seychelles', 'SC'),
    ('Sierra Leone', 'SL'),
    ('Singapore', 'SG'),
    ('Sint Maarten', 'SX'),
    ('Sint Maarten (Dutch part)', 'SX'),
    ('Slovak Republic', 'SK'),
    ('Slovakia', 'SK'),
    ('Slovakia (Slovak Republic)', 'SK'),
    ('Slovenia', 'SI'),
    ('Socialist Republic of Viet Nam', 'VN'),
    ('Solomon Islands', 'SB'),
    ('Somalia', 'SO'),
    ('South Africa', 'ZA'),
    ('South Georgia and the South Sandwich Islands', 'GS'),
    ('South Korea', 'KR'),
    ('South Sudan', 'SS'),
    ('Spain', 'ES'),
    ('Sri Lanka', 'LK'),
    ('State of Israel', 'IL'),
    ('State of Kuwait', 'KW'),
    ('State of Qatar', 'QA'),
    ('Sudan', 'SD'),
    ('Sultanate of Oman', 'OM'),
    ('Suriname', 'SR'),
    ('Svalbard & Jan Mayen Islands', 'SJ'),
    ('Svalbard and Jan Mayen', 'SJ'),
    ('Swaziland', 'SZ'),
    ('Sweden', 'SE'),
    ('Swiss Confederation', 'CH'),
    ('Switzerland', 'CH'),
    ('Syria', 'SY'),
    ('Syrian Arab Republic', 'SY'),
    ('Taiwan', 'TW'),
    ('Taiwan, Province of China', 'TW'),
    ('Tajikistan', 'TJ'),
    ('Tanzania', 'TZ'),
    ('Tanzania, United Republic of', 'TZ'),
    ('Thailand', 'TH'),
    ('Timor-Leste', 'TL'),
    ('Togo', 'TG'),
    ('Togolese Republic', 'TG'),
    ('Tokelau', 'TK'),
    ('Tonga', 'TO'),
    ('Trinidad and Tobago', 'TT'),
    ('Tunisia', 'TN'),
    ('Turkey', 'TR'),
    ('Turkmenistan', 'TM'),
    ('Turks and Caicos Islands', 'TC'),
    ('Tuvalu', 'TV'),
    ('Türkiye', 'TR'),
    ('Uganda', 'UG'),
    ('Ukraine', 'UA'),
    ('Union of the Comoros', 'KM'),
    ('United Arab Emirates', 'AE'),
    ('United Kingdom', 'GB'),
    ('United Kingdom of Great Britain and Northern Ireland', 'GB'),
    ('United Mexican States', 'MX'),
    ('United Republic of Tanzania', 'TZ'),
    ('United States', 'US'),
    ('United States Minor Outlying Islands', 'UM'),
    ('United States Virgin Islands', 'VI'),
    ('United States of America', 'US'),
    ('Uruguay', 'UY'),
    ('Uzbekistan', 'UZ'),
    ('Vanuatu', 'VU'),
    ('Venezuela', 'VE'),
    ('Venezuela, Bolivarian Republic of', 'VE'),
    ('Viet Nam', 'VN'),
    ('Vietnam', 'VN'),
    ('Virgin Islands of the United States', 'VI'),
    ('Virgin Islands, British', 'VG'),
    ('Virgin Islands, U.S.', 'VI'),
    ('Wallis and Futuna', 'WF'),
    ('Western Sahara', 'EH'),
    ('Yemen', 'YE'),
    ('Zambia', 'ZM'),
    ('Zimbabwe', 'ZW'),
    ('the State of Eritrea', 'ER'),
    ('the State of Palestine', 'PS'),
    ('Åland Islands', 'AX')
) AS names (country_name, country_code);

CREATE VIEW reports.data_quality AS
SELECT
    s.star AS table_name,
    q.rows AS quarantined,
    whole.sequence AS audited_in_batch,
    CASE
        WHEN s.sequence < head.sequence THEN 'behind'
        WHEN whole.sequence IS NULL AND touched.sequence IS NULL THEN 'not compared'
        WHEN coalesce(whole.equal, TRUE) AND coalesce(touched.equal, TRUE) THEN 'equal'
        WHEN coalesce(whole.equal OR whole.equal_without, whole.sequence IS NULL)
            AND coalesce(touched.equal OR touched.equal_without, touched.sequence IS NULL)
            THEN 'equal but for quarantine'
        WHEN coalesce(whole.equal OR whole.explained, TRUE)
            AND coalesce(touched.equal OR touched.explained, TRUE)
            THEN 'different, perhaps by quarantine alone'
        ELSE 'different'
    END AS state,
    greatest(held.observed_at, CASE WHEN whole.equal THEN whole.observed_at END) AS fresh_as_of
FROM warehouse_bookkeeping.star AS s
CROSS JOIN (SELECT max(sequence) AS sequence FROM warehouse_bookkeeping.batch WHERE log = 'totesys') AS head
LEFT JOIN warehouse_bookkeeping.batch AS held ON held.log = 'totesys' AND held.sequence = s.sequence
LEFT JOIN LATERAL (
    SELECT
        a.sequence,
        a.equal,
        a.equal_without,
        a.quarantined > 0 AND a.equal_without IS NOT FALSE AS explained,
        a.observed_at
    FROM warehouse_bookkeeping.audit AS a
    WHERE a.log = 'totesys' AND a.star = s.star AND a.scope = 'whole'
    ORDER BY a.sequence DESC, a.audit DESC LIMIT 1
) AS whole ON TRUE
-- What a later batch found of other keys does not mend a difference.
LEFT JOIN LATERAL (
    SELECT
        a.sequence,
        a.equal,
        a.equal_without,
        a.quarantined > 0 AND a.equal_without IS NOT FALSE AS explained
    FROM warehouse_bookkeeping.audit AS a
    WHERE a.log = 'totesys' AND a.star = s.star AND a.scope = 'touched'
      AND a.sequence > coalesce(whole.sequence, 0)
    ORDER BY a.equal, a.sequence DESC LIMIT 1
) AS touched ON TRUE
-- As quarantine.py counts: since the table was last read in full or equalled the source, and not
-- what a later batch brought or deleted.
CROSS JOIN LATERAL (
    SELECT count(*) AS rows
    FROM (
        SELECT DISTINCT r.key, CASE WHEN r.key IS NULL THEN r.reason END
        FROM warehouse_bookkeeping.quarantine AS r
        WHERE r.star = s.star AND r.source = s.definition ->> 'base'
          AND r.sequence >= (
            SELECT coalesce(max(a.sequence), 0) FROM warehouse_bookkeeping.audit AS a
            WHERE a.star = s.star AND a.scope = 'whole' AND a.full_read AND a.audit = 0
        ) AND r.sequence > (
            SELECT coalesce(max(a.sequence), 0) FROM warehouse_bookkeeping.audit AS a
            WHERE a.star = s.star AND a.scope = 'whole' AND a.equal
        ) AND NOT EXISTS (
            SELECT FROM warehouse_bookkeeping.released AS done
            WHERE done.star = s.star AND done.key = r.key AND done.sequence > r.sequence
        )
    ) AS unsettled
) AS q
-- The past versions of a dimension are a table of their own, and none that readers know.
WHERE NOT EXISTS (SELECT FROM warehouse_bookkeeping.star AS d WHERE s.star = 'past_' || d.star);

CREATE FUNCTION reports.deliveries_next_days(as_of date, days integer)
RETURNS TABLE (agreed_delivery_date date, orders bigint, units bigint)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT o.agreed_delivery_date, count(*), sum(o.units_sold)::bigint
FROM warehouse.current_fact_sales_order AS o
WHERE o.agreed_delivery_date > as_of AND o.agreed_delivery_date <= as_of + days
GROUP BY o.agreed_delivery_date;
END;

CREATE VIEW reports.delivery_slippage AS
SELECT
    o.sales_order_id,
    f.agreed_delivery_date AS first_agreed,
    o.agreed_delivery_date AS now_agreed,
    o.agreed_delivery_date - f.agreed_delivery_date AS days
FROM warehouse.fact_sales_order AS f
JOIN warehouse.fact_sales_order AS o ON o.sales_order_id = f.sales_order_id AND o.batch_seq > f.batch_seq
-- No version of the first batch follows another one, and most versions are of that.
WHERE o.batch_seq > 1 AND o.agreed_delivery_date <> f.agreed_delivery_date AND NOT o.is_deleted
  AND NOT EXISTS (
    SELECT FROM warehouse.fact_sales_order AS earlier
    WHERE earlier.sales_order_id = f.sales_order_id AND earlier.batch_seq < f.batch_seq
) AND NOT EXISTS (
    SELECT FROM warehouse.fact_sales_order AS later
    WHERE later.sales_order_id = o.sales_order_id AND later.batch_seq > o.batch_seq
      AND later.batch_seq > 1
);

CREATE VIEW reports.designs_never_sold AS
SELECT d.design_id, d.design_name, d.file_name
FROM warehouse.current_dim_design AS d
WHERE NOT EXISTS (
    SELECT FROM warehouse.current_fact_sales_order AS o WHERE o.design_id = d.design_id
);

CREATE VIEW reports.open_payments AS
SELECT
    p.payment_id,
    CASE t.payment_type_name
        WHEN 'SALES_RECEIPT' THEN 'receivable'
        WHEN 'PURCHASE_REFUND' THEN 'receivable'
        WHEN 'PURCHASE_PAYMENT' THEN 'payable'
        WHEN 'SALES_REFUND' THEN 'payable'
        ELSE 'unknown'
    END AS direction,
    p.counterparty_id,
    c.currency_code,
    p.payment_amount AS amount,
    p.payment_date,
    CASE
        WHEN extract(isodow FROM p.payment_date) >= 6 THEN 'due on a weekend'
        WHEN p.payment_date = p.created_date THEN 'due on the day it was made'
        ELSE 'other'
    END AS reason
FROM warehouse.current_fact_payment AS p
JOIN warehouse.dim_payment_type AS t USING (payment_type_id)
JOIN warehouse.dim_currency AS c USING (currency_id)
WHERE NOT p.paid;

CREATE VIEW reports.order_amendments AS
SELECT
    o.sales_order_id,
    c.changed,
    c.from_value,
    c.to_value,
    o.observed_at,
    o.batch_seq
FROM warehouse.fact_sales_order AS f
JOIN warehouse.fact_sales_order AS o ON o.sales_order_id = f.sales_order_id AND o.batch_seq > f.batch_seq
CROSS JOIN LATERAL (
    VALUES
        ('created_date', f.created_date::text, o.created_date::text),
        ('created_time', f.created_time::text, o.created_time::text),
        ('last_updated_date', f.last_updated_date::text, o.last_updated_date::text),
        ('last_updated_time', f.last_updated_time::text, o.last_updated_time::text),
        ('sales_staff_id', f.sales_staff_id::text, o.sales_staff_id::text),
        ('counterparty_id', f.counterparty_id::text, o.counterparty_id::text),
        ('units_sold', f.units_sold::text, o.units_sold::text),
        ('unit_price', f.unit_price::text, o.unit_price::text),
        ('currency_id', f.currency_id::text, o.currency_id::text),
        ('design_id', f.design_id::text, o.design_id::text),
        ('agreed_payment_date', f.agreed_payment_date::text, o.agreed_payment_date::text),
        ('agreed_delivery_date', f.agreed_delivery_date::text, o.agreed_delivery_date::text),
        (
            'agreed_delivery_location_id',
            f.agreed_delivery_location_id::text,
            o.agreed_delivery_location_id::text
        ),
        ('is_deleted', f.is_deleted::text, o.is_deleted::text)
) AS c (changed, from_value, to_value)
-- No version of the first batch follows another one, and most versions are of that.
WHERE o.batch_seq > 1 AND c.from_value IS DISTINCT FROM c.to_value AND NOT EXISTS (
    SELECT FROM warehouse.fact_sales_order AS between_them
    WHERE between_them.sales_order_id = f.sales_order_id
      AND between_them.batch_seq > f.batch_seq AND between_them.batch_seq < o.batch_seq
      AND between_them.batch_seq > 1
);

CREATE VIEW reports.order_versions AS
SELECT
    o.sales_order_id,
    o.batch_seq,
    o.observed_at,
    b.loaded_at,
    o.is_deleted,
    o.created_date,
    o.sales_staff_id,
    o.counterparty_id,
    o.design_id,
    o.units_sold,
    o.unit_price,
    c.currency_code,
    o.units_sold * o.unit_price AS revenue,
    o.agreed_payment_date,
    o.agreed_delivery_date,
    o.agreed_delivery_location_id
FROM warehouse.fact_sales_order AS o
-- Each refers to one row: where a query does not ask for its column, PostgreSQL leaves it out.
LEFT JOIN warehouse_bookkeeping.batch AS b ON b.log = 'totesys' AND b.sequence = o.batch_seq
LEFT JOIN warehouse.dim_currency AS c ON c.currency_id = o.currency_id;

CREATE VIEW reports.orders_by_staff AS
SELECT
    s.staff_id,
    s.first_name || ' ' || s.last_name AS staff_name,
    s.department_name,
    o.orders,
    o.units
FROM (
    SELECT sales_staff_id AS staff_id, count(*) AS orders, sum(units_sold)::bigint AS units
    FROM warehouse.current_fact_sales_order
    GROUP BY sales_staff_id
) AS o
JOIN warehouse.dim_staff AS s USING (staff_id);

CREATE VIEW reports.orders_by_weekday AS
SELECT
    d.day_of_week,
    d.day_name,
    count(*)::integer AS days,
    sum(o.orders)::bigint AS orders,
    sum(o.units)::bigint AS units
FROM (
    SELECT created_date AS date_id, count(*) AS orders, sum(units_sold) AS units
    FROM warehouse.current_fact_sales_order
    GROUP BY created_date
) AS o
JOIN warehouse.dim_date AS d USING (date_id)
GROUP BY d.day_of_week, d.day_name;

CREATE VIEW reports.pounds_for_currencies AS
SELECT rate_date, currency_code, rate_to_gbp, quoted_on, carried_days, source
FROM warehouse.current_fact_exchange_rate
UNION ALL
SELECT DISTINCT rate_date, 'GBP', 1::numeric(28, 18), NULL::date, NULL::integer, NULL
FROM warehouse.current_fact_exchange_rate;

CREATE VIEW reports.purchases_by_month AS
SELECT
    month,
    c.currency_code,
    count(*) AS orders,
    sum(o.item_quantity * o.item_unit_price) AS amount,
    month >= date_trunc('month', now() AT TIME ZONE 'Europe/London')::date AS unfinished
FROM warehouse.current_fact_purchase_order AS o
JOIN warehouse.dim_currency AS c USING (currency_id)
CROSS JOIN LATERAL (SELECT date_trunc('month', o.created_date::timestamp)::date) AS m (month)
GROUP BY month, c.currency_code;

CREATE VIEW reports.reporting_currency AS
SELECT coalesce(
    (SELECT currency_code FROM warehouse_bookkeeping.reporting_currency ORDER BY number DESC LIMIT 1),
    'GBP'
) AS reporting_currency;

CREATE VIEW reports.revenue_against_target AS
SELECT
    month,
    office,
    currency_code,
    sum(orders)::bigint AS orders,
    sum(revenue) AS revenue,
    sum(target_amount) AS target_amount,
    sum(revenue) - sum(target_amount) AS difference,
    round(100 * sum(revenue) / nullif(sum(target_amount), 0), 1) AS percent_of_target,
    month >= date_trunc('month', now() AT TIME ZONE 'Europe/London')::date AS unfinished
FROM (
    -- One below the other and not joined, as a month may have one of the two only.
    SELECT
        o.month,
        coalesce(spelling.office, s.location) AS office,
        c.currency_code,
        o.orders,
        o.revenue,
        NULL::numeric AS target_amount
    FROM (
        SELECT
            date_trunc('month', created_date::timestamp)::date AS month,
            sales_staff_id AS staff_id,
            currency_id,
            count(*) AS orders,
            sum(units_sold * unit_price) AS revenue
        FROM warehouse.current_fact_sales_order
        GROUP BY 1, 2, 3
    ) AS o
    JOIN warehouse.dim_staff AS s USING (staff_id)
    JOIN warehouse.dim_currency AS c USING (currency_id)
    LEFT JOIN (VALUES ('Leds', 'Leeds')) AS spelling (location, office)
        ON spelling.location = s.location
    UNION ALL
    SELECT t.month, coalesce(spelling.office, t.office), t.currency_code, NULL, NULL, t.target_amount
    FROM warehouse.current_fact_sales_target AS t
    LEFT JOIN (VALUES ('Leds', 'Leeds')) AS spelling (location, office)
        ON spelling.location = t.office
) AS sold_and_targeted
GROUP BY month, office, currency_code;

CREATE VIEW reports.revenue_by_currency AS
SELECT
    c.currency_code,
    count(*) AS orders,
    sum(o.units_sold)::bigint AS units,
    sum(o.units_sold * o.unit_price) AS revenue
FROM warehouse.current_fact_sales_order AS o
JOIN warehouse.dim_currency AS c USING (currency_id)
GROUP BY c.currency_code;

CREATE VIEW reports.revenue_by_customer AS
SELECT
    p.counterparty_id,
    p.counterparty_legal_name,
    c.currency_code,
    o.orders,
    o.units,
    o.revenue
FROM (
    SELECT
        counterparty_id,
        currency_id,
        count(*) AS orders,
        sum(units_sold)::bigint AS units,
        sum(units_sold * unit_price) AS revenue
    FROM warehouse.current_fact_sales_order
    GROUP BY counterparty_id, currency_id
) AS o
JOIN warehouse.dim_counterparty AS p USING (counterparty_id)
JOIN warehouse.dim_currency AS c USING (currency_id);

CREATE VIEW reports.revenue_by_design AS
SELECT
    d.design_name,
    c.currency_code,
    count(*) AS designs,
    sum(o.orders)::bigint AS orders,
    sum(o.units)::bigint AS units,
    sum(o.revenue) AS revenue
FROM (
    SELECT
        design_id,
        currency_id,
        count(*) AS orders,
        sum(units_sold) AS units,
        sum(units_sold * unit_price) AS revenue
    FROM warehouse.current_fact_sales_order
    GROUP BY design_id, currency_id
) AS o
JOIN warehouse.dim_design AS d USING (design_id)
JOIN warehouse.dim_currency AS c USING (currency_id)
GROUP BY d.design_name, c.currency_code;

CREATE VIEW reports.revenue_by_month AS
SELECT
    month,
    c.currency_code,
    count(*) AS orders,
    sum(o.units_sold)::bigint AS units,
    sum(o.units_sold * o.unit_price) AS revenue,
    month >= date_trunc('month', now() AT TIME ZONE 'Europe/London')::date AS unfinished
FROM warehouse.current_fact_sales_order AS o
JOIN warehouse.dim_currency AS c USING (currency_id)
CROSS JOIN LATERAL (SELECT date_trunc('month', o.created_date::timestamp)::date) AS m (month)
GROUP BY month, c.currency_code;

CREATE VIEW reports.revenue_by_office AS
SELECT
    coalesce(spelling.office, s.location) AS office,
    c.currency_code,
    sum(o.orders)::bigint AS orders,
    sum(o.units)::bigint AS units,
    sum(o.revenue) AS revenue
FROM (
    SELECT
        sales_staff_id AS staff_id,
        currency_id,
        count(*) AS orders,
        sum(units_sold) AS units,
        sum(units_sold * unit_price) AS revenue
    FROM warehouse.current_fact_sales_order
    GROUP BY sales_staff_id, currency_id
) AS o
JOIN warehouse.dim_staff AS s USING (staff_id)
JOIN warehouse.dim_currency AS c USING (currency_id)
LEFT JOIN (VALUES ('Leds', 'Leeds')) AS spelling (location, office) ON spelling.location = s.location
GROUP BY 1, 2;

CREATE VIEW reports.revenue_by_week AS
SELECT
    week,
    c.currency_code,
    count(*) AS orders,
    sum(o.units_sold)::bigint AS units,
    sum(o.units_sold * o.unit_price) AS revenue,
    week >= date_trunc('week', now() AT TIME ZONE 'Europe/London')::date AS unfinished
FROM warehouse.current_fact_sales_order AS o
JOIN warehouse.dim_currency AS c USING (currency_id)
CROSS JOIN LATERAL (SELECT date_trunc('week', o.created_date::timestamp)::date) AS w (week)
GROUP BY week, c.currency_code;

CREATE FUNCTION reports.ageing(as_of date)
RETURNS TABLE (direction text, currency_code character varying, bucket text, payments bigint, amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT p.direction, p.currency_code, b.bucket, count(*), sum(p.amount)
FROM reports.open_payments AS p
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN as_of - p.payment_date <= 30 THEN '1-30'
        WHEN as_of - p.payment_date <= 60 THEN '31-60'
        WHEN as_of - p.payment_date <= 90 THEN '61-90'
        WHEN as_of - p.payment_date <= 365 THEN '91-365'
        ELSE 'over 365'
    END
) AS b (bucket)
WHERE p.payment_date < as_of
GROUP BY p.direction, p.currency_code, b.bucket;
END;

CREATE FUNCTION reports.cash_next_days(as_of date, days integer)
RETURNS TABLE (payment_date date, direction text, currency_code character varying, payments bigint, amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT p.payment_date, p.direction, p.currency_code, count(*), sum(p.amount)
FROM reports.open_payments AS p
WHERE p.payment_date > as_of AND p.payment_date <= as_of + days
GROUP BY p.payment_date, p.direction, p.currency_code;
END;

CREATE VIEW reports.deliveries_by_country AS
SELECT
    l.country,
    n.country_code,
    sum(o.orders)::bigint AS orders,
    sum(o.units)::bigint AS units
FROM (
    SELECT
        agreed_delivery_location_id AS location_id,
        count(*) AS orders,
        sum(units_sold) AS units
    FROM warehouse.current_fact_sales_order
    GROUP BY agreed_delivery_location_id
) AS o
JOIN warehouse.dim_location AS l USING (location_id)
LEFT JOIN reports.country_names AS n ON lower(n.country_name) = lower(l.country)
GROUP BY l.country, n.country_code;

CREATE VIEW reports.exchange_rates AS
SELECT
    q.rate_date,
    q.currency_code,
    n.reporting_currency,
    q.rate_to_gbp / r.rate_to_gbp AS rate,
    least(q.quoted_on, r.quoted_on) AS quoted_on,
    greatest(q.carried_days, r.carried_days) AS carried_days,
    coalesce(q.source, r.source) AS source
FROM reports.pounds_for_currencies AS q
JOIN reports.pounds_for_currencies AS r ON r.rate_date = q.rate_date
JOIN reports.reporting_currency AS n ON n.reporting_currency = r.currency_code
WHERE q.currency_code <> r.currency_code;

CREATE FUNCTION reports.order_history(sales_order_id integer)
RETURNS TABLE (version bigint, valid_from timestamp with time zone, valid_to timestamp with time zone, loaded_at timestamp with time zone, is_deleted boolean, created_date date, sales_staff_id integer, counterparty_id integer, design_id integer, units_sold integer, unit_price numeric, currency_code character varying, revenue numeric, agreed_payment_date date, agreed_delivery_date date, agreed_delivery_location_id integer, batch_seq integer)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT
    row_number() OVER versions,
    v.observed_at,
    lead(v.observed_at) OVER versions,
    v.loaded_at,
    v.is_deleted,
    v.created_date,
    v.sales_staff_id,
    v.counterparty_id,
    v.design_id,
    v.units_sold,
    v.unit_price,
    v.currency_code,
    v.revenue,
    v.agreed_payment_date,
    v.agreed_delivery_date,
    v.agreed_delivery_location_id,
    v.batch_seq
FROM reports.order_versions AS v
WHERE v.sales_order_id = order_history.sales_order_id
WINDOW versions AS (ORDER BY v.batch_seq)
ORDER BY v.batch_seq;
END;

CREATE FUNCTION reports.orders_as_of(moment timestamp with time zone)
RETURNS TABLE (sales_order_id integer, created_date date, sales_staff_id integer, counterparty_id integer, design_id integer, units_sold integer, unit_price numeric, currency_code character varying, revenue numeric, agreed_payment_date date, agreed_delivery_date date, agreed_delivery_location_id integer, batch_seq integer, observed_at timestamp with time zone)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT
    v.sales_order_id,
    v.created_date,
    v.sales_staff_id,
    v.counterparty_id,
    v.design_id,
    v.units_sold,
    v.unit_price,
    v.currency_code,
    v.revenue,
    v.agreed_payment_date,
    v.agreed_delivery_date,
    v.agreed_delivery_location_id,
    v.batch_seq,
    v.observed_at
FROM reports.order_versions AS v
WHERE NOT v.is_deleted
  AND v.batch_seq <= (SELECT max(b.batch_seq) FROM reports.batches AS b WHERE b.loaded_at <= moment)
  AND NOT EXISTS (
    SELECT FROM reports.order_versions AS later
    WHERE later.sales_order_id = v.sales_order_id AND later.batch_seq > v.batch_seq
      -- As in current_*: no version of the first batch follows another one.
      AND later.batch_seq > 1
      AND later.batch_seq <= (SELECT max(b.batch_seq) FROM reports.batches AS b WHERE b.loaded_at <= moment)
);
END;

CREATE FUNCTION reports.orders_at(moment timestamp with time zone)
RETURNS TABLE (sales_order_id integer, created_date date, sales_staff_id integer, counterparty_id integer, design_id integer, units_sold integer, unit_price numeric, currency_code character varying, revenue numeric, agreed_payment_date date, agreed_delivery_date date, agreed_delivery_location_id integer, batch_seq integer, observed_at timestamp with time zone)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT
    v.sales_order_id,
    v.created_date,
    v.sales_staff_id,
    v.counterparty_id,
    v.design_id,
    v.units_sold,
    v.unit_price,
    v.currency_code,
    v.revenue,
    v.agreed_payment_date,
    v.agreed_delivery_date,
    v.agreed_delivery_location_id,
    v.batch_seq,
    v.observed_at
FROM reports.order_versions AS v
WHERE NOT v.is_deleted
  AND v.batch_seq <= (SELECT max(b.batch_seq) FROM reports.batches AS b WHERE b.observed_at <= moment)
  AND NOT EXISTS (
    SELECT FROM reports.order_versions AS later
    WHERE later.sales_order_id = v.sales_order_id AND later.batch_seq > v.batch_seq
      -- As in current_*: no version of the first batch follows another one.
      AND later.batch_seq > 1
      AND later.batch_seq <= (SELECT max(b.batch_seq) FROM reports.batches AS b WHERE b.observed_at <= moment)
);
END;

CREATE VIEW reports.orders_in_reporting_currency AS
SELECT
    o.sales_order_id,
    o.created_date,
    o.counterparty_id,
    o.design_id,
    o.sales_staff_id,
    c.currency_code,
    o.units_sold,
    o.units_sold * o.unit_price AS revenue,
    n.reporting_currency,
    round(o.units_sold * o.unit_price * rate, 2) AS converted,
    rate IS NOT NULL AND greatest(q.carried_days, r.carried_days, 0) > 0 AS carried
FROM warehouse.current_fact_sales_order AS o
JOIN warehouse.dim_currency AS c USING (currency_id)
CROSS JOIN reports.reporting_currency AS n
LEFT JOIN warehouse.current_fact_exchange_rate AS q
    -- The pound is fixed with the euro.
    ON q.rate_date = o.created_date
    AND q.currency_code = CASE c.currency_code WHEN 'GBP' THEN 'EUR' ELSE c.currency_code END
LEFT JOIN warehouse.current_fact_exchange_rate AS r
    ON r.rate_date = o.created_date AND r.currency_code = n.reporting_currency
CROSS JOIN LATERAL (
    -- The pound is what rates are in, and has none.
    SELECT CASE c.currency_code WHEN 'GBP' THEN 1 ELSE q.rate_to_gbp END AS of_order,
        CASE n.reporting_currency WHEN 'GBP' THEN 1 ELSE r.rate_to_gbp END AS of_report
) AS pounds
CROSS JOIN LATERAL (
    SELECT CASE c.currency_code
        WHEN n.reporting_currency THEN 1
        ELSE pounds.of_order / pounds.of_report
    END
) AS exchange (rate);

CREATE FUNCTION reports.overdue(as_of date)
RETURNS TABLE (direction text, currency_code character varying, payments bigint, amount numeric, reason text)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT p.direction, p.currency_code, count(*), sum(p.amount), p.reason
FROM reports.open_payments AS p
WHERE p.payment_date < as_of
GROUP BY p.direction, p.currency_code, p.reason;
END;

CREATE VIEW reports.sales_and_purchases_by_month AS
SELECT
    month,
    currency_code,
    sum(sales_orders)::bigint AS sales_orders,
    sum(revenue) AS revenue,
    sum(purchase_orders)::bigint AS purchase_orders,
    sum(purchase_amount) AS purchase_amount,
    bool_or(unfinished) AS unfinished
FROM (
    -- One below the other and not joined, as a month may have one kind only.
    SELECT
        month,
        currency_code,
        orders AS sales_orders,
        revenue,
        NULL::bigint AS purchase_orders,
        NULL::numeric AS purchase_amount,
        unfinished
    FROM reports.revenue_by_month
    UNION ALL
    SELECT month, currency_code, NULL, NULL, orders, amount, unfinished
    FROM reports.purchases_by_month
) AS both_kinds
GROUP BY month, currency_code;

CREATE VIEW reports.overdue_today AS
SELECT direction, currency_code, payments, amount, reason
FROM reports.overdue((now() AT TIME ZONE 'Europe/London')::date);

CREATE VIEW reports.revenue_in_reporting_currency_by_customer AS
SELECT
    i.counterparty_id,
    p.counterparty_legal_name,
    i.reporting_currency,
    count(*) AS orders,
    sum(i.units_sold)::bigint AS units,
    sum(i.converted) AS revenue,
    count(*) FILTER (WHERE i.carried) AS orders_at_carried_rate,
    count(*) FILTER (WHERE i.converted IS NULL) AS orders_without_rate
FROM reports.orders_in_reporting_currency AS i
JOIN warehouse.dim_counterparty AS p USING (counterparty_id)
GROUP BY i.counterparty_id, p.counterparty_legal_name, i.reporting_currency;

CREATE VIEW reports.revenue_in_reporting_currency_by_design AS
SELECT
    d.design_name,
    i.reporting_currency,
    count(*) AS orders,
    sum(i.units_sold)::bigint AS units,
    sum(i.converted) AS revenue,
    count(*) FILTER (WHERE i.carried) AS orders_at_carried_rate,
    count(*) FILTER (WHERE i.converted IS NULL) AS orders_without_rate
FROM reports.orders_in_reporting_currency AS i
JOIN warehouse.dim_design AS d USING (design_id)
GROUP BY d.design_name, i.reporting_currency;

CREATE VIEW reports.revenue_in_reporting_currency_by_month AS
SELECT
    month,
    i.reporting_currency,
    count(*) AS orders,
    sum(i.units_sold)::bigint AS units,
    sum(i.converted) AS revenue,
    count(*) FILTER (WHERE i.carried) AS orders_at_carried_rate,
    count(*) FILTER (WHERE i.converted IS NULL) AS orders_without_rate,
    month >= date_trunc('month', now() AT TIME ZONE 'Europe/London')::date AS unfinished
FROM reports.orders_in_reporting_currency AS i
CROSS JOIN LATERAL (SELECT date_trunc('month', i.created_date::timestamp)::date) AS m (month)
GROUP BY month, i.reporting_currency;

CREATE VIEW reports.revenue_in_reporting_currency_by_office AS
SELECT
    coalesce(spelling.office, s.location) AS office,
    i.reporting_currency,
    count(*) AS orders,
    sum(i.units_sold)::bigint AS units,
    sum(i.converted) AS revenue,
    count(*) FILTER (WHERE i.carried) AS orders_at_carried_rate,
    count(*) FILTER (WHERE i.converted IS NULL) AS orders_without_rate
FROM reports.orders_in_reporting_currency AS i
JOIN warehouse.dim_staff AS s ON s.staff_id = i.sales_staff_id
LEFT JOIN (VALUES ('Leds', 'Leeds')) AS spelling (location, office) ON spelling.location = s.location
GROUP BY 1, i.reporting_currency;

DELETE FROM warehouse_bookkeeping.report WHERE name <> ALL('{batches,country_names,data_quality,deliveries_next_days,delivery_slippage,designs_never_sold,open_payments,order_amendments,order_versions,orders_by_staff,orders_by_weekday,pounds_for_currencies,purchases_by_month,reporting_currency,revenue_against_target,revenue_by_currency,revenue_by_customer,revenue_by_design,revenue_by_month,revenue_by_office,revenue_by_week,ageing,cash_next_days,deliveries_by_country,exchange_rates,order_history,orders_as_of,orders_at,orders_in_reporting_currency,overdue,sales_and_purchases_by_month,overdue_today,revenue_in_reporting_currency_by_customer,revenue_in_reporting_currency_by_design,revenue_in_reporting_currency_by_month,revenue_in_reporting_currency_by_office}'::text[]);

INSERT INTO warehouse_bookkeeping.report (name) SELECT unnest('{batches,country_names,data_quality,deliveries_next_days,delivery_slippage,designs_never_sold,open_payments,order_amendments,order_versions,orders_by_staff,orders_by_weekday,pounds_for_currencies,purchases_by_month,reporting_currency,revenue_against_target,revenue_by_currency,revenue_by_customer,revenue_by_design,revenue_by_month,revenue_by_office,revenue_by_week,ageing,cash_next_days,deliveries_by_country,exchange_rates,order_history,orders_as_of,orders_at,orders_in_reporting_currency,overdue,sales_and_purchases_by_month,overdue_today,revenue_in_reporting_currency_by_customer,revenue_in_reporting_currency_by_design,revenue_in_reporting_currency_by_month,revenue_in_reporting_currency_by_office}'::text[]) ON CONFLICT DO NOTHING;

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

COMMENT ON TABLE warehouse.dim_date IS 'A gapless calendar that covers every date used by the facts.';

COMMENT ON COLUMN warehouse.dim_date.date_id IS 'The day.';

COMMENT ON COLUMN warehouse.dim_date.year IS 'Year, such as 2024.';

COMMENT ON COLUMN warehouse.dim_date.month IS 'Month, 1 to 12.';

COMMENT ON COLUMN warehouse.dim_date.day IS 'Day of the month, 1 to 31.';

COMMENT ON COLUMN warehouse.dim_date.day_of_week IS 'ISO day of the week, Monday 1 to Sunday 7.';

COMMENT ON COLUMN warehouse.dim_date.day_name IS 'English name of the day, such as Monday.';

COMMENT ON COLUMN warehouse.dim_date.month_name IS 'English name of the month, such as January.';

COMMENT ON COLUMN warehouse.dim_date.quarter IS 'Quarter of the year, 1 to 4.';

COMMENT ON COLUMN warehouse.dim_date.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.dim_date.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON TABLE warehouse.dim_counterparty IS 'Customers and suppliers, with their registered address.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_id IS 'Key of the counterparty.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_legal_name IS 'Registered name of the company.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_legal_address_line_1 IS 'Street and number.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_legal_address_line_2 IS 'Second address line.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_legal_district IS 'District or county.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_legal_city IS 'City.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_legal_postal_code IS 'Postal code, with its leading zeros.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_legal_country IS 'Country, in English.';

COMMENT ON COLUMN warehouse.dim_counterparty.counterparty_legal_phone_number IS 'Telephone number.';

COMMENT ON COLUMN warehouse.dim_counterparty.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.dim_counterparty.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON TABLE warehouse.past_dim_counterparty IS 'Versions of the rows of dim_counterparty that later ones have followed.';

COMMENT ON COLUMN warehouse.past_dim_counterparty.counterparty_id IS 'Key of the counterparty.';

COMMENT ON COLUMN warehouse.past_dim_counterparty.counterparty_legal_name IS 'Registered name of the company.';

COMMENT ON COLUMN warehouse.past_dim_counterparty.counterparty_legal_address_line_1 IS 'Street and number.';

COMMENT ON COLUMN warehouse.past_dim_counterparty.counterparty_legal_address_line_2 IS 'Second address line.';

COMMENT ON COLUMN warehouse.past_dim_counterparty.counterparty_legal_district IS 'District or county.';

COMMENT ON COLUMN warehouse.past_dim_counterparty.counterparty_legal_city IS 'City.';

COMMENT ON COLUMN warehouse.past_dim_counterparty.counterparty_legal_postal_code IS 'Postal code, with its leading zeros.';

COMMENT ON COLUMN warehouse.past_dim_counterparty.counterparty_legal_country IS 'Country, in English.';

COMMENT ON COLUMN warehouse.past_dim_counterparty.counterparty_legal_phone_number IS 'Telephone number.';

COMMENT ON COLUMN warehouse.past_dim_counterparty.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.past_dim_counterparty.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_dim_counterparty IS 'Customers and suppliers, with their registered address. Only the rows that the source has now.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_id IS 'Key of the counterparty.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_legal_name IS 'Registered name of the company.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_legal_address_line_1 IS 'Street and number.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_legal_address_line_2 IS 'Second address line.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_legal_district IS 'District or county.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_legal_city IS 'City.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_legal_postal_code IS 'Postal code, with its leading zeros.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_legal_country IS 'Country, in English.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.counterparty_legal_phone_number IS 'Telephone number.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.current_dim_counterparty.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.history_dim_counterparty IS 'Customers and suppliers, with their registered address. Every version, and the time during which it was current.';

COMMENT ON COLUMN warehouse.history_dim_counterparty.counterparty_id IS 'Key of the counterparty.';

COMMENT ON COLUMN warehouse.history_dim_counterparty.counterparty_legal_name IS 'Registered name of the company.';

COMMENT ON COLUMN warehouse.history_dim_counterparty.counterparty_legal_address_line_1 IS 'Street and number.';

COMMENT ON COLUMN warehouse.history_dim_counterparty.counterparty_legal_address_line_2 IS 'Second address line.';

COMMENT ON COLUMN warehouse.history_dim_counterparty.counterparty_legal_district IS 'District or county.';

COMMENT ON COLUMN warehouse.history_dim_counterparty.counterparty_legal_city IS 'City.';

COMMENT ON COLUMN warehouse.history_dim_counterparty.counterparty_legal_postal_code IS 'Postal code, with its leading zeros.';

COMMENT ON COLUMN warehouse.history_dim_counterparty.counterparty_legal_country IS 'Country, in English.';

COMMENT ON COLUMN warehouse.history_dim_counterparty.counterparty_legal_phone_number IS 'Telephone number.';

COMMENT ON COLUMN warehouse.history_dim_counterparty.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.history_dim_counterparty.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.history_dim_counterparty.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON COLUMN warehouse.history_dim_counterparty.version IS 'Number of this version of the row, starting at 1.';

COMMENT ON COLUMN warehouse.history_dim_counterparty.valid_from IS 'When the version became current.';

COMMENT ON COLUMN warehouse.history_dim_counterparty.valid_to IS 'When it ceased to be current; NULL while it is.';

COMMENT ON TABLE warehouse.dim_currency IS 'Currencies of orders and payments.';

COMMENT ON COLUMN warehouse.dim_currency.currency_id IS 'Key of the currency.';

COMMENT ON COLUMN warehouse.dim_currency.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN warehouse.dim_currency.currency_name IS 'ISO 4217 name of the currency, such as Pound Sterling.';

COMMENT ON COLUMN warehouse.dim_currency.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.dim_currency.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON TABLE warehouse.past_dim_currency IS 'Versions of the rows of dim_currency that later ones have followed.';

COMMENT ON COLUMN warehouse.past_dim_currency.currency_id IS 'Key of the currency.';

COMMENT ON COLUMN warehouse.past_dim_currency.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN warehouse.past_dim_currency.currency_name IS 'ISO 4217 name of the currency, such as Pound Sterling.';

COMMENT ON COLUMN warehouse.past_dim_currency.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.past_dim_currency.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_dim_currency IS 'Currencies of orders and payments. Only the rows that the source has now.';

COMMENT ON COLUMN warehouse.current_dim_currency.currency_id IS 'Key of the currency.';

COMMENT ON COLUMN warehouse.current_dim_currency.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN warehouse.current_dim_currency.currency_name IS 'ISO 4217 name of the currency, such as Pound Sterling.';

COMMENT ON COLUMN warehouse.current_dim_currency.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.current_dim_currency.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.history_dim_currency IS 'Currencies of orders and payments. Every version, and the time during which it was current.';

COMMENT ON COLUMN warehouse.history_dim_currency.currency_id IS 'Key of the currency.';

COMMENT ON COLUMN warehouse.history_dim_currency.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN warehouse.history_dim_currency.currency_name IS 'ISO 4217 name of the currency, such as Pound Sterling.';

COMMENT ON COLUMN warehouse.history_dim_currency.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.history_dim_currency.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.history_dim_currency.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON COLUMN warehouse.history_dim_currency.version IS 'Number of this version of the row, starting at 1.';

COMMENT ON COLUMN warehouse.history_dim_currency.valid_from IS 'When the version became current.';

COMMENT ON COLUMN warehouse.history_dim_currency.valid_to IS 'When it ceased to be current; NULL while it is.';

COMMENT ON TABLE warehouse.dim_design IS 'Designs of tote bags.';

COMMENT ON COLUMN warehouse.dim_design.design_id IS 'Key of the design.';

COMMENT ON COLUMN warehouse.dim_design.design_name IS 'Name of the design.';

COMMENT ON COLUMN warehouse.dim_design.file_location IS 'Directory of the drawing.';

COMMENT ON COLUMN warehouse.dim_design.file_name IS 'File name of the drawing.';

COMMENT ON COLUMN warehouse.dim_design.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.dim_design.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON TABLE warehouse.past_dim_design IS 'Versions of the rows of dim_design that later ones have followed.';

COMMENT ON COLUMN warehouse.past_dim_design.design_id IS 'Key of the design.';

COMMENT ON COLUMN warehouse.past_dim_design.design_name IS 'Name of the design.';

COMMENT ON COLUMN warehouse.past_dim_design.file_location IS 'Directory of the drawing.';

COMMENT ON COLUMN warehouse.past_dim_design.file_name IS 'File name of the drawing.';

COMMENT ON COLUMN warehouse.past_dim_design.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.past_dim_design.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_dim_design IS 'Designs of tote bags. Only the rows that the source has now.';

COMMENT ON COLUMN warehouse.current_dim_design.design_id IS 'Key of the design.';

COMMENT ON COLUMN warehouse.current_dim_design.design_name IS 'Name of the design.';

COMMENT ON COLUMN warehouse.current_dim_design.file_location IS 'Directory of the drawing.';

COMMENT ON COLUMN warehouse.current_dim_design.file_name IS 'File name of the drawing.';

COMMENT ON COLUMN warehouse.current_dim_design.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.current_dim_design.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.history_dim_design IS 'Designs of tote bags. Every version, and the time during which it was current.';

COMMENT ON COLUMN warehouse.history_dim_design.design_id IS 'Key of the design.';

COMMENT ON COLUMN warehouse.history_dim_design.design_name IS 'Name of the design.';

COMMENT ON COLUMN warehouse.history_dim_design.file_location IS 'Directory of the drawing.';

COMMENT ON COLUMN warehouse.history_dim_design.file_name IS 'File name of the drawing.';

COMMENT ON COLUMN warehouse.history_dim_design.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.history_dim_design.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.history_dim_design.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON COLUMN warehouse.history_dim_design.version IS 'Number of this version of the row, starting at 1.';

COMMENT ON COLUMN warehouse.history_dim_design.valid_from IS 'When the version became current.';

COMMENT ON COLUMN warehouse.history_dim_design.valid_to IS 'When it ceased to be current; NULL while it is.';

COMMENT ON TABLE warehouse.dim_location IS 'Places of delivery.';

COMMENT ON COLUMN warehouse.dim_location.location_id IS 'Key of the address.';

COMMENT ON COLUMN warehouse.dim_location.address_line_1 IS 'Street and number.';

COMMENT ON COLUMN warehouse.dim_location.address_line_2 IS 'Second address line.';

COMMENT ON COLUMN warehouse.dim_location.district IS 'District or county.';

COMMENT ON COLUMN warehouse.dim_location.city IS 'City.';

COMMENT ON COLUMN warehouse.dim_location.postal_code IS 'Postal code, with its leading zeros.';

COMMENT ON COLUMN warehouse.dim_location.country IS 'Country, in English.';

COMMENT ON COLUMN warehouse.dim_location.phone IS 'Telephone number.';

COMMENT ON COLUMN warehouse.dim_location.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.dim_location.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON TABLE warehouse.past_dim_location IS 'Versions of the rows of dim_location that later ones have followed.';

COMMENT ON COLUMN warehouse.past_dim_location.location_id IS 'Key of the address.';

COMMENT ON COLUMN warehouse.past_dim_location.address_line_1 IS 'Street and number.';

COMMENT ON COLUMN warehouse.past_dim_location.address_line_2 IS 'Second address line.';

COMMENT ON COLUMN warehouse.past_dim_location.district IS 'District or county.';

COMMENT ON COLUMN warehouse.past_dim_location.city IS 'City.';

COMMENT ON COLUMN warehouse.past_dim_location.postal_code IS 'Postal code, with its leading zeros.';

COMMENT ON COLUMN warehouse.past_dim_location.country IS 'Country, in English.';

COMMENT ON COLUMN warehouse.past_dim_location.phone IS 'Telephone number.';

COMMENT ON COLUMN warehouse.past_dim_location.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.past_dim_location.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_dim_location IS 'Places of delivery. Only the rows that the source has now.';

COMMENT ON COLUMN warehouse.current_dim_location.location_id IS 'Key of the address.';

COMMENT ON COLUMN warehouse.current_dim_location.address_line_1 IS 'Street and number.';

COMMENT ON COLUMN warehouse.current_dim_location.address_line_2 IS 'Second address line.';

COMMENT ON COLUMN warehouse.current_dim_location.district IS 'District or county.';

COMMENT ON COLUMN warehouse.current_dim_location.city IS 'City.';

COMMENT ON COLUMN warehouse.current_dim_location.postal_code IS 'Postal code, with its leading zeros.';

COMMENT ON COLUMN warehouse.current_dim_location.country IS 'Country, in English.';

COMMENT ON COLUMN warehouse.current_dim_location.phone IS 'Telephone number.';

COMMENT ON COLUMN warehouse.current_dim_location.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.current_dim_location.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.history_dim_location IS 'Places of delivery. Every version, and the time during which it was current.';

COMMENT ON COLUMN warehouse.history_dim_location.location_id IS 'Key of the address.';

COMMENT ON COLUMN warehouse.history_dim_location.address_line_1 IS 'Street and number.';

COMMENT ON COLUMN warehouse.history_dim_location.address_line_2 IS 'Second address line.';

COMMENT ON COLUMN warehouse.history_dim_location.district IS 'District or county.';

COMMENT ON COLUMN warehouse.history_dim_location.city IS 'City.';

COMMENT ON COLUMN warehouse.history_dim_location.postal_code IS 'Postal code, with its leading zeros.';

COMMENT ON COLUMN warehouse.history_dim_location.country IS 'Country, in English.';

COMMENT ON COLUMN warehouse.history_dim_location.phone IS 'Telephone number.';

COMMENT ON COLUMN warehouse.history_dim_location.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.history_dim_location.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.history_dim_location.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON COLUMN warehouse.history_dim_location.version IS 'Number of this version of the row, starting at 1.';

COMMENT ON COLUMN warehouse.history_dim_location.valid_from IS 'When the version became current.';

COMMENT ON COLUMN warehouse.history_dim_location.valid_to IS 'When it ceased to be current; NULL while it is.';

COMMENT ON TABLE warehouse.dim_payment_type IS 'Kinds of payment.';

COMMENT ON COLUMN warehouse.dim_payment_type.payment_type_id IS 'Key of the payment type.';

COMMENT ON COLUMN warehouse.dim_payment_type.payment_type_name IS 'Name of the payment type.';

COMMENT ON COLUMN warehouse.dim_payment_type.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.dim_payment_type.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON TABLE warehouse.past_dim_payment_type IS 'Versions of the rows of dim_payment_type that later ones have followed.';

COMMENT ON COLUMN warehouse.past_dim_payment_type.payment_type_id IS 'Key of the payment type.';

COMMENT ON COLUMN warehouse.past_dim_payment_type.payment_type_name IS 'Name of the payment type.';

COMMENT ON COLUMN warehouse.past_dim_payment_type.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.past_dim_payment_type.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_dim_payment_type IS 'Kinds of payment. Only the rows that the source has now.';

COMMENT ON COLUMN warehouse.current_dim_payment_type.payment_type_id IS 'Key of the payment type.';

COMMENT ON COLUMN warehouse.current_dim_payment_type.payment_type_name IS 'Name of the payment type.';

COMMENT ON COLUMN warehouse.current_dim_payment_type.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.current_dim_payment_type.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.history_dim_payment_type IS 'Kinds of payment. Every version, and the time during which it was current.';

COMMENT ON COLUMN warehouse.history_dim_payment_type.payment_type_id IS 'Key of the payment type.';

COMMENT ON COLUMN warehouse.history_dim_payment_type.payment_type_name IS 'Name of the payment type.';

COMMENT ON COLUMN warehouse.history_dim_payment_type.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.history_dim_payment_type.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.history_dim_payment_type.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON COLUMN warehouse.history_dim_payment_type.version IS 'Number of this version of the row, starting at 1.';

COMMENT ON COLUMN warehouse.history_dim_payment_type.valid_from IS 'When the version became current.';

COMMENT ON COLUMN warehouse.history_dim_payment_type.valid_to IS 'When it ceased to be current; NULL while it is.';

COMMENT ON TABLE warehouse.dim_staff IS 'Members of staff, with their department.';

COMMENT ON COLUMN warehouse.dim_staff.staff_id IS 'Key of the member of staff.';

COMMENT ON COLUMN warehouse.dim_staff.first_name IS 'First name.';

COMMENT ON COLUMN warehouse.dim_staff.last_name IS 'Last name.';

COMMENT ON COLUMN warehouse.dim_staff.department_name IS 'Name of the department.';

COMMENT ON COLUMN warehouse.dim_staff.location IS 'Town in which the department works.';

COMMENT ON COLUMN warehouse.dim_staff.email_address IS 'E-mail address at work.';

COMMENT ON COLUMN warehouse.dim_staff.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.dim_staff.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON TABLE warehouse.past_dim_staff IS 'Versions of the rows of dim_staff that later ones have followed.';

COMMENT ON COLUMN warehouse.past_dim_staff.staff_id IS 'Key of the member of staff.';

COMMENT ON COLUMN warehouse.past_dim_staff.first_name IS 'First name.';

COMMENT ON COLUMN warehouse.past_dim_staff.last_name IS 'Last name.';

COMMENT ON COLUMN warehouse.past_dim_staff.department_name IS 'Name of the department.';

COMMENT ON COLUMN warehouse.past_dim_staff.location IS 'Town in which the department works.';

COMMENT ON COLUMN warehouse.past_dim_staff.email_address IS 'E-mail address at work.';

COMMENT ON COLUMN warehouse.past_dim_staff.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.past_dim_staff.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_dim_staff IS 'Members of staff, with their department. Only the rows that the source has now.';

COMMENT ON COLUMN warehouse.current_dim_staff.staff_id IS 'Key of the member of staff.';

COMMENT ON COLUMN warehouse.current_dim_staff.first_name IS 'First name.';

COMMENT ON COLUMN warehouse.current_dim_staff.last_name IS 'Last name.';

COMMENT ON COLUMN warehouse.current_dim_staff.department_name IS 'Name of the department.';

COMMENT ON COLUMN warehouse.current_dim_staff.location IS 'Town in which the department works.';

COMMENT ON COLUMN warehouse.current_dim_staff.email_address IS 'E-mail address at work.';

COMMENT ON COLUMN warehouse.current_dim_staff.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.current_dim_staff.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.history_dim_staff IS 'Members of staff, with their department. Every version, and the time during which it was current.';

COMMENT ON COLUMN warehouse.history_dim_staff.staff_id IS 'Key of the member of staff.';

COMMENT ON COLUMN warehouse.history_dim_staff.first_name IS 'First name.';

COMMENT ON COLUMN warehouse.history_dim_staff.last_name IS 'Last name.';

COMMENT ON COLUMN warehouse.history_dim_staff.department_name IS 'Name of the department.';

COMMENT ON COLUMN warehouse.history_dim_staff.location IS 'Town in which the department works.';

COMMENT ON COLUMN warehouse.history_dim_staff.email_address IS 'E-mail address at work.';

COMMENT ON COLUMN warehouse.history_dim_staff.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.history_dim_staff.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.history_dim_staff.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON COLUMN warehouse.history_dim_staff.version IS 'Number of this version of the row, starting at 1.';

COMMENT ON COLUMN warehouse.history_dim_staff.valid_from IS 'When the version became current.';

COMMENT ON COLUMN warehouse.history_dim_staff.valid_to IS 'When it ceased to be current; NULL while it is.';

COMMENT ON TABLE warehouse.dim_transaction IS 'The link between an order and its payment.';

COMMENT ON COLUMN warehouse.dim_transaction.transaction_id IS 'Key of the transaction.';

COMMENT ON COLUMN warehouse.dim_transaction.transaction_type IS 'SALE or PURCHASE.';

COMMENT ON COLUMN warehouse.dim_transaction.sales_order_id IS 'The sales order; only for sales.';

COMMENT ON COLUMN warehouse.dim_transaction.purchase_order_id IS 'The purchase order; only for purchases.';

COMMENT ON COLUMN warehouse.dim_transaction.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.dim_transaction.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON TABLE warehouse.past_dim_transaction IS 'Versions of the rows of dim_transaction that later ones have followed.';

COMMENT ON COLUMN warehouse.past_dim_transaction.transaction_id IS 'Key of the transaction.';

COMMENT ON COLUMN warehouse.past_dim_transaction.transaction_type IS 'SALE or PURCHASE.';

COMMENT ON COLUMN warehouse.past_dim_transaction.sales_order_id IS 'The sales order; only for sales.';

COMMENT ON COLUMN warehouse.past_dim_transaction.purchase_order_id IS 'The purchase order; only for purchases.';

COMMENT ON COLUMN warehouse.past_dim_transaction.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.past_dim_transaction.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_dim_transaction IS 'The link between an order and its payment. Only the rows that the source has now.';

COMMENT ON COLUMN warehouse.current_dim_transaction.transaction_id IS 'Key of the transaction.';

COMMENT ON COLUMN warehouse.current_dim_transaction.transaction_type IS 'SALE or PURCHASE.';

COMMENT ON COLUMN warehouse.current_dim_transaction.sales_order_id IS 'The sales order; only for sales.';

COMMENT ON COLUMN warehouse.current_dim_transaction.purchase_order_id IS 'The purchase order; only for purchases.';

COMMENT ON COLUMN warehouse.current_dim_transaction.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.current_dim_transaction.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.history_dim_transaction IS 'The link between an order and its payment. Every version, and the time during which it was current.';

COMMENT ON COLUMN warehouse.history_dim_transaction.transaction_id IS 'Key of the transaction.';

COMMENT ON COLUMN warehouse.history_dim_transaction.transaction_type IS 'SALE or PURCHASE.';

COMMENT ON COLUMN warehouse.history_dim_transaction.sales_order_id IS 'The sales order; only for sales.';

COMMENT ON COLUMN warehouse.history_dim_transaction.purchase_order_id IS 'The purchase order; only for purchases.';

COMMENT ON COLUMN warehouse.history_dim_transaction.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.history_dim_transaction.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.history_dim_transaction.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON COLUMN warehouse.history_dim_transaction.version IS 'Number of this version of the row, starting at 1.';

COMMENT ON COLUMN warehouse.history_dim_transaction.valid_from IS 'When the version became current.';

COMMENT ON COLUMN warehouse.history_dim_transaction.valid_to IS 'When it ceased to be current; NULL while it is.';

COMMENT ON TABLE warehouse.fact_payment IS 'Every version of every payment.';

COMMENT ON COLUMN warehouse.fact_payment.payment_record_id IS 'Number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.fact_payment.payment_id IS 'Key of the payment.';

COMMENT ON COLUMN warehouse.fact_payment.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.fact_payment.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.fact_payment.last_updated_date IS 'Date of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.fact_payment.last_updated_time IS 'Time of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.fact_payment.transaction_id IS 'Transaction that the payment settles.';

COMMENT ON COLUMN warehouse.fact_payment.counterparty_id IS 'Company that pays or is paid.';

COMMENT ON COLUMN warehouse.fact_payment.payment_amount IS 'Amount in the payment''s currency.';

COMMENT ON COLUMN warehouse.fact_payment.currency_id IS 'Currency of the amount.';

COMMENT ON COLUMN warehouse.fact_payment.payment_type_id IS 'Kind of payment.';

COMMENT ON COLUMN warehouse.fact_payment.paid IS 'Whether the payment was made.';

COMMENT ON COLUMN warehouse.fact_payment.payment_date IS 'Date on which the payment is due.';

COMMENT ON COLUMN warehouse.fact_payment.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.fact_payment.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.fact_payment.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_fact_payment IS 'Every version of every payment. Only the rows that the source has now. Each in its latest version.';

COMMENT ON COLUMN warehouse.current_fact_payment.payment_record_id IS 'Number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.current_fact_payment.payment_id IS 'Key of the payment.';

COMMENT ON COLUMN warehouse.current_fact_payment.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.current_fact_payment.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.current_fact_payment.last_updated_date IS 'Date of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.current_fact_payment.last_updated_time IS 'Time of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.current_fact_payment.transaction_id IS 'Transaction that the payment settles.';

COMMENT ON COLUMN warehouse.current_fact_payment.counterparty_id IS 'Company that pays or is paid.';

COMMENT ON COLUMN warehouse.current_fact_payment.payment_amount IS 'Amount in the payment''s currency.';

COMMENT ON COLUMN warehouse.current_fact_payment.currency_id IS 'Currency of the amount.';

COMMENT ON COLUMN warehouse.current_fact_payment.payment_type_id IS 'Kind of payment.';

COMMENT ON COLUMN warehouse.current_fact_payment.paid IS 'Whether the payment was made.';

COMMENT ON COLUMN warehouse.current_fact_payment.payment_date IS 'Date on which the payment is due.';

COMMENT ON COLUMN warehouse.current_fact_payment.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.current_fact_payment.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.current_fact_payment.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.history_fact_payment IS 'Every version of every payment. With its number, and the time during which it was current.';

COMMENT ON COLUMN warehouse.history_fact_payment.payment_record_id IS 'Number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.history_fact_payment.payment_id IS 'Key of the payment.';

COMMENT ON COLUMN warehouse.history_fact_payment.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.history_fact_payment.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.history_fact_payment.last_updated_date IS 'Date of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.history_fact_payment.last_updated_time IS 'Time of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.history_fact_payment.transaction_id IS 'Transaction that the payment settles.';

COMMENT ON COLUMN warehouse.history_fact_payment.counterparty_id IS 'Company that pays or is paid.';

COMMENT ON COLUMN warehouse.history_fact_payment.payment_amount IS 'Amount in the payment''s currency.';

COMMENT ON COLUMN warehouse.history_fact_payment.currency_id IS 'Currency of the amount.';

COMMENT ON COLUMN warehouse.history_fact_payment.payment_type_id IS 'Kind of payment.';

COMMENT ON COLUMN warehouse.history_fact_payment.paid IS 'Whether the payment was made.';

COMMENT ON COLUMN warehouse.history_fact_payment.payment_date IS 'Date on which the payment is due.';

COMMENT ON COLUMN warehouse.history_fact_payment.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.history_fact_payment.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.history_fact_payment.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON COLUMN warehouse.history_fact_payment.version IS 'Number of this version of the row, starting at 1.';

COMMENT ON COLUMN warehouse.history_fact_payment.valid_from IS 'When the version became current.';

COMMENT ON COLUMN warehouse.history_fact_payment.valid_to IS 'When it ceased to be current; NULL while it is.';

COMMENT ON TABLE warehouse.fact_purchase_order IS 'Every version of every purchase order.';

COMMENT ON COLUMN warehouse.fact_purchase_order.purchase_record_id IS 'Number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.fact_purchase_order.purchase_order_id IS 'Key of the order.';

COMMENT ON COLUMN warehouse.fact_purchase_order.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.fact_purchase_order.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.fact_purchase_order.last_updated_date IS 'Date of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.fact_purchase_order.last_updated_time IS 'Time of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.fact_purchase_order.staff_id IS 'Member of staff who made the purchase.';

COMMENT ON COLUMN warehouse.fact_purchase_order.counterparty_id IS 'Supplier.';

COMMENT ON COLUMN warehouse.fact_purchase_order.item_code IS 'Supplier''s code of the item.';

COMMENT ON COLUMN warehouse.fact_purchase_order.item_quantity IS 'Number of items.';

COMMENT ON COLUMN warehouse.fact_purchase_order.item_unit_price IS 'Price of one item in the order''s currency.';

COMMENT ON COLUMN warehouse.fact_purchase_order.currency_id IS 'Currency of the price.';

COMMENT ON COLUMN warehouse.fact_purchase_order.agreed_delivery_date IS 'Agreed delivery date.';

COMMENT ON COLUMN warehouse.fact_purchase_order.agreed_payment_date IS 'Agreed payment date.';

COMMENT ON COLUMN warehouse.fact_purchase_order.agreed_delivery_location_id IS 'Agreed place of delivery.';

COMMENT ON COLUMN warehouse.fact_purchase_order.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.fact_purchase_order.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.fact_purchase_order.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_fact_purchase_order IS 'Every version of every purchase order. Only the rows that the source has now. Each in its latest version.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.purchase_record_id IS 'Number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.purchase_order_id IS 'Key of the order.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.last_updated_date IS 'Date of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.last_updated_time IS 'Time of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.staff_id IS 'Member of staff who made the purchase.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.counterparty_id IS 'Supplier.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.item_code IS 'Supplier''s code of the item.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.item_quantity IS 'Number of items.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.item_unit_price IS 'Price of one item in the order''s currency.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.currency_id IS 'Currency of the price.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.agreed_delivery_date IS 'Agreed delivery date.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.agreed_payment_date IS 'Agreed payment date.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.agreed_delivery_location_id IS 'Agreed place of delivery.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.current_fact_purchase_order.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.history_fact_purchase_order IS 'Every version of every purchase order. With its number, and the time during which it was current.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.purchase_record_id IS 'Number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.purchase_order_id IS 'Key of the order.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.last_updated_date IS 'Date of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.last_updated_time IS 'Time of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.staff_id IS 'Member of staff who made the purchase.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.counterparty_id IS 'Supplier.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.item_code IS 'Supplier''s code of the item.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.item_quantity IS 'Number of items.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.item_unit_price IS 'Price of one item in the order''s currency.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.currency_id IS 'Currency of the price.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.agreed_delivery_date IS 'Agreed delivery date.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.agreed_payment_date IS 'Agreed payment date.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.agreed_delivery_location_id IS 'Agreed place of delivery.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.version IS 'Number of this version of the row, starting at 1.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.valid_from IS 'When the version became current.';

COMMENT ON COLUMN warehouse.history_fact_purchase_order.valid_to IS 'When it ceased to be current; NULL while it is.';

COMMENT ON TABLE warehouse.fact_sales_order IS 'Every version of every sales order.';

COMMENT ON COLUMN warehouse.fact_sales_order.sales_record_id IS 'Number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.fact_sales_order.sales_order_id IS 'Key of the order.';

COMMENT ON COLUMN warehouse.fact_sales_order.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.fact_sales_order.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.fact_sales_order.last_updated_date IS 'Date of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.fact_sales_order.last_updated_time IS 'Time of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.fact_sales_order.sales_staff_id IS 'Member of staff who made the sale.';

COMMENT ON COLUMN warehouse.fact_sales_order.counterparty_id IS 'Customer.';

COMMENT ON COLUMN warehouse.fact_sales_order.units_sold IS 'Number of bags.';

COMMENT ON COLUMN warehouse.fact_sales_order.unit_price IS 'Price of one bag in the order''s currency.';

COMMENT ON COLUMN warehouse.fact_sales_order.currency_id IS 'Currency of the price.';

COMMENT ON COLUMN warehouse.fact_sales_order.design_id IS 'Design ordered.';

COMMENT ON COLUMN warehouse.fact_sales_order.agreed_payment_date IS 'Agreed payment date.';

COMMENT ON COLUMN warehouse.fact_sales_order.agreed_delivery_date IS 'Agreed delivery date.';

COMMENT ON COLUMN warehouse.fact_sales_order.agreed_delivery_location_id IS 'Agreed place of delivery.';

COMMENT ON COLUMN warehouse.fact_sales_order.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.fact_sales_order.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.fact_sales_order.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_fact_sales_order IS 'Every version of every sales order. Only the rows that the source has now. Each in its latest version.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.sales_record_id IS 'Number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.sales_order_id IS 'Key of the order.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.last_updated_date IS 'Date of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.last_updated_time IS 'Time of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.sales_staff_id IS 'Member of staff who made the sale.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.counterparty_id IS 'Customer.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.units_sold IS 'Number of bags.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.unit_price IS 'Price of one bag in the order''s currency.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.currency_id IS 'Currency of the price.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.design_id IS 'Design ordered.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.agreed_payment_date IS 'Agreed payment date.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.agreed_delivery_date IS 'Agreed delivery date.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.agreed_delivery_location_id IS 'Agreed place of delivery.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.current_fact_sales_order.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.history_fact_sales_order IS 'Every version of every sales order. With its number, and the time during which it was current.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.sales_record_id IS 'Number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.sales_order_id IS 'Key of the order.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.created_time IS 'Time at which the row was created.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.last_updated_date IS 'Date of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.last_updated_time IS 'Time of the last update that ToteSys declares.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.sales_staff_id IS 'Member of staff who made the sale.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.counterparty_id IS 'Customer.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.units_sold IS 'Number of bags.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.unit_price IS 'Price of one bag in the order''s currency.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.currency_id IS 'Currency of the price.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.design_id IS 'Design ordered.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.agreed_payment_date IS 'Agreed payment date.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.agreed_delivery_date IS 'Agreed delivery date.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.agreed_delivery_location_id IS 'Agreed place of delivery.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.version IS 'Number of this version of the row, starting at 1.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.valid_from IS 'When the version became current.';

COMMENT ON COLUMN warehouse.history_fact_sales_order.valid_to IS 'When it ceased to be current; NULL while it is.';

COMMENT ON TABLE warehouse.fact_exchange_rate IS 'Every version of the rate of each currency and day, in pounds sterling.';

COMMENT ON COLUMN warehouse.fact_exchange_rate.exchange_rate_record_id IS 'Number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.fact_exchange_rate.rate_date IS 'The day to which the rate applies.';

COMMENT ON COLUMN warehouse.fact_exchange_rate.currency_code IS 'ISO 4217 code of the currency.';

COMMENT ON COLUMN warehouse.fact_exchange_rate.rate_to_gbp IS 'Pounds sterling for one unit of the currency; NULL where no quotation of the seven days before is known.';

COMMENT ON COLUMN warehouse.fact_exchange_rate.quoted_on IS 'The day on which the rate was quoted.';

COMMENT ON COLUMN warehouse.fact_exchange_rate.carried_days IS 'How many days before rate_date the rate was quoted.';

COMMENT ON COLUMN warehouse.fact_exchange_rate.source IS 'Who quoted the rate.';

COMMENT ON COLUMN warehouse.fact_exchange_rate.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.fact_exchange_rate.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.fact_exchange_rate.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_fact_exchange_rate IS 'Every version of the rate of each currency and day, in pounds sterling. Only the rows that the source has now. Each in its latest version.';

COMMENT ON COLUMN warehouse.current_fact_exchange_rate.exchange_rate_record_id IS 'Number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.current_fact_exchange_rate.rate_date IS 'The day to which the rate applies.';

COMMENT ON COLUMN warehouse.current_fact_exchange_rate.currency_code IS 'ISO 4217 code of the currency.';

COMMENT ON COLUMN warehouse.current_fact_exchange_rate.rate_to_gbp IS 'Pounds sterling for one unit of the currency; NULL where no quotation of the seven days before is known.';

COMMENT ON COLUMN warehouse.current_fact_exchange_rate.quoted_on IS 'The day on which the rate was quoted.';

COMMENT ON COLUMN warehouse.current_fact_exchange_rate.carried_days IS 'How many days before rate_date the rate was quoted.';

COMMENT ON COLUMN warehouse.current_fact_exchange_rate.source IS 'Who quoted the rate.';

COMMENT ON COLUMN warehouse.current_fact_exchange_rate.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.current_fact_exchange_rate.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.current_fact_exchange_rate.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.history_fact_exchange_rate IS 'Every version of the rate of each currency and day, in pounds sterling. With its number, and the time during which it was current.';

COMMENT ON COLUMN warehouse.history_fact_exchange_rate.exchange_rate_record_id IS 'Number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.history_fact_exchange_rate.rate_date IS 'The day to which the rate applies.';

COMMENT ON COLUMN warehouse.history_fact_exchange_rate.currency_code IS 'ISO 4217 code of the currency.';

COMMENT ON COLUMN warehouse.history_fact_exchange_rate.rate_to_gbp IS 'Pounds sterling for one unit of the currency; NULL where no quotation of the seven days before is known.';

COMMENT ON COLUMN warehouse.history_fact_exchange_rate.quoted_on IS 'The day on which the rate was quoted.';

COMMENT ON COLUMN warehouse.history_fact_exchange_rate.carried_days IS 'How many days before rate_date the rate was quoted.';

COMMENT ON COLUMN warehouse.history_fact_exchange_rate.source IS 'Who quoted the rate.';

COMMENT ON COLUMN warehouse.history_fact_exchange_rate.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.history_fact_exchange_rate.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.history_fact_exchange_rate.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON COLUMN warehouse.history_fact_exchange_rate.version IS 'Number of this version of the row, starting at 1.';

COMMENT ON COLUMN warehouse.history_fact_exchange_rate.valid_from IS 'When the version became current.';

COMMENT ON COLUMN warehouse.history_fact_exchange_rate.valid_to IS 'When it ceased to be current; NULL while it is.';

COMMENT ON TABLE warehouse.fact_sales_target IS 'Every version of the sales target of each month, office and currency.';

COMMENT ON COLUMN warehouse.fact_sales_target.sales_target_record_id IS 'Number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.fact_sales_target.month IS 'The first day of the month.';

COMMENT ON COLUMN warehouse.fact_sales_target.office IS 'The town of the office.';

COMMENT ON COLUMN warehouse.fact_sales_target.currency_code IS 'ISO 4217 code of the currency.';

COMMENT ON COLUMN warehouse.fact_sales_target.target_amount IS 'Revenue to be achieved, in the currency of the row.';

COMMENT ON COLUMN warehouse.fact_sales_target.file_name IS 'The file that the row came from.';

COMMENT ON COLUMN warehouse.fact_sales_target.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.fact_sales_target.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.fact_sales_target.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.current_fact_sales_target IS 'Every version of the sales target of each month, office and currency. Only the rows that the source has now. Each in its latest version.';

COMMENT ON COLUMN warehouse.current_fact_sales_target.sales_target_record_id IS 'Number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.current_fact_sales_target.month IS 'The first day of the month.';

COMMENT ON COLUMN warehouse.current_fact_sales_target.office IS 'The town of the office.';

COMMENT ON COLUMN warehouse.current_fact_sales_target.currency_code IS 'ISO 4217 code of the currency.';

COMMENT ON COLUMN warehouse.current_fact_sales_target.target_amount IS 'Revenue to be achieved, in the currency of the row.';

COMMENT ON COLUMN warehouse.current_fact_sales_target.file_name IS 'The file that the row came from.';

COMMENT ON COLUMN warehouse.current_fact_sales_target.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.current_fact_sales_target.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.current_fact_sales_target.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON VIEW warehouse.history_fact_sales_target IS 'Every version of the sales target of each month, office and currency. With its number, and the time during which it was current.';

COMMENT ON COLUMN warehouse.history_fact_sales_target.sales_target_record_id IS 'Number of the version, in the order of batches.';

COMMENT ON COLUMN warehouse.history_fact_sales_target.month IS 'The first day of the month.';

COMMENT ON COLUMN warehouse.history_fact_sales_target.office IS 'The town of the office.';

COMMENT ON COLUMN warehouse.history_fact_sales_target.currency_code IS 'ISO 4217 code of the currency.';

COMMENT ON COLUMN warehouse.history_fact_sales_target.target_amount IS 'Revenue to be achieved, in the currency of the row.';

COMMENT ON COLUMN warehouse.history_fact_sales_target.file_name IS 'The file that the row came from.';

COMMENT ON COLUMN warehouse.history_fact_sales_target.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN warehouse.history_fact_sales_target.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN warehouse.history_fact_sales_target.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON COLUMN warehouse.history_fact_sales_target.version IS 'Number of this version of the row, starting at 1.';

COMMENT ON COLUMN warehouse.history_fact_sales_target.valid_from IS 'When the version became current.';

COMMENT ON COLUMN warehouse.history_fact_sales_target.valid_to IS 'When it ceased to be current; NULL while it is.';

COMMENT ON SCHEMA reports IS 'Answers to questions: begin here. Each view and function says what its trap is.';

COMMENT ON VIEW reports.batches IS 'Which batches does the warehouse hold, and since when? Unit: batches. Grain: a row for each batch. Trap: If a rebuild of the whole warehouse finds a different ledger, it writes a new one. When each batch was loaded is then known only from that moment on.';

COMMENT ON COLUMN reports.batches.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN reports.batches.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN reports.batches.loaded_at IS 'When the batch was loaded.';

COMMENT ON VIEW reports.country_names IS 'Which country does a name mean? Unit: names. Grain: a row for each name that ISO 3166 knows, or that catalogue/countries.py adds. Trap: Compare names in lower case. A name that is not here has no code: nothing is guessed.';

COMMENT ON COLUMN reports.country_names.country_name IS 'Name of a country.';

COMMENT ON COLUMN reports.country_names.country_code IS 'ISO 3166 code; NULL if the name is unknown.';

COMMENT ON VIEW reports.data_quality IS 'How far can I trust each table of the warehouse now? Unit: rows in quarantine; batches by their sequence. Grain: a row for each table that was ever loaded. Trap: A table that equals the source may lack the rows in quarantine, and says so. A table that was not compared yet is not wrong, but not proved either. fresh_as_of is the latest reading of the source that the table is known to reflect.';

COMMENT ON COLUMN reports.data_quality.table_name IS 'A table of the warehouse.';

COMMENT ON COLUMN reports.data_quality.quarantined IS 'Number of its rows in quarantine.';

COMMENT ON COLUMN reports.data_quality.audited_in_batch IS 'The batch with which the whole table was last compared.';

COMMENT ON COLUMN reports.data_quality.state IS 'Result of the latest comparison with the source.';

COMMENT ON COLUMN reports.data_quality.fresh_as_of IS 'The source''s latest known state that the table reflects.';

COMMENT ON FUNCTION reports.deliveries_next_days(date, integer) IS 'How much is to be delivered in the days after a given day? Unit: orders and bags. Grain: a row for each of so many days after the given one. Trap: The given day is excluded. Silent edits move deliveries; the date agreed now counts. Days without a delivery are missing. Columns: agreed_delivery_date: Agreed delivery date. orders: Number of orders. units: Number of bags.';

COMMENT ON VIEW reports.delivery_slippage IS 'Which deliveries were moved from the day first agreed? Unit: days; a positive number means later. Grain: a row for each sales order whose delivery date differs from that of its first version. Trap: What ToteSys changed before the first batch is not known. A date that was moved and moved back has not slipped; `order_amendments` shows both moves.';

COMMENT ON COLUMN reports.delivery_slippage.sales_order_id IS 'Key of the order.';

COMMENT ON COLUMN reports.delivery_slippage.first_agreed IS 'Delivery date agreed in the first version.';

COMMENT ON COLUMN reports.delivery_slippage.now_agreed IS 'Delivery date agreed in the latest version.';

COMMENT ON COLUMN reports.delivery_slippage.days IS 'Number of days.';

COMMENT ON VIEW reports.designs_never_sold IS 'Which designs has nobody ordered? Unit: designs. Grain: a row for each design in ToteSys that no order refers to now. Trap: Another design of the same name may sell well. If an order was moved to another design, its first design may appear here.';

COMMENT ON COLUMN reports.designs_never_sold.design_id IS 'Key of the design.';

COMMENT ON COLUMN reports.designs_never_sold.design_name IS 'Name of the design.';

COMMENT ON COLUMN reports.designs_never_sold.file_name IS 'File name of the drawing.';

COMMENT ON VIEW reports.open_payments IS 'Which payments are open, from whom or to whom, and since when? Unit: money in the currency of the row. Grain: a row for each payment that is not marked as paid, due or not. Trap: Each weekday, a run pays what is due that day and nothing else. So payments due on a weekend, or created after that run, are never paid. That does not make a customer late; see `reason`.';

COMMENT ON COLUMN reports.open_payments.payment_id IS 'Key of the payment.';

COMMENT ON COLUMN reports.open_payments.direction IS 'Whether the money is due to us (receivable) or from us (payable).';

COMMENT ON COLUMN reports.open_payments.counterparty_id IS 'Key of the counterparty.';

COMMENT ON COLUMN reports.open_payments.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN reports.open_payments.amount IS 'Money, in the currency of the row.';

COMMENT ON COLUMN reports.open_payments.payment_date IS 'Date on which the payment is due.';

COMMENT ON COLUMN reports.open_payments.reason IS 'Why it is open: each weekday, a run pays only what is due that day.';

COMMENT ON VIEW reports.order_amendments IS 'What was changed in sales orders, and when was the change seen? Unit: changes of one column; values as text. Grain: a row for each column in which a version of an order differs from the previous one. Trap: ToteSys does not record when these edits were made: observed_at is when they were first seen. Deletions and returns are changes of is_deleted. What changed before the first batch is not known.';

COMMENT ON COLUMN reports.order_amendments.sales_order_id IS 'Key of the order.';

COMMENT ON COLUMN reports.order_amendments.changed IS 'The column that was changed.';

COMMENT ON COLUMN reports.order_amendments.from_value IS 'What the column held before.';

COMMENT ON COLUMN reports.order_amendments.to_value IS 'What the column has held since.';

COMMENT ON COLUMN reports.order_amendments.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN reports.order_amendments.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON VIEW reports.order_versions IS 'Which versions of sales orders exist? Unit: bags, and money in the currency of the row. Grain: a row for each version of an order; a deletion is a version, too. Trap: An order has several rows: count them in `current_fact_sales_order`. A state that came and went between two batches was never seen.';

COMMENT ON COLUMN reports.order_versions.sales_order_id IS 'Key of the order.';

COMMENT ON COLUMN reports.order_versions.batch_seq IS 'The batch that brought the row; in a dimension, its current values.';

COMMENT ON COLUMN reports.order_versions.observed_at IS 'When the source was read with this version.';

COMMENT ON COLUMN reports.order_versions.loaded_at IS 'When the batch was loaded.';

COMMENT ON COLUMN reports.order_versions.is_deleted IS 'Whether the source had deleted the row by then.';

COMMENT ON COLUMN reports.order_versions.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN reports.order_versions.sales_staff_id IS 'Member of staff who made the sale.';

COMMENT ON COLUMN reports.order_versions.counterparty_id IS 'Key of the counterparty.';

COMMENT ON COLUMN reports.order_versions.design_id IS 'Key of the design.';

COMMENT ON COLUMN reports.order_versions.units_sold IS 'Number of bags.';

COMMENT ON COLUMN reports.order_versions.unit_price IS 'Price of one bag in the order''s currency.';

COMMENT ON COLUMN reports.order_versions.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN reports.order_versions.revenue IS 'Units times unit price, in the currency of the row.';

COMMENT ON COLUMN reports.order_versions.agreed_payment_date IS 'Agreed payment date.';

COMMENT ON COLUMN reports.order_versions.agreed_delivery_date IS 'Agreed delivery date.';

COMMENT ON COLUMN reports.order_versions.agreed_delivery_location_id IS 'Agreed place of delivery.';

COMMENT ON VIEW reports.orders_by_staff IS 'How many orders does each member of staff have? Unit: orders and bags. Grain: a row for each member of staff with an order. Trap: Two people may share a name: group by staff_id. Staff without an order are missing. Silent edits move orders to other staff; the current one counts.';

COMMENT ON COLUMN reports.orders_by_staff.staff_id IS 'Key of the member of staff.';

COMMENT ON COLUMN reports.orders_by_staff.staff_name IS 'First and last name.';

COMMENT ON COLUMN reports.orders_by_staff.department_name IS 'Name of the department.';

COMMENT ON COLUMN reports.orders_by_staff.orders IS 'Number of orders.';

COMMENT ON COLUMN reports.orders_by_staff.units IS 'Number of bags.';

COMMENT ON VIEW reports.orders_by_weekday IS 'On which days of the week do orders come in? Unit: orders and bags; `days` counts the days on which there was one. Grain: a row for each day of the week on which an order was made. Trap: The office is closed at weekends, so these are missing. The data may contain more Mondays than Fridays: compare orders per day.';

COMMENT ON COLUMN reports.orders_by_weekday.day_of_week IS 'ISO day of the week, Monday 1 to Sunday 7.';

COMMENT ON COLUMN reports.orders_by_weekday.day_name IS 'English name of the day, such as Monday.';

COMMENT ON COLUMN reports.orders_by_weekday.days IS 'Number of days.';

COMMENT ON COLUMN reports.orders_by_weekday.orders IS 'Number of orders.';

COMMENT ON COLUMN reports.orders_by_weekday.units IS 'Number of bags.';

COMMENT ON VIEW reports.pounds_for_currencies IS 'How many pounds sterling was each currency worth, day by day, including the pound? Unit: pounds sterling for one unit of the currency. Grain: a row for each day and currency. Trap: Other reports convert with it; people use exchange_rates. The pound has no source, and has the rate 1 on every day.';

COMMENT ON COLUMN reports.pounds_for_currencies.rate_date IS 'The day to which the rate applies.';

COMMENT ON COLUMN reports.pounds_for_currencies.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN reports.pounds_for_currencies.rate_to_gbp IS 'Pounds sterling for one unit of the currency; NULL where no quotation of the seven days before is known.';

COMMENT ON COLUMN reports.pounds_for_currencies.quoted_on IS 'The day on which the rate was quoted.';

COMMENT ON COLUMN reports.pounds_for_currencies.carried_days IS 'How many days before rate_date the rate was quoted.';

COMMENT ON COLUMN reports.pounds_for_currencies.source IS 'Who quoted the rate.';

COMMENT ON VIEW reports.purchases_by_month IS 'What have we bought, month by month? Unit: purchase orders, and money in the currency of the row. Grain: a row for each month and currency in which there is a purchase order. Trap: A month without a purchase is missing, not zero. The current month is incomplete: it is marked as unfinished. Each item code occurs once, so there are no top items.';

COMMENT ON COLUMN reports.purchases_by_month.month IS 'The first day of the month.';

COMMENT ON COLUMN reports.purchases_by_month.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN reports.purchases_by_month.orders IS 'Number of orders.';

COMMENT ON COLUMN reports.purchases_by_month.amount IS 'Money, in the currency of the row.';

COMMENT ON COLUMN reports.purchases_by_month.unfinished IS 'Whether the month or week is still in progress, in London.';

COMMENT ON VIEW reports.reporting_currency IS 'Which currency do reports convert to? Unit: the code of a currency. Grain: one row. Trap: It is a setting, TOTESYS_REPORTING_CURRENCY. When it changes, all converted amounts change, including those of past months.';

COMMENT ON COLUMN reports.reporting_currency.reporting_currency IS 'The currency that reports convert to; a setting.';

COMMENT ON VIEW reports.revenue_against_target IS 'How do each office''s sales compare with its target? Unit: orders, and money in the currency of the row. Grain: a row for each month, office and currency that has an order, a target, or both. Trap: Missing values are NULL, not zero: a target without an order has no revenue, and sales without a target have nothing to compare with. An order counts where its member of staff works now, and Leds counts as Leeds, as in revenue_by_office. The current month is incomplete: it is marked as unfinished.';

COMMENT ON COLUMN reports.revenue_against_target.month IS 'The first day of the month.';

COMMENT ON COLUMN reports.revenue_against_target.office IS 'The town where the member of staff works.';

COMMENT ON COLUMN reports.revenue_against_target.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN reports.revenue_against_target.orders IS 'Number of orders.';

COMMENT ON COLUMN reports.revenue_against_target.revenue IS 'Units times unit price, in the currency of the row.';

COMMENT ON COLUMN reports.revenue_against_target.target_amount IS 'The target, in the currency of the row.';

COMMENT ON COLUMN reports.revenue_against_target.difference IS 'Revenue less the target, in the currency of the row.';

COMMENT ON COLUMN reports.revenue_against_target.percent_of_target IS 'Revenue as a percentage of the target.';

COMMENT ON COLUMN reports.revenue_against_target.unfinished IS 'Whether the month or week is still in progress, in London.';

COMMENT ON VIEW reports.revenue_by_currency IS 'What have we sold, by currency? Unit: orders, bags, and money in the currency of the row. Grain: a row for each currency in which there is an order. Trap: Never add revenue in different currencies without converting it: the sum would be meaningless.';

COMMENT ON COLUMN reports.revenue_by_currency.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN reports.revenue_by_currency.orders IS 'Number of orders.';

COMMENT ON COLUMN reports.revenue_by_currency.units IS 'Number of bags.';

COMMENT ON COLUMN reports.revenue_by_currency.revenue IS 'Units times unit price, in the currency of the row.';

COMMENT ON VIEW reports.revenue_by_customer IS 'How much does each customer buy? Unit: orders, bags, and money in the currency of the row. Grain: a row for each customer and each currency in which it has an order. Trap: Two customers may share a name: group by counterparty_id. All customers are close together, so plot them on a scale that starts at zero.';

COMMENT ON COLUMN reports.revenue_by_customer.counterparty_id IS 'Key of the counterparty.';

COMMENT ON COLUMN reports.revenue_by_customer.counterparty_legal_name IS 'Registered name of the company.';

COMMENT ON COLUMN reports.revenue_by_customer.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN reports.revenue_by_customer.orders IS 'Number of orders.';

COMMENT ON COLUMN reports.revenue_by_customer.units IS 'Number of bags.';

COMMENT ON COLUMN reports.revenue_by_customer.revenue IS 'Units times unit price, in the currency of the row.';

COMMENT ON VIEW reports.revenue_by_design IS 'How much does each design sell, by name? Unit: designs, orders, bags, and money in the currency of the row. Grain: a row for each name of a design and each currency in which it was ordered. Trap: A name is not a key: many designs share one, and `designs` counts those that were ordered. Silent edits move orders to other designs; the current design counts.';

COMMENT ON COLUMN reports.revenue_by_design.design_name IS 'Name of the design.';

COMMENT ON COLUMN reports.revenue_by_design.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN reports.revenue_by_design.designs IS 'Number of designs.';

COMMENT ON COLUMN reports.revenue_by_design.orders IS 'Number of orders.';

COMMENT ON COLUMN reports.revenue_by_design.units IS 'Number of bags.';

COMMENT ON COLUMN reports.revenue_by_design.revenue IS 'Units times unit price, in the currency of the row.';

COMMENT ON VIEW reports.revenue_by_month IS 'What have we sold, month by month? Unit: orders, bags, and money in the currency of the row. Grain: a row for each month and currency in which there is an order. Trap: A month without an order is missing, not zero. The current month is incomplete: it is marked as unfinished, and lower than the previous one for that reason alone.';

COMMENT ON COLUMN reports.revenue_by_month.month IS 'The first day of the month.';

COMMENT ON COLUMN reports.revenue_by_month.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN reports.revenue_by_month.orders IS 'Number of orders.';

COMMENT ON COLUMN reports.revenue_by_month.units IS 'Number of bags.';

COMMENT ON COLUMN reports.revenue_by_month.revenue IS 'Units times unit price, in the currency of the row.';

COMMENT ON COLUMN reports.revenue_by_month.unfinished IS 'Whether the month or week is still in progress, in London.';

COMMENT ON VIEW reports.revenue_by_office IS 'How much does each office sell? Unit: orders, bags, and money in the currency of the row. Grain: a row for each office and each currency in which its staff has an order. Trap: ToteSys spells one town in two ways, Leeds and Leds. Here it is one office, by the list below; the dimension keeps the spelling of ToteSys. An order counts where its member of staff works now.';

COMMENT ON COLUMN reports.revenue_by_office.office IS 'The town where the member of staff works.';

COMMENT ON COLUMN reports.revenue_by_office.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN reports.revenue_by_office.orders IS 'Number of orders.';

COMMENT ON COLUMN reports.revenue_by_office.units IS 'Number of bags.';

COMMENT ON COLUMN reports.revenue_by_office.revenue IS 'Units times unit price, in the currency of the row.';

COMMENT ON VIEW reports.revenue_by_week IS 'What have we sold, week by week? Unit: orders, bags, and money in the currency of the row. Grain: a row for each ISO week (named by its Monday) and currency in which there is an order. Trap: A week without an order is missing, not zero. The current week is incomplete: it is marked as unfinished. A week may belong to two months.';

COMMENT ON COLUMN reports.revenue_by_week.week IS 'The Monday of the week.';

COMMENT ON COLUMN reports.revenue_by_week.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN reports.revenue_by_week.orders IS 'Number of orders.';

COMMENT ON COLUMN reports.revenue_by_week.units IS 'Number of bags.';

COMMENT ON COLUMN reports.revenue_by_week.revenue IS 'Units times unit price, in the currency of the row.';

COMMENT ON COLUMN reports.revenue_by_week.unfinished IS 'Whether the month or week is still in progress, in London.';

COMMENT ON FUNCTION reports.ageing(date) IS 'How long have payments been overdue on a given day? Unit: payments, and money in the currency of the row; buckets are days since the payment was due. Grain: a row for each direction, currency and bucket with an overdue payment. Trap: The day sets the limit, not the knowledge: payments made since then are in no bucket. Nor are payments due on that day or later. Columns: direction: Whether the money is due to us (receivable) or from us (payable). currency_code: ISO 4217 code, such as GBP. bucket: For how many days it has been overdue. payments: Number of payments. amount: Money, in the currency of the row.';

COMMENT ON FUNCTION reports.cash_next_days(date, integer) IS 'Which payments fall due in the days after a given day? Unit: payments, and money in the currency of the row. Grain: a row for each of so many days after the given one, each direction and currency. Trap: The given day and overdue payments are excluded. Payments due on a weekend have never been paid so far. Days without a payment are missing. Columns: payment_date: Date on which the payment is due. direction: Whether the money is due to us (receivable) or from us (payable). currency_code: ISO 4217 code, such as GBP. payments: Number of payments. amount: Money, in the currency of the row.';

COMMENT ON VIEW reports.deliveries_by_country IS 'Where do we deliver to? Unit: orders and bags. Grain: a row for each country that an order goes to, as ToteSys names it. Trap: Names are looked up in a list (`country_names`) and never guessed, since a fuzzy search takes the Republic of Korea for North Korea. A name that is not in the list has no code; its orders count all the same.';

COMMENT ON COLUMN reports.deliveries_by_country.country IS 'Country, in English.';

COMMENT ON COLUMN reports.deliveries_by_country.country_code IS 'ISO 3166 code; NULL if the name is unknown.';

COMMENT ON COLUMN reports.deliveries_by_country.orders IS 'Number of orders.';

COMMENT ON COLUMN reports.deliveries_by_country.units IS 'Number of bags.';

COMMENT ON VIEW reports.exchange_rates IS 'What was each currency worth in the reporting currency, day by day? Unit: units of the reporting currency for one unit of the currency. Grain: a row for each day and each currency but the reporting one. Trap: Weekends, holidays and other days without a quotation use an earlier one (see carried_days), for up to seven days. A carried rate is replaced when the quotation of its day arrives: history_fact_exchange_rate has both.';

COMMENT ON COLUMN reports.exchange_rates.rate_date IS 'The day to which the rate applies.';

COMMENT ON COLUMN reports.exchange_rates.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN reports.exchange_rates.reporting_currency IS 'The currency that reports convert to; a setting.';

COMMENT ON COLUMN reports.exchange_rates.rate IS 'What one unit of the currency is worth in the reporting currency.';

COMMENT ON COLUMN reports.exchange_rates.quoted_on IS 'The day on which the rate was quoted.';

COMMENT ON COLUMN reports.exchange_rates.carried_days IS 'How many days before rate_date the rate was quoted.';

COMMENT ON COLUMN reports.exchange_rates.source IS 'Who quoted the rate.';

COMMENT ON FUNCTION reports.order_history(integer) IS 'How has one sales order changed? Unit: bags, and money in the currency of the row. Grain: a row for each version of the order, in order; a deletion is a version, too. Trap: A version is current from the snapshot that first had it, so times are as precise as batches are frequent. A deleted order still shows its last values. Columns: version: Number of this version of the row, starting at 1. valid_from: When the version became current. valid_to: When it ceased to be current; NULL while it is. loaded_at: When the batch was loaded. is_deleted: Whether the source had deleted the row by then. created_date: Date on which the row was created. sales_staff_id: Member of staff who made the sale. counterparty_id: Key of the counterparty. design_id: Key of the design. units_sold: Number of bags. unit_price: Price of one bag in the order''s currency. currency_code: ISO 4217 code, such as GBP. revenue: Units times unit price, in the currency of the row. agreed_payment_date: Agreed payment date. agreed_delivery_date: Agreed delivery date. agreed_delivery_location_id: Agreed place of delivery. batch_seq: The batch that brought the row; in a dimension, its current values.';

COMMENT ON FUNCTION reports.orders_as_of(timestamp with time zone) IS 'Which sales orders did the warehouse know at a given moment? Unit: bags, and money in the currency of the row. Grain: a row for each order that existed, in the version of that moment. Trap: The time of loading counts, not that of reading ToteSys: for what ToteSys held, use orders_at. After a rebuild that wrote a new ledger, earlier moments are unknown. Columns: sales_order_id: Key of the order. created_date: Date on which the row was created. sales_staff_id: Member of staff who made the sale. counterparty_id: Key of the counterparty. design_id: Key of the design. units_sold: Number of bags. unit_price: Price of one bag in the order''s currency. currency_code: ISO 4217 code, such as GBP. revenue: Units times unit price, in the currency of the row. agreed_payment_date: Agreed payment date. agreed_delivery_date: Agreed delivery date. agreed_delivery_location_id: Agreed place of delivery. batch_seq: The batch that brought the row; in a dimension, its current values. observed_at: When the source was read with this version.';

COMMENT ON FUNCTION reports.orders_at(timestamp with time zone) IS 'Which sales orders did ToteSys hold at a given moment? Unit: bags, and money in the currency of the row. Grain: a row for each order that existed, in the version of that moment. Trap: It shows what the last batch before that moment read, without any later change in ToteSys. For what the warehouse knew by then, use orders_as_of. Columns: sales_order_id: Key of the order. created_date: Date on which the row was created. sales_staff_id: Member of staff who made the sale. counterparty_id: Key of the counterparty. design_id: Key of the design. units_sold: Number of bags. unit_price: Price of one bag in the order''s currency. currency_code: ISO 4217 code, such as GBP. revenue: Units times unit price, in the currency of the row. agreed_payment_date: Agreed payment date. agreed_delivery_date: Agreed delivery date. agreed_delivery_location_id: Agreed place of delivery. batch_seq: The batch that brought the row; in a dimension, its current values. observed_at: When the source was read with this version.';

COMMENT ON VIEW reports.orders_in_reporting_currency IS 'What is each order worth in the reporting currency, at the rate of its day? Unit: money in the reporting currency, rounded to hundredths for each order. Grain: a row for each order. Trap: Without a rate of its day or the seven days before, `converted` is NULL and in no sum: count such orders beside every sum. An order in the reporting currency needs no rate, but is still marked as carried on a day whose rates are carried.';

COMMENT ON COLUMN reports.orders_in_reporting_currency.sales_order_id IS 'Key of the order.';

COMMENT ON COLUMN reports.orders_in_reporting_currency.created_date IS 'Date on which the row was created.';

COMMENT ON COLUMN reports.orders_in_reporting_currency.counterparty_id IS 'Key of the counterparty.';

COMMENT ON COLUMN reports.orders_in_reporting_currency.design_id IS 'Key of the design.';

COMMENT ON COLUMN reports.orders_in_reporting_currency.sales_staff_id IS 'Member of staff who made the sale.';

COMMENT ON COLUMN reports.orders_in_reporting_currency.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN reports.orders_in_reporting_currency.units_sold IS 'Number of bags.';

COMMENT ON COLUMN reports.orders_in_reporting_currency.revenue IS 'Units times unit price, in the currency of the row.';

COMMENT ON COLUMN reports.orders_in_reporting_currency.reporting_currency IS 'The currency that reports convert to; a setting.';

COMMENT ON COLUMN reports.orders_in_reporting_currency.converted IS 'Revenue in the reporting currency; NULL without a rate.';

COMMENT ON COLUMN reports.orders_in_reporting_currency.carried IS 'Whether its day uses an earlier day''s rates.';

COMMENT ON FUNCTION reports.overdue(date) IS 'Which payments are overdue on a given day, and why? Unit: payments, and money in the currency of the row. Grain: a row for each direction, currency and reason. Trap: The day sets the limit, not the knowledge: payments made since then are no longer overdue. Payments due on that day are not overdue. Columns: direction: Whether the money is due to us (receivable) or from us (payable). currency_code: ISO 4217 code, such as GBP. payments: Number of payments. amount: Money, in the currency of the row. reason: Why it is open: each weekday, a run pays only what is due that day.';

COMMENT ON VIEW reports.sales_and_purchases_by_month IS 'What have we sold and bought, month by month, side by side? Unit: orders, and money in the currency of the row. Grain: a row for each month and currency in which there is an order of either kind. Trap: The difference is not a margin, because no purchase belongs to a sale. Whatever a month lacks is NULL, not zero. The current month is incomplete: it is marked as unfinished.';

COMMENT ON COLUMN reports.sales_and_purchases_by_month.month IS 'The first day of the month.';

COMMENT ON COLUMN reports.sales_and_purchases_by_month.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN reports.sales_and_purchases_by_month.sales_orders IS 'Number of sales orders.';

COMMENT ON COLUMN reports.sales_and_purchases_by_month.revenue IS 'Units times unit price, in the currency of the row.';

COMMENT ON COLUMN reports.sales_and_purchases_by_month.purchase_orders IS 'Number of purchase orders.';

COMMENT ON COLUMN reports.sales_and_purchases_by_month.purchase_amount IS 'Amount of the purchases, in the currency of the row.';

COMMENT ON COLUMN reports.sales_and_purchases_by_month.unfinished IS 'Whether the month or week is still in progress, in London.';

COMMENT ON VIEW reports.overdue_today IS 'Which payments are overdue today, and why? Unit: payments, and money in the currency of the row. Grain: a row for each direction, currency and reason. Trap: Today is the current day in London, wherever the server is. Payments due today are not overdue.';

COMMENT ON COLUMN reports.overdue_today.direction IS 'Whether the money is due to us (receivable) or from us (payable).';

COMMENT ON COLUMN reports.overdue_today.currency_code IS 'ISO 4217 code, such as GBP.';

COMMENT ON COLUMN reports.overdue_today.payments IS 'Number of payments.';

COMMENT ON COLUMN reports.overdue_today.amount IS 'Money, in the currency of the row.';

COMMENT ON COLUMN reports.overdue_today.reason IS 'Why it is open: each weekday, a run pays only what is due that day.';

COMMENT ON VIEW reports.revenue_in_reporting_currency_by_customer IS 'How much does each customer buy, in one currency? Unit: orders, bags, and money in the reporting currency. Grain: a row for each customer that has an order. Trap: Orders of a day without a rate count as orders but not as revenue: orders_without_rate says how many. Two customers may share a name: group by counterparty_id.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_customer.counterparty_id IS 'Key of the counterparty.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_customer.counterparty_legal_name IS 'Registered name of the company.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_customer.reporting_currency IS 'The currency that reports convert to; a setting.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_customer.orders IS 'Number of orders.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_customer.units IS 'Number of bags.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_customer.revenue IS 'Units times unit price, in the currency of the row.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_customer.orders_at_carried_rate IS 'Orders whose day uses an earlier day''s rates, even if they need no rate.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_customer.orders_without_rate IS 'Orders that cannot be converted, and are not in the revenue.';

COMMENT ON VIEW reports.revenue_in_reporting_currency_by_design IS 'How much does each design sell, by name, in one currency? Unit: orders, bags, and money in the reporting currency. Grain: a row for each name of a design that was ordered. Trap: Orders of a day without a rate count as orders but not as revenue: orders_without_rate says how many. A name is not a key: many designs share one.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_design.design_name IS 'Name of the design.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_design.reporting_currency IS 'The currency that reports convert to; a setting.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_design.orders IS 'Number of orders.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_design.units IS 'Number of bags.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_design.revenue IS 'Units times unit price, in the currency of the row.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_design.orders_at_carried_rate IS 'Orders whose day uses an earlier day''s rates, even if they need no rate.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_design.orders_without_rate IS 'Orders that cannot be converted, and are not in the revenue.';

COMMENT ON VIEW reports.revenue_in_reporting_currency_by_month IS 'What have we sold, month by month, in one currency? Unit: orders, bags, and money in the reporting currency. Grain: a row for each month in which there is an order. Trap: Orders of a day without a rate count as orders but not as revenue: orders_without_rate says how many. The current month is incomplete: it is marked as unfinished.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_month.month IS 'The first day of the month.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_month.reporting_currency IS 'The currency that reports convert to; a setting.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_month.orders IS 'Number of orders.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_month.units IS 'Number of bags.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_month.revenue IS 'Units times unit price, in the currency of the row.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_month.orders_at_carried_rate IS 'Orders whose day uses an earlier day''s rates, even if they need no rate.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_month.orders_without_rate IS 'Orders that cannot be converted, and are not in the revenue.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_month.unfinished IS 'Whether the month or week is still in progress, in London.';

COMMENT ON VIEW reports.revenue_in_reporting_currency_by_office IS 'How much does each office sell, in one currency? Unit: orders, bags, and money in the reporting currency. Grain: a row for each office whose staff has an order. Trap: Orders of a day without a rate count as orders but not as revenue: orders_without_rate says how many. Leds counts as Leeds, as in revenue_by_office. An order counts where its member of staff works now.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_office.office IS 'The town where the member of staff works.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_office.reporting_currency IS 'The currency that reports convert to; a setting.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_office.orders IS 'Number of orders.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_office.units IS 'Number of bags.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_office.revenue IS 'Units times unit price, in the currency of the row.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_office.orders_at_carried_rate IS 'Orders whose day uses an earlier day''s rates, even if they need no rate.';

COMMENT ON COLUMN reports.revenue_in_reporting_currency_by_office.orders_without_rate IS 'Orders that cannot be converted, and are not in the revenue.';

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

-- The loader owns no table, yet must alter some. These functions run with their owner's rights, so
-- their search path is fixed: nobody can put a table of the same name first. Each migration creates
-- them again. `keys_of` and `may_be_null` are generated from the catalogue.

-- Drop a fact's two keys while its first rows are copied in, and add them in the same transaction:
-- building an index over all rows takes a third of the time of growing it row by row. A table with
-- rows is refused, and constraints that somebody else added stay.
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
    -- From here on, nobody else can write.
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

-- Batches older than a column have rows without it.
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

GRANT USAGE ON SCHEMA warehouse, warehouse_bookkeeping TO warehouse_loader;

GRANT USAGE ON SCHEMA warehouse TO warehouse_reader;

GRANT SELECT ON ALL TABLES IN SCHEMA warehouse_bookkeeping TO warehouse_loader;

GRANT SELECT ON warehouse.current_dim_counterparty, warehouse.history_dim_counterparty, warehouse.current_dim_currency, warehouse.history_dim_currency, warehouse.current_dim_design, warehouse.history_dim_design, warehouse.current_dim_location, warehouse.history_dim_location, warehouse.current_dim_payment_type, warehouse.history_dim_payment_type, warehouse.current_dim_staff, warehouse.history_dim_staff, warehouse.current_dim_transaction, warehouse.history_dim_transaction, warehouse.current_fact_payment, warehouse.history_fact_payment, warehouse.current_fact_purchase_order, warehouse.history_fact_purchase_order, warehouse.current_fact_sales_order, warehouse.history_fact_sales_order, warehouse.current_fact_exchange_rate, warehouse.history_fact_exchange_rate, warehouse.current_fact_sales_target, warehouse.history_fact_sales_target, warehouse.dim_date TO warehouse_loader, warehouse_reader;

GRANT SELECT ON warehouse.dim_date, warehouse.dim_counterparty, warehouse.dim_currency, warehouse.dim_design, warehouse.dim_location, warehouse.dim_payment_type, warehouse.dim_staff, warehouse.dim_transaction, warehouse.fact_payment, warehouse.fact_purchase_order, warehouse.fact_sales_order, warehouse.fact_exchange_rate, warehouse.fact_sales_target, warehouse.past_dim_counterparty, warehouse.past_dim_currency, warehouse.past_dim_design, warehouse.past_dim_location, warehouse.past_dim_payment_type, warehouse.past_dim_staff, warehouse.past_dim_transaction TO warehouse_loader;

GRANT INSERT ON warehouse.fact_payment, warehouse.fact_purchase_order, warehouse.fact_sales_order, warehouse.fact_exchange_rate, warehouse.fact_sales_target, warehouse.past_dim_counterparty, warehouse.past_dim_currency, warehouse.past_dim_design, warehouse.past_dim_location, warehouse.past_dim_payment_type, warehouse.past_dim_staff, warehouse.past_dim_transaction TO warehouse_loader;

GRANT INSERT, UPDATE ON warehouse.dim_date, warehouse.dim_counterparty, warehouse.dim_currency, warehouse.dim_design, warehouse.dim_location, warehouse.dim_payment_type, warehouse.dim_staff, warehouse.dim_transaction TO warehouse_loader;

GRANT INSERT ON warehouse_bookkeeping.batch, warehouse_bookkeeping.batch_table, warehouse_bookkeeping.quarantine, warehouse_bookkeeping.released, warehouse_bookkeeping.audit, warehouse_bookkeeping.page, warehouse_bookkeeping.page_mail TO warehouse_loader;

GRANT INSERT, UPDATE ON warehouse_bookkeeping.star TO warehouse_loader;

GRANT INSERT ON warehouse_bookkeeping.reporting_currency TO warehouse_loader;

GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA warehouse_bookkeeping TO warehouse_loader;

GRANT USAGE ON SCHEMA reports TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.batches TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.country_names TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.data_quality TO warehouse_loader, warehouse_reader;

GRANT EXECUTE ON FUNCTION reports.deliveries_next_days(date, integer) TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.delivery_slippage TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.designs_never_sold TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.open_payments TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.order_amendments TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.order_versions TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.orders_by_staff TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.orders_by_weekday TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.pounds_for_currencies TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.purchases_by_month TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.reporting_currency TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.revenue_against_target TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.revenue_by_currency TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.revenue_by_customer TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.revenue_by_design TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.revenue_by_month TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.revenue_by_office TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.revenue_by_week TO warehouse_loader, warehouse_reader;

GRANT EXECUTE ON FUNCTION reports.ageing(date) TO warehouse_loader, warehouse_reader;

GRANT EXECUTE ON FUNCTION reports.cash_next_days(date, integer) TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.deliveries_by_country TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.exchange_rates TO warehouse_loader, warehouse_reader;

GRANT EXECUTE ON FUNCTION reports.order_history(integer) TO warehouse_loader, warehouse_reader;

GRANT EXECUTE ON FUNCTION reports.orders_as_of(timestamp with time zone) TO warehouse_loader, warehouse_reader;

GRANT EXECUTE ON FUNCTION reports.orders_at(timestamp with time zone) TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.orders_in_reporting_currency TO warehouse_loader, warehouse_reader;

GRANT EXECUTE ON FUNCTION reports.overdue(date) TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.sales_and_purchases_by_month TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.overdue_today TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.revenue_in_reporting_currency_by_customer TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.revenue_in_reporting_currency_by_design TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.revenue_in_reporting_currency_by_month TO warehouse_loader, warehouse_reader;

GRANT SELECT ON reports.revenue_in_reporting_currency_by_office TO warehouse_loader, warehouse_reader;

INSERT INTO warehouse_bookkeeping.declaration (sha256) VALUES ('b56f553ac007c064681050400a29be9880f407090c13dab0a800d834d93bd6e5');

COMMIT;
