-- The currency that reports convert into: the newest row. A setting says so, and views cannot read it.

CREATE TABLE reporting_currency (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    currency_code text NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE reporting_currency IS 'The currencies that reports were to convert into, the newest last.';
