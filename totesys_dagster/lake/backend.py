"""What a zone needs of its backend: a directory, or a part of a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Created(Enum):
    """The result of creating an object.

    UNCERTAIN: it exists, but an earlier attempt got no answer and may have created it.
    """

    YES = "created"
    EXISTS = "exists"
    UNCERTAIN = "exists, perhaps by an attempt without an answer"


@dataclass(frozen=True)
class Copy:
    """What is stored under a key: the object itself (`newest`), a version that it has replaced or
    that was deleted, or the remains of a write that was killed."""

    key: str
    newest: bool
    version: str | None = None


class BackendError(Exception):
    """A backend cannot be used: why, and what to do, each as part of a sentence."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}; {remedy}")
        self.reason = reason
        self.remedy = remedy


class Backend(Protocol):
    """Objects under keys. Every method raises BackendError if the backend cannot be used."""

    @property
    def address(self) -> str:
        """The store and the location in it, without secrets."""

    def create(self, key: str, data: bytes) -> Created:
        """Create an object, unless it exists."""

    def replace(self, key: str, data: bytes) -> None:
        """Write an object, whether or not there is one."""

    def read(self, key: str, most: int | None = None) -> bytes | None:
        """The object; None if there is none. Of an object larger than `most`, one byte more."""

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""

    def list(self, folder: str) -> list[str]:
        """The keys under `folder`, in any order; all of them if it is empty."""

    def copies(self, folder: str) -> Iterator[Copy]:
        """All that is stored under `folder`, in any order, whether readers can see it or not."""

    def read_copy(self, copy: Copy) -> bytes | None:
        """What is stored; None if it is gone."""

    def remove(self, copy: Copy) -> None:
        """Remove what is stored, for good; nothing happens if it is gone."""

    def check(self) -> None:
        """Check the backend without writing an object."""
