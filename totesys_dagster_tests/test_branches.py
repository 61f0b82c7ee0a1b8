"""A branch deployment of Dagster+ does not touch what is production's."""

from __future__ import annotations

import pytest

from totesys_dagster import branches, settings
from totesys_dagster.alerting import notify
from totesys_dagster.errors import SettingError
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse

# As an agent that serves production, too, gives them to the code of a branch.
PRODUCTION = {
    settings.SOURCE_DSN: "postgresql://totesys_extractor:secret@totesys.example.com/totesys",
    settings.WAREHOUSE_DSN: "postgresql://warehouse_loader:secret@db.example.com/warehouse",
    settings.WAREHOUSE_ADMIN_DSN: "postgresql://warehouse_admin:secret@db.example.com/warehouse",
    settings.WAREHOUSE_READER_DSN: "postgresql://warehouse_reader@db.example.com/warehouse",
    settings.INGESTION_URL: "s3://production/ingestion",
    settings.PROCESSED_URL: "s3://production/processed",
    settings.DROPS_URL: "s3://production-drops",
    settings.SMTP_URL: "smtp://mail.example.com:587",
    settings.ALERT_FROM: "totesys@example.com",
    settings.ALERT_TO: "data-engineering@example.com",
    settings.REPORT_TO: "sales@example.com",
    settings.ALERT_TOPIC: "arn:aws:sns:eu-west-2:000000000000:alerts",
}
STORES = {
    "source": lambda: SourceDatabase().connect().__enter__(),
    "ingestion zone": lambda: Lake().ingestion(),
    "log": lambda: Lake().log(),
    "processed zone": lambda: Lake().processed(),
    "warehouse": lambda: Warehouse().connect().__enter__(),
    "warehouse, as its administrator": lambda: Warehouse().connect_as_admin().__enter__(),
}


@pytest.fixture
def branch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The code of a branch, beside all variables of production."""
    monkeypatch.setattr(settings, "_providers", {})
    for name, value in PRODUCTION.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(branches.VARIABLE, "1")
    return monkeypatch


@pytest.mark.usefixtures("branch")
@pytest.mark.parametrize("store", STORES)
def test_branch_refuses_each_store_of_production(store: str) -> None:
    with pytest.raises(SettingError, match="is a branch deployment of Dagster") as error:
        STORES[store]()
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("name", settings.PLACES)
def test_branch_uses_its_own_place(branch: pytest.MonkeyPatch, name: str) -> None:
    own = "s3://branches" if "URL" in name else "postgresql://staging.example.com/branches"
    branch.setenv(settings.PLACES[name], own)

    assert settings.get(name) == own


@pytest.mark.parametrize(
    ("name", "same"),
    [
        (settings.SOURCE_DSN, PRODUCTION[settings.SOURCE_DSN]),
        (settings.SOURCE_DSN, "host=TOTESYS.example.com port=5432 user=me dbname=totesys"),
        (settings.WAREHOUSE_DSN, "postgresql://me:other@db.example.com:5432/warehouse"),
        (settings.WAREHOUSE_DSN, PRODUCTION[settings.SOURCE_DSN]),
        (settings.INGESTION_URL, "S3://production/ingestion/"),
        (settings.INGESTION_URL, "s3://production/ingestion/branch-7"),
        (settings.PROCESSED_URL, "s3://production"),
        (settings.PROCESSED_URL, PRODUCTION[settings.INGESTION_URL]),
        (settings.DROPS_URL, PRODUCTION[settings.DROPS_URL]),
    ],
)
def test_branch_refuses_a_place_that_is_productions(
    branch: pytest.MonkeyPatch, name: str, same: str
) -> None:
    branch.setenv(settings.PLACES[name], same)

    with pytest.raises(SettingError, match="which is production's") as error:
        settings.get(name)
    assert "example.com" not in str(error.value)


def test_branch_refuses_the_secret_of_production(branch: pytest.MonkeyPatch) -> None:
    for name in (settings.SOURCE_DSN, settings.PLACES[settings.SOURCE_DSN]):
        branch.setenv(name, "aws-secret:totesys-production/source-dsn")

    with pytest.raises(SettingError, match="which is production's"):
        settings.get(settings.SOURCE_DSN)


@pytest.mark.usefixtures("branch")
def test_branch_mails_nobody() -> None:
    assert not notify.channels()
    assert not settings.is_set(settings.REPORT_TO)


@pytest.mark.parametrize("value", ["0", "", None])
def test_production_has_its_own_places(branch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is None:
        branch.delenv(branches.VARIABLE)
    else:
        branch.setenv(branches.VARIABLE, value)
    branch.setenv(settings.PLACES[settings.SOURCE_DSN], "postgresql://staging.example.com/x")

    assert {name: settings.get(name) for name in PRODUCTION} == PRODUCTION


def test_what_dagster_does_not_say_is_a_branch(branch: pytest.MonkeyPatch) -> None:
    branch.setenv(branches.VARIABLE, "true")

    with pytest.raises(SettingError, match="branch deployment"):
        settings.get(settings.WAREHOUSE_DSN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s3://production/ingestion", "s3://production/ingestion-2"),
        ("postgresql://db.example.com/warehouse", "postgresql://db.example.com:5433/warehouse"),
        ("postgresql://db.example.com/warehouse", "postgresql://db.example.com/branches"),
        ("postgresql://db.example.com/warehouse", ""),
    ],
)
def test_places_that_differ(one: str, other: str) -> None:
    assert not branches.is_same_place(one, other)
