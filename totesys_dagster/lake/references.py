"""Lists that rows are checked against, as objects named by their hash.

Currencies come and go, and the package that lists them is upgraded. A batch is always checked
against the list of its capture, whenever it is processed: its manifest names the hash.
"""

from __future__ import annotations

from collections.abc import Mapping

from totesys_dagster.errors import LakeError
from totesys_dagster.lake.log import Document
from totesys_dagster.lake.store import Store, sha256

CURRENCIES = "currencies"


class Reference(Document):
    """A list of codes and their names, in the order of the codes."""

    name: str
    values: dict[str, str]


def _key(name: str, sha256_: str) -> str:
    return f"references/{name}/{sha256_[:16]}.json"


def put(store: Store, name: str, values: Mapping[str, str], before: str | None = None) -> str:
    """Write a list unless it exists. Returns its SHA-256 for the manifest. Raises LakeError.

    It keeps the codes of the previous batch's list: a valid row stays valid when it is read again,
    even if the package has dropped its code.
    """
    data = _bytes(name, values)
    if before is not None and before != sha256(data):
        data = _bytes(name, {**read(store, name, before), **values})
    hash_ = sha256(data)
    store.put(_key(name, hash_), data)
    return hash_


def _bytes(name: str, values: Mapping[str, str]) -> bytes:
    return Reference(name=name, values=dict(sorted(values.items()))).to_bytes()


def read(store: Store, name: str, sha256_: str) -> Mapping[str, str]:
    """The list that a manifest names. Raises LakeError if it is not what was written."""
    key = _key(name, sha256_)
    reference = Reference.from_bytes(store.get(key), store.uri(key))
    if reference.sha256 != sha256_ or reference.name != name:
        raise LakeError(
            f"{store.uri(key)} does not have the SHA-256 that its manifest records: it was changed"
            " after it was written; restore it from the bucket's older versions."
        )
    return reference.values
