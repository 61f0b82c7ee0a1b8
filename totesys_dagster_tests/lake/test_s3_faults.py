"""What becomes of a request to S3 that goes wrong: it is repeated and exact, or a sentence.

A proxy breaks chosen requests on their way to the real server. Only what can help is repeated: each
row tells how many requests there are. What is in the bucket afterwards is read past the proxy.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from totesys_dagster.errors import LakeError, ObjectConflictError, ObjectMissingError
from totesys_dagster.lake import s3 as s3_module
from totesys_dagster.lake import store as store_module
from totesys_dagster.lake.store import Store
from totesys_dagster.settings import INGESTION_URL
from totesys_dagster_tests import faulty_proxy
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1
from totesys_dagster_tests.faulty_proxy import EXISTS, Answer, Fault, Faults
from totesys_dagster_tests.hand_made import manifest_key
from totesys_dagster_tests.lake.conftest import proven
from totesys_dagster_tests.object_store import ObjectStore

pytestmark = pytest.mark.long

KEY = "manifests/0000000001.json"
OURS = b"what we write " * 100
OTHER = b"what another process wrote"

ALWAYS = 30  # more often than anything is repeated
TRIES = 5  # of every request
CREATE_TRIES = 4  # of an object that is said to exist, and does not
TIMEOUT_SECONDS = 1

REAL_PAUSES = s3_module.PAUSES
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Zone:
    """A zone as the platform reaches it, through the proxy, and directly."""

    store: Store
    direct: Store
    faults: Faults

    def content(self) -> bytes | None:
        """What is stored under KEY in the end."""
        return self.direct.get(KEY) if self.direct.exists(KEY) else None


@pytest.fixture(scope="module")
def proxy(s3_server: ObjectStore) -> Iterator[faulty_proxy.Proxy]:
    with faulty_proxy.running(s3_server.endpoint) as running:
        yield running


@pytest.fixture
def zone(s3: ObjectStore, proxy: faulty_proxy.Proxy, monkeypatch: pytest.MonkeyPatch) -> Zone:
    """An empty zone whose requests may fail, with little patience."""
    monkeypatch.setattr(s3_module, "READ_SECONDS", TIMEOUT_SECONDS)
    monkeypatch.setattr(store_module, "PAUSES", (0.01, 0.02, 0.04))
    for method in ("PUT", "GET", "HEAD"):
        proxy.faults.plan(method, [])
    url = f"s3://{s3.bucket}/faults/{next(_numbers)}"
    stores = []
    # The one behind the proxy last: when it has to make its client anew, it finds its endpoint.
    for endpoint in (s3.endpoint, proxy.endpoint):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        # It takes the endpoint when it is first used.
        stores.append(proven(Store(url, INGESTION_URL)))
    direct, store = stores
    return Zone(store, direct, proxy.faults)


def assert_sentence(error: LakeError, said: str) -> None:
    """One line, without XML, that says what S3 answered and names the setting."""
    message = str(error)
    assert said in message
    assert INGESTION_URL in message
    assert "\n" not in message
    assert "<" not in message
    assert "kept-in-memory-only" not in message


DENIED = Answer(403, "AccessDenied")
DENIED_SILENTLY = Answer(403)
SKEWED = Answer(403, "RequestTimeTooSkewed")
EXPIRED = Answer(400, "ExpiredToken")
NO_BUCKET = Answer(404, "NoSuchBucket")
NO_KEY = Answer(404, "NoSuchKey")
DELETE_MARKER = Answer(404, "NoSuchKey", (("x-amz-delete-marker", "true"),))
BUSY = Answer(409, "ConditionalRequestConflict")
ABORTED = Answer(409, "OperationAborted")
TOO_SLOW = Answer(400, "RequestTimeout")
TOO_MANY = Answer(429, "TooManyRequests")
BROKEN = Answer(500, "InternalError")
SLOW_DOWN = Answer(503, "SlowDown")
OVERLOADED = Answer(503)
GATEWAY = Answer(502)
ELSEWHERE = Answer(307, "TemporaryRedirect")

EXACT = ""

# Name, what was there before, faults of the PUTs, what is said (EXACT: nothing), number of PUTs.
WRITES: list[tuple[str, bytes | None, list[Fault], str, int]] = [
    ("no fault", None, [], EXACT, 1),
    # repeated, and exact
    ("500", None, [BROKEN], EXACT, 2),
    ("502", None, [GATEWAY], EXACT, 2),
    ("503 slow down", None, [SLOW_DOWN], EXACT, 2),
    ("503 without a body", None, [OVERLOADED], EXACT, 2),
    ("429", None, [TOO_MANY], EXACT, 2),
    ("500, 503, 429", None, [BROKEN, SLOW_DOWN, TOO_MANY], EXACT, 4),
    ("reset", None, ["reset"], EXACT, 2),
    ("reset twice", None, ["reset", "reset"], EXACT, 3),
    ("hang", None, ["hang"], EXACT, 2),
    ("acknowledgement lost", None, ["lost"], EXACT, 2),
    ("acknowledgement lost twice", None, ["lost", "lost"], EXACT, 3),
    ("acknowledgement too late", None, ["late"], EXACT, 2),
    ("upload took too long for S3", None, [TOO_SLOW], EXACT, 2),
    ("409 while another writes, who fails", None, [BUSY], EXACT, 2),
    ("409 aborted", None, [ABORTED], EXACT, 2),
    ("412 of an object that is removed meanwhile", None, [EXISTS], EXACT, 2),
    ("503, then acknowledgement lost, then 409", None, [SLOW_DOWN, "lost", BUSY], EXACT, 4),
    # there already
    ("412, ours", OURS, [], EXACT, 1),
    ("409, ours", OURS, [BUSY], EXACT, 2),
    ("reset, then 412, ours", OURS, ["reset"], EXACT, 2),
    ("412, another's", OTHER, [], "exists with other content", 1),
    ("409, another's", OTHER, [BUSY], "exists with other content", 2),
    ("reset, then 412, another's", OTHER, ["reset"], "exists with other content", 2),
    ("503, then 412, another's", OTHER, [SLOW_DOWN], "exists with other content", 2),
    # a sentence, at once
    ("403", None, [DENIED], "AccessDenied", 1),
    ("403 without a body", None, [DENIED_SILENTLY], "403 Forbidden", 1),
    ("clock is wrong", None, [SKEWED], "RequestTimeTooSkewed", 1),
    ("token expired", None, [EXPIRED], EXACT, 2),
    ("token expired twice", None, [EXPIRED, EXPIRED], "ExpiredToken", 2),
    ("no bucket", None, [NO_BUCKET], "NoSuchBucket", 1),
    ("bucket of another region", None, [ELSEWHERE], "another region than eu-west-2", 1),
    ("503, then token expired", None, [SLOW_DOWN, EXPIRED], EXACT, 3),
    # a sentence, when repeating does not help
    ("500 for ever", None, [BROKEN] * ALWAYS, "InternalError", TRIES),
    ("503 for ever", None, [SLOW_DOWN] * ALWAYS, "SlowDown", TRIES),
    ("503 without a body for ever", None, [OVERLOADED] * ALWAYS, "503 Service", TRIES),
    ("reset for ever", None, ["reset"] * ALWAYS, "closed the connection without an answer", TRIES),
    ("hang for ever", None, ["hang"] * ALWAYS, "does not answer", TRIES),
    ("409 for ever", None, [BUSY] * ALWAYS, "ConditionalRequestConflict", TRIES),
    ("412 for ever of nothing", None, [EXISTS] * ALWAYS, "but cannot be read", CREATE_TRIES),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "faults", "said", "tries"), [row[1:] for row in WRITES], ids=[r[0] for r in WRITES]
)
def test_write_and_the_next_without_a_fault(
    zone: Zone, before: bytes | None, faults: list[Fault], said: str, tries: int
) -> None:
    if before is not None:
        zone.direct.put(KEY, before)
    zone.faults.plan("PUT", faults)

    if said:
        with pytest.raises(LakeError) as error:
            zone.store.put(KEY, OURS)
        if before is None:
            assert_sentence(error.value, said)
        else:
            assert isinstance(error.value, ObjectConflictError)
    else:
        zone.store.put(KEY, OURS)

    assert zone.faults.count("PUT") == tries
    assert zone.content() == (before if said else OURS)

    zone.faults.plan("PUT", [])
    if before != OTHER:
        zone.store.put(KEY, OURS)
        assert zone.content() == OURS


# Name, faults of the GETs, what is said (EXACT: nothing), number of GETs.
READS: list[tuple[str, list[Fault], str, int]] = [
    ("500", [BROKEN], EXACT, 2),
    ("502", [GATEWAY], EXACT, 2),
    ("503", [SLOW_DOWN], EXACT, 2),
    ("429", [TOO_MANY], EXACT, 2),
    ("reset", ["reset"], EXACT, 2),
    ("answer lost", ["lost"], EXACT, 2),
    ("hang", ["hang"], EXACT, 2),
    ("answer too late", ["late"], EXACT, 2),
    ("body cut short", ["cut"], EXACT, 2),
    ("reset, 503, hang", ["reset", SLOW_DOWN, "hang"], EXACT, 4),
    ("403", [DENIED], "AccessDenied", 1),
    ("403 without a body", [DENIED_SILENTLY], "403 Forbidden", 1),
    ("token expired", [EXPIRED], EXACT, 2),
    ("token expired twice", [EXPIRED, EXPIRED], "ExpiredToken", 2),
    ("clock is wrong", [SKEWED], "RequestTimeTooSkewed", 1),
    ("404", [NO_KEY], "does not exist: it was removed", 1),
    ("404 without a body", [Answer(404)], "does not exist: it was removed", 1),
    ("delete marker", [DELETE_MARKER], "does not exist: it was removed", 1),
    ("bucket is gone", [NO_BUCKET], "NoSuchBucket", 1),
    ("500 for ever", [BROKEN] * ALWAYS, "InternalError", TRIES),
    ("503 for ever", [SLOW_DOWN] * ALWAYS, "SlowDown", TRIES),
    ("reset for ever", ["reset"] * ALWAYS, "closed the connection without an answer", TRIES),
    ("hang for ever", ["hang"] * ALWAYS, "does not answer", TRIES),
]  # fmt: skip


@pytest.mark.parametrize(
    ("faults", "said", "tries"), [row[1:] for row in READS], ids=[row[0] for row in READS]
)
def test_read(zone: Zone, faults: list[Fault], said: str, tries: int) -> None:
    zone.direct.put(KEY, OURS)
    zone.faults.plan("GET", faults)

    if said:
        with pytest.raises(LakeError) as error:
            zone.store.get(KEY)
        assert_sentence(error.value, said)
        assert isinstance(error.value, ObjectMissingError) == ("does not exist" in said)
    else:
        assert zone.store.get(KEY) == OURS

    assert zone.faults.count("GET") == tries


# Name, faults of the HEADs, the answer or what is said, number of HEADs. The answer to a HEAD has
# no body, so the reason of a refusal is that of a GET. After a 400 boto3 looks for the region.
LOOKS: list[tuple[str, list[Fault], bool | str, int]] = [
    ("500", [BROKEN], True, 2),
    ("503", [SLOW_DOWN], True, 2),
    ("reset", ["reset"], True, 2),
    ("answer lost", ["lost"], True, 2),
    ("hang", ["hang"], True, 2),
    ("404", [NO_KEY], False, 1),
    ("delete marker", [DELETE_MARKER], False, 1),
    ("403", [DENIED], "AccessDenied", 1),
    ("token expired", [EXPIRED, EXPIRED], "ExpiredToken", 2),
    ("503 for ever", [SLOW_DOWN] * ALWAYS, "HTTP 503 Service Unavailable", TRIES),
    ("reset for ever", ["reset"] * ALWAYS, "closed the connection without an answer", TRIES),
]  # fmt: skip


@pytest.mark.parametrize(
    ("faults", "answer", "tries"), [row[1:] for row in LOOKS], ids=[row[0] for row in LOOKS]
)
def test_look(zone: Zone, faults: list[Fault], answer: bool | str, tries: int) -> None:
    """A failure is never taken for "there is none": the log would begin again."""
    zone.direct.put(KEY, OURS)
    zone.faults.plan("HEAD", faults)
    zone.faults.plan("GET", faults)

    if isinstance(answer, str):
        with pytest.raises(LakeError) as error:
            zone.store.exists(KEY)
        assert_sentence(error.value, answer)
    else:
        assert zone.store.exists(KEY) is answer

    assert zone.faults.count("HEAD") == tries


def test_hanging_server_is_given_up_after_the_timeouts(zone: Zone) -> None:
    zone.faults.plan("PUT", ["hang"] * ALWAYS)
    start = time.monotonic()
    with pytest.raises(LakeError):
        zone.store.put(KEY, OURS)

    assert time.monotonic() - start < TRIES * TIMEOUT_SECONDS + 10


def test_real_timeouts_and_pauses_end_within_minutes() -> None:
    """What the tests above shorten."""
    longest = s3_module.CONNECT_SECONDS + s3_module.READ_SECONDS

    assert longest * TRIES + sum(REAL_PAUSES) <= 3 * 60


# A batch on S3


@pytest.fixture
def on_s3(zone: Zone, platform: Platform) -> Platform:
    """A platform whose captures go through the proxy."""
    platform.ingestion = zone.store
    return platform


# How many objects a first batch puts before its manifest, which is the last: rows and schema of
# each table, and the list of currencies.
FIRST_BATCH = 2 * 11 + 1


@pytest.mark.parametrize("last", [False, True], ids=["an object", "the manifest"])
@pytest.mark.parametrize(
    ("fault", "said"),
    [([DENIED], "AccessDenied"), ([EXPIRED, EXPIRED], "ExpiredToken")],
    ids=["403", "token expired"],
)
def test_capture_that_s3_refuses_leaves_no_batch_and_the_next_is_exact(
    on_s3: Platform, zone: Zone, fault: list[Fault], said: str, last: bool
) -> None:
    before: list[Fault] = ["pass"] * (FIRST_BATCH if last else 7)
    zone.faults.plan("PUT", [*before, *fault])
    with pytest.raises(LakeError) as error:
        on_s3.capture()
    left = zone.direct.list("manifests")
    loaded = on_s3.run()

    assert_sentence(error.value, said)
    assert left == []
    assert loaded is not None
    assert loaded.sequence == 1
    assert all(audit.equal for audit in loaded.audits.values())


def test_every_object_is_sent_with_its_checksum(on_s3: Platform, zone: Zone) -> None:
    """S3 refuses an object without one in a bucket with Object Lock."""
    assert on_s3.run() is not None

    assert zone.faults.checksums
    assert None not in zone.faults.checksums


@pytest.mark.parametrize("fault", ["reset", "lost", SLOW_DOWN, BUSY], ids=str)
def test_capture_over_a_bad_network_is_exact(on_s3: Platform, zone: Zone, fault: Fault) -> None:
    """Every third write goes wrong, the manifest's among them."""
    zone.faults.plan("PUT", ["pass", "pass", fault] * FIRST_BATCH)
    loaded = on_s3.run()

    assert loaded is not None
    assert all(audit.equal for audit in loaded.audits.values())
    assert zone.direct.list("manifests") == [manifest_key(1)]


def test_batch_whose_commit_was_never_heard_of_is_not_captured_again(
    on_s3: Platform, zone: Zone
) -> None:
    """The manifest arrives, but the capture does not learn it."""
    on_s3.capture()
    on_s3.application.execute(EDIT_ORDER_1)
    zone.faults.plan("PUT", ["pass", "pass", "lost", *[DENIED] * ALWAYS])
    with pytest.raises(LakeError):
        on_s3.capture()
    zone.faults.plan("PUT", [])

    assert zone.direct.list("manifests") == [manifest_key(1), manifest_key(2)]
    assert on_s3.capture() is None
