"""What is archived for a row that is too large to be archived itself: its key and its sizes.

    {"too large":{"bytes":62914566,"most":16777216,"columns":{"notes":62914560}},"order_id":17}

It is a line like the others, so it is counted, quarantined and released like them.
"""

from __future__ import annotations

import json

MEMBER = "too large"
# How such a line begins. Inside of a value it cannot: there, a quote has a backslash before it.
MARK = '{"too large":{'

_MARK = MARK.encode()
_AFTER_ANOTHER = b"\n" + _MARK


def among(lines: bytes) -> bool:
    """Whether any of the lines stands for a row that is too large."""
    return lines.startswith(_MARK) or _AFTER_ANOTHER in lines


def reason(line: bytes) -> str | None:
    """Why the row that a line stands for is in quarantine; None if the line is the row itself."""
    if not line.startswith(_MARK):
        return None
    try:
        found = json.loads(line)[MEMBER]
        size, most = int(found["bytes"]), int(found["most"])
        sizes = ", ".join(f"{name} {int(bytes_):,}" for name, bytes_ in found["columns"].items())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # a column of that name
    return f"has {size:,} bytes ({sizes}), more than TOTESYS_ROW_BYTES ({most:,}) allows"
