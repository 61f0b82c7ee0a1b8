-- The two keys of a fact, taken off while its first rows are copied in and put on again in the same
-- transaction: an index that is made of all rows takes a third of the time of one that grows row by
-- row.
--
-- The loader owns no table, so these run as their owner, and so with a search path in which nobody
-- can put a table of the same name first. They refuse a table that has rows, and touch these two
-- keys only: what somebody else has put on a table stays.

CREATE FUNCTION keys_of(fact text, OUT record_id text, OUT business_key text)
LANGUAGE sql STRICT AS $body$
    SELECT record_id, business_key
    FROM (VALUES
        ('fact_sales_order', 'sales_record_id', 'sales_order_id'),
        ('fact_purchase_order', 'purchase_record_id', 'purchase_order_id'),
        ('fact_payment', 'payment_record_id', 'payment_id')
    ) AS facts (name, record_id, business_key)
    WHERE name = fact
$body$;

CREATE FUNCTION take_keys_off(fact text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, :"schema", :"bookkeeping", pg_temp
SET lock_timeout TO '1s' AS $body$
DECLARE
    has_rows boolean;
BEGIN
    EXECUTE format(
        'ALTER TABLE %1$I DROP CONSTRAINT %2$I, DROP CONSTRAINT %3$I',
        fact, fact || '_pkey', fact || '_' || (keys_of(fact)).business_key || '_batch_seq_key'
    );
    -- Nobody else can write from here on.
    EXECUTE format('SELECT EXISTS (SELECT FROM %I)', fact) INTO has_rows;
    IF has_rows THEN
        RAISE object_not_in_prerequisite_state
            USING MESSAGE = format('the keys of %s stay on, for it has rows', fact);
    END IF;
END
$body$;

CREATE FUNCTION put_keys_on(fact text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, :"schema", :"bookkeeping", pg_temp
AS $body$
BEGIN
    EXECUTE format(
        'ALTER TABLE %1$I ADD PRIMARY KEY (%2$I), ADD UNIQUE (%3$I, batch_seq)',
        fact, (keys_of(fact)).record_id, (keys_of(fact)).business_key
    );
END
$body$;

REVOKE ALL ON FUNCTION take_keys_off(text), put_keys_on(text) FROM PUBLIC;
