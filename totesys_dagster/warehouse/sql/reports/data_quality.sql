-- Question: How far can I trust each table of the warehouse now?
-- Unit: rows in quarantine; batches by their sequence.
-- Grain: a row for each table that was ever loaded.
-- Trap: A table that equals the source may lack the rows in quarantine, and says so. A table that was not compared yet is not wrong, but not proved either. fresh_as_of is the latest reading of the source that the table is known to reflect.
-- Columns: table_name, quarantined, audited_in_batch, state, fresh_as_of
SELECT
    s.star AS table_name,
    q.rows AS quarantined,
    whole.sequence AS audited_in_batch,
    CASE
        WHEN s.sequence < head.sequence THEN 'behind'
        WHEN whole.sequence IS NULL AND touched.sequence IS NULL THEN 'not compared'
        WHEN coalesce(whole.equal, TRUE) AND coalesce(touched.equal, TRUE) THEN 'equal'
        WHEN coalesce(whole.equal OR whole.equal_without, whole.sequence IS NULL)
            AND coalesce(touched.equal OR touched.equal_without, touched.sequence IS NULL)
            THEN 'equal but for quarantine'
        WHEN coalesce(whole.equal OR whole.explained, TRUE)
            AND coalesce(touched.equal OR touched.explained, TRUE)
            THEN 'different, perhaps by quarantine alone'
        ELSE 'different'
    END AS state,
    greatest(held.observed_at, CASE WHEN whole.equal THEN whole.observed_at END) AS fresh_as_of
FROM {ledger_star} AS s
CROSS JOIN (SELECT max(sequence) AS sequence FROM {ledger_batch} WHERE log = 'totesys') AS head
LEFT JOIN {ledger_batch} AS held ON held.log = 'totesys' AND held.sequence = s.sequence
LEFT JOIN LATERAL (
    SELECT
        a.sequence,
        a.equal,
        a.equal_without,
        a.quarantined > 0 AND a.equal_without IS NOT FALSE AS explained,
        a.observed_at
    FROM {ledger_audit} AS a
    WHERE a.log = 'totesys' AND a.star = s.star AND a.scope = 'whole'
    ORDER BY a.sequence DESC, a.audit DESC LIMIT 1
) AS whole ON TRUE
-- What a later batch found of other keys does not mend a difference.
LEFT JOIN LATERAL (
    SELECT
        a.sequence,
        a.equal,
        a.equal_without,
        a.quarantined > 0 AND a.equal_without IS NOT FALSE AS explained
    FROM {ledger_audit} AS a
    WHERE a.log = 'totesys' AND a.star = s.star AND a.scope = 'touched'
      AND a.sequence > coalesce(whole.sequence, 0)
    ORDER BY a.equal, a.sequence DESC LIMIT 1
) AS touched ON TRUE
-- As quarantine.py counts: since the table was last read in full or equalled the source, and not
-- what a later batch brought or deleted.
CROSS JOIN LATERAL (
    SELECT count(*) AS rows
    FROM (
        SELECT DISTINCT r.key, CASE WHEN r.key IS NULL THEN r.reason END
        FROM {ledger_quarantine} AS r
        WHERE r.star = s.star AND r.source = s.definition ->> 'base'
          AND r.sequence >= (
            SELECT coalesce(max(a.sequence), 0) FROM {ledger_audit} AS a
            WHERE a.star = s.star AND a.scope = 'whole' AND a.full_read AND a.audit = 0
        ) AND r.sequence > (
            SELECT coalesce(max(a.sequence), 0) FROM {ledger_audit} AS a
            WHERE a.star = s.star AND a.scope = 'whole' AND a.equal
        ) AND NOT EXISTS (
            SELECT FROM {ledger_released} AS done
            WHERE done.star = s.star AND done.key = r.key AND done.sequence > r.sequence
        )
    ) AS unsettled
) AS q
-- The past versions of a dimension are a table of their own, and none that readers know.
WHERE NOT EXISTS (SELECT FROM {ledger_star} AS d WHERE s.star = 'past_' || d.star)
