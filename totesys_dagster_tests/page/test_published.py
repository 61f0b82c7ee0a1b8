"""The page as an asset: published once for a batch, mailed once for an evening."""

from __future__ import annotations

import base64
import datetime as dt
from pathlib import Path

import dagster as dg
import pytest

from totesys_dagster import settings
from totesys_dagster.definitions import defs
from totesys_dagster.lake.store import sha256
from totesys_dagster.orchestration.schedules import page_is_due
from totesys_dagster.page import assets, published
from totesys_dagster.page.published import Position, Published, evening
from totesys_dagster.resources import Warehouse
from totesys_dagster.runs.tags import MAIL_TAG
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1
from totesys_dagster_tests.inbox import Inbox
from totesys_dagster_tests.operations.test_rebuild import rebuild_of
from totesys_dagster_tests.orchestra import Orchestra
from totesys_dagster_tests.page.samples import answers, months

TODAY = "SELECT (now() AT TIME ZONE 'Europe/London')::date"


@pytest.fixture
def first(orchestra: Orchestra) -> Orchestra:
    orchestra.first()
    return orchestra


def make(orchestra: Orchestra, *, mail: bool = False) -> dg.ExecuteInProcessResult:
    """Materialize the page, as the schedule has it done or a person."""
    tags = {MAIL_TAG: "yes"} if mail else {}
    return defs.resolve_job_def("reports_page").execute_in_process(
        instance=orchestra.instance, tags=tags, raise_on_error=False
    )


def objects(platform: Platform) -> list[str]:
    return platform.processed.list("reports")


def is_due() -> bool:
    """What the schedule finds this evening."""
    return page_is_due(Warehouse(), dt.datetime.now(dt.UTC))


def test_page_is_an_object_that_the_ledger_knows(first: Orchestra) -> None:
    assert make(first).success

    platform = first.platform
    [(today,)] = platform.rows(TODAY)
    [key] = objects(platform)
    assert key == f"reports/page/{today}/0000000001.html"
    assert platform.rows("SELECT day, sequence, key, sha256 FROM page") == [
        (today, 1, key, sha256(platform.processed.get(key)))
    ]


@pytest.mark.long
def test_page_is_not_made_again_until_a_batch_came(first: Orchestra) -> None:
    assert make(first).success
    assert make(first).success
    assert len(objects(first.platform)) == 1

    first.platform.application.execute(EDIT_ORDER_1)
    first.platform.run()
    assert make(first).success
    assert [key[-15:] for key in objects(first.platform)] == ["0000000001.html", "0000000002.html"]


@pytest.mark.long
def test_page_of_a_run_that_was_killed_stands(first: Orchestra) -> None:
    """It died between the object and the ledger."""
    platform = first.platform
    [(today,)] = platform.rows(TODAY)
    platform.processed.put(f"reports/page/{today}/0000000001.html", b"the page of another run")

    assert make(first).success
    assert platform.rows("SELECT sha256 FROM page") == [(sha256(b"the page of another run"),)]


@pytest.mark.long
def test_published_page_names_staff_by_number_unless_a_setting_says_otherwise(
    first: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make(first).success
    [key] = objects(first.platform)
    page = first.platform.processed.get(key)
    assert b"Staff 1" in page
    assert b"Jeremie" not in page

    first.platform.application.execute(EDIT_ORDER_1)
    first.platform.run()
    monkeypatch.setenv(settings.REPORT_STAFF, "names")
    assert make(first).success
    assert b"Jeremie O&#39;Keefe" in first.platform.processed.get(objects(first.platform)[1])


@pytest.mark.long
def test_odd_setting_of_names_is_one_sentence(
    first: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.REPORT_STAFF, "yes")
    done = make(first)

    [failure] = [event for event in done.all_events if event.is_step_failure]
    said = failure.step_failure_data.user_failure_data
    assert said is not None
    assert said.description == "TOTESYS_REPORT_STAFF is 'yes', but must be numbers or names."
    assert objects(first.platform) == []


@pytest.mark.long
def test_ui_shows_numbers_a_small_picture_and_where_the_page_is(first: Orchestra) -> None:
    done = make(first)
    [event] = [event for event in done.all_events if event.is_step_materialization]
    shown = event.step_materialization_data.materialization.metadata

    assert shown["orders"].value == 2
    assert shown["overdue payments"].value == 3
    assert "| revenue | USD | 1 | 169,309.68 |" in str(shown["numbers"].value)
    assert str(shown["equals the source"].value).startswith("Equals ToteSys. Every table")
    assert str(shown["dagster/uri"].value).endswith("/0000000001.html")
    assert "Jeremie" not in str(shown)


def test_picture_in_the_ui_is_small_however_long_the_history() -> None:
    page = Published(dt.date(2024, 11, 15), 7, "", "", "", dt.datetime.now(dt.UTC), None)
    shown = assets._metadata(answers(months=months(120)), page, "")
    _, _, data = str(shown["revenue by month"].value).partition("base64,")

    picture = base64.b64decode(data.rstrip(")"))
    assert picture.startswith(b"<svg")
    assert len(picture) < 20_000
    assert b"var(--" not in picture


@pytest.mark.long
def test_check_fails_for_a_country_that_nobody_knows(first: Orchestra) -> None:
    [found] = make(first).get_asset_check_evaluations()
    assert found.passed

    first.platform.application.execute(
        "UPDATE address SET country = 'Atlantis' WHERE address_id = 1"
    )
    first.platform.run()
    [found] = make(first).get_asset_check_evaluations()
    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert "No country is known by the name 'Atlantis' (1)" in str(found.description)


@pytest.mark.long
def test_page_is_mailed_after_the_business_day(
    first: Orchestra, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.REPORT_TO, "eve@example.com, sue@example.com")
    assert is_due()
    assert make(first, mail=True).success

    [mail] = inbox.mails
    assert mail["To"] == "eve@example.com, sue@example.com"
    assert "Equals ToteSys" in mail["Subject"]
    body = mail.get_body(("plain",))
    assert body is not None
    assert "USD         169,309.68         1 order" in body.get_content()
    [page] = mail.iter_attachments()
    [key] = objects(first.platform)
    assert page.get_content_type() == "text/html"
    assert page.get_payload(decode=True) == first.platform.processed.get(key)
    assert str(page.get_filename()).endswith("-batch-1.html")


def test_page_is_mailed_once(
    first: Orchestra, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.REPORT_TO, "eve@example.com")
    make(first)  # by a person, in the afternoon
    assert inbox.mails == []
    assert is_due()
    make(first, mail=True)
    make(first, mail=True)

    assert len(inbox.mails) == 1
    assert not is_due()


@pytest.mark.long
def test_mail_that_was_refused_is_sent_at_the_next_tick(
    first: Orchestra, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.REPORT_TO, "eve@example.com")
    inbox.refuses = True
    assert not make(first, mail=True).success
    inbox.refuses = False

    assert is_due()
    assert make(first, mail=True).success
    assert len(inbox.mails) == 1
    assert len(objects(first.platform)) == 1


@pytest.mark.long
def test_page_without_readers_is_published_and_not_mailed(first: Orchestra, inbox: Inbox) -> None:
    assert is_due()
    assert make(first, mail=True).success

    assert inbox.mails == []
    assert not is_due()


@pytest.mark.long
def test_schedule_asks_for_the_page_of_the_evening(first: Orchestra, tmp_path: Path) -> None:
    schedule = defs.resolve_schedule_def("evening_page")
    evenings = dt.datetime.now(dt.UTC)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=evenings,
            resources={"warehouse": Warehouse()},
        )
        asked = schedule.evaluate_tick(context).run_requests
        make(first)
        again = schedule.evaluate_tick(context)

    assert [request.tags[MAIL_TAG] for request in asked or []] == ["yes"]
    assert (
        again.skip_message
        == "This evening's page exists, or no batch has come since the last page."
    )
    assert schedule.execution_timezone == "Europe/London"


@pytest.mark.long
def test_nothing_is_due_before_the_first_batch(orchestra: Orchestra) -> None:
    assert not is_due()
    assert not make(orchestra).success


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        ("2024-11-15T19:30:00+00:00", "2024-11-15T19:30:00+00:00"),
        ("2024-11-15T23:30:00+00:00", "2024-11-15T19:30:00+00:00"),
        ("2024-11-15T12:00:00+00:00", "2024-11-14T19:30:00+00:00"),
        ("2024-07-15T18:30:00+00:00", "2024-07-15T18:30:00+00:00"),  # in summer time
        ("2024-03-31T18:31:00+00:00", "2024-03-31T18:30:00+00:00"),  # on the day that it begins
    ],
)
def test_business_day_ends_by_the_clock_of_london(moment: str, end: str) -> None:
    found = evening(dt.datetime.fromisoformat(moment))

    assert found.astimezone(dt.UTC) == dt.datetime.fromisoformat(end)


EVENING = dt.datetime(2024, 11, 15, 19, 30, tzinfo=dt.UTC)
BEFORE, AFTER = EVENING - dt.timedelta(hours=5), EVENING + dt.timedelta(minutes=1)


def newest(sha: str, at: dt.datetime, mailed: dt.datetime | None = None) -> Published:
    return Published(EVENING.date(), 7, sha, "key", "hash", at, mailed)


@pytest.mark.parametrize(
    ("page", "mail", "due"),
    [
        (None, False, True),
        (newest("now", BEFORE), False, False),  # no batch came since
        (newest("then", BEFORE), False, True),
        (newest("then", AFTER), False, False),  # once an evening
        (newest("now", BEFORE), True, True),  # nobody has got it yet
        (newest("now", BEFORE, BEFORE), True, False),
        (newest("then", BEFORE, BEFORE), True, True),
        (newest("then", AFTER, AFTER), True, False),
        (newest("then", BEFORE), True, True),
    ],
)
def test_page_is_due_once_an_evening_where_there_is_news(
    page: Published | None, mail: bool, due: bool
) -> None:
    mailed = page.mailed_at if page else None
    assert Position(page, (7, "now"), mailed).is_due(EVENING, mail=mail) is due


@pytest.mark.parametrize("page", [newest("now", AFTER), newest("then", AFTER)])
def test_page_that_somebody_made_after_the_mail_is_not_mailed_besides(page: Published) -> None:
    position = Position(page, (7, "now"), mailed_at=AFTER)

    assert not position.is_due(EVENING, mail=True)


@pytest.mark.long
def test_rebuild_leaves_what_was_published(first: Orchestra) -> None:
    make(first)
    before = published.position(first.platform.warehouse, first.platform.names)
    rebuild_of(first.platform)

    assert published.position(first.platform.warehouse, first.platform.names) == before


def test_data_of_the_map_says_whose_it_is() -> None:
    notes = (Path(assets.__file__).parent / "data" / "README.md").read_text()

    assert "Natural Earth" in notes
    assert "public domain" in notes
    assert "ISC" in notes
