-- The ToteSys database as its Prisma application makes it: run once, in the empty public schema of
-- a new database (PostgreSQL 13 to 18). The platform only ever reads these tables. No trigger keeps
-- last_updated: it holds what the application chose to write, which is often nothing.

CREATE TYPE "PaymentTypeName" AS ENUM (
    'SALES_RECEIPT',
    'SALES_REFUND',
    'PURCHASE_PAYMENT',
    'PURCHASE_REFUND'
);

CREATE TYPE "TransactionType" AS ENUM (
    'SALE',
    'PURCHASE'
);

CREATE TABLE address (
    address_id SERIAL NOT NULL,
    address_line_1 text NOT NULL,
    address_line_2 text,
    district text,
    city text NOT NULL,
    postal_code text NOT NULL,
    country text NOT NULL,
    phone text NOT NULL,
    created_at timestamp(3) DEFAULT CURRENT_TIMESTAMP NOT NULL,
    last_updated timestamp(3) NOT NULL,
    CONSTRAINT address_pkey PRIMARY KEY (address_id)
);

CREATE TABLE counterparty (
    counterparty_id SERIAL NOT NULL,
    counterparty_legal_name text NOT NULL,
    legal_address_id integer NOT NULL,
    commercial_contact text,
    delivery_contact text,
    created_at timestamp(3) DEFAULT CURRENT_TIMESTAMP NOT NULL,
    last_updated timestamp(3) NOT NULL,
    CONSTRAINT counterparty_pkey PRIMARY KEY (counterparty_id),
    CONSTRAINT counterparty_legal_address_id_fkey FOREIGN KEY (legal_address_id)
        REFERENCES address (address_id) ON UPDATE CASCADE ON DELETE RESTRICT
);

CREATE TABLE currency (
    currency_id SERIAL NOT NULL,
    currency_code varchar(3) NOT NULL,
    created_at timestamp(3) DEFAULT CURRENT_TIMESTAMP NOT NULL,
    last_updated timestamp(3) NOT NULL,
    CONSTRAINT currency_pkey PRIMARY KEY (currency_id)
);

CREATE TABLE department (
    department_id SERIAL NOT NULL,
    department_name text NOT NULL,
    location text,
    manager text,
    created_at timestamp(3) DEFAULT CURRENT_TIMESTAMP NOT NULL,
    last_updated timestamp(3) NOT NULL,
    CONSTRAINT department_pkey PRIMARY KEY (department_id)
);

CREATE TABLE design (
    design_id SERIAL NOT NULL,
    created_at timestamp(3) DEFAULT CURRENT_TIMESTAMP NOT NULL,
    design_name text NOT NULL,
    file_location text NOT NULL,
    file_name text NOT NULL,
    last_updated timestamp(3) NOT NULL,
    CONSTRAINT design_pkey PRIMARY KEY (design_id)
);

CREATE TABLE staff (
    staff_id SERIAL NOT NULL,
    first_name text NOT NULL,
    last_name text NOT NULL,
    department_id integer NOT NULL,
    email_address text NOT NULL,
    created_at timestamp(3) DEFAULT CURRENT_TIMESTAMP NOT NULL,
    last_updated timestamp(3) NOT NULL,
    CONSTRAINT staff_pkey PRIMARY KEY (staff_id),
    CONSTRAINT staff_department_id_fkey FOREIGN KEY (department_id)
        REFERENCES department (department_id) ON UPDATE CASCADE ON DELETE RESTRICT
);

CREATE TABLE payment_type (
    payment_type_id SERIAL NOT NULL,
    payment_type_name "PaymentTypeName" NOT NULL,
    created_at timestamp(3) DEFAULT CURRENT_TIMESTAMP NOT NULL,
    last_updated timestamp(3) NOT NULL,
    CONSTRAINT payment_type_pkey PRIMARY KEY (payment_type_id)
);

-- The agreed dates are text, as in the original: nothing in the source keeps them valid.
CREATE TABLE sales_order (
    sales_order_id SERIAL NOT NULL,
    created_at timestamp(3) DEFAULT CURRENT_TIMESTAMP NOT NULL,
    last_updated timestamp(3) NOT NULL,
    design_id integer NOT NULL,
    staff_id integer NOT NULL,
    counterparty_id integer NOT NULL,
    units_sold integer NOT NULL,
    unit_price numeric(10, 2) NOT NULL,
    currency_id integer NOT NULL,
    agreed_delivery_date text NOT NULL,
    agreed_payment_date text NOT NULL,
    agreed_delivery_location_id integer NOT NULL,
    CONSTRAINT sales_order_pkey PRIMARY KEY (sales_order_id),
    CONSTRAINT sales_order_design_id_fkey FOREIGN KEY (design_id)
        REFERENCES design (design_id) ON UPDATE CASCADE ON DELETE RESTRICT,
    CONSTRAINT sales_order_staff_id_fkey FOREIGN KEY (staff_id)
        REFERENCES staff (staff_id) ON UPDATE CASCADE ON DELETE RESTRICT,
    CONSTRAINT sales_order_counterparty_id_fkey FOREIGN KEY (counterparty_id)
        REFERENCES counterparty (counterparty_id) ON UPDATE CASCADE ON DELETE RESTRICT,
    CONSTRAINT sales_order_currency_id_fkey FOREIGN KEY (currency_id)
        REFERENCES currency (currency_id) ON UPDATE CASCADE ON DELETE RESTRICT,
    CONSTRAINT sales_order_agreed_delivery_location_id_fkey FOREIGN KEY (agreed_delivery_location_id)
        REFERENCES address (address_id) ON UPDATE CASCADE ON DELETE RESTRICT
);

CREATE TABLE purchase_order (
    purchase_order_id SERIAL NOT NULL,
    created_at timestamp(3) DEFAULT CURRENT_TIMESTAMP NOT NULL,
    last_updated timestamp(3) NOT NULL,
    staff_id integer NOT NULL,
    counterparty_id integer NOT NULL,
    item_code text NOT NULL,
    item_quantity integer NOT NULL,
    item_unit_price numeric(10, 2) NOT NULL,
    currency_id integer NOT NULL,
    agreed_delivery_date text NOT NULL,
    agreed_payment_date text NOT NULL,
    agreed_delivery_location_id integer NOT NULL,
    CONSTRAINT purchase_order_pkey PRIMARY KEY (purchase_order_id),
    CONSTRAINT purchase_order_staff_id_fkey FOREIGN KEY (staff_id)
        REFERENCES staff (staff_id) ON UPDATE CASCADE ON DELETE RESTRICT,
    CONSTRAINT purchase_order_counterparty_id_fkey FOREIGN KEY (counterparty_id)
        REFERENCES counterparty (counterparty_id) ON UPDATE CASCADE ON DELETE RESTRICT,
    CONSTRAINT purchase_order_currency_id_fkey FOREIGN KEY (currency_id)
        REFERENCES currency (currency_id) ON UPDATE CASCADE ON DELETE RESTRICT,
    CONSTRAINT purchase_order_agreed_delivery_location_id_fkey
        FOREIGN KEY (agreed_delivery_location_id)
        REFERENCES address (address_id) ON UPDATE CASCADE ON DELETE RESTRICT
);

CREATE TABLE transaction (
    transaction_id SERIAL NOT NULL,
    transaction_type "TransactionType" NOT NULL,
    sales_order_id integer,
    purchase_order_id integer,
    created_at timestamp(3) DEFAULT CURRENT_TIMESTAMP NOT NULL,
    last_updated timestamp(3) NOT NULL,
    CONSTRAINT transaction_pkey PRIMARY KEY (transaction_id),
    CONSTRAINT transaction_sales_order_id_key UNIQUE (sales_order_id),
    CONSTRAINT transaction_purchase_order_id_key UNIQUE (purchase_order_id),
    CONSTRAINT transaction_sales_order_id_fkey FOREIGN KEY (sales_order_id)
        REFERENCES sales_order (sales_order_id) ON UPDATE CASCADE ON DELETE SET NULL,
    CONSTRAINT transaction_purchase_order_id_fkey FOREIGN KEY (purchase_order_id)
        REFERENCES purchase_order (purchase_order_id) ON UPDATE CASCADE ON DELETE SET NULL
);

CREATE TABLE payment (
    payment_id SERIAL NOT NULL,
    created_at timestamp(3) DEFAULT CURRENT_TIMESTAMP NOT NULL,
    last_updated timestamp(3) NOT NULL,
    transaction_id integer NOT NULL,
    counterparty_id integer NOT NULL,
    payment_amount numeric(10, 2) NOT NULL,
    currency_id integer NOT NULL,
    payment_type_id integer NOT NULL,
    paid boolean NOT NULL,
    payment_date text NOT NULL,
    company_ac_number integer NOT NULL,
    counterparty_ac_number integer NOT NULL,
    CONSTRAINT payment_pkey PRIMARY KEY (payment_id),
    CONSTRAINT payment_transaction_id_key UNIQUE (transaction_id),
    CONSTRAINT payment_transaction_id_fkey FOREIGN KEY (transaction_id)
        REFERENCES transaction (transaction_id) ON UPDATE CASCADE ON DELETE RESTRICT,
    CONSTRAINT payment_counterparty_id_fkey FOREIGN KEY (counterparty_id)
        REFERENCES counterparty (counterparty_id) ON UPDATE CASCADE ON DELETE RESTRICT,
    CONSTRAINT payment_currency_id_fkey FOREIGN KEY (currency_id)
        REFERENCES currency (currency_id) ON UPDATE CASCADE ON DELETE RESTRICT,
    CONSTRAINT payment_payment_type_id_fkey FOREIGN KEY (payment_type_id)
        REFERENCES payment_type (payment_type_id) ON UPDATE CASCADE ON DELETE RESTRICT
);

-- Prisma's own book-keeping. It is not business data; it is here because a reader of the real
-- source meets it there and must leave it out.
CREATE TABLE _prisma_migrations (
    id varchar(36) NOT NULL,
    checksum varchar(64) NOT NULL,
    finished_at timestamptz,
    migration_name varchar(255) NOT NULL,
    logs text,
    rolled_back_at timestamptz,
    started_at timestamptz DEFAULT now() NOT NULL,
    applied_steps_count integer DEFAULT 0 NOT NULL,
    CONSTRAINT _prisma_migrations_pkey PRIMARY KEY (id)
);

INSERT INTO _prisma_migrations (
    id, checksum, finished_at, migration_name, started_at, applied_steps_count
)
VALUES (
    '5b0e8f0c-3f0a-4c58-9d0e-2a7d6c1b9e44',
    '9d2c7f4be1a06358c4f7d9b2036e8a15f0b7c3d4925e6a18bd70f3c2e4a9561b',
    '2022-11-01 09:00:01+00',
    '20221101090000_init',
    '2022-11-01 09:00:00+00',
    1
);
