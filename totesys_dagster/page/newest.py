"""Where pages are published, and which of them is the newest, without the ledger.

reports/page/2024-11-15/0000000042.html
"""

from __future__ import annotations

import datetime as dt
import re

from totesys_dagster.alerting.recipients import ui_url
from totesys_dagster.lake.manifest import batch_key
from totesys_dagster.lake.store import Store

FOLDER = "reports/page"
# The web server's path of the newest page.
PATH = "/reports/page"
_KEY = re.compile(rf"{FOLDER}/[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}/([0-9]{{10}})\.html")
# The only table of ToteSys whose PII a page shows, and what a page says that does not show it.
SHOWN = "staff"
BY_NUMBER = "This copy names staff by number"


def key_of(day: dt.date, sequence: int) -> str:
    """The key of the page of a day and batch, in the processed zone."""
    return f"{FOLDER}/{day}/{batch_key(sequence)}.html"


def sequence_of(key: str) -> int | None:
    """The batch of the page with that key; None if it is not the key of a page."""
    found = _KEY.fullmatch(key)
    return int(found[1]) if found else None


def names_staff(page: bytes) -> bool:
    """Whether a page shows the names of members of staff."""
    return BY_NUMBER.encode() not in page


def newest_url() -> str | None:
    """The URL of the newest page; None if the UI's address is not set.

    Raises SettingError.
    """
    url = ui_url()
    return url and url + PATH


def newest_key(processed: Store) -> str | None:
    """The key of the page of the last day and its last batch; None before the first page.

    The ledger may not know the object yet; the page is as good. Raises LakeError.
    """
    return max(filter(_KEY.fullmatch, processed.list(FOLDER)), default=None)
