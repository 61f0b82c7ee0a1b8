-- The warehouse's bookkeeping: the batches that it holds, the audits of them, the declarations of
-- its tables, its reports and pages. Runs with the bookkeeping schema first in the search path.

-- The numbered files that have run. A release refuses a warehouse on which an unknown file has run,
-- unless that file's `needs` names one that it knows: a file that only adds names the previous one.
CREATE TABLE migration (
    number integer PRIMARY KEY,
    file text NOT NULL,
    needs integer,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE migration IS 'The numbered SQL files that have run. needs is the number of the newest file that a release must know to use the warehouse since; NULL stands for the file itself.';

-- The ledger. A batch is identified by its log and its sequence; all tables of ToteSys are in the
-- log `totesys`. Rows of the ledger are only ever added.

CREATE TABLE batch (
    log text NOT NULL,
    sequence integer NOT NULL,
    manifest_sha256 text NOT NULL,
    observed_at timestamptz NOT NULL,
    run_id text NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (log, sequence)
);
COMMENT ON TABLE batch IS 'The ledger: one row for each batch that the warehouse holds, written in the transaction that loaded it.';

CREATE TABLE batch_table (
    log text NOT NULL DEFAULT 'totesys',
    sequence integer NOT NULL,
    star text NOT NULL,
    receipt_sha256 text NOT NULL,
    revision text NOT NULL,
    staged integer NOT NULL,
    inserted integer NOT NULL,
    updated integer NOT NULL,
    deleted integer NOT NULL,
    orphans integer NOT NULL,
    PRIMARY KEY (log, sequence, star),
    FOREIGN KEY (log, sequence) REFERENCES batch
);
-- Each audit of a fact looks up the first and the last batch that brought rows of it.
CREATE INDEX ON batch_table (star, sequence);
COMMENT ON TABLE batch_table IS 'What a batch did to a table: the receipt that was loaded, the revision by which the batch was processed, rows staged, new keys, new versions of known keys, deletions, and orphans: rows in quarantine because the warehouse has no such dimension row.';

CREATE TABLE quarantine (
    log text NOT NULL DEFAULT 'totesys',
    sequence integer NOT NULL,
    star text NOT NULL,
    source text NOT NULL,
    key bigint,
    reason text NOT NULL,
    dimension text,
    dimension_key text,
    FOREIGN KEY (log, sequence) REFERENCES batch
);
CREATE INDEX ON quarantine (star, sequence);
-- A rebuild replaces the ledger; for each batch that it deletes, PostgreSQL looks up references.
CREATE INDEX ON quarantine (log, sequence);
COMMENT ON TABLE quarantine IS 'Rows of a batch that are not in the warehouse and why: the source table of the row, and its key where it is a row of the base of the star; orphans name the dimension row that they lack.';

CREATE TABLE released (
    log text NOT NULL DEFAULT 'totesys',
    sequence integer NOT NULL,
    star text NOT NULL,
    key bigint NOT NULL,
    PRIMARY KEY (star, key, sequence),
    FOREIGN KEY (log, sequence) REFERENCES batch
);
CREATE INDEX ON released (log, sequence);
COMMENT ON TABLE released IS 'Keys of rows in quarantine that a later batch brought or deleted, whether or not the rows of the warehouse changed by it.';

CREATE TABLE audit (
    log text NOT NULL DEFAULT 'totesys',
    sequence integer NOT NULL,
    star text NOT NULL,
    scope text NOT NULL CHECK (scope IN ('whole', 'touched')),
    audit integer NOT NULL,
    audit_sha256 text,
    observed_at timestamptz NOT NULL,
    full_read boolean NOT NULL,
    expected_rows bigint NOT NULL,
    found_rows bigint NOT NULL,
    equal boolean NOT NULL,
    quarantined bigint NOT NULL,
    equal_without boolean,
    compared_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (log, star, scope, sequence, audit),
    FOREIGN KEY (log, sequence) REFERENCES batch
);
CREATE INDEX ON audit (log, sequence);
COMMENT ON TABLE audit IS 'Whether the current rows of a table, when the warehouse held that batch, equalled the source as it was at observed_at: all rows (whole) or those of the keys that the batch touched. audit and audit_sha256 name the audit object that says so, 0 and NULL where the manifest of the batch does. equal_without tells whether they equalled without the quarantined keys, those of rows in quarantine; it is NULL where that is not known.';

CREATE TABLE star (
    star text PRIMARY KEY,
    revision text NOT NULL,
    definition jsonb NOT NULL,
    columns text[] NOT NULL,
    sequence integer NOT NULL,
    renewed boolean NOT NULL DEFAULT FALSE
);
COMMENT ON TABLE star IS 'What each table is: the result of this declaration, over the batches up to that sequence. columns are all that it ever had; renewed tells that it was rebuilt from the lake for it.';

CREATE TABLE declaration (
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE declaration IS 'The declarations of all tables that the warehouse was brought to, by hash; the last one counts.';

-- The reports that the platform created. Anything else in their schema belongs to somebody else.
CREATE TABLE report (
    name text PRIMARY KEY
);
COMMENT ON TABLE report IS 'The views and functions that the platform has made in the schema of the reports.';

-- The currency that reports convert into: the newest row. Views cannot read the setting itself.
CREATE TABLE reporting_currency (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    currency_code text NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE reporting_currency IS 'The currencies that reports were to convert into, the newest last.';

-- The report pages in the processed zone, and those of them that were mailed. A rebuild keeps both:
-- what was published stays published.
CREATE TABLE page (
    day date NOT NULL,
    sequence integer NOT NULL,
    manifest_sha256 text NOT NULL,
    key text NOT NULL,
    sha256 text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (day, manifest_sha256)
);
COMMENT ON TABLE page IS 'The pages of the reports that are in the processed zone: the day in London and the batch that each is of, the key of the object, and its hash.';

CREATE TABLE page_mail (
    day date NOT NULL,
    manifest_sha256 text NOT NULL,
    mailed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (day, manifest_sha256) REFERENCES page
);
COMMENT ON TABLE page_mail IS 'When a page was mailed to its readers.';
