-- Questions that would otherwise be answered by going through the whole ledger.

-- A rebuild replaces the ledger, and for each batch that goes, PostgreSQL asks whether a row in
-- quarantine refers to it.
CREATE INDEX ON quarantine (sequence);

-- Each audit of a fact asks for the first and the last batch that brought rows of it.
CREATE INDEX ON batch_table (star, sequence);
