"""The number of the format that every JSON document of the lake says: docs/lake-format.md."""

from typing import Literal

FORMAT: Literal[3] = 3
