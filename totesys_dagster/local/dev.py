"""`dagster dev` with the web server of `totesys web` instead of its own."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from totesys_dagster.local.attend import END_SECONDS

WEB = ("-m", "totesys_dagster.web")


def end_with(descriptor: int) -> None:
    """Interrupt this process and its group when the other end of a pipe is closed, and kill those
    that do not end in time."""

    def wait() -> None:
        os.read(descriptor, 1)
        os.killpg(os.getpgrp(), signal.SIGINT)
        time.sleep(END_SECONDS)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    *options, life = sys.argv[1:]
    end_with(int(life))
    from totesys_dagster.dagster_insides import dev_command

    dev_command(WEB).main(options, prog_name="totesys dev")
