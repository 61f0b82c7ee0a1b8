-- A log of every row version in the source, with the transaction that wrote it. Triggers write it in
-- the very transaction that changes the row, so what is rolled back is not in it, and a version is
-- visible in a snapshot if and only if its transaction is.
--
-- `id` orders the versions of one row: a second writer waits for the first one's row lock before
-- its trigger runs.

CREATE SCHEMA oracle;

CREATE TABLE oracle.version (
    id bigserial PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    table_name text NOT NULL,
    key integer NOT NULL,
    row jsonb
);

CREATE FUNCTION oracle.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO oracle.version (table_name, key, row)
        VALUES (TG_TABLE_NAME, (to_jsonb(old) ->> (TG_TABLE_NAME || '_id'))::integer, NULL);
    ELSE
        INSERT INTO oracle.version (table_name, key, row)
        VALUES (TG_TABLE_NAME, (to_jsonb(new) ->> (TG_TABLE_NAME || '_id'))::integer, to_jsonb(new));
    END IF;
    RETURN NULL;
END
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['address', 'counterparty', 'currency', 'department', 'design',
        'payment', 'payment_type', 'purchase_order', 'sales_order', 'staff', 'transaction']
    LOOP
        EXECUTE format(
            'CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON public.%I'
            ' FOR EACH ROW EXECUTE FUNCTION oracle.note()', name);
        EXECUTE format(
            'INSERT INTO oracle.version (table_name, key, row)'
            ' SELECT %L, %I, to_jsonb(t) FROM public.%I AS t', name, name || '_id', name);
    END LOOP;
END
$$;
