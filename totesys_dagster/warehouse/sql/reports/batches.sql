-- Question: Which batches does the warehouse hold, and since when?
-- Unit: batches.
-- Grain: a row for each batch.
-- Trap: If a rebuild of the whole warehouse finds a different ledger, it writes a new one. When each batch was loaded is then known only from that moment on.
-- Columns: batch_seq, observed_at, loaded_at
SELECT sequence AS batch_seq, observed_at, loaded_at
FROM {ledger_batch}
WHERE log = 'totesys'
