"""A Dagster platform that keeps a warehouse of ToteSys current, with the history of every fact."""

# The module behind `signal`, which takes half as long to import as all before it.
import _signal  # type: ignore[import-not-found]
import os
import sys

if sys.argv and sys.argv[0].endswith("totesys"):
    # Until there is more to end than imports, Ctrl-C ends the command without a word.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

# Arrow's own allocator keeps what was freed for later: a full load then takes 50 MB more.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
