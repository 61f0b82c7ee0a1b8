"""A zone is tested before its first write: does it create an object once?

The stores that do not are a real one behind a proxy, which takes the condition away or answers in
its place, and a directory on a file system whose links lie.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from totesys_dagster.errors import LakeError, LakeUnusableError
from totesys_dagster.lake import probe
from totesys_dagster.lake.store import Store
from totesys_dagster.settings import INGESTION_URL
from totesys_dagster_tests import faulty_proxy
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1
from totesys_dagster_tests.faulty_proxy import EXISTS, Answer, Fault, Faults, Rule, passes
from totesys_dagster_tests.hand_made import manifest_key
from totesys_dagster_tests.object_store import ObjectStore

KEY = "manifests/0000000001.json"
DONE = Answer(200, headers=(("ETag", '"0"'),))
NO_KEY = Answer(404, "NoSuchKey")

_numbers = itertools.count(1)


def forget() -> None:
    """Be another process, which knows of no proof."""
    probe._proven.clear()


@pytest.fixture
def store(store: Store) -> Store:
    forget()
    return store


def objects(store: Store) -> list[str]:
    """What a zone holds beside the objects of the proof."""
    return [key for key in store.list("") if not key.startswith("probe/")]


@dataclass(frozen=True)
class Zone:
    """An empty zone as the platform reaches it, through the proxy, and directly."""

    store: Store
    direct: Store
    faults: Faults

    def refused(self, rule: Rule) -> str:
        """What is said of the first write when the store does as the rule says."""
        self.faults.rule = rule
        with pytest.raises(LakeUnusableError) as error:
            self.store.put(KEY, b"one")
        self.faults.rule = passes
        assert objects(self.direct) == []
        assert [key for key in self.direct.list("probe") if "passed" in key] == []
        message = str(error.value)
        assert message.startswith(f"{INGESTION_URL} ({self.store.url} at http://127.0.0.1:")
        assert re.search(r"cannot be used, because .* does not create an object once", message)
        assert "conditional writes" in message
        assert "\n" not in message
        return message


@pytest.fixture(scope="module")
def proxy(s3_server: ObjectStore) -> Iterator[faulty_proxy.Proxy]:
    with faulty_proxy.running(s3_server.endpoint) as running:
        yield running


@pytest.fixture
def zone(s3: ObjectStore, proxy: faulty_proxy.Proxy, monkeypatch: pytest.MonkeyPatch) -> Zone:
    proxy.faults.rule = passes
    for method in ("PUT", "GET", "HEAD"):
        proxy.faults.plan(method, [])
    url = f"s3://{s3.bucket}/probed/{next(_numbers)}"
    stores = []
    for endpoint in (s3.endpoint, proxy.endpoint):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        stores.append(Store(url, INGESTION_URL))
        assert stores[-1]._backend.address  # it takes the endpoint when it is first used
    direct, store = stores
    return Zone(store, direct, proxy.faults)


def on_put(*faults: Fault) -> Rule:
    """A rule for each PUT in turn, the last for all others."""
    left = [*faults]
    return lambda method, _: "pass" if method != "PUT" else left.pop(0) if left[1:] else left[0]


# Stores that do not create an object once


def test_store_that_ignores_the_condition_is_refused(zone: Zone) -> None:
    assert "said yes to 8 of 8 simultaneous writers of one object" in zone.refused(
        on_put("overwrite")
    )


def test_store_with_two_winners_is_refused(zone: Zone) -> None:
    said = zone.refused(on_put("granted", "granted", "pass"))

    assert re.search("said yes to [23] of 8 simultaneous writers of one object", said)


def test_store_that_says_yes_to_everything_is_refused(zone: Zone) -> None:
    assert "gave an object that nobody had written" in zone.refused(lambda *_: DONE)


def test_store_that_says_yes_to_every_write_and_keeps_none_is_refused(zone: Zone) -> None:
    assert "said yes to 8 of 8" in zone.refused(on_put(DONE))


def test_store_that_loses_what_it_took_is_refused(zone: Zone) -> None:
    said = zone.refused(on_put(DONE, EXISTS))

    assert "could not give an object that it had said was there" in said


def test_store_that_hides_what_exists_is_refused(zone: Zone) -> None:
    hidden = zone.refused(lambda method, _: NO_KEY if method == "GET" else "pass")

    assert "could not give an object that it had said was there" in hidden


@pytest.mark.long
def test_store_that_says_no_to_everybody_is_refused(zone: Zone) -> None:
    said = zone.refused(on_put(EXISTS))

    assert "could not give an object that it had said was there" in said


def test_store_that_says_no_to_the_winner_too_is_refused(zone: Zone) -> None:
    assert "said to each of 8 writers of an object that it existed" in zone.refused(
        on_put("denied")
    )


def test_store_that_keeps_another_object_than_the_winners_is_refused(zone: Zone) -> None:
    said = zone.refused(on_put(DONE, "denied"))

    # Who reads before the object is there finds none.
    assert re.search("kept another object than that of the one writer|could not give", said)


def test_store_that_gives_each_reader_another_object_is_refused(zone: Zone) -> None:
    contents = itertools.count()

    def rule(method: str, path: str) -> Fault:
        if method == "GET" and "passed" not in path and zone.faults.count("PUT"):
            return Answer(200, f"reader {next(contents)}", (("ETag", '"0"'),))
        return "pass"

    assert "gave different contents of an object" in zone.refused(rule)


def test_refused_store_is_refused_again(zone: Zone) -> None:
    zone.refused(on_put("overwrite"))

    zone.refused(on_put("overwrite"))


def test_directory_whose_links_overwrite_is_refused(
    directory: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", os.replace)

    with pytest.raises(LakeUnusableError, match=r"said yes to \d of 8 simultaneous writers"):
        directory.put(KEY, b"one")
    assert objects(directory) == []


# Stores that do, over a bad network


@pytest.mark.parametrize(
    "faults",
    [
        ["lost"],
        ["lost"] * 8,
        [Answer(503, "SlowDown")] * 8,
        ["reset", "pass", Answer(500, "InternalError")],
        [Answer(409, "ConditionalRequestConflict")] * 8,
    ],
    ids=["an answer lost", "all answers lost", "slow down", "some of all", "conflicts"],
)
def test_bad_network_is_no_reason_to_refuse(zone: Zone, faults: list[Fault]) -> None:
    zone.faults.plan("PUT", faults)
    zone.store.put(KEY, b"one")

    assert zone.direct.get(KEY) == b"one"


def test_store_that_cannot_be_reached_is_not_said_to_fail_the_proof(zone: Zone) -> None:
    zone.faults.rule = lambda *_: Answer(403, "AccessDenied")
    with pytest.raises(LakeUnusableError, match="AccessDenied") as error:
        zone.store.put(KEY, b"one")
    zone.faults.rule = passes

    assert "create an object once" not in str(error.value)


# What is remembered


def test_proof_leaves_its_object_and_what_it_says(store: Store) -> None:
    store.put(KEY, b"one")

    [proof, passed] = store.list("probe")
    assert re.fullmatch(r"probe/[0-9a-f-]{36}", proof)
    assert re.fullmatch(r"probe/passed-[0-9a-f]{16}\.json", passed)
    assert objects(store) == [KEY]


def test_zone_is_proved_once(store: Store) -> None:
    store.put("a", b"")
    before = store.list("probe")
    for key in ("b", "c"):
        forget()
        store.put(key, b"")

    assert store.list("probe") == before


def test_another_process_asks_once_whether_the_zone_was_proved(zone: Zone) -> None:
    zone.store.put("a", b"")
    forget()
    zone.faults.plan("GET", [])
    zone.store.put("b", b"")
    zone.store.put("c", b"")

    assert zone.faults.requests == ["GET", "PUT", "PUT"]


def test_proof_takes_26_requests_and_leaves_a_few_bytes(zone: Zone) -> None:
    zone.faults.plan("GET", [])
    zone.store.put("a", b"")
    zone.faults.requests.remove("PUT")  # that of the object itself

    assert len(zone.faults.requests) == 26
    assert sum(len(zone.direct.get(key)) for key in zone.direct.list("probe")) < 300


def test_reading_proves_nothing_and_writes_nothing(store: Store) -> None:
    store.check()
    assert not store.exists(KEY)
    with pytest.raises(LakeError):
        store.get(KEY)

    assert store.list("") == []


def test_same_place_behind_another_endpoint_is_proved_there(zone: Zone) -> None:
    """What passed directly may fail through the proxy."""
    zone.direct.put("a", b"")
    forget()
    zone.faults.rule = on_put("overwrite")

    with pytest.raises(LakeUnusableError, match="does not create an object once"):
        zone.store.put("b", b"")


def test_lake_that_was_copied_is_proved_where_it_is(
    directory: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.put("a", b"")
    (tmp_path / "a lake").rename(tmp_path / "moved")
    monkeypatch.setattr(os, "link", os.replace)

    with pytest.raises(LakeUnusableError, match="does not create an object once"):
        Store((tmp_path / "moved").as_uri(), INGESTION_URL).put("b", b"")


def test_proof_that_was_killed_is_made_again(zone: Zone) -> None:
    """It came to the writers, but not to the note that they were content."""
    zone.faults.rule = lambda method, path: (
        Answer(403, "AccessDenied") if method == "PUT" and "passed" in path else "pass"
    )
    with pytest.raises(LakeError, match="AccessDenied"):
        zone.store.put(KEY, b"one")
    zone.faults.rule = passes
    zone.store.put(KEY, b"one")

    assert len(zone.direct.list("probe")) == 3
    assert objects(zone.direct) == [KEY]


@pytest.mark.long
def test_first_writers_at_once_all_write(store: Store) -> None:
    """Each in a process of its own."""
    write = (
        "import sys\n"
        "from totesys_dagster.lake.store import Store\n"
        "sys.stdin.readline()\n"
        "Store(sys.argv[1], 'TOTESYS_INGESTION_URL').put(sys.argv[2], b'')"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", write, store.url, key], stdin=subprocess.PIPE)
        for key in ("objects/a", "objects/b", "objects/c")
    ]
    for writer in writers:
        assert writer.stdin
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=120)

    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert objects(store) == ["objects/a", "objects/b", "objects/c"]
    assert len([key for key in store.list("probe") if "passed" in key]) == 1


# The whole path


@pytest.mark.long
def test_of_two_runs_at_once_on_a_store_that_ignores_the_condition_none_commits(
    zone: Zone, platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the proof both commit batch 2, and say that all is well."""
    platform.ingestion = zone.direct
    platform.run()
    platform.application.execute(EDIT_ORDER_1)
    zone.faults.rule = on_put("overwrite")
    monkeypatch.setenv(INGESTION_URL, zone.store.url)
    runs = []
    for home in (tmp_path / "one", tmp_path / "two"):
        home.mkdir()
        (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        command = [sys.executable, "-m", "totesys_dagster.cli", "run"]
        runs.append(
            subprocess.Popen(
                command, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        )
    said = [run.communicate(timeout=120)[0] for run in runs]

    assert [run.returncode for run in runs] == [1, 1]
    for words in said:
        assert "does not create an object once" in " ".join(words.split())
    assert zone.direct.list("manifests") == [manifest_key(1)]
