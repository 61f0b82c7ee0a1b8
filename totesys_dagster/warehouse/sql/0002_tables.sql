-- The warehouse: eight dimensions and three facts. Runs with its schema first in the search path.
--
-- Columns come in the order of the warehouse's design, then the lineage: batch_seq is the batch
-- that brought the row (of a dimension: its latest values), observed_at the instant of that batch's
-- snapshot of the source, is_deleted whether the source had deleted it by then.
--
-- A fact keeps every version of every business row: its *_record_id numbers versions, and the load
-- assigns it without gaps, so that a rebuild gives the same numbers.

CREATE TABLE dim_date (
    date_id date PRIMARY KEY,
    year integer NOT NULL,
    month integer NOT NULL,
    day integer NOT NULL,
    day_of_week integer NOT NULL,
    day_name varchar NOT NULL,
    month_name varchar NOT NULL,
    quarter integer NOT NULL,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE
);

CREATE TABLE dim_staff (
    staff_id integer PRIMARY KEY,
    first_name varchar NOT NULL,
    last_name varchar NOT NULL,
    department_name varchar NOT NULL,
    location varchar NOT NULL,
    email_address varchar NOT NULL,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE
);

CREATE TABLE dim_location (
    location_id integer PRIMARY KEY,
    address_line_1 varchar NOT NULL,
    address_line_2 varchar,
    district varchar,
    city varchar NOT NULL,
    postal_code varchar NOT NULL,
    country varchar NOT NULL,
    phone varchar NOT NULL,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE
);

CREATE TABLE dim_currency (
    currency_id integer PRIMARY KEY,
    currency_code varchar NOT NULL,
    currency_name varchar NOT NULL,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE
);

CREATE TABLE dim_design (
    design_id integer PRIMARY KEY,
    design_name varchar NOT NULL,
    file_location varchar NOT NULL,
    file_name varchar NOT NULL,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE
);

CREATE TABLE dim_counterparty (
    counterparty_id integer PRIMARY KEY,
    counterparty_legal_name varchar NOT NULL,
    counterparty_legal_address_line_1 varchar NOT NULL,
    counterparty_legal_address_line_2 varchar,
    counterparty_legal_district varchar,
    counterparty_legal_city varchar NOT NULL,
    counterparty_legal_postal_code varchar NOT NULL,
    counterparty_legal_country varchar NOT NULL,
    counterparty_legal_phone_number varchar NOT NULL,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE
);

CREATE TABLE dim_payment_type (
    payment_type_id integer PRIMARY KEY,
    payment_type_name varchar NOT NULL,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE
);

CREATE TABLE dim_transaction (
    transaction_id integer PRIMARY KEY,
    transaction_type varchar NOT NULL,
    sales_order_id integer,
    purchase_order_id integer,
    batch_seq integer NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE
);

CREATE TABLE fact_sales_order (
    sales_record_id serial PRIMARY KEY,
    sales_order_id integer NOT NULL,
    created_date date NOT NULL,
    created_time time NOT NULL,
    last_updated_date date NOT NULL,
    last_updated_time time NOT NULL,
    sales_staff_id integer NOT NULL,
    counterparty_id integer NOT NULL,
    units_sold integer NOT NULL,
    unit_price numeric(10, 2) NOT NULL,
    currency_id integer NOT NULL,
    design_id integer NOT NULL,
    agreed_payment_date date NOT NULL,
    agreed_delivery_date date NOT NULL,
    agreed_delivery_location_id integer NOT NULL,
    batch_seq integer NOT NULL,
    observed_at timestamptz NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE,
    UNIQUE (sales_order_id, batch_seq)
);

CREATE TABLE fact_purchase_order (
    purchase_record_id serial PRIMARY KEY,
    purchase_order_id integer NOT NULL,
    created_date date NOT NULL,
    created_time time NOT NULL,
    last_updated_date date NOT NULL,
    last_updated_time time NOT NULL,
    staff_id integer NOT NULL,
    counterparty_id integer NOT NULL,
    item_code varchar NOT NULL,
    item_quantity integer NOT NULL,
    item_unit_price numeric NOT NULL,
    currency_id integer NOT NULL,
    agreed_delivery_date date NOT NULL,
    agreed_payment_date date NOT NULL,
    agreed_delivery_location_id integer NOT NULL,
    batch_seq integer NOT NULL,
    observed_at timestamptz NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE,
    UNIQUE (purchase_order_id, batch_seq)
);

CREATE TABLE fact_payment (
    payment_record_id serial PRIMARY KEY,
    payment_id integer NOT NULL,
    created_date date NOT NULL,
    created_time time NOT NULL,
    last_updated_date date NOT NULL,
    last_updated_time time NOT NULL,
    transaction_id integer NOT NULL,
    counterparty_id integer NOT NULL,
    payment_amount numeric NOT NULL,
    currency_id integer NOT NULL,
    payment_type_id integer NOT NULL,
    paid boolean NOT NULL,
    payment_date date NOT NULL,
    batch_seq integer NOT NULL,
    observed_at timestamptz NOT NULL,
    is_deleted boolean NOT NULL DEFAULT FALSE,
    UNIQUE (payment_id, batch_seq)
);
