-- The bookkeeping of the warehouse: which batches it holds, and what was found about them.
-- Runs with the bookkeeping schema first in the search path. Rows here are only ever added.

CREATE TABLE batch (
    sequence integer PRIMARY KEY,
    batch text NOT NULL UNIQUE,
    manifest_sha256 text NOT NULL,
    observed_at timestamptz NOT NULL,
    run_id text NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE batch IS 'The ledger: one row for each batch that the warehouse holds, written in the transaction that loaded it.';

CREATE TABLE batch_table (
    sequence integer NOT NULL REFERENCES batch,
    star text NOT NULL,
    staged integer NOT NULL,
    inserted integer NOT NULL,
    updated integer NOT NULL,
    deleted integer NOT NULL,
    held_back integer NOT NULL,
    PRIMARY KEY (sequence, star)
);
COMMENT ON TABLE batch_table IS 'What a batch did to a table: rows staged, new keys, new versions of known keys, deletions, rows held back.';

CREATE TABLE quarantine (
    sequence integer NOT NULL REFERENCES batch,
    star text NOT NULL,
    key integer,
    reason text NOT NULL,
    dimension text,
    dimension_key text
);
CREATE INDEX ON quarantine (star, sequence);
COMMENT ON TABLE quarantine IS 'Rows of a batch that are not in the warehouse and why; those held back name the dimension row that they lack.';

CREATE TABLE audit (
    sequence integer NOT NULL REFERENCES batch,
    star text NOT NULL,
    full_read boolean NOT NULL,
    expected_rows bigint NOT NULL,
    found_rows bigint NOT NULL,
    equal boolean NOT NULL,
    PRIMARY KEY (sequence, star)
);
COMMENT ON TABLE audit IS 'Whether the current rows of a table equalled the source in the snapshot of that batch.';
