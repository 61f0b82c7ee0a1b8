"""What is written into the setting of a zone is where its objects are: nothing is cut off."""

from __future__ import annotations

import os
from pathlib import Path

import boto3
import pytest

from totesys_dagster import zone_urls
from totesys_dagster.errors import SettingError
from totesys_dagster.lake.store import Store
from totesys_dagster.settings import INGESTION_URL, PROCESSED_URL
from totesys_dagster_tests.lake.conftest import proven
from totesys_dagster_tests.object_store import ObjectStore

KEY = "manifests/0000000001.json"


@pytest.fixture(autouse=True)
def _no_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(INGESTION_URL, raising=False)
    monkeypatch.delenv(PROCESSED_URL, raising=False)


def zone(monkeypatch: pytest.MonkeyPatch, value: str, name: str = INGESTION_URL) -> Store:
    """The zone that the setting says."""
    monkeypatch.setenv(name, value)
    return Store(zone_urls.zone_url(name), name)


PREFIXES = [
    "pre#fix",
    "a?b",
    "a?versionId=1#x",
    "100%",
    "a%20b",
    "a b+c",
    "größe/€",
    "~",
    "a;b",
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefix_in_a_bucket_is_taken_as_it_is(
    s3: ObjectStore, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    store = proven(zone(monkeypatch, f"s3://{s3.bucket}/literal/{prefix}"))
    store.put(KEY, b"one")

    found = boto3.client("s3").list_objects_v2(Bucket=s3.bucket, Prefix=f"literal/{prefix}/")
    assert [entry["Key"] for entry in found["Contents"]] == [f"literal/{prefix}/{KEY}"]
    assert store.uri(KEY) == f"s3://{s3.bucket}/literal/{prefix}/{KEY}"
    assert store.list("") == [KEY]
    assert store.get(KEY) == b"one"


def test_prefixes_that_begin_alike_are_two_lakes(
    s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven(zone(monkeypatch, f"s3://{s3.bucket}/alike/pre#fix")).put(KEY, b"one")

    for other in ("pre", "pre#", "pre#fi", "pre#fix2", "pre?x", "PRE#FIX"):
        assert zone(monkeypatch, f"s3://{s3.bucket}/alike/{other}").list("") == []


def test_whole_bucket_is_a_zone(s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store = proven(zone(monkeypatch, f"S3://{s3.bucket}/"))
    store.put("whole/bucket.json", b"one")

    assert store.uri("whole/bucket.json") == f"s3://{s3.bucket}/whole/bucket.json"
    assert "whole/bucket.json" in store.list("")


@pytest.mark.parametrize(
    "name", ["a#b", "a?b", "a%23b", "100%", "a b", "größe", "a:b", "a\\b", "a\nb"]
)
def test_directory_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    store = zone(monkeypatch, str(tmp_path / name))
    store.put(KEY, b"one")

    assert (tmp_path / name / KEY).read_bytes() == b"one"
    assert store.url == (tmp_path / name).as_uri()
    assert store.get(KEY) == b"one"


@pytest.mark.parametrize(
    ("written", "name"),
    [("a%23b", "a#b"), ("a#b", "a#b"), ("a?b", "a?b"), ("a%3Fb", "a?b"), ("a%2523b", "a%23b")],
)
def test_url_of_a_file_is_decoded_and_not_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, name: str
) -> None:
    for scheme in ("file://", "file://localhost", "file:", "FILE://"):
        store = zone(monkeypatch, f"{scheme}{tmp_path}/{written}")

        assert store.url == (tmp_path / name).as_uri()
    store.put(KEY, b"one")
    assert (tmp_path / name / KEY).read_bytes() == b"one"


def test_directory_whose_name_is_no_text_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = os.fsdecode(b"caf\xe9")
    zone(monkeypatch, str(tmp_path / name)).put(KEY, b"one")

    assert (tmp_path / name / KEY).read_bytes() == b"one"


def test_blank_at_the_end_of_a_directory_is_kept_in_a_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blanks around a value are no part of it, as in every setting."""
    zone(monkeypatch, f"file://{tmp_path}/lake%20").put(KEY, b"one")

    assert (tmp_path / "lake " / KEY).exists()


def test_uri_of_an_object_in_a_directory_is_a_url(directory: Store) -> None:
    assert directory.uri("a#b?c%20/batch=1.json").endswith("/a%20lake/a%23b%3Fc%2520/batch=1.json")


@pytest.mark.parametrize(
    "spelling",
    ["{0}/lake", "{0}/lake/", "{0}/x/../lake", "{0}//lake", "{0}/./lake", "file://{0}/lake"],
)
def test_spellings_of_one_directory_have_one_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    (tmp_path / "x").mkdir()

    assert zone(monkeypatch, spelling.format(tmp_path)).url == (tmp_path / "lake").as_uri()


def test_way_back_leads_where_the_file_system_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "there" / "deep")

    url = zone(monkeypatch, f"{tmp_path}/link/../lake").url
    assert url == (tmp_path / "there" / "lake").as_uri()


@pytest.mark.parametrize(
    "value",
    [
        *("s3://bucket//a", "s3://bucket/a//b", "s3://bucket/a//", "s3://bucket/./a"),
        *(
            "s3://bucket/a/..",
            "s3://bucket/../other",
            "s3://bucket/a\\b",
            "s3://bucket/a\tb",
            "s3://bucket/a\nb",
        ),
        *("s3://bucket/a\u200bb", "s3://bucket/" + os.fsdecode(b"caf\xe9")),
        *("s3://bucket?versionId=1", "s3://bucket#a", "s3://bucket:9000/a", "s3://a@bucket/a"),
        *("s3://arn:aws:s3:eu-west-2:1:accesspoint/a", "s3:/bucket/a", "s3a://bucket/a"),
        *("file:lake", "file://host/lake", "file:////host/lake", "file:///a%00b"),
        *("C:/lake", "http://bucket.s3.amazonaws.com/a?b"),
    ],
)
def test_what_tools_read_differently_is_refused_without_the_value(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(INGESTION_URL, value)

    with pytest.raises(SettingError) as error:
        zone_urls.zone_url(INGESTION_URL)
    assert str(error.value).startswith(f"{INGESTION_URL} ")
    assert "\n" not in str(error.value)
    assert value not in str(error.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s3://bucket/lake", "s3://bucket/lake"),
        ("s3://bucket/lake", "s3://bucket/lake/"),
        ("s3://bucket", "s3://bucket/processed"),
        ("s3://bucket/lake/deep/er", "s3://bucket/lake"),
        ("/srv/lake", "/srv/lake/"),
        ("/srv/lake", "file:///srv/lake"),
        ("/srv/lake", "/srv/x/../lake/processed"),
        ("/", "/srv/lake"),
    ],
)
def test_zones_that_overlap_are_refused(
    monkeypatch: pytest.MonkeyPatch, one: str, other: str
) -> None:
    for ingestion, processed in ((one, other), (other, one)):
        monkeypatch.setenv(INGESTION_URL, ingestion)
        monkeypatch.setenv(PROCESSED_URL, processed)
        for name in (INGESTION_URL, PROCESSED_URL):
            with pytest.raises(SettingError, match="are the same place, or one lies within"):
                zone_urls.zone_url(name)


def test_zones_that_overlap_by_a_link_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "lake")
    monkeypatch.setenv(INGESTION_URL, str(tmp_path / "lake"))
    monkeypatch.setenv(PROCESSED_URL, str(tmp_path / "link"))

    with pytest.raises(SettingError, match="are the same place, or one lies within"):
        zone_urls.zone_url(PROCESSED_URL)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s3://bucket/lake", "s3://bucket/lake2"),
        ("s3://bucket/lake/a", "s3://bucket/lake/b"),
        ("s3://bucket", "s3://bucket2"),
        ("s3://bucket/lake", "/bucket/lake"),
        ("/srv/lake", "/srv/lake#1"),
    ],
)
def test_zones_beside_each_other_are_fine(
    monkeypatch: pytest.MonkeyPatch, one: str, other: str
) -> None:
    monkeypatch.setenv(INGESTION_URL, one)
    monkeypatch.setenv(PROCESSED_URL, other)

    assert zone_urls.zone_url(INGESTION_URL) != zone_urls.zone_url(PROCESSED_URL)


def test_zone_is_not_refused_for_a_mistake_in_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROCESSED_URL, "s3://bucket//twice")

    assert zone(monkeypatch, "s3://bucket/lake").url == "s3://bucket/lake"
