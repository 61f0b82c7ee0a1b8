"""A store that counts how often it is asked whether an object exists, or for one."""

from __future__ import annotations

from totesys_dagster.lake.bounded import MOST_DOCUMENT_BYTES
from totesys_dagster.lake.store import Store


class CountingStore(Store):
    """`asked` counts; set it to 0 to begin again."""

    asked = 0

    def exists(self, key: str) -> bool:
        self.asked += 1
        return super().exists(key)

    def get(self, key: str, most: int = MOST_DOCUMENT_BYTES) -> bytes:
        self.asked += 1
        return super().get(key, most)
