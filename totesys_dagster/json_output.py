"""What each command prints with `--json`: the types from which `make render` writes the JSON
Schemas in docs/json, and the tables of docs/json-output.md.

Later releases may add members to these, so a reader must ignore those that it does not know. A
member is never removed, renamed or given another meaning within a major version.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # before Python 3.12, pydantic takes no other

_documented = with_config(ConfigDict(use_attribute_docstrings=True))

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
BatchKey = Annotated[str, Field(pattern=r"^\d{10}$")]


@_documented
class Captured(TypedDict):
    """What a batch holds of a source table."""

    read: Literal["full", "delta", "none"]
    """Which rows: all, changed ones with those they are joined with, or none."""
    reason: str | None
    """Why the table was read in full, as a phrase; null if it was not."""
    rows: int
    """Rows archived, including unchanged ones that changed rows are joined with."""
    new: int | None
    """Keys that the previous batch did not have; null if the keys were not read, which happens
    in large tables, or if the lake has lost those of the previous batch."""
    deleted: int
    """Keys that the source had when they were last read, and now lacks; 0 if they were not read,
    and in the first batch."""


@_documented
class Comparison(TypedDict):
    """A comparison of a warehouse table with the source, by row count and digest."""

    scope: Literal["whole", "touched"]
    """Whether all rows were compared, or those whose keys the batch contains."""
    sequence: int
    """The number of the batch that the warehouse held."""
    at: Moment
    """The source's time of the snapshot that it was compared with."""
    equal: bool
    """Whether both had the same rows."""
    quarantined: int
    """Rows of the table that were in quarantine."""
    equal_without_quarantined: bool | None
    """Whether both were equal without the rows in quarantine; null if this was not compared."""


@_documented
class LoadedTable(TypedDict):
    """What a batch became in a warehouse table."""

    processed: int
    """Rows that met the contract."""
    quarantined: int
    """Rows that broke it."""
    new: int
    """Keys that the table did not have before."""
    changed: int
    """New versions of known keys."""
    deleted: int
    """Rows marked as deleted."""
    orphans: int
    """Rows quarantined because the warehouse lacks a dimension row that they refer to."""
    audit: Comparison | None
    """The comparison in the transaction of the load; null if there was none."""


@_documented
class Batch(TypedDict):
    """A batch that this command took from the source to the warehouse."""

    batch: BatchKey
    """The batch's key: its number in ten digits."""
    sequence: int
    """The batch's number, from 1 on."""
    observed_at: Moment
    """The source's time of the snapshot."""
    captured: dict[str, Captured]
    """The source tables that the batch has rows or deletions of, by name."""
    tables: dict[str, LoadedTable]
    """The warehouse tables that the batch touched, by name."""
    checks_passed: int
    """Asset checks that passed."""
    checks_failed: list[str]
    """Asset checks that failed, by name."""
    seconds: dict[str, float]
    """How long each step took, in seconds: `poll`, `ingestion`, `processed`, `warehouse`."""


@_documented
class TableState(TypedDict):
    """A warehouse table as it is now."""

    current: int
    """Current rows: one for each key that the source has, except those in quarantine."""
    versions: int
    """Rows of the table with all earlier versions and tombstones."""
    quarantined: int
    """Rows in quarantine now."""
    equal: bool | None
    """Whether it equals the source as far as it was compared; null if it never was."""
    proved: bool
    """Whether the last comparison of the whole table found it equal."""
    whole: Comparison | None
    """The last comparison of the whole table; null if there was none."""
    touched: Comparison | None
    """A comparison of some keys since then: the last that found a difference, or else the last."""


@_documented
class Run(TypedDict):
    """What `totesys run --json` and `totesys audit --json` print."""

    source: str
    """Which database was read, as a phrase."""
    batches: list[Batch]
    """The batches taken, in order; empty if nothing had changed."""
    equal: bool
    """Whether every table was compared with the source and found equal: the exit status."""
    tables: dict[str, TableState]
    """The warehouse tables, by name."""


@_documented
class LakeState(TypedDict):
    """The lake in `Status`."""

    batches: int
    """How many batches it holds."""
    last_batch: BatchKey | None
    """The key of the last one; null if there is none."""
    observed_at: Moment | None
    """The source's time of its snapshot."""
    unknown_tables: list[str]
    """Tables that the source had then and the catalogue does not know."""
    source_identity: str | None
    """What the source's role may not see of the source's identity, in a sentence."""


@_documented
class WarehouseState(TypedDict):
    """The warehouse in `Status`."""

    batches: int
    """How many of the lake's batches it holds: it is behind if the lake has more."""
    equal: bool | None
    """Whether every table was compared with the source and found equal; null before `migrate`."""
    stopped: str | None
    """Why the next batch cannot be loaded, and what to do; null if it can."""
    outdated: list[str]
    """Tables whose declaration has changed, so that they are due to be rebuilt."""
    tables: dict[str, TableState]
    """The tables, by name; empty before `migrate`."""


@_documented
class FeedState(TypedDict):
    """A feed in `Status`."""

    feed: str
    """The feed's name."""
    title: str
    """What people call it."""
    deliveries: int
    """How many deliveries its log holds."""
    loaded: int
    """How many of them are loaded."""
    last: str | None
    """The name of the last delivery, such as a file or a day; null if there is none."""
    received_at: Moment | None
    """When it arrived."""
    rows: int
    """Current rows of the feed's table."""
    refused: dict[str, str]
    """Why deliveries were refused and not replaced since, by name."""
    wrong: str | None
    """What a person must do about the table, in a sentence; null if nothing."""
    doubts: list[str]
    """What may be misspelt in its rows, a sentence each; they are loaded all the same."""


@_documented
class SourceState(TypedDict):
    """The source in `Status`, as far as it could be seen within two seconds."""

    answers: bool
    """Whether it answered."""
    waiting: list[str] | None
    """Tables with changes that no batch contains; null if this is not known."""
    newer_than: Moment | None
    """The source's time of the last batch: these changes are newer. Null if none are waiting."""
    wrong: str | None
    """Why it is not known what is waiting, in a sentence; null if it is."""


@_documented
class Status(TypedDict):
    """What `totesys status --json` prints."""

    source: str
    """Which database is configured, as a phrase."""
    source_now: SourceState
    """Whether it answers, and what is waiting there."""
    lake: LakeState
    """How far the lake is."""
    warehouse: WarehouseState
    """How far the warehouse is."""
    feeds: list[FeedState]
    """The feeds; empty before `migrate`."""


@_documented
class QuarantinedRow(TypedDict):
    """A row in quarantine."""

    sequence: int
    """The number of the batch that brought it."""
    star: str
    """The warehouse table that lacks it."""
    table: str
    """The source table that it is a row of."""
    key: int | None
    """Its key; null if it has no usable one."""
    reasons: list[str]
    """Why it is in quarantine, a sentence each; they quote no value."""
    object: str | None
    """The URLs of the lake's objects with all values of such rows, separated by `, `; null for an
    orphan, and for a row of a loaded batch unless `--batch` names it."""


@_documented
class Quarantine(TypedDict):
    """What `totesys quarantine --json` prints."""

    source: str
    """Which database is configured, as a phrase."""
    rows: list[QuarantinedRow]
    """The rows in quarantine now, or those of the batch that `--batch` names."""


@_documented
class DamagedTable(TypedDict):
    """A table of a batch or delivery with a damaged object in the processed zone."""

    sequence: int
    """The number of the batch, or of the feed's delivery."""
    table: str
    """The warehouse table."""


@_documented
class Verify(TypedDict):
    """What `totesys verify --json` prints."""

    source: str
    """Which database is configured, as a phrase."""
    passed: bool
    """Whether there are no findings: the exit status."""
    batches: int
    """Batches checked."""
    deliveries: int
    """Deliveries of feeds checked, such as exchange rates."""
    objects: int
    """Objects read."""
    bytes: int
    """The stored size of the part files read, in bytes."""
    audits: int
    """Audits checked."""
    findings: list[str]
    """What is wrong, a sentence each; the first is the first broken link."""
    damaged: list[DamagedTable]
    """What `--repair` can make again."""


@_documented
class Rebuild(TypedDict):
    """What `totesys rebuild --json` prints."""

    source: str
    """Which database is configured, as a phrase."""
    batches: int
    """Batches loaded again."""
    rows: dict[str, int]
    """Rows of each table, all versions included."""
    different: dict[str, int] | None
    """Rows of each table that only one of the two warehouses had; null if the old one was empty."""


@_documented
class RemovedObjects(TypedDict):
    """What an erasure removed from a zone of the lake."""

    objects: int
    """Objects."""
    older_versions: int
    """Their older versions, and what killed processes left behind."""


@_documented
class Erasure(TypedDict):
    """What an erasure did."""

    batches: list[int]
    """The numbers of the batches that were processed again, in order: also those of earlier
    erasures in the table that were not completed."""
    tables: list[str]
    """The warehouse tables that were rebuilt."""
    ingestion: RemovedObjects
    """What was removed from the ingestion zone."""
    processed: RemovedObjects
    """What was removed from the processed zone."""


@_documented
class Erase(TypedDict):
    """What `totesys erase --json` prints."""

    source: str
    """Which database is configured, as a phrase."""
    table: str
    """The source table."""
    keys: list[int]
    """The keys of its rows."""
    columns: list[str]
    """The columns with PII."""
    versions: int
    """Versions of the rows with PII that was to be erased; 0 if there was none left."""
    objects: int
    """Objects of the ingestion zone that held it."""
    batches: list[int]
    """The numbers of the batches that these belong to, in order."""
    staying: dict[str, list[str]]
    """Columns in which ToteSys has another value now, which stays, by key."""
    left: list[str]
    """Columns that the catalogue does not declare and that are left as ToteSys has them."""
    done: Erasure | None
    """What was done; null with `--dry-run`."""


@_documented
class Connect(TypedDict):
    """What `totesys connect --json` prints."""

    uri: str
    """A connection string as libpq takes it."""
    server: str
    """A host, an address, the directory of a socket, or several with commas."""
    port: str
    """The port, or several with commas."""
    database: str
    """The database."""
    user: str
    """The role, which may only read."""
    password: NotRequired[str]
    """Its password, with `--with-password` only."""
    sslmode: str
    """libpq's `sslmode`."""
    schemas: list[str]
    """The schemas to read: that of the reports first."""
    files: list[str]
    """The files that were written."""


@_documented
class Error(TypedDict):
    """What any command prints with `--json` instead, if it ends with an error."""

    error: str
    """What is wrong and what to do, in a sentence; standard error has it too."""


# What each command prints, by the name of its schema.
DOCUMENTS: dict[str, type] = {
    "run": Run,
    "audit": Run,
    "status": Status,
    "quarantine": Quarantine,
    "verify": Verify,
    "rebuild": Rebuild,
    "erase": Erase,
    "connect": Connect,
    "error": Error,
}
