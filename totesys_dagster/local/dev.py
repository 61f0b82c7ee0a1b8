"""`dagster dev` with the web server of `totesys web` instead of its own."""

from __future__ import annotations

import sys

from totesys_dagster.dagster_insides import dev_command

WEB = ("-m", "totesys_dagster.web")

if __name__ == "__main__":
    dev_command(WEB).main(sys.argv[1:], prog_name="totesys dev")
