-- What the warehouse is, beside what it holds. Run by each migration; adds what is missing.

CREATE TABLE IF NOT EXISTS :"bookkeeping".star (
    star text PRIMARY KEY,
    revision text NOT NULL,
    definition jsonb NOT NULL,
    columns text[] NOT NULL,
    sequence integer NOT NULL,
    renewed boolean NOT NULL DEFAULT FALSE
);
COMMENT ON TABLE :"bookkeeping".star IS 'What each table is: the result of this declaration, over the batches up to that number. columns are all that it ever had; renewed tells that it was rebuilt from the lake for it.';

CREATE TABLE IF NOT EXISTS :"bookkeeping".declaration (
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE :"bookkeeping".declaration IS 'The declarations of all tables that the warehouse was brought to, by hash; the last one counts.';

ALTER TABLE :"bookkeeping".batch
    ADD COLUMN IF NOT EXISTS notes_declarations boolean NOT NULL DEFAULT FALSE;
COMMENT ON COLUMN :"bookkeeping".batch.notes_declarations IS 'Whether the release that loaded the batch notes of which declaration each table is the result.';

ALTER TABLE :"bookkeeping".batch_table ADD COLUMN IF NOT EXISTS revision text;
COMMENT ON COLUMN :"bookkeeping".batch_table.revision IS 'The declaration by which the batch was processed for the table; NULL where an earlier release loaded it.';
