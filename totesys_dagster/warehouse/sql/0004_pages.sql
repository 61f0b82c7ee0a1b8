-- Which pages of the reports are in the processed zone, and which of them were mailed.
-- A rebuild leaves both as they are: what was published stays published.

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
