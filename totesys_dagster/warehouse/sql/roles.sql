-- The roles of the warehouse, each with the least that it needs.
--
--     warehouse_owner    owns schemas and tables, cannot log in
--     warehouse_admin    migrates and rebuilds, as a member of the owner
--     warehouse_loader   loads batches: inserts facts and ledger rows, upserts dimensions
--     warehouse_reader   reads
--
-- Run in the warehouse's database by an administrator, then give each role a password:
--     psql warehouse -f roles.sql
--     psql warehouse -c '\password warehouse_loader'
-- `totesys migrate` then makes the tables and grants what grants.sql says.

DO $$
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
END
$$;
