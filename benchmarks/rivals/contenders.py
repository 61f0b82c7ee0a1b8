"""Who takes part in a first full load, what each leaves out, and where it works."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from benchmarks import parts
from benchmarks.dev import PROJECT
from benchmarks.parts import Platform
from benchmarks.rivals.figures import FACT, KEYS
from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.lake.digest import count_and_digest
from totesys_dagster.lake.manifest import Digest, ManifestLog
from totesys_dagster.local import stack
from totesys_dagster.local.programs import find_binaries
from totesys_dagster.local.server import SUPERUSER, Server

ENGINE = "the platform's engine"
LIMIT = "the limit: COPY to a file, COPY from a file, both keys"
DUCKDB = "DuckDB: JSON Lines, Parquet, COPY, both keys"

PACKAGES = (
    "dlt[postgres,parquet,sql_database]==1.31.0",
    "connectorx==0.4.6",
    "adbc-driver-postgresql==1.13.0",
    "duckdb==1.5.5",
    "duckdb-extension-postgres-scanner==1.5.5",
    "pandas==3.1.1",
    "psycopg2-binary==2.9.12",
    "sqlalchemy<2.1",  # later ones take another driver for the same connection string
)


@dataclass(frozen=True)
class Place:
    """A source, an empty lake and warehouse, and what a fact made of the source has to be.

    `python` is that of the environment of PACKAGES, None without one.
    """

    started: Server
    directory: Path
    platform: Platform
    orders: int
    expected: Digest
    python: Path | None

    @property
    def application(self) -> str:
        return self.started.dsn(stack.APPLICATION, self.platform.application.info.dbname)

    @property
    def source(self) -> str:
        return _url(self.application)

    @property
    def warehouse(self) -> str:
        return _url(self.started.dsn(SUPERUSER, self.platform.warehouse.info.dbname))

    @contextmanager
    def emptied(self) -> Iterator[Path]:
        """Without what another contender has left, and a checkpoint later; a new directory."""
        with psycopg.connect(self.warehouse, autocommit=True) as admin:
            admin.execute("DROP TABLE IF EXISTS made; DROP SCHEMA IF EXISTS orders CASCADE")
        parts.empty_again(self.started, self.platform)
        with tempfile.TemporaryDirectory(dir=self.directory, prefix="contender-") as directory:
            yield Path(directory)

    def check(self, name: str) -> None:
        """The rows of the table `made`, which `name` made, have to be those of the warehouse."""
        columns = count_and_digest(
            STAR_TABLES["fact_sales_order"],
            lambda column: sql.Identifier(column.name),
            self.expected.method,
        )
        with psycopg.connect(self.warehouse, autocommit=True) as admin:
            made = admin.execute(sql.SQL("SELECT {} FROM made").format(columns)).fetchone()
        expected = (self.expected.rows, self.expected.digest)
        assert made == expected, f"{name}: {made} in place of {expected}"

    def check_warehouse(self, name: str) -> None:
        """The same for the platform's own fact, whatever the audit in its process said."""
        with psycopg.connect(self.warehouse, autocommit=True) as admin:
            admin.execute("CREATE VIEW made AS SELECT * FROM warehouse.current_fact_sales_order")
            try:
                self.check(name)
            finally:
                admin.execute("DROP VIEW made")

    def make_fact(self) -> None:
        """The same fact of the table that dlt loads, whose timestamps may have a time zone."""
        with psycopg.connect(self.warehouse, autocommit=True) as admin:
            select = FACT.format("orders.sales_order")
            admin.execute(f"SET timezone TO 'UTC'; CREATE TABLE made AS {select}; {KEYS}".encode())


def _url(dsn: str) -> str:
    return "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**conninfo_to_dict(dsn))


@dataclass(frozen=True)
class Contender:
    """`way` is what its module, one of this folder, is given before the two databases and a
    directory. With `makes_fact`, what it loads becomes the fact only by SQL afterwards."""

    name: str
    leaves_out: str
    module: str
    way: Sequence[str] = ()
    rival: bool = True  # runs in the environment of PACKAGES
    makes_fact: bool = False
    most_orders: int | None = None

    def arguments(self, place: Place, directory: Path) -> list[str]:
        if self.module == "by_platform":
            return [place.application]
        if self.module == "by_command":
            shutil.copy(PROJECT / "dagster.yaml", directory)
            return [str(directory)]
        return [*self.way, place.source, place.warehouse, str(directory)]

    def takes_part(self, place: Place) -> bool:
        enough = self.most_orders is None or place.orders <= self.most_orders
        return enough and (place.python is not None or not self.rival)


# What no other contender does, and the ten other tables.
PROMISES = "history, deletions, silent edits, contracts, audit, ten tables"
DLT = f"{PROMISES}; JSON"
PSQL = str(find_binaries() / "psql")
CONTENDERS = (
    Contender(ENGINE, "Dagster, and starting Python", "by_platform", rival=False),
    Contender("`totesys run`", "nothing; takes exchange rates, too", "by_command", rival=False),
    Contender(LIMIT, f"{PROMISES}; transforms, lake", "by_psql", ("limit", PSQL), rival=False),
    Contender(
        "psql: COPY the fact, piped into COPY, both keys",
        f"{PROMISES}; lake",
        "by_psql",
        ("pipe", PSQL),
        rival=False,
    ),
    Contender(DUCKDB, f"{PROMISES}; compressed JSON", "by_duckdb"),
    Contender(
        "dlt, ConnectorX, two partitions",
        f"{DLT}; one snapshot",
        "by_dlt",
        ("partitions",),
        makes_fact=True,
    ),
    Contender(
        "dlt, ConnectorX, price as declared",
        f"{DLT}; one snapshot for files and warehouse",
        "by_dlt",
        ("exact",),
        makes_fact=True,
    ),
    Contender(
        "dlt, pyarrow",
        f"{DLT}; one snapshot for files and warehouse",
        "by_dlt",
        ("pyarrow",),
        makes_fact=True,
    ),
    Contender(
        "a first script: pandas, INSERT row by row",
        f"{PROMISES}; exact money",
        "by_pandas",
        most_orders=20_000,
    ),
)


@contextmanager
def place(
    started: Server, directory: Path, orders: int, python: Path | None
) -> Iterator[tuple[Place, Sequence[Contender]]]:
    """Who takes part, and where: the platform has taken the source once, unmeasured, which tells
    the fact that the others have to make."""
    with parts.platform(started, directory, orders) as platform:
        manifest = platform.capture()
        assert manifest is not None
        platform.process(manifest)
        platform.load(manifest)
        head = ManifestLog(platform.ingestion).head()
        assert head is not None
        expected = head.stars["fact_sales_order"].whole
        built = Place(started, directory, platform, orders, expected, python)
        with (
            (directory / "facts.bin").open("wb") as file,
            psycopg.connect(built.warehouse) as admin,
            admin.cursor().copy(
                "COPY warehouse.fact_sales_order TO STDOUT (FORMAT binary)"
            ) as copy,
        ):
            file.writelines(copy)
        yield built, [one for one in CONTENDERS if one.takes_part(built)]
