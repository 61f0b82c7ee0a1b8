"""Names of jobs and of run tags, which jobs, sensors and the command line share."""

CAPTURE = "capture"
PROCESS = "process"
LOAD = "load_warehouse"
PROCESS_AND_LOAD = "process_and_load"
WHOLE_PATH = "whole_path"
VERIFY_LAKE = "verify_lake"
ARCHIVE_BATCHES = "archive_batches"
AUDIT = "audit"

STAGE_TAG = "totesys/stage"
# The process that executes a run without its code server's knowing: a RunProcess. Dagster's UI does
# not show tags of this prefix.
PROCESS_TAG = ".dagster/totesys_process"

CAPTURE_STAGE, PROCESS_STAGE, LOAD_STAGE, WHOLE_STAGE = "capture", "process", "load", "whole"
VERIFY_STAGE, ARCHIVE_STAGE, AUDIT_STAGE = "verify", "archive", "audit"
