"""The documents of the lake: what each must say of itself, whichever kind it is of."""

from __future__ import annotations

import json

import pytest

from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.errors import LakeError, NewerFormatError
from totesys_dagster.lake.audits import Head, SourceAudit
from totesys_dagster.lake.deliveries import Body, Delivery
from totesys_dagster.lake.erasures import Erasure
from totesys_dagster.lake.feed_receipt import FeedReceipt
from totesys_dagster.lake.key_sets import KeyObject
from totesys_dagster.lake.log import Document
from totesys_dagster.lake.manifest import CommitMarker
from totesys_dagster.lake.receipt import Receipt
from totesys_dagster.lake.references import Reference
from totesys_dagster.lake.requests import Acceptance, DigestRequest, FullReadRequest
from totesys_dagster.lake.schemas import Schema
from totesys_dagster_tests.hand_made import OBSERVED_AT, manifest

BATCH = manifest()
DOCUMENTS: list[Document] = [
    BATCH,
    CommitMarker(log="totesys", sequence=1, manifest_sha256=""),
    SourceAudit(
        sequence=1,
        run_id="by hand",
        head=Head(sequence=1, manifest_sha256=""),
        observed_at=OBSERVED_AT,
        source=BATCH.source,
        snapshot=BATCH.snapshot,
        storage={},
        stars={},
    ),
    Receipt(
        log="totesys",
        star="dim_date",
        code_version=STAR_TABLES["dim_date"].code_version,
        sequence=1,
        manifest_sha256="",
        reconcile=False,
        read=0,
        rows=0,
        objects=(),
        quarantined=0,
        quarantine=(),
    ),
    Delivery(
        sequence=1,
        run_id="run",
        observed_at=BATCH.observed_at,
        name="a.csv",
        identity={},
        body=Body(key="k", bytes=0, sha256=""),
    ),
    FeedReceipt(
        log="exchange_rate",
        star="fact_exchange_rate",
        code_version=1,
        sequence=1,
        delivery_sha256="",
        rows=0,
        objects=(),
        quarantined=0,
        quarantine=(),
        state=(),
    ),
    Erasure(
        sequence=1,
        erased_at=BATCH.observed_at,
        table="staff",
        keys=(1,),
        columns={},
        superseded_by=1,
        objects=(),
    ),
    FullReadRequest(table="staff", after=1, reason="it was asked for"),
    DigestRequest(number=1, stars={}),
    Acceptance(
        sequence=1,
        manifest_sha256="",
        rows=1,
        stars={"dim_staff": 1},
        limit=1,
        accepted_at=BATCH.observed_at,
    ),
    Schema(table="staff", columns=(), shape={}),
    Reference(name="currencies", values={}),
    KeyObject(ranges=()),
]


def names_of(document: Document) -> list[str]:
    return [name for name in ("format", "log") if name in type(document).model_fields]


def test_every_kind_of_document_is_tried() -> None:
    def kinds(kind: type[Document]) -> set[type[Document]]:
        below = kind.__subclasses__()
        return {kind} if not below else {one for other in below for one in kinds(other)}

    here = {kind for kind in kinds(Document) if kind.__module__.startswith("totesys_dagster.")}
    assert {type(document) for document in DOCUMENTS} == here


@pytest.mark.parametrize("more", [b"", b'"colour": "blue", ', b'"colour": "%b", ' % (b"x" * 2**20)])
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: type(document).__name__)
def test_document_of_a_newer_format_is_refused(document: Document, more: bytes) -> None:
    newer = document.to_bytes().replace(b'"format": 3', more + b'"format": 4')
    with pytest.raises(NewerFormatError) as refused:
        type(document).from_bytes(newer, "the lake's x.json")

    assert str(refused.value) == (
        "the lake's x.json is of format 4, which a newer release of totesys_dagster has written,"
        " and this one reads format 3 only: install that release again, or a later one."
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: type(document).__name__)
def test_document_comes_back_as_it_was(document: Document) -> None:
    read = type(document).from_bytes(document.to_bytes(), "there")

    assert read.to_bytes() == document.to_bytes()


@pytest.mark.parametrize(
    ("document", "name"),
    [(document, name) for document in DOCUMENTS for name in names_of(document)],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_document_that_does_not_say_its_format_and_log_is_refused(
    document: Document, name: str
) -> None:
    """Though they are filled in where a document is made."""
    data = json.loads(document.to_bytes())
    del data[name]
    with pytest.raises(LakeError) as error:
        type(document).from_bytes(json.dumps(data).encode(), "there")

    assert str(error.value).startswith("there is not a ")
    assert f"of format 3 ({name}: " in str(error.value)
    assert "\n" not in str(error.value)


def test_documents_of_the_log_of_totesys_say_so() -> None:
    assert {type(one).__name__ for one in DOCUMENTS if "log" not in names_of(one)} == {
        # What they say holds of every log.
        "KeyObject",
        "Reference",
        "Schema",
    }
