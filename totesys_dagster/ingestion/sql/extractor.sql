-- The role that reads ToteSys: SELECT on its tables that the catalogue declares, and nothing else.
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

-- By these it is noticed that the server is another one, or was restored. Any role may call them,
-- unless an administrator took that right away; who runs this may not be able to give it back (on
-- Amazon RDS, for instance), and then `totesys status` says what the role may not see.
DO $$
DECLARE
    function text;
BEGIN
    FOREACH function IN ARRAY ARRAY[
        'pg_control_system()', 'pg_control_checkpoint()', 'pg_control_recovery()',
        'pg_walfile_name(pg_lsn)', 'pg_current_wal_lsn()', 'pg_last_wal_replay_lsn()',
        'pg_postmaster_start_time()', 'pg_stat_get_bgwriter_stat_reset_time()'
    ]
    LOOP
        BEGIN
            IF NOT has_function_privilege('totesys_extractor', function, 'EXECUTE') THEN
                EXECUTE 'GRANT EXECUTE ON FUNCTION pg_catalog.' || function
                    || ' TO totesys_extractor';
            END IF;
        EXCEPTION
            WHEN insufficient_privilege OR undefined_function THEN NULL;
        END;
    END LOOP;
END
$$;
