"""A log in the lake: JSON documents numbered from 1 without gaps, each naming the previous one.

A document is written last, put-if-absent, under the next number: whoever writes it first has
committed it. Each names the SHA-256 of the previous document, so a log is a hash chain. Readers
follow numbers; they never list objects.

    manifests/totesys/0000000042.json     the batches of ToteSys
    audits/totesys/0000000007.json        digests of the source when no batch was due

The folder of a kind of document has one folder for each log, so that another source (exchange
rates, files) can have its own log with its own numbers.
"""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, PrivateAttr, ValidationError
from pydantic_core import from_json

from totesys_dagster.errors import LakeError, NewerFormatError
from totesys_dagster.lake.format import FORMAT, OLDEST
from totesys_dagster.lake.store import Store, sha256
from totesys_dagster.parallel import ahead

# The log of ToteSys' batches.
TOTESYS = "totesys"

# The members that every document has.
_NAMES = ("format", "log")

# A larger document is first checked for plausibility: reporting each of 300,000 unknown members
# takes 600 MB.
LARGE_BYTES = 1024 * 1024
MOST_MEMBERS = 10_000

Item = TypeVar("Item")


class _First(FailFast):
    """Stops at the first wrong value. Hashable, as a part of a union must be."""

    __hash__ = object.__hash__


# How many documents are read ahead of the one that a reader works on: on S3, most of the time of a
# read is spent waiting.
READ_AHEAD = 4

# Values of which there may be many.
Many = Annotated[tuple[Item, ...], _First()]

# Where each log ended when this process last read it. Logs only grow, so the next log object starts
# the search there: with 10,000 batches, that is 4 requests instead of 30.
_ends: dict[tuple[str, str], int] = {}


class Record(BaseModel):
    """A part of a document: frozen, and without members that this release does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Document(Record):
    """A JSON document of the lake. Each says in which format it is written."""

    format: Literal[3] = FORMAT

    _sha256: str = PrivateAttr(default="")

    @property
    def sha256(self) -> str:
        """The SHA-256 of the stored document."""
        return self._sha256

    def __eq__(self, other: object) -> bool:
        """Whether both have the same content, stored or not."""
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def to_bytes(self) -> bytes:
        data = self.model_dump(mode="json", exclude_none=True)
        return (json.dumps(data, indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Self:
        """Read a document. Raises LakeError if it is not one or of an earlier format, and
        NewerFormatError if it is of a later one."""
        try:
            if len(data) > LARGE_BYTES and not _may_be(cls, from_json(data)):
                wrong = "it has other members than such a document"
                raise _unreadable(cls, data, where, wrong)
            document = cls.model_validate_json(data)
        except ValueError as error:
            if not isinstance(error, ValidationError):
                raise _unreadable(cls, data, where, "its JSON: it is damaged") from None
            raise _unreadable(cls, data, where, _first_error(error)) from None
        # Members with defaults must be present in a stored document.
        for name in _NAMES:
            if name in cls.model_fields and name not in document.model_fields_set:
                raise _unreadable(cls, data, where, f"{name}: it is missing")
        document._sha256 = sha256(data)
        return document


def _may_be(kind: type[Document], value: Any) -> bool:
    """Whether a JSON value has the members of a document, and no object in it has more members than
    any of ours: pydantic would quote the input for each one that is missing or unknown."""
    fields = kind.model_fields
    required = {name for name, field in fields.items() if field.is_required()}
    if not (isinstance(value, dict) and required <= value.keys() <= fields.keys()):
        return False
    values: list[Any] = [value]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            if len(value) > MOST_MEMBERS:
                return False
            values += value.values()
        elif isinstance(value, list):
            values.extend(one for one in value if isinstance(one, dict | list))
    return True


def _first_error(error: ValidationError) -> str:
    """What is wrong with a document: the first field and why."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(step) for step in first["loc"]) or "its JSON"
    return f"{field}: {first['msg']}"


def _unreadable(kind: type[Document], data: bytes, where: str, wrong: str) -> LakeError:
    form = _format(data)
    if form is not None and form < OLDEST:
        return LakeError(start_anew(where, form))
    if form is not None and form > FORMAT:
        return NewerFormatError(
            f"{where} is of format {form}, which a newer release of totesys_dagster has written,"
            f" and this one reads format {FORMAT} only: install that release again, or a later one."
        )
    return LakeError(
        f"{where} is not a {_words(kind)} of format {FORMAT} ({wrong}): it was"
        " damaged, or written by a newer release of totesys_dagster; restore it or upgrade."
    )


def _words(kind: type[Document]) -> str:
    """What people call a kind of document: `source audit` for SourceAudit."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()


def _format(data: bytes) -> int | None:
    try:
        found = json.loads(data)["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def start_anew(where: str, form: int) -> str:
    """The error for a lake of an earlier form, none of which was ever released."""
    return (
        f"{where} is of format {form}, which no release has written, and this one reads"
        f" format {FORMAT} only: start again with empty zones and another TOTESYS_WAREHOUSE_SCHEMA;"
        " for the embedded default run `totesys clean`."
    )


class Entry(Document):
    """A document of a log."""

    log: str = TOTESYS
    sequence: int
    previous_sha256: str | None = None


E = TypeVar("E", bound=Entry)


class Log(Generic[E]):
    """The documents of one kind in one log, numbered from 1 without gaps.

    Documents never change, so they are cached once read, except by `after`.
    """

    folder: str
    kind: type[E]

    def __init__(self, store: Store, name: str = TOTESYS) -> None:
        self.store = store
        self.name = name
        self._read: dict[int, E] = {}
        self._seen = 0

    def key(self, number: int) -> str:
        """The key of the document of that number."""
        return f"{self.folder}/{self.name}/{number:010d}.json"

    def read(self, number: int) -> E:
        """The document of that number. Raises ObjectMissingError or LakeError."""
        if number not in self._read:
            self._read[number] = self._fetch(number)
        return self._read[number]

    def _fetch(self, number: int) -> E:
        key = self.key(number)
        entry = self.kind.from_bytes(self.store.get(key), self.store.uri(key))
        if (entry.log, entry.sequence) != (self.name, number):
            raise LakeError(
                f"{self.store.uri(key)} says that it is number {entry.sequence} of {entry.log}: it"
                " was moved; restore the log from the bucket's older versions."
            )
        return entry

    def head(self) -> E | None:
        """The last document; None if there is none. Raises LakeError."""
        end = self.end()
        return self.read(end) if end else None

    def end(self) -> int:
        """The number of the last document; 0 if there is none. Raises LakeError."""
        self._seen = self._end(self._seen or self._end_seen_before())
        _ends[self.store.url, self.folder + self.name] = self._seen
        return self._seen

    def _end_seen_before(self) -> int:
        """Where this process last saw the log end; 0 if that document is gone.

        In that case it was removed, or another lake is now at that place.
        """
        end = _ends.get((self.store.url, self.folder + self.name), 0)
        return end if end and self.store.exists(self.key(end)) else 0

    def _end(self, start: int) -> int:
        """The number of the last document, searched from number `start`, which exists."""
        step = 1
        while self.store.exists(self.key(start + step)):
            start += step
            step *= 2
        # The last one lies before start + step: numbers have no gaps, so halve the distance.
        return start + bisect.bisect_left(
            range(1, step), True, key=lambda n: not self.store.exists(self.key(start + n))
        )

    def after(self, number: int) -> Iterator[E]:
        """The documents after that number, in order.

        They are not cached: ten thousand would take half a gigabyte.
        """
        yield from ahead(
            lambda later: self._read.get(later) or self._fetch(later),
            range(number + 1, self.end() + 1),
            threads=READ_AHEAD,
        )

    def append(self, entry: E) -> E:
        """Write the next document. Raises ObjectConflictError if its number is taken."""
        self.store.put(self.key(entry.sequence), entry.to_bytes())
        return self.read(entry.sequence)
