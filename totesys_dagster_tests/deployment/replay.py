"""Records of what production logged, as files of this directory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

RECORDS = Path(__file__).parent / "logs"
STORIES = ("quiet", "deployment", "failed_run", "mended", "killed_task")


@dataclass(frozen=True)
class Line:
    """What a log group got, `at` seconds after the record's beginning."""

    group: str
    at: float
    message: str


@dataclass(frozen=True)
class Record:
    """The lines of a story, in their order, and the subjects of the platform's own mails."""

    name: str
    lines: tuple[Line, ...]
    mails: tuple[str, ...]

    def write(self) -> None:
        """A line of JSON for each line, after one with the mails."""
        rows = [[line.group, line.at, line.message] for line in self.lines]
        text = "\n".join(json.dumps(one) for one in [list(self.mails), *rows])
        (RECORDS / f"{self.name}.jsonl").write_text(text + "\n")

    @classmethod
    def read(cls, name: str) -> Record:
        """The record of that name."""
        mails, *rows = map(json.loads, (RECORDS / f"{name}.jsonl").read_text().splitlines())
        return cls(name, tuple(Line(*row) for row in rows), tuple(mails))
