-- The role that reads ToteSys: SELECT on the tables that the catalogue declares, nothing else.
--
-- ToteSys' administrator runs this once in its database, then gives the role a password:
--     psql totesys -f extractor.sql
--     psql totesys -c '\password totesys_extractor'

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'totesys_extractor') THEN
        CREATE ROLE totesys_extractor LOGIN;
    END IF;
END
$$;

-- A second safeguard: even with a privilege that was granted by mistake, the role cannot write.
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

-- These functions show that the server is another one, or was restored. Any role may call them
-- unless an administrator revoked that right. If you cannot grant it (on Amazon RDS, for instance),
-- `totesys status` says what the role may not see.
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
