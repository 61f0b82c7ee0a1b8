"""A project whose catalogue a test changes, on a lake that already lives."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import totesys_dagster
from totesys_dagster.local.stack import EXTRACTOR
from totesys_dagster_tests import warm
from totesys_dagster_tests.conftest import Platform

INSTANCE = Path(__file__).parents[2] / "dagster.yaml"
COMMANDS = Path(__file__).with_name("commands.py")
CATALOGUE = Path("totesys_dagster/catalogue")


@dataclass(frozen=True)
class Result:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The report, of a command with `--json`."""
        return json.loads(self.out)


@dataclass
class Project:
    """A copy of the platform's code, in a directory of its own."""

    directory: Path
    platform: Platform

    @classmethod
    def copy(cls, directory: Path, platform: Platform) -> Project:
        package = Path(totesys_dagster.__file__).parent
        target = directory / "totesys_dagster"
        shutil.copytree(package, target)  # what is compiled, too, which holds until it is edited
        return cls(directory, platform)

    def declare(self, path: str, text: str) -> None:
        """Write a module of the catalogue."""
        (self.directory / CATALOGUE / path).write_text(text)

    def edit(self, path: str, old: str, new: str) -> None:
        """Change a module of the catalogue, in one place."""
        module = self.directory / CATALOGUE / path
        text = module.read_text()
        assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
        module.write_text(text.replace(old, new))

    def withdraw(self, path: str) -> None:
        """Delete a module of the catalogue."""
        (self.directory / CATALOGUE / path).unlink()

    def commands(self, *commands: Sequence[str]) -> list[Result]:
        """Run commands, one after the other."""
        home = self.directory / "dagster_home"
        home.mkdir(exist_ok=True)
        shutil.copy(INSTANCE, home)
        done = warm.run(
            COMMANDS.read_text(),
            *map(json.dumps, commands),
            cwd=self.directory,
            env={
                **os.environ,
                "DAGSTER_HOME": str(home),
                "PYTHONPATH": str(self.directory),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return [Result(**one) for one in json.loads(done.stdout.splitlines()[-1])]

    def run(self) -> Result:
        """`totesys run`."""
        [result] = self.commands(["run", "--json"])
        return result

    def source(self, *statements: str) -> None:
        """Change the source, as its owner."""
        for statement in statements:
            self.platform.application.execute(statement.encode())

    def grant(self, table: str) -> None:
        """Let the extractor read a table."""
        self.source(f"GRANT SELECT ON {table} TO {EXTRACTOR}")

    def rows(self, query: str) -> list[Any]:
        """What a query over the warehouse gives; bare values where it has one column."""
        found = self.platform.rows(query)
        return [row[0] if len(row) == 1 else row for row in found]


def living(directory: Path, platform: Platform) -> Project:
    """A project on a lake with three batches: all rows, changed ones, and a deletion."""
    platform.run()
    platform.application.execute(
        "UPDATE sales_order SET design_id = 2 WHERE sales_order_id = 1;"
        " UPDATE department SET manager = 'Shelley Levene' WHERE department_id = 1;"
        " UPDATE design SET design_name = 'Oak' WHERE design_id = 1;"
        " UPDATE payment SET company_ac_number = 5 WHERE payment_id = 1;"
        " UPDATE payment SET paid = TRUE WHERE payment_id = 2"
    )
    platform.run()
    platform.application.execute(
        "DELETE FROM payment WHERE payment_id = 3;"
        " UPDATE design SET design_name = 'Wooden' WHERE design_id = 1"
    )
    platform.run()
    return Project.copy(directory, platform)


def prove(project: Project) -> None:
    """Take what is to be taken, and see that nothing is wrong, missing or left: the warehouse is
    equal to the source, and to what the lake gives."""
    run, status, verify, rebuild, again = project.commands(
        ["run", "--json"],
        ["status", "--json"],
        ["verify", "--json"],
        ["rebuild", "--json"],
        ["run", "--json"],
    )
    assert run.code == 0, run.out + run.err
    assert run.data["equal"]
    assert status.data["warehouse"]["equal"]
    assert status.data["warehouse"]["outdated"] == []
    assert verify.data["findings"] == [], verify.data["findings"]
    assert not any(rebuild.data["different"].values()), rebuild.data["different"]
    assert again.code == 0, again.out + again.err
    assert again.data["batches"] == []
