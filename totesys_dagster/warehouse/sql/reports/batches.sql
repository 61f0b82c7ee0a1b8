-- Question: Which batches does the warehouse hold, and since when?
-- Unit: batches.
-- Grain: a row for each batch.
-- Trap: A rebuild of the whole warehouse that finds another ledger writes it anew: what was loaded when is then known from that moment on only.
-- Columns: batch_seq, observed_at, loaded_at
SELECT sequence AS batch_seq, observed_at, loaded_at
FROM {ledger_batch}
WHERE log = 'totesys'
