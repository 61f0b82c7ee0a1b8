"""The process of the web server. It imports Dagster and little else."""

from __future__ import annotations

import argparse
import sys

from totesys_dagster import private
from totesys_dagster.errors import TotesysError
from totesys_dagster.web.server import HOST, PORT, serve

if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--host", "-h", default=HOST)
    parser.add_argument("--port", "-p", type=int, default=PORT)
    given, options = parser.parse_known_args()
    private.write_privately()
    try:
        serve(given.host, given.port, options)
    except TotesysError as error:
        sys.exit(f"Error: {error}")
