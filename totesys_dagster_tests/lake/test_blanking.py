"""A line is blanked in some columns, and every other byte of it stays."""

from __future__ import annotations

import json

import pytest

from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES, contract
from totesys_dagster.catalogue.blanks import NULL, blanks
from totesys_dagster.lake.blanking import differences, find
from totesys_dagster.processed.contracts import accept

LINES = (
    rb'{"staff_id":1,"first_name":"A \"quoted\" \\ name","amount":2.10,"big":12345678901234567890}'
    b"\n"
    b'{"staff_id": 11 ,"first_name":"\xff not UTF-8", "note":"\\"staff_id\\":1,"}\n'
    b'{"staff_id":"1","first_name":"as text"}\n'
)
BLANK = {"first_name": '"erased"'}


def test_rows_are_found_by_their_key_alone() -> None:
    assert [found.number for found in find(LINES, "staff_id", [1])] == [0, 2]
    assert [found.number for found in find(LINES, "staff_id", [11])] == [1]
    assert [found.key for found in find(LINES, "staff_id")] == [1, 11, 1]
    assert [*find(LINES, "staff_id", [2])] == []


def test_every_other_byte_stays() -> None:
    one, eleven, _ = find(LINES, "staff_id")
    assert one.with_values(BLANK) == (
        b'{"staff_id":1,"first_name":"erased","amount":2.10,"big":12345678901234567890}'
    )
    assert eleven.with_values({"note": NULL}) == (
        b'{"staff_id": 11 ,"first_name":"\xff not UTF-8", "note":null}'
    )


def test_line_that_is_damaged_is_said() -> None:
    with pytest.raises(ValueError, match="line 1 is not a JSON object"):
        [*find(b'{"staff_id":1,"first_name":', "staff_id", [1])]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"as text"', b'"erased"', None),
        (b'"as text"', b'"other"', "changes more than PII in line 3"),
        (b"2.10", b"2.1", "changes more than PII in line 1"),
        (b'"\xff not UTF-8"', b'"erased"', "changes line 2, which is of none of its keys"),
        (b'{"staff_id":"1"', b'{"staff_id":"2"', "changes more than PII in line 3"),
        (b'{"staff_id":"1","first_name":"as text"}\n', b"", "changes more than PII in line 3"),
        (b'text"}\n', b'text"}\n{"staff_id":1}\n', "changes line 4"),
        (b'text"}\n', b'text"}', "changes line 4"),
    ],
)
def test_only_blanks_of_the_keys_are_no_difference(
    old: bytes, new: bytes, said: str | None
) -> None:
    found = differences(LINES, LINES.replace(old, new), "staff_id", [1], BLANK)
    assert found == said or (said and found and found.startswith(said))


@pytest.mark.parametrize(
    ("table", "source"),
    [
        (table, source)
        for table in STAR_TABLES.values()
        for source in (table.sources if table.base else ())
        if blanks(SOURCE_TABLES[source])
    ],
    ids=lambda one: one if isinstance(one, str) else one.name,
)
def test_blanks_keep_the_contract_of_every_star(table, source: str) -> None:  # type: ignore[no-untyped-def]
    asked = contract(table, source)
    blank = blanks(SOURCE_TABLES[source])
    values = {c.name: json.loads(blank[c.name]) for c in asked.columns if c.name in blank}
    row = {**{c.name: 1 if c.name.endswith("_id") else "x" for c in asked.columns}, **values}
    found = accept(asked, json.dumps(row).encode() + b"\n", {})

    reasons = [reason for one in found.quarantined for reason in one.reasons]
    assert [reason for reason in reasons if any(name in reason for name in blank)] == []


def test_blanks_are_null_where_that_is_allowed() -> None:
    assert blanks(SOURCE_TABLES["staff"]) == {
        "first_name": '"erased"',
        "last_name": '"erased"',
        "email_address": '"erased"',
    }
    assert blanks(SOURCE_TABLES["counterparty"])["delivery_contact"] == NULL
    assert blanks(SOURCE_TABLES["payment"])["company_ac_number"] == "0"
    assert blanks(SOURCE_TABLES["currency"]) == {}
