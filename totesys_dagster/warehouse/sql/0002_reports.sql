-- Which reports the platform has made: what bears another name in their schema is somebody else's.

CREATE TABLE report (
    name text PRIMARY KEY
);
COMMENT ON TABLE report IS 'The views and functions that the platform has made in the schema of the reports.';
