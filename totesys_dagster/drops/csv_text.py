"""CSV according to RFC 4180, with the declared delimiter: text in, records of text out.

Python's own reader accepts too much: text after a closing quote, an unclosed quote, NUL. And it
does not distinguish a missing value from an empty one in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from totesys_dagster.catalogue import FileContract
from totesys_dagster.drops.record import Cell, Record, RefusedFileError, Value
from totesys_dagster.words import counted

# A value in quotes goes on over lines; an unclosed quote would take the rest of the file.
MOST_LINES = 1000
LONGEST_LINE = 1 << 20


def read_csv(contract: FileContract, text: str) -> Iterator[Record]:
    """The records of a file, with values in the order of the contract.

    Raises RefusedFileError if its header is not the contract's.
    """
    delimiter = contract.delimiter
    records = _records(text)
    order: Sequence[int] = range(len(contract.columns))
    if contract.header:
        _, first = next(records)
        order = _order(contract, _split(first, delimiter))
    for line, one in records:
        yield _record(line, one, delimiter, order)


def _records(text: str) -> Iterator[tuple[int, str]]:
    """Each record with the number of its first line: lines, joined while a quote is open."""
    begun: list[str] = []
    first = quotes = 0
    # Not splitlines(): it also splits at U+2028 and others, which are text.
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        first = first if begun else number
        begun.append(line)
        quotes += line.count('"')
        if quotes % 2 == 0 or len(begun) >= MOST_LINES:
            yield first, "\n".join(begun).removesuffix("\r")
            begun, quotes = [], 0
    if begun:
        yield first, "\n".join(begun)


def _split(record: str, delimiter: str) -> list[Value] | str:
    """The values of a record (None if nothing is between two delimiters), or what is wrong."""
    if len(record) > LONGEST_LINE:
        return f"the line is longer than {LONGEST_LINE:,} characters"
    if '"' not in record:
        return [Cell(value) if value else None for value in record.split(delimiter)]
    if record.count('"') % 2:
        return "a quote is opened and not closed"
    values: list[Value] = []
    field, end = _field(delimiter), -1
    while end < len(record):
        match = field.match(record, end + 1)
        if match is None:
            return 'a quote stands within a value: put the value in quotes, and write "" for one'
        quoted, plain = match.groups()
        values.append(
            Cell(plain or quoted.replace('""', '"')) if plain or quoted is not None else None
        )
        end = match.end()
    return values


def _field(delimiter: str) -> re.Pattern[str]:
    d = re.escape(delimiter)
    return re.compile(rf'(?:"((?:[^"]|"")*)"|([^"{d}]*))(?={d}|\Z)')


def _order(contract: FileContract, header: list[Value] | str) -> Sequence[int]:
    """The position of each column of the contract. Columns are matched by name, in any order."""
    if isinstance(header, str):
        raise RefusedFileError(f"has a header that cannot be read ({header})")
    expected = contract.column_names
    if len(set(header)) < len(header):
        raise RefusedFileError("has two columns of one name in its header, of which one is wrong")
    if {*header} != {*expected}:
        raise RefusedFileError(
            "does not begin with the header that its contract declares: let the first line be"
            f" {contract.delimiter.join(expected)}"
        )
    return [header.index(name) for name in expected]


def _record(line: int, text: str, delimiter: str, order: Sequence[int]) -> Record:
    values = _split(text, delimiter)
    if isinstance(values, str):
        return Record(line, (), text, values)
    if not any(values):
        return Record(line, (), text, "the line has no values: remove it")
    if len(values) != len(order):
        return Record(
            line,
            (),
            text,
            f"the line has {counted(len(values), 'value')} where {len(order)} belong",
        )
    return Record(line, [values[place] for place in order], text)
