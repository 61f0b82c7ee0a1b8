"""The contract of a star table asks for the columns that it takes, and for nothing else.

Every column of every source table is broken, once for each star table that reads it: what the star
carries or joins by quarantines the row, anything else is the source's own affair.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES, archived
from totesys_dagster.processed.transform import transform, whole
from totesys_dagster_tests.landing import by_night
from totesys_dagster_tests.processed.rows import CURRENCIES, as_tuples, line

# What a column of another type, or one that nobody checks, may hold; None is a column that is gone.
ANYTHING = [
    None,
    "null",
    "true",
    "-1",
    "3000000000",
    "9" * 5000,
    "0.30000000000000004",
    "1e400",
    "NaN",
    '"NaN"',
    '""',
    '"GB33BUKB20201555555555"',
    '"1999-12-31T23:59:59.999"',
    '"2022-11-03T14:20:52+01:00"',
    '"infinity"',
    '"a\\u0000b"',
    '"\\ud800"',
    '"\\"}{,:\\\\"',
    "[]",
    '[1, null, {"a": [true]}]',
    '{"staff_id": "x", "payment_id": "x", "department_id": "x"}',
    "[" * 400 + "]" * 400,
    # Beside one that only a slower reader takes.
    '["\\u0000", 1e400, {"a":"\\udc00", "b":' + "8" * 5000 + "}]",
]


# Which columns these are, `catalogue/test_catalogue.py` says.
COLUMNS = [
    (star, source, column)
    for star in STAR_TABLES.values()
    if star.base
    for source in star.sources
    for column in SOURCE_TABLES[source].column_names
]
CARRIED = [(star.name, of, column) for star, of, column in COLUMNS if column in star.takes(of)]
LEFT = [(star.name, of, column) for star, of, column in COLUMNS if column not in star.takes(of)]
# One that the catalogue does not declare, and no star can take.
UNDECLARED = "floor"


def row(table: str, key: int, **changes: str | None) -> bytes:
    """A good row of that key, but for the columns given."""
    return line(table, **{SOURCE_TABLES[table].key: str(key), **changes})


def processed(star: str, lines: dict[str, bytes]) -> tuple[list[tuple[Any, ...]], list[bytes]]:
    """The rows of a star table, and the lines of its source tables that were quarantined."""
    table = STAR_TABLES[star]
    base, *parents = (
        archived(table, name, SOURCE_TABLES[name].column_names) for name in table.sources
    )
    found = {
        parent.contract.name: whole(parent, [lines[parent.contract.name]], CURRENCIES)
        for parent in parents
    }
    frames = {name: accepted.frame for name, accepted in found.items()}
    part = transform(table, base, lines[base.contract.name], frames, CURRENCIES)
    quarantined = [row for accepted in found.values() for row in accepted.quarantined] + [
        *part.quarantined
    ]
    return as_tuples(star, part.rows), [row.line + b"\n" for row in quarantined]


@pytest.mark.parametrize(("star", "source", "column"), by_night(LEFT, but=range(0, len(LEFT), 4)))
def test_column_that_is_left_behind_may_hold_anything(star: str, source: str, column: str) -> None:
    keys = range(1, len(ANYTHING) + 1)
    good = {name: b"".join(row(name, key) for key in keys) for name in STAR_TABLES[star].sources}
    broken = b"".join(
        row(source, key, **{column: text}) for key, text in zip(keys, ANYTHING, strict=True)
    )

    assert processed(star, good | {source: broken}) == (processed(star, good)[0], [])


@pytest.mark.parametrize(
    ("star", "source", "column"), by_night(CARRIED, but=range(0, len(CARRIED), 4))
)
def test_wrong_value_of_a_column_that_is_carried_sets_its_row_aside(
    star: str, source: str, column: str
) -> None:
    joins = {join.parent: join.child_column for join in STAR_TABLES[star].joins}
    base = STAR_TABLES[star].sources[0]
    wrong = row(source, 2, **{column: "[1]"})
    lines = {name: row(name, 1) + row(name, 2) + row(name, 3) for name in (base, *joins)}
    lines[source] = row(source, 1) + wrong + row(source, 3)
    expected = [wrong]
    if source in joins:
        child = row(base, 2, **{joins[source]: "2"})
        lines[base] = row(base, 1) + child + row(base, 3)
        expected.append(child)

    rows, quarantined = processed(star, lines)

    assert [row[0] for row in rows] == [1, 3]
    assert quarantined == expected


@pytest.mark.parametrize(("star", "source", "column"), by_night(LEFT, but=range(0, len(LEFT), 4)))
def test_column_that_is_left_behind_may_come_twice(star: str, source: str, column: str) -> None:
    lines = {name: row(name, 1) for name in STAR_TABLES[star].sources}
    twice = lines[source].rstrip(b"}\n") + f',"{column}":1,"{column}":[]}}\n'.encode()

    assert processed(star, lines | {source: twice}) == (processed(star, lines)[0], [])


# --- what is carried stays exact beside what is not -------------------------------------------

UNUSUAL = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text() | st.just("staff_id"), values),
)


@pytest.mark.long
@settings(deadline=None)
@given(
    UNUSUAL.map(json.dumps),
    st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    st.booleans(),
    st.booleans(),
)
def test_whatever_is_left_behind_what_is_carried_is_exact(
    left: str, name: str, escaped: bool, unreadable: bool
) -> None:
    text = json.dumps(name, ensure_ascii=escaped)
    data = row(
        "staff", 7, created_at=left, last_name=text, last_updated="1e400" * unreadable or "1"
    )

    rows, quarantined = processed("dim_staff", {"staff": data, "department": row("department", 1)})

    assert quarantined == []
    assert rows == [(7, "Jeremie", name, "Sales", "Manchester", "jeremie.franey@terrifictotes.com")]


def test_amount_is_exact_in_a_row_that_the_reader_refuses_at_first() -> None:
    data = row("payment", 1, payment_amount="2102.100000000000", **{UNDECLARED: "1e400"})

    rows, _ = processed("fact_payment", {"payment": data})

    assert str(rows[0][7]) == "2102.10"


@pytest.mark.parametrize(
    "left",
    [
        b'"M\xfcller"',  # a source that is encoded in SQL_ASCII sends what it was given
        b'"\xed\xa0\x80"',
        b'{"M\xfcller": "\xff"}',
    ],
)
def test_bytes_that_are_no_text_do_no_harm_where_they_are_left_behind(left: bytes) -> None:
    data = row("counterparty", 1, **{UNDECLARED: '"?"'}).replace(b'"?"', left)
    lines = {"counterparty": row("counterparty", 2) + data, "address": row("address", 1)}

    rows, quarantined = processed("dim_counterparty", lines)

    assert [row[0] for row in rows] == [2, 1]
    assert quarantined == []


BROKEN = [
    ("no value", "tru"),
    ("leading zero", "012"),
    ("raw line end in a text", '"a\\\n"'.replace("\\\n", "\r")),
    ("unknown escape", '"\\x"'),
    ("value that is cut off", '"abc'),
    ("no colon", '1,"a" 1'),
    ("a second object", "1}{"),
    ("an object after the row", '1e400}{"a":1'),
    ("nested deeper than Python reads", "1e400, " + '"a":' + "[" * 100_000 + "]" * 100_000),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), BROKEN, ids=[name for name, _ in BROKEN])
def test_row_that_is_no_json_is_quarantined_wherever_it_is_broken(name: str, text: str) -> None:
    """Where it goes on cannot be known, so nothing of it is."""
    # The broken member is the last one.
    broken = row("payment", 2, counterparty_ac_number=text)

    rows, quarantined = processed("fact_payment", {"payment": row("payment", 1) + broken})

    assert [row[0] for row in rows] == [1], name
    assert quarantined == [broken]


def test_members_of_a_structure_are_not_taken_for_those_of_the_row() -> None:
    data = row("department", 1, **{UNDECLARED: '{"department_name": "no", "x": 1e400}'})

    rows, _ = processed("dim_staff", {"staff": row("staff", 1), "department": data})

    assert rows[0][3] == "Sales"


def test_name_that_is_written_with_escapes_is_found() -> None:
    data = row("department", 1, **{UNDECLARED: "1e400"})
    data = data.replace(b'"location"', b'"\\u006cocation"')

    rows, _ = processed("dim_staff", {"staff": row("staff", 1), "department": data})

    assert rows[0][4] == "Manchester"


def test_carried_column_that_a_row_has_twice_sets_it_aside_beside_anything() -> None:
    data = line("department", **{UNDECLARED: "1e400"})
    data = data.replace(b'"location"', b'"location":1,"location"')

    rows, quarantined = processed("dim_staff", {"staff": row("staff", 1), "department": data})

    assert rows == []
    assert data in quarantined
