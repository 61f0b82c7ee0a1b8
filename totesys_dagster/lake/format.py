"""The format number in every JSON document of the lake: see docs/lake-format.md."""

from typing import Literal

FORMAT: Literal[3] = 3
# No release has written an earlier one.
OLDEST = 3
