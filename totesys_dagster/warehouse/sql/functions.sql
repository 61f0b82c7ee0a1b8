-- The loader owns no table, yet must alter some. These functions run with their owner's rights, so
-- their search path is fixed: nobody can put a table of the same name first. Each migration creates
-- them again. `keys_of` and `may_be_null` are generated from the catalogue.

-- Drop a fact's two keys while its first rows are copied in, and add them in the same transaction:
-- building an index over all rows takes a third of the time of growing it row by row. A table with
-- rows is refused, and constraints that somebody else added stay.
CREATE OR REPLACE FUNCTION :"bookkeeping".take_keys_off(fact text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, :"schema", :"bookkeeping", pg_temp
SET lock_timeout TO '1s' AS $body$
DECLARE
    drops text[];
    has_rows boolean;
BEGIN
    SELECT array_agg(format('DROP CONSTRAINT %I', conname) ORDER BY contype) INTO drops
    FROM pg_constraint
    WHERE conrelid = to_regclass(quote_ident(fact)) AND (contype = 'p' OR contype = 'u' AND (
        SELECT array_agg(attname::text ORDER BY attnum)
        FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)
    ) = ARRAY[(keys_of(fact)).business_key, 'batch_seq']);
    IF cardinality(drops) IS DISTINCT FROM 2 THEN
        RAISE undefined_object USING MESSAGE = format('%s has not the two keys that it was made with', fact);
    END IF;
    EXECUTE format('ALTER TABLE %I %s', fact, array_to_string(drops, ', '));
    -- From here on, nobody else can write.
    EXECUTE format('SELECT EXISTS (SELECT FROM %I)', fact) INTO has_rows;
    IF has_rows THEN
        RAISE object_not_in_prerequisite_state
            USING MESSAGE = format('the keys of %s stay on, for it has rows', fact);
    END IF;
END
$body$;

CREATE OR REPLACE FUNCTION :"bookkeeping".put_keys_on(fact text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, :"schema", :"bookkeeping", pg_temp
AS $body$
BEGIN
    EXECUTE format(
        'ALTER TABLE %1$I ADD PRIMARY KEY (%2$I), ADD UNIQUE (%3$I, batch_seq)',
        fact, (keys_of(fact)).record_id, (keys_of(fact)).business_key
    );
END
$body$;

-- Batches older than a column have rows without it.
CREATE OR REPLACE FUNCTION :"bookkeeping".allow_null(star text, attribute text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, :"schema", :"bookkeeping", pg_temp
AS $body$
BEGIN
    IF NOT may_be_null(star, attribute) THEN
        RAISE insufficient_privilege USING MESSAGE = format('%s.%s is never NULL', star, attribute);
    END IF;
    IF EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = to_regclass(quote_ident(star)) AND attname = attribute AND attnotnull
    ) THEN
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I DROP NOT NULL', star, attribute);
    END IF;
END
$body$;

REVOKE ALL ON FUNCTION
    :"bookkeeping".take_keys_off(text),
    :"bookkeeping".put_keys_on(text),
    :"bookkeeping".allow_null(text, text)
FROM PUBLIC;
