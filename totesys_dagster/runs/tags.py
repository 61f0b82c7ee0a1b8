"""Names of jobs and of run tags, which jobs, sensors and the command line share."""

CAPTURE = "capture"
PROCESS = "process"
LOAD = "load_warehouse"
BATCH = "batch"
WHOLE_PATH = "whole_path"
VERIFY_LAKE = "verify_lake"
KEEP_HISTORY = "keep_history"
AUDIT = "audit"
RATES = "exchange_rates"
RATE_HISTORY = "exchange_rate_history"
REPORTS_PAGE = "reports_page"

# A run that a person launched in the UI has one of these tags.
LAUNCHED_BY_PERSON = {"dagster/from_ui", "dagster/backfill"}

STAGE_TAG = "totesys/stage"
# The last batch of a run that loads several; the tag `totesys/batch` has the first.
LAST_BATCH_TAG = "totesys/last_batch"
# Marks a run that also mails the page.
MAIL_TAG = "totesys/mail"
# The feed whose deliveries a run loads.
FEED_TAG = "totesys/feed"
# The process (RunProcess) that executes a run that its code server does not know. Dagster's UI
# hides tags with this prefix.
PROCESS_TAG = ".dagster/totesys_process"

BATCH_STAGE, CAPTURE_STAGE, PROCESS_STAGE, LOAD_STAGE = "batch", "capture", "process", "load"
WHOLE_STAGE = "whole"
VERIFY_STAGE, HISTORY_STAGE, AUDIT_STAGE, PAGE_STAGE = "verify", "history", "audit", "page"
FEED_STAGE, RATES_STAGE = "feed", "rates"
