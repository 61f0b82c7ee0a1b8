"""A contract that is changed after files were loaded: its own table asks for a person, no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from totesys_dagster.catalogue import FEED_TABLES, STAR_TABLES, StarTable, Type
from totesys_dagster.catalogue.star_columns import given
from totesys_dagster.drops.file_feeds import file_feed
from totesys_dagster.errors import LoadError
from totesys_dagster.feeds import load, registry, verify
from totesys_dagster.feeds.feed import Feed
from totesys_dagster.feeds.status import FeedStatus, feed_status
from totesys_dagster.operations import filling, rebuild, repair
from totesys_dagster.operations import replace as replacing
from totesys_dagster.operations import verify as verify_all
from totesys_dagster.warehouse import schema
from totesys_dagster_tests.drops.conftest import TARGETS, Dropping

CONTRACT, FEED = TARGETS
LEEDS = "2024-11,Manchester,GBP,10.00\n"


def parts(dropping: Dropping) -> tuple[Any, ...]:
    p = dropping.platform
    return p.warehouse, p.names, p.ingestion, p.processed


def status(dropping: Dropping, feed: Feed) -> FeedStatus:
    connection, names, *zones = parts(dropping)
    return feed_status(connection, names, feed, *zones)


def changed(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Feed:
    """The feed as the platform would have it after a change of its table's declaration."""
    monkeypatch.setattr(schema, "_hash", schema._hash.__wrapped__)  # what is kept is of another
    table: StarTable = replace(CONTRACT.table, **changes)
    feed = file_feed(replace(CONTRACT, table=table))
    monkeypatch.setitem(FEED_TABLES, table.name, table)
    feeds = tuple(feed if one is FEED else one for one in registry.FEEDS)
    for module in (registry, filling, rebuild, repair, replacing, verify_all):
        monkeypatch.setattr(module, "FEEDS", feeds)
    return feed


@pytest.mark.long
def test_change_of_what_decides_rows_is_said_until_they_are_read_again(
    dropping: Dropping, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropping.platform.first()
    dropping.drop(LEEDS, "a.csv")
    dropping.drop("2024-11,York,GBP,x\n", "b.csv")
    dropping.take()
    assert status(dropping, FEED).wrong is None
    feed = changed(monkeypatch, terms="other")

    found = status(dropping, feed)
    assert "has changed since 2 deliveries were loaded" in (found.wrong or "")
    assert "`totesys rebuild`" in (found.wrong or "")
    assert [*found.refused] == ["b.csv"]
    rebuild.rebuild(*parts(dropping), quarantine_limit=100)
    found = status(dropping, feed)
    assert (found.wrong, [*found.refused], found.rows) == (None, ["b.csv"], 1)
    assert verify.verify_feed(*parts(dropping)[:2], feed, *parts(dropping)[2:]).findings == []


def retyped() -> tuple[Any, ...]:
    return tuple(
        given("office", Type.BIG_INTEGER, "The office.") if column.name == "office" else column
        for column in CONTRACT.table.columns
    )


def test_table_that_cannot_become_what_is_declared_holds_up_no_other(
    dropping: Dropping, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = dropping.platform
    platform.first()
    dropping.drop(LEEDS)
    dropping.take()
    feed = changed(monkeypatch, columns=retyped())
    connection, names, *zones = parts(dropping)

    schema.migrate(connection, names)
    assert not schema.pending(connection, names)
    platform.application.execute("UPDATE department SET department_name = 'New'")
    platform.run()
    assert platform.rows("SELECT DISTINCT department_name FROM current_dim_staff") == [("New",)]
    with pytest.raises(LoadError, match=r"fact_sales_target\.office is character varying"):
        [*load.load_all(connection, names, feed, *zones)]
    with pytest.raises(LoadError, match="give the column another name"):
        rebuild.rebuild(*parts(dropping), quarantine_limit=100)
    only = [STAR_TABLES["dim_staff"]]
    rebuild.rebuild(*parts(dropping), quarantine_limit=100, only=only)
    wrong = status(dropping, feed).wrong or ""
    assert wrong.startswith("Sales targets: loading has stopped, because fact_sales_target.office")
    assert dropping.current() == [("2024-11", "Manchester GBP", "10.00")]
