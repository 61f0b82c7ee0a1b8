"""Drops in a bucket."""

from __future__ import annotations

from collections.abc import Iterator

from totesys_dagster.drops.place import Drop, Read
from totesys_dagster.lake.s3 import Bucket


class BucketPlace:
    """Objects under a prefix. One is read only if it still is what was listed (`If-Match`).

    A listing has no versions of objects. The time of writing distinguishes the same bytes delivered
    again after others.
    """

    def __init__(self, name: str, prefix: str) -> None:
        self._bucket = Bucket(name, prefix)

    def drops(self, location: str) -> Iterator[Drop]:
        for entry in self._bucket.entries(location):
            modified = entry["LastModified"].isoformat()
            yield Drop(
                entry["Key"].removeprefix(f"{location}/"),
                {"etag": entry["ETag"], "size": str(entry["Size"]), "modified": modified},
                entry["Key"],
                modified,
            )

    def read(self, drop: Drop) -> Read | None:
        found = self._bucket.read_if(drop.key, drop.identity["etag"])
        if found is None or len(found[0]) != drop.size:
            return None
        return Read(*found)
