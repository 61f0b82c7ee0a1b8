"""A Dagster platform that keeps a warehouse of ToteSys current, with the history of every fact."""

import os

# Arrow's own allocator keeps what was freed for later: a full load then takes 50 MB more.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
