"""What to do about each kind of incident: a sentence, the command, and the section that says more.

Whoever is woken at night needs no other window: the mail names the cause and the command. Where the
cause decides what helps, its own sentence says so, and the command here is where to look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DOCUMENT = "docs/operations.md"

# The keys of incidents. A job's incident has the job's name, a failed batch's this prefix.
SOURCE, LAKE, WAREHOUSE = "source", "lake", "warehouse"
BATCH_PREFIX = "batch "
# No job may have one of these names: a job that succeeds resolves the incident of its name.
SCHEMA_KEY, QUARANTINE_KEY, DIFFERENCE_KEY = "schema", "quarantine", "difference"
REFUSED_KEY, RATES_KEY, BEHIND_KEY = "refused", "exchange rates", "behind"
CAPTURE_KEY, AUDIT_KEY, VERIFY_KEY = "capture", "audit", "verify_lake"


@dataclass(frozen=True)
class Remedy:
    """What to do, with its command in backticks, and the heading of a section of DOCUMENT."""

    text: str
    section: str

    @property
    def place(self) -> str:
        """The section's path, with the anchor that GitHub gives it."""
        kept = (c for c in self.section.lower() if c.isalnum() or c in " -_")
        return f"{DOCUMENT}#{''.join(kept).replace(' ', '-')}"


_WAITS = "The platform retries automatically, and nothing is lost meanwhile."

REMEDIES: Mapping[str, Remedy] = {
    SOURCE: Remedy(
        "Remove the cause; the platform then resumes automatically, and captures all that changed"
        " meanwhile. `totesys run` tries at once.",
        "A system cannot be read",
    ),
    SCHEMA_KEY: Remedy(
        "What no warehouse table carries stops nothing. If a carried column is another now, ask the"
        " owner of ToteSys to change it back, or declare the change and run `totesys migrate`.",
        "The schema of the source has changed",
    ),
    LAKE: Remedy(
        "Remove the cause; the platform then resumes automatically. `totesys verify` checks that"
        " the lake is whole.",
        "A system cannot be read",
    ),
    WAREHOUSE: Remedy(
        "Remove the cause; the platform then resumes automatically, as the lake has everything."
        " `totesys status` tries at once.",
        "A system cannot be read",
    ),
    QUARANTINE_KEY: Remedy(
        "The batch is loaded without these rows. `totesys quarantine` lists them with their"
        " reasons; once they are corrected in ToteSys, the next batch brings them.",
        "Rows are in quarantine",
    ),
    DIFFERENCE_KEY: Remedy(
        "The next capture reads these tables in full. If they still differ, `totesys rebuild`"
        " replaces what differs from the lake, and `totesys audit` compares again.",
        "The warehouse is lost, or wrong",
    ),
    REFUSED_KEY: Remedy(
        "Nothing of the file is loaded. `totesys status` names it and its first faulty line;"
        " whoever delivers it corrects it and delivers it again under the same name.",
        "A delivery is refused",
    ),
    RATES_KEY: Remedy(
        "Nothing else waits for them. `totesys status` shows what was refused and why; every hour"
        " the platform asks again, for the last days, too.",
        "No exchange rates come",
    ),
    BEHIND_KEY: Remedy(
        "Nothing is lost. `totesys status` says why the next batch is not loaded, and `totesys run`"
        " loads what waits, if the daemon does not.",
        "The warehouse is behind",
    ),
    CAPTURE_KEY: Remedy(f"{_WAITS} `totesys run` tries at once.", "A run fails"),
    AUDIT_KEY: Remedy(f"{_WAITS} `totesys audit` tries at once.", "A run fails"),
    VERIFY_KEY: Remedy(
        "`totesys verify` lists every finding. `totesys verify --repair` makes objects of the"
        " processed zone again; restore those of the ingestion zone from a backup or an older"
        " version. The next verification at night, or the job `verify_lake`, resolves this.",
        "An object of the lake is lost or damaged",
    ),
}
# Where a column or table is missing that the warehouse needs.
NOTHING_IS_CAPTURED = Remedy(
    "Nothing is captured meanwhile, and nothing lost: ask the owner of ToteSys for the table or"
    " column back, or declare the change in the catalogue and restart the platform. It then"
    " resumes automatically; `totesys run` tries at once.",
    REMEDIES[SCHEMA_KEY].section,
)
_BATCH = Remedy(
    "Later batches wait behind this one, and nothing is lost. If the sentence above names a"
    " command, run it; otherwise the platform retries automatically; `totesys run` tries at once.",
    "A run fails",
)
_OTHER = Remedy(f"{_WAITS} `totesys status` shows whether anything waits for it.", "A run fails")


def remedy_of(key: str) -> Remedy:
    """What to do about the incident `key`."""
    if key.startswith(BATCH_PREFIX):
        return _BATCH
    return REMEDIES.get(key, _OTHER)
