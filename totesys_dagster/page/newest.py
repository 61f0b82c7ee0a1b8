"""Where pages are published, and which of them is the newest: for those who know no ledger.

reports/page/2024-11-15/0000000042.html
"""

from __future__ import annotations

import datetime as dt
import re

from totesys_dagster.alerting.recipients import ui_url
from totesys_dagster.lake.manifest import batch_key
from totesys_dagster.lake.store import Store

FOLDER = "reports/page"
# Where the web server has the newest of them.
PATH = "/reports/page"
_KEY = re.compile(rf"{FOLDER}/[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}/[0-9]{{10}}\.html")


def key_of(day: dt.date, sequence: int) -> str:
    """The key of the page of a day and batch, in the processed zone."""
    return f"{FOLDER}/{day}/{batch_key(sequence)}.html"


def newest_url() -> str | None:
    """Where people open the newest page; None where no address of the UI is set.

    Raises SettingError.
    """
    url = ui_url()
    return url and url + PATH


def newest_key(processed: Store) -> str | None:
    """The key of the page of the last day, and of its last batch; None before the first page.

    An object there may be one that the ledger does not know yet, which is as good a page. Raises
    LakeError.
    """
    return max(filter(_KEY.fullmatch, processed.list(FOLDER)), default=None)
