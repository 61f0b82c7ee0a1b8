-- The role that reads ToteSys: SELECT on its eleven tables, and nothing else.
--
-- Run once in the ToteSys database by its administrator, then give the role a password:
--     psql totesys -f extractor.sql
--     psql totesys -c '\password totesys_extractor'

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'totesys_extractor') THEN
        CREATE ROLE totesys_extractor LOGIN;
    END IF;
END
$$;

-- A second lock on the same door: even a privilege granted by mistake could not be used to write.
ALTER ROLE totesys_extractor SET default_transaction_read_only TO on;

GRANT USAGE ON SCHEMA public TO totesys_extractor;
GRANT SELECT ON
    public.address,
    public.counterparty,
    public.currency,
    public.department,
    public.design,
    public.payment,
    public.payment_type,
    public.purchase_order,
    public.sales_order,
    public.staff,
    public.transaction
TO totesys_extractor;
