"""An object as a document of the lake names it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ObjectEntry(BaseModel):
    """An object as its manifest names it. `bytes` and `sha256` are those of the stored object."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    key: str
    rows: int
    bytes: int
    sha256: str
