-- A log of every row version in the source, with the transaction that wrote it. Triggers write it in
-- the very transaction that changes the row, so what is rolled back is not in it, and a version is
-- visible in a snapshot if and only if its transaction is.
--
-- `id` orders the versions of one row: a second writer waits for the first one's row lock before
-- its trigger runs. `started` tells apart transactions that got the same id before and after a crash
-- of the server. `defined` is false where a snapshot does not say whether the change is in it.

CREATE SCHEMA oracle;

-- When the server was started, or recovered from a crash.
CREATE FUNCTION oracle.started() RETURNS timestamptz LANGUAGE sql AS $$
    SELECT greatest(pg_postmaster_start_time(), stats_reset) FROM pg_stat_bgwriter
$$;

CREATE TABLE oracle.version (
    id bigserial PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started timestamptz NOT NULL DEFAULT oracle.started(),
    defined boolean NOT NULL DEFAULT TRUE,
    table_name text NOT NULL,
    key integer NOT NULL,
    row jsonb
);
CREATE INDEX version_last ON oracle.version (table_name, key, id DESC);

-- The row is what the table shows: a trigger is not told the values of virtual columns, and a
-- partition's row may not be the table's any more.
CREATE FUNCTION oracle.note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    name text := TG_ARGV[0];
    key integer := (to_jsonb(coalesce(new, old)) ->> (name || '_id'))::integer;
    shown jsonb;
BEGIN
    EXECUTE format('SELECT to_jsonb(t) FROM public.%I AS t WHERE %I = $1', name, name || '_id')
        INTO shown USING key;
    INSERT INTO oracle.version (table_name, key, row) VALUES (name, key, shown);
    RETURN NULL;
END
$$;

-- Note every row of a table that it shows otherwise than was noted last: for changes that no trigger
-- is told of, in their own transaction.
CREATE FUNCTION oracle.note_table(name text, defined boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO oracle.version (table_name, key, row, defined)'
        ' SELECT %L, key, now.row, $1'
        ' FROM (SELECT %I AS key, to_jsonb(t) AS row FROM public.%I AS t) AS now'
        ' FULL JOIN (SELECT DISTINCT ON (key) key, row FROM oracle.version'
        '            WHERE table_name = %L ORDER BY key, id DESC) AS last USING (key)'
        ' WHERE now.row IS DISTINCT FROM last.row',
        name, name || '_id', name, name) USING defined;
END
$$;

CREATE FUNCTION oracle.watch(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON public.%I'
        ' FOR EACH ROW EXECUTE FUNCTION oracle.note(%L)', name, name);
END
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['address', 'counterparty', 'currency', 'department', 'design',
        'payment', 'payment_type', 'purchase_order', 'sales_order', 'staff', 'transaction']
    LOOP
        PERFORM oracle.watch(name);
        PERFORM oracle.note_table(name, TRUE);
    END LOOP;
END
$$;
