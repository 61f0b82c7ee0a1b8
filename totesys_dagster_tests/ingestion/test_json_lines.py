"""The lines that the capture makes of rows: what `row_to_json` would give, on one line each."""

from __future__ import annotations

import json

import pytest

from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.ingestion.test_capture import captured, lines

VALUES = [
    ("smallint", "-32768"),
    ("integer", "2147483647"),
    ("bigint", "-9223372036854775808"),
    ("numeric", "'12345678901234567890.1234567890'"),
    ("numeric", "'NaN'"),
    ("numeric(10,2)", "2.10"),
    ("money", "'1.50'"),
    ("real", "'Infinity'"),
    ("double precision", "0.1"),
    ("boolean", "TRUE"),
    ("text", "E'a\\nb\\r\\t\"\\\\\\u2028é'"),
    ("text", "'null'"),
    ("varchar(20)", "''"),
    ("char(4)", "'ab'"),
    ('"char"', "'x'"),
    ("bytea", r"'\x00ff0a'"),
    ("date", "'infinity'"),
    ("date", "'2024-02-29'"),
    ("time", "'23:59:59.999999'"),
    ("time(3) with time zone", "'12:00:00.500+02'"),
    ("timestamp(3)", "'2024-11-15 07:55:00.120'"),
    ("timestamp", "'-infinity'"),
    ("timestamptz", "'2024-11-15 07:55:00+01'"),
    ("interval", "'1 day 2 hours'"),
    ("uuid", "'00000000-0000-0000-0000-000000000001'"),
    ("inet", "'10.0.0.1/8'"),
    ("json", """E'{\\n "a": "b\\\\nc",\\r\\n "a": 1}'"""),
    ("jsonb", """'{"b": [1, null], "a": "x\\ny"}'"""),
    ("json[]", """ARRAY[E'{\\n}', '1']::json[]"""),
    ("integer[]", "'{{1,2},{3,null}}'"),
    ("text[]", "ARRAY[E'a\\nb', NULL]"),
    ("int4range", "'[1,3)'"),
    ('"TransactionType"', "'SALE'"),
    ("address", "ROW(1, 'a', NULL, NULL, 'b', 'c', 'd', 'e', NULL, NULL)"),
    ("address", "ROW(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"),
]

NAMES = ['a"b', "a\\b", "a\nb", "{a}", "%s", "o'k", "Grün", "sélect "]


def test_values_of_any_type_are_printed_as_by_row_to_json(platform: Platform) -> None:
    """Each type in a column of its own, with its value in the first row and NULL in the others."""
    columns = ", ".join(f"ADD COLUMN v{n} {type_}" for n, (type_, _) in enumerate(VALUES))
    values = ", ".join(f"v{n} = {value}" for n, (_, value) in enumerate(VALUES))
    platform.application.execute(
        f"ALTER TABLE currency {columns};"  # type: ignore[arg-type]
        f"UPDATE currency SET {values} WHERE currency_id = 1"
    )
    stored = sorted(line.decode() for line in lines(platform, captured(platform), "currency"))

    expected = platform.application.execute("SELECT row_to_json(c)::text FROM currency AS c")
    assert stored == sorted(
        text.replace("\n", " ").replace("\r", " ") for (text,) in expected.fetchall()
    )
    assert all(json.loads(line) for line in stored)


CASTS = """
    CREATE DOMAIN label AS "TransactionType";
    CREATE TYPE pair AS (kind "TransactionType", number integer);
    ALTER TABLE currency ADD COLUMN a label DEFAULT 'SALE',
        ADD COLUMN b pair DEFAULT ROW('SALE', NULL),
        ADD COLUMN c "TransactionType"[] DEFAULT '{SALE}';
    CREATE FUNCTION as_json("TransactionType") RETURNS json LANGUAGE sql IMMUTABLE
        AS $$SELECT to_json('somebody else''s'::text)$$;
    CREATE CAST ("TransactionType" AS json) WITH FUNCTION as_json("TransactionType");
    CREATE FUNCTION as_json(pair) RETURNS json LANGUAGE sql IMMUTABLE RETURN '{}'::json;
    CREATE CAST (pair AS json) WITH FUNCTION as_json(pair);
"""


def test_cast_to_json_of_the_owner_is_not_called(platform: Platform) -> None:
    """`to_json` would: the owner's function then decided what is archived, and the audit could not
    heal it. The value is its text, as the type itself prints it."""
    platform.first()
    platform.application.execute(CASTS)
    loaded = platform.run()

    assert loaded is not None
    assert all(audit.equal for audit in loaded.audits.values())
    manifest = ManifestLog(platform.ingestion).read(loaded.sequence)
    transactions = [json.loads(line) for line in lines(platform, manifest, "transaction")]
    assert {row["transaction_type"] for row in transactions} == {"SALE", "PURCHASE"}
    for line in lines(platform, manifest, "currency"):
        row = json.loads(line)
        assert (row["a"], row["b"], row["c"]) == ("SALE", "(SALE,)", "{SALE}")


def test_columns_may_have_any_name(platform: Platform) -> None:
    quoted = ('"' + name.replace('"', '""') + '"' for name in NAMES)
    columns = ", ".join(f"ADD COLUMN {name} integer" for name in quoted)
    platform.application.execute(f"ALTER TABLE currency {columns}".encode())  # % means nothing
    stored = lines(platform, captured(platform), "currency")

    assert all(json.loads(line)[name] is None for line in stored for name in NAMES)


def test_null_in_a_column_whose_constraint_was_never_validated(platform: Platform) -> None:
    if platform.application.info.server_version < 180000:
        pytest.skip("PostgreSQL 18 and later can declare NOT NULL without looking at the rows.")
    platform.application.execute(
        "ALTER TABLE currency ADD COLUMN rank integer, ADD COLUMN symbol text;"
        "ALTER TABLE currency ADD CONSTRAINT ranked NOT NULL rank NOT VALID,"
        " ADD CONSTRAINT with_symbol NOT NULL symbol NOT VALID"
    )
    stored = lines(platform, captured(platform), "currency")

    assert [(json.loads(line)["rank"], json.loads(line)["symbol"]) for line in stored] == [
        (None, None)
    ] * 3
