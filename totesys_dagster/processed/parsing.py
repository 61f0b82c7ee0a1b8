"""Reads the JSON Lines of one part file as Arrow. An unreadable row becomes a finding."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from totesys_dagster.catalogue import (
    SourceTable,
    Type,
)
from totesys_dagster.lake import too_large
from totesys_dagster.lake.json_members import members

# How many lines are trimmed at once: a parse costs as much as the trimming of about so many.
NEIGHBOURS = 32

# An escaped NUL, which PostgreSQL's text cannot hold; an escaped backslash before it makes it text.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

# What arrives in JSON Lines as text, and stays so until it has been checked: the JSON reader would
# drop a time zone silently and does not read dates at all.
_TEXTS = (Type.DATE, Type.TIMESTAMP)


@dataclass(frozen=True)
class QuarantinedRow:
    """A row for the quarantine: its JSON text as it arrived, and one sentence for each reason."""

    line: bytes
    reasons: tuple[str, ...]


class Findings:
    """Reasons against lines, collected column by column.

    `read` is the line of each row that could be read, in the order of the rows.
    """

    def __init__(self) -> None:
        self.read: Sequence[int] = ()
        self._reasons: dict[int, list[str]] = defaultdict(list)

    def against(self, lines: Iterable[int], reason: str) -> None:
        for line in lines:
            self._reasons[line].append(reason)

    def against_rows(self, wrong: pa.BooleanArray, reason: str) -> None:
        """The reason against the rows where `wrong` is true; where it is null, it is not."""
        rows = pc.indices_nonzero(wrong).to_pylist()
        self.against((self.read[row] for row in rows), reason)

    @property
    def lines(self) -> list[int]:
        return sorted(self._reasons)

    def quarantined(self, data: bytes) -> tuple[QuarantinedRow, ...]:
        if not self._reasons:
            return ()
        # Not splitlines(): it also splits at U+2028 and other characters that JSON leaves alone.
        text = data.split(b"\n")
        return tuple(QuarantinedRow(text[line], tuple(self._reasons[line])) for line in self.lines)


def json_schema(table: SourceTable) -> pa.Schema:
    """The types that the JSON reader reads a source table's columns as."""
    return pa.schema(
        [(c.name, pa.string() if c.type in _TEXTS else c.arrow_type) for c in table.columns]
    )


def parse(table: SourceTable, data: bytes, findings: Findings) -> tuple[pa.Table, Sequence[int]]:
    """The readable rows, and the line number of each."""
    schema = json_schema(table)
    if not data:
        return schema.empty_table(), []
    try:
        # Most parts have no backslash, which is quick to find out.
        lines = _objects(data)
        odd = (b"\\" in data and b"\\u0000" in data) or too_large.among(data)
        if lines and not odd:
            if not data.isascii():
                data.decode()
            rows = _read_json(data, schema)
            if rows.num_rows == lines:
                return rows, range(lines)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        pass
    return _parse_line_by_line(data, schema, findings)


def _objects(data: bytes) -> int:
    """How many lines there are if each opens and closes a brace, otherwise 0.

    If so, no object can span several lines.
    """
    if not (data.startswith(b"{") and data.endswith(b"}\n")):
        return 0
    text = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    closed = (text[ends - 1] == ord("}")).all()
    opened = (text[ends[:-1] + 1] == ord("{")).all()
    return len(ends) if closed and opened else 0


def _read_json(data: bytes, schema: pa.Schema) -> pa.Table:
    """Read JSON Lines. Raises ArrowInvalid when a value does not fit its type exactly.

    The reader counts the digits of an amount as they are written, zeros at the end too: where the
    source was widened, 981451.440000 has too many. Such amounts are read wide and then narrowed.
    """
    try:
        return _read_as(data, schema)
    except pa.ArrowInvalid as error:
        if " requires precision " not in str(error):
            raise
        try:
            return _read_as(data, _wide(schema)).cast(schema)
        except pa.ArrowInvalid:
            raise error from None


def _wide(schema: pa.Schema) -> pa.Schema:
    """The schema with room for any amount of money, however it is written."""
    return pa.schema(
        [
            field.with_type(pa.decimal128(38, 18)) if pa.types.is_decimal(field.type) else field
            for field in schema
        ]
    )


def _read_as(data: bytes, schema: pa.Schema) -> pa.Table:
    # In one piece and in this thread: parts are read in parallel, and a row must fit into a piece.
    return pj.read_json(
        pa.BufferReader(data),
        read_options=pj.ReadOptions(block_size=len(data), use_threads=False),
        parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    )


def _parse_line_by_line(
    data: bytes, schema: pa.Schema, findings: Findings
) -> tuple[pa.Table, list[int]]:
    """Find the unreadable lines by bisection: a handful costs a handful of parses.

    The error in a line may be in a member that nobody uses. Such members are removed, in Python:
    from the lines that cannot be read as they are, and from their neighbours.
    """
    lines = data.removesuffix(b"\n").split(b"\n")
    candidates = _candidates(lines, schema, findings)
    tables: list[pa.Table] = [schema.empty_table()]
    numbers: list[int] = []

    def halve(some: list[int], *, trimmed: bool = False) -> None:
        try:
            data = b"".join(lines[number] + b"\n" for number in some)
            rows = _read_json(data, schema)
            if rows.num_rows != len(some):
                raise pa.ArrowInvalid("there is more than one row on the line")
        except pa.ArrowInvalid as error:
            if not trimmed and len(some) <= NEIGHBOURS:
                for number in some:
                    lines[number] = _only(lines[number], schema.names)
                halve(some, trimmed=True)
            elif len(some) == 1:
                findings.against(some, f"cannot be read: {_without_value(error)}")
            else:
                halve(some[: len(some) // 2], trimmed=trimmed)
                halve(some[len(some) // 2 :], trimmed=trimmed)
        else:
            tables.append(rows)
            numbers.extend(some)

    if candidates:
        halve(candidates)
    return pa.concat_tables(tables), numbers


def _candidates(lines: list[bytes], schema: pa.Schema, findings: Findings) -> list[int]:
    """The numbers of the lines that the JSON reader may be able to read, without unused members if
    these prevent it."""
    candidates = []
    for number, line in enumerate(lines):
        if large := too_large.reason(line):
            findings.against([number], large)
            continue
        reason = _unreadable(line)
        if reason:
            lines[number] = _only(line, schema.names)
            reason = _unreadable(lines[number])
        if reason:
            findings.against([number], reason)
        else:
            candidates.append(number)
    return candidates


def _only(line: bytes, names: Collection[str]) -> bytes:
    """The line with only the members of these names, as written.

    A line that is not a JSON object stays as it is.
    """
    # Bytes that are no UTF-8 pass through: they matter where they are kept.
    text = line.decode(errors="surrogateescape")
    found = members(text)
    if found is None:
        return line
    kept = (text[one.start : one.end] for one in found if one.name in names)
    return f"{{{','.join(kept)}}}".encode(errors="surrogateescape")


def _unreadable(line: bytes) -> str | None:
    """Why a line cannot be given to the JSON reader, which a line of `null` would crash."""
    if not (line.startswith(b"{") and line.rstrip().endswith(b"}")):
        return "cannot be read: the line is not a JSON object"
    if _NUL.search(line):
        return "cannot be read: a text holds the character NUL"
    try:
        line.decode()
    except UnicodeDecodeError:
        return "cannot be read: the line is not UTF-8"
    return None


def _without_value(error: pa.ArrowInvalid) -> str:
    """The reader's message in one line; values of the row that it quotes are left out."""
    message = str(error).removeprefix("JSON parse error: ")
    # First the values that are text, which can hold anything: line ends and quotes too.
    message = re.sub(r"The string '.*' is not", "a value is not", message, flags=re.DOTALL)
    message = re.sub(r"couldn't parse:.*", "the value does not fit", message, flags=re.DOTALL)
    message = message.partition("\n")[0]
    message = re.sub(r" in row \d+$", "", message)
    return re.sub(r": \S+ (requires (?:scale|precision) \d+)", r": the value \1", message)
