"""The process of the web server. It imports Dagster and little else."""

from __future__ import annotations

from totesys_dagster import entry


def run() -> int:
    """Serve the UI as the arguments say, until it ends. Returns the exit status."""
    import argparse
    import sys

    from totesys_dagster import private
    from totesys_dagster.errors import TotesysError
    from totesys_dagster.web.server import HOST, PORT, serve

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--host", "-h", default=HOST)
    parser.add_argument("--port", "-p", type=int, default=PORT)
    given, options = parser.parse_known_args()
    private.write_privately()
    try:
        return serve(given.host, given.port, options)
    except TotesysError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    entry.guard(run)
