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

-- Which server answers, and which history of its data: so a restored backup or a promoted replica is
-- noticed at once. Any role may ask by default; where that was revoked, only a superuser can grant it.
DO $$
BEGIN
    GRANT EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint(), pg_control_recovery()
        TO totesys_extractor;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'pg_control_system() and its like could not be granted; `totesys status` says whether they are missed.';
END
$$;
