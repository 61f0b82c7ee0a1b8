"""Write the files of this repository that follow from the catalogue, and from the types of what
commands print: `make render`.

A test holds that each says what these say.
"""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pycountry

from tools.contracts import contract_of, contract_of_reports, index
from tools.dictionary import dictionary
from tools.json_output import members, schema_text
from totesys_dagster.catalogue import (
    SOURCE_TABLES,
    STAR_TABLES,
    WAREHOUSE_TABLES,
    StarColumn,
    Type,
    revision,
)
from totesys_dagster.catalogue.countries import NAMES
from totesys_dagster.json_output import DOCUMENTS
from totesys_dagster.postgres.sessions import Names
from totesys_dagster.warehouse import schema

ROOT = Path(__file__).parents[1]
WAREHOUSE = ROOT / "docs" / "warehouse.sql"
EXTRACTOR = ROOT / "totesys_dagster" / "ingestion" / "sql" / "extractor.sql"
ATHENA = ROOT / "terraform" / "modules" / "catalog" / "tables.json"
DICTIONARY = ROOT / "docs" / "data-dictionary.md"
INSIGHTS = ROOT / "docs" / "insights.md"
CONTRACTS = ROOT / "docs" / "contracts"
JSON_OUTPUT = ROOT / "docs" / "json-output.md"
SCHEMAS = ROOT / "docs" / "json"
COUNTRIES = ROOT / "totesys_dagster" / "warehouse" / "sql" / "reports" / "country_names.sql"

MICROSECONDS = " In microseconds since midnight."
# A time of day is stored as a number, as Athena cannot read Parquet's TIME.
PARQUET_TYPES = {
    Type.INTEGER: "int",
    Type.BIG_INTEGER: "bigint",
    Type.TEXT: "string",
    Type.BOOLEAN: "boolean",
    Type.DATE: "date",
    Type.TIME: "bigint",
    Type.TIMESTAMP: "timestamp",
}


def warehouse() -> str:
    """The SQL that makes the warehouse."""
    return (
        "-- The warehouse, as `totesys migrate` makes it on PostgreSQL 18 where the roles of\n"
        "-- roles.sql exist. Written by `make render`.\n\n" + schema.rendered(Names("warehouse"))
    )


COUNTRIES_HEAD = """\
-- Question: Which country does a name mean?
-- Unit: names.
-- Grain: a row for each name that ISO 3166 knows, or that catalogue/countries.py adds.
-- Trap: Compare names in lower case. A name that is not here has no code: nothing is guessed.
-- Columns: country_name, country_code
-- Written by `make render`.
SELECT country_name, country_code
FROM (VALUES
"""


def countries() -> str:
    """The report that gives names of countries their codes."""
    known = {
        name: country.alpha_2
        for country in pycountry.countries
        for kind in ("name", "common_name", "official_name")
        if (name := getattr(country, kind, None))
    }
    rows = ",\n".join(
        "    ('{}', '{}')".format(name.replace("'", "''"), code)
        for name, code in sorted((known | NAMES).items())
    )
    return f"{COUNTRIES_HEAD}{rows}\n) AS names (country_name, country_code)\n"


def extractor() -> str:
    """The SQL that makes the role which reads ToteSys, with its tables."""
    tables = ",\n    ".join(f"public.{name}" for name in SOURCE_TABLES)
    grant = f"GRANT SELECT ON\n    {tables}\nTO totesys_extractor;"
    return re.sub(r"GRANT SELECT ON\n.*?;", grant, EXTRACTOR.read_text(), flags=re.DOTALL)


def athena() -> str:
    """The columns of both zones, for Athena."""
    ingestion = {
        table.name: {
            "description": table.description,
            # Rows as they arrived, bad ones included: every value is text, to be cast in the query.
            "columns": [
                {"name": column.name, "type": "string", "description": column.full_description}
                for column in table.columns
            ],
        }
        for table in SOURCE_TABLES.values()
    }
    processed = {
        star.name: {
            "description": star.description,
            "revision": revision(star),
            "columns": [
                {
                    "name": column.name,
                    "type": _parquet_type(column),
                    "description": column.description
                    + (MICROSECONDS if column.type is Type.TIME else ""),
                }
                for column in star.columns
            ],
        }
        for star in STAR_TABLES.values()
    }
    return json.dumps({"ingestion": ingestion, "processed": processed}, indent=1) + "\n"


def insights() -> str:
    """The document with the folders of the tables that its queries are about."""

    def folder(match: re.Match[str]) -> str:
        return f"{match[1]}/{revision(STAR_TABLES[match[1]])}"

    return re.sub(r"((?:fact|dim)_\w+)/v\d+-[0-9a-f]{8}", folder, INSIGHTS.read_text())


def json_output() -> str:
    """The document with the members of each command's JSON."""
    return members(JSON_OUTPUT.read_text())


def _parquet_type(column: StarColumn) -> str:
    if column.type is Type.MONEY:
        return "decimal({},{})".format(*column.digits)
    return PARQUET_TYPES[column.type]


FILES: dict[Path, Callable[[], str]] = {
    COUNTRIES: countries,  # before what is made with it
    WAREHOUSE: warehouse,
    EXTRACTOR: extractor,
    ATHENA: athena,
    DICTIONARY: dictionary,
    INSIGHTS: insights,
    JSON_OUTPUT: json_output,
    **{SCHEMAS / f"{name}.schema.json": partial(schema_text, name) for name in DOCUMENTS},
    CONTRACTS / "README.md": index,
    CONTRACTS / "reports.odcs.yaml": contract_of_reports,
    **{
        CONTRACTS / f"{star.name}.odcs.yaml": partial(contract_of, star)
        for star in WAREHOUSE_TABLES.values()
    },
}


def main() -> None:
    """Write what is declared; a contract or schema of what no longer is goes."""
    for folder in (CONTRACTS, SCHEMAS):
        folder.mkdir(exist_ok=True)
        for path in {*folder.iterdir()} - {*FILES}:
            path.unlink()
    for path, text in FILES.items():
        path.write_text(text())


if __name__ == "__main__":
    main()
