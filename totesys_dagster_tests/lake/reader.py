"""A reader of the lake in 55 lines, written from docs/lake-format.md alone."""

import hashlib
import itertools
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = dict[int, dict[str, Any]]


def documents(ingestion: Path, log: str) -> Any:
    before = None
    paths = (ingestion / f"{log}/totesys/{n:010d}.json" for n in itertools.count(1))
    for path in itertools.takewhile(Path.exists, paths):
        document = json.loads(data := path.read_bytes())
        assert (document["format"], document.get("previous_sha256")) == (3, before), path
        before = hashlib.sha256(data).hexdigest()
        yield document, before


def manifests(ingestion: Path) -> Any:
    return documents(ingestion, "manifests")


def stored(zone: Path, entry: Any) -> pa.BufferReader:
    for erasure, _ in documents(zone, "erasures"):
        replaced = [one for one in erasure["objects"] if one["removed"] == entry]
        entry = replaced[0]["replacement"] if replaced else entry
    data = (zone / entry["key"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == entry["sha256"], entry["key"]
    return pa.BufferReader(data)


def delete(rows: Rows, entry: Any, keys: Any, ingestion: Path) -> None:
    found = keys if entry["reconcile"] else entry.get("deleted_keys", {"ranges": []})
    place = found if "ranges" in found else json.loads((ingestion / found["key"]).read_bytes())
    named = {key for low, high in place["ranges"] for key in range(low, high + 1)}
    for key in rows.keys() - named if entry["reconcile"] else rows.keys() & named:
        del rows[key]


def raw_rows(ingestion: Path, table: str) -> Rows:
    rows: Rows = {}
    for manifest, _ in manifests(ingestion):
        if entry := manifest["tables"].get(table):
            for part in entry["objects"]:
                lines = pa.input_stream(stored(ingestion, part), compression="zstd").read()
                found = (json.loads(line, parse_float=Decimal) for line in lines.split(b"\n")[:-1])
                rows |= {row[f"{table}_id"]: row for row in found}
            delete(rows, entry, entry["keys"], ingestion)
    return rows


def star_rows(ingestion: Path, processed: Path, star: str, revision: str, base: str | None) -> Rows:
    rows: Rows = {}
    for manifest, sha256 in manifests(ingestion):
        path = processed / f"receipts/{star}/{revision}/{manifest['sequence']:010d}.json"
        if path.exists():
            receipt = json.loads(path.read_bytes())
            assert receipt["manifest_sha256"] == sha256, path
            for part in receipt["objects"]:
                table = pq.read_table(stored(processed, part))
                rows |= {row[table.column_names[0]]: row for row in table.to_pylist()}
            delete(rows, receipt, manifest["tables"].get(base, receipt).get("keys"), ingestion)
    return rows
