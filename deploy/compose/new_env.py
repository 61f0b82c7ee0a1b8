"""Write deploy/.env from deploy/.env.example, with a new secret wherever it says `generate`.

    python3 deploy/compose/new_env.py

Only its owner can read the file. An existing one is not changed.
"""

import os
import re
import secrets
import sys
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent.parent


def filled_in(example: str) -> str:
    """The text with a new secret in each line that asks for one; hexadecimal, because some become
    part of a URL."""
    return re.sub(
        r"(?m)^(#?\w+)=generate$", lambda line: f"{line[1]}={secrets.token_hex(16)}", example
    )


def main(directory: Path) -> str | None:
    """Write the file. Returns a sentence if it exists."""
    text = filled_in((directory / ".env.example").read_text(encoding="utf-8"))
    try:
        file = os.open(directory / ".env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return f"{directory / '.env'} exists, and is left as it is."
    with os.fdopen(file, "w", encoding="utf-8") as new:
        new.write(text)
    return None


if __name__ == "__main__":
    sys.exit(main(DEPLOY))
