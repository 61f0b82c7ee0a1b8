-- A rebuild replaces the ledger, and PostgreSQL asks for each batch that goes whether a row in
-- quarantine refers to it: without this index it looked through all of them each time.

CREATE INDEX ON quarantine (sequence);
