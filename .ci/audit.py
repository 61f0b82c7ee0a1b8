"""Known vulnerabilities of the packages that lock files name, by pip-audit.

    python .ci/audit.py [--strict]

Where PyPI's advisories cannot be had, as without a network or behind a mirror that leaves them out,
this says so and passes: a change does not depend on whether a service answers. With --strict it
fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

# Of the platform, of its development, of what installs them, of the workflows' tools.
ROOT = Path(__file__).parent.parent
LOCKS = sorted([*ROOT.glob("requirements*.lock"), *ROOT.glob(".github/requirements*.lock")])
# A release that PyPI has for ever, asked for as pip-audit asks for each.
KNOWN = "https://pypi.org/pypi/pip/25.0/json"
PATIENCE_SECONDS = 15


def silence() -> str:
    """Why no advisories can be had, or nothing where they can."""
    try:
        with urllib.request.urlopen(KNOWN, timeout=PATIENCE_SECONDS) as answer:  # nosec B310
            found = json.load(answer)
    except (OSError, ValueError) as error:
        return str(error)
    return "" if "vulnerabilities" in found else "it names no vulnerabilities"


def main(strict: bool) -> int:
    if why := silence():
        print(f"NOT AUDITED: {KNOWN} does not answer as PyPI does ({why}).")
        return int(strict)
    # Every package of a lock file is named with its hash, so none is resolved or installed here.
    audit = [sys.executable, "-m", "pip_audit", "--strict", "--require-hashes", "--disable-pip"]
    return max(subprocess.run([*audit, "-r", lock], check=False).returncode for lock in LOCKS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] == ["--strict"]))
