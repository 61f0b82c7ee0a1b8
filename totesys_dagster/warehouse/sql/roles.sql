-- The warehouse's roles, each with the least privilege that it needs.
--
--     warehouse_owner    owns schemas and tables, cannot log in
--     warehouse_admin    migrates and rebuilds, as a member of the owner
--     warehouse_loader   loads batches: inserts facts, past versions and ledger rows, upserts dimensions
--     warehouse_reader   reads reports, and the views current_* and history_*; creates nothing
--
-- An administrator runs this in the warehouse's database, then gives each role a password:
--     psql warehouse -f roles.sql
--     psql warehouse -c '\password warehouse_loader'
-- `totesys migrate` then creates the tables and reports, and grants what rights.py says.

DO $$
DECLARE
    comfort text;
    routine regprocedure;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'warehouse_owner') THEN
        CREATE ROLE warehouse_owner NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'warehouse_admin') THEN
        CREATE ROLE warehouse_admin LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'warehouse_loader') THEN
        CREATE ROLE warehouse_loader LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'warehouse_reader') THEN
        CREATE ROLE warehouse_reader LOGIN;
    END IF;
    GRANT warehouse_owner TO warehouse_admin;
    EXECUTE format('GRANT CREATE ON DATABASE %I TO warehouse_owner', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO warehouse_owner, warehouse_admin, warehouse_loader', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO warehouse_reader', current_database());
    -- By default, everybody may take any advisory lock, including the loads', and store large objects.
    -- Only a superuser can revoke these rights; otherwise they stay.
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        FOR routine IN
            SELECT oid::regprocedure FROM pg_proc
            WHERE pronamespace = 'pg_catalog'::regnamespace
              AND proname ~ '^(pg_(try_)?advisory|lo_|lowrite$)'
        LOOP
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', routine);
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO warehouse_owner, warehouse_loader', routine);
        END LOOP;
    END IF;
    -- On PostgreSQL 14, everybody may create tables in the schema public.
    IF EXISTS (
        SELECT FROM pg_namespace WHERE nspname = 'public' AND pg_has_role(nspowner, 'MEMBER')
    ) THEN
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    END IF;
    -- For convenience only, since any session may set these otherwise: reports need no schema name,
    -- and queries that run for minutes or are left idle are ended. The schemas are those of the
    -- default TOTESYS_WAREHOUSE_SCHEMA. Values that somebody has set before stay.
    IF NOT EXISTS (
        SELECT FROM pg_db_role_setting
        WHERE setrole = 'warehouse_reader'::regrole
          AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) THEN
        FOREACH comfort IN ARRAY ARRAY[
            'search_path TO reports, warehouse', 'statement_timeout TO ''5min''',
            'idle_in_transaction_session_timeout TO ''5min'''
        ] LOOP
            EXECUTE format('ALTER ROLE warehouse_reader IN DATABASE %I SET ', current_database()) || comfort;
        END LOOP;
    END IF;
END
$$;
