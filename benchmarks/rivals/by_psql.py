"""What PostgreSQL's own client can do: a fact piped from server to server, and bare COPY.

    python -m benchmarks.rivals.by_psql pipe|limit PSQL SOURCE WAREHOUSE DIRECTORY

`limit` copies the orders to a file in binary, and the warehouse's own facts from the file
`facts.bin` in the directory above into a bare table: nothing that stores both can be faster.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from benchmarks.rivals.figures import CREATE, FACT, KEYS, print_figures


@dataclass(frozen=True)
class Psql:
    """The program, and where it connects to."""

    program: str
    source: str
    warehouse: str

    def command(self, url: str, *statements: str) -> list[str]:
        return [
            *(self.program, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", url),
            *(f"--command={statement}" for statement in statements),
        ]

    def run(self, url: str, *statements: str) -> None:
        subprocess.run(self.command(url, *statements), check=True)

    def pipe(self) -> None:
        self.run(self.warehouse, CREATE)
        query = FACT.format("sales_order").replace("\n", " ")
        out = self.command(self.source, f"COPY ({query}) TO STDOUT")
        into = self.command(self.warehouse, "COPY made FROM STDIN")
        with subprocess.Popen(out, stdout=subprocess.PIPE) as writer:
            subprocess.run(into, stdin=writer.stdout, check=True)
        assert writer.returncode == 0
        self.run(self.warehouse, KEYS)

    def limit(self, directory: str) -> None:
        self.run(
            self.source, f"\\copy sales_order TO '{directory}/orders.bin' WITH (FORMAT binary)"
        )
        self.run(
            self.warehouse,
            CREATE,
            f"\\copy made FROM '{directory}/../facts.bin' WITH (FORMAT binary)",
            KEYS,
        )


def main(way: str, program: str, source: str, warehouse: str, directory: str) -> None:
    psql = Psql(program, source, warehouse)
    print_figures(psql.pipe if way == "pipe" else lambda: psql.limit(directory))


if __name__ == "__main__":
    main(*sys.argv[1:])
