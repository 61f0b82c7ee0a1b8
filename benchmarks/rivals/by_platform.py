"""The platform's engine: the three steps in a process that has imported what a run has.

python -m benchmarks.rivals.by_platform APPLICATION_DSN
"""

from __future__ import annotations

import sys

from benchmarks import parts
from benchmarks.parts import seconds
from benchmarks.rivals.figures import print_figures


def main(application_dsn: str) -> None:
    parts.import_as_runs_do()
    with parts.opened(application_dsn) as platform:

        def take() -> dict[str, dict[str, float]]:
            taken: dict[str, float] = {}
            manifest = None

            def capture() -> None:
                nonlocal manifest
                manifest = platform.capture()

            def load() -> None:
                assert manifest is not None
                audits = platform.load(manifest).audits
                assert all(audit.equal for audit in audits.values())

            taken["capture"] = seconds(capture)
            assert manifest is not None
            taken["process"] = seconds(lambda: platform.process(manifest))
            taken["load and audit"] = seconds(load)
            return {"steps": taken}

        print_figures(take)


if __name__ == "__main__":
    main(*sys.argv[1:])
