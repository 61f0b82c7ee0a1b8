"""The page: what it says of answers that were made up, each shown here or in `samples.py`."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest

from totesys_dagster.page import charts, summary
from totesys_dagster.page.answers import Answers, Month, Revenue
from totesys_dagster.page.questions import marked
from totesys_dagster.page.render import SOURCES, page
from totesys_dagster.page.verdict import verdict
from totesys_dagster.warehouse.reports import all_reports
from totesys_dagster_tests.page.samples import MARKUP, NOON, answers, months, quality


def text(found: str) -> str:
    """What a reader sees of HTML: no tags, and single spaces."""
    body = found.partition("<body>")[2]
    return " ".join(re.sub(r"<[^>]+>", " ", body).replace("\u200b", "").split())


@pytest.fixture(scope="module")
def whole() -> str:
    return page(answers(), staff_names=True)


def test_page_says_of_when_it_is_and_whether_it_is_right(whole: str) -> None:
    said = text(whole)

    assert "The business on 15 Nov 2024" in said
    assert (
        "Equals ToteSys Every table is proved as of batch 7 or later, 15 Nov 2024 12:00 UTC."
        in said
    )
    assert "ToteSys as it was 15 Nov 2024 12:00 UTC" in said


def test_each_section_names_its_report_and_the_batch(whole: str) -> None:
    named = re.findall(r'From <a href="#(\w+)"><code>reports\.(\w+)</code></a>, batch 7', whole)
    explained = re.findall(r'<dt id="(\w+)">', whole)

    assert {*named} == {(name, name) for name in {*SOURCES} - {"batches"}}
    assert explained == [name for name in SOURCES if name in all_reports()]


def test_amounts_are_exact_and_go_with_their_currency(whole: str) -> None:
    assert "EUR, 3,800 orders 567,792,732.95" in text(whole)
    assert "GBP, 3,599 orders 543,550,705.50" in text(whole)
    assert "1,111,343,438.45" not in whole  # the naive sum


def test_payments_are_added_up_by_direction_and_currency(whole: str) -> None:
    said = text(whole)

    assert "1,321 payments due before 15 Nov 2024" in said
    assert (
        "Owed to us, by days overdue: amount and payments Days GBP 1-30 100,000,000.50 713" in said
    )
    assert "over 365 99,890,417.05 607 all 199,890,417.55 1,320" in said


def test_unfinished_month_is_marked_in_the_picture_and_in_words(whole: str) -> None:
    assert whole.count('fill-opacity="0.15"') == 2 * 3  # in both widths, for three currencies
    assert "dashed bar is a month that is not over" in text(whole)
    assert "November 2024 (not over)" in text(whole)


def test_month_without_a_row_is_missing_and_not_zero() -> None:
    rows = [row for row in months(3) if (row.currency_code, row.month.month) != ("GBP", 10)]
    found = page(answers(months=rows), staff_names=False)

    assert "October 2024 21,500,000.25 – 21,500,000.25" in text(found)


@pytest.mark.parametrize(
    ("as_of", "unfinished"),
    [
        (dt.date(2024, 11, 15), {dt.date(2024, 11, 1)}),
        (dt.date(2024, 11, 30), {dt.date(2024, 11, 1)}),
        (dt.date(2024, 10, 15), set()),  # the warehouse knows how October went on
        (dt.date(2024, 12, 1), set()),
    ],
)
def test_last_month_is_unfinished_by_the_day_that_counts(as_of: dt.date, unfinished: Any) -> None:
    rows = [replace(row, unfinished=False) for row in months(3)]

    assert {row.month for row in marked(rows, as_of) if row.unfinished} == unfinished


def test_what_the_report_calls_unfinished_stays_so() -> None:
    assert [row.unfinished for row in marked(months(1, ["GBP"]), dt.date(2025, 1, 1))] == [True]


def test_names_are_text_whatever_they_hold() -> None:
    """Every text of every answer, at once."""
    whole = answers()
    marked_up = {
        field.name: [_marked_up(row) for row in rows]
        for field in fields(Answers)
        if isinstance(rows := getattr(whole, field.name), list)
    }
    found = page(replace(whole, **marked_up), staff_names=True)

    assert "<script" not in found
    assert found.count("&lt;script&gt;") > 30


def _marked_up(row: Any) -> Any:
    texts = {f.name: MARKUP for f in fields(row) if isinstance(getattr(row, f.name), str)}
    return replace(row, **texts)


def test_staff_have_numbers_unless_names_are_asked_for(whole: str) -> None:
    numbers = page(answers(), staff_names=False)

    assert "Stan Lehner Dispatch 608" in text(whole)
    assert "Staff 3 Dispatch 608" in text(numbers)
    assert "Lehner" not in numbers
    assert "This copy names staff by number" in numbers


def test_country_that_nobody_knows_is_listed_under_the_map(whole: str) -> None:
    assert "Not on the map: Atlantis (3 orders)." in text(whole)
    assert "Atlantis – 3" in text(whole)


def test_bars_begin_at_zero(whole: str) -> None:
    assert re.findall(r"723</td><td class=\"bar\"[^>]*><span style=\"width:([\d.]+)", whole) == [
        "100.0"
    ]
    assert re.findall(r"369</td><td class=\"bar\"[^>]*><span style=\"width:([\d.]+)", whole) == [
        "51.0"
    ]


def test_area_of_a_circle_is_its_number() -> None:
    drawn = charts.world(answers().countries)
    arcs = re.findall(r'd="M([\d.]+),0A', drawn)

    areas = sorted(float(radius) ** 2 for radius in arcs)
    assert areas[-1] / areas[0] == pytest.approx(723 / 369, rel=0.03)


def test_reporting_currency_appears_with_its_rates_and_only_where_there_are_any(whole: str) -> None:
    said = text(whole)

    assert "Revenue in GBP" in said
    assert "GBP 62,054,321.07 in all, each order at the rate of its day." in said
    assert "9 orders on days without a quotation, converted at the rate of an earlier day" in said
    assert "2 orders without a rate, so not in this revenue." in said
    assert "November 2024 (not over) 62,054,321.07 320 9 2" in said
    assert "EUR 0.834210 15 Nov 2024 13 Nov 2024, carried 2 days ecb" in said
    assert "USD 0.780000 15 Nov 2024 15 Nov 2024 ecb" in said
    assert "XAU none 6 Nov 2024, 9 days ago – –" in said
    without = page(answers(converted=[]), staff_names=False)
    assert "Revenue in GBP" not in without
    assert "exchange_rates" not in without


@pytest.mark.long
def test_converted_revenue_without_any_rate_is_a_warning() -> None:
    assert "No exchange rate is known for 15 Nov 2024 or before." in text(
        page(answers(rates=[]), staff_names=False)
    )


@pytest.mark.long
def test_currency_of_orders_that_no_source_quotes_is_named(whole: str) -> None:
    yen = Revenue("JPY", 1, 1001, Decimal("2012.01"))
    said = text(page(answers(revenue=[*answers().revenue, yen]), staff_names=False))

    assert "No rate for JPY : no source quotes this." in said
    assert "No rate for" not in text(whole)


def test_revenue_stands_beside_its_target_and_only_where_there_is_one(whole: str) -> None:
    said = text(whole)

    assert "November 2024, Leeds, GBP (not over) 19,500,000.00 20,000,000.00 97.5 %" in said
    assert "November 2024, Manchester, USD (not over) – 30,000,000.00 –" in said
    assert "revenue_against_target" not in page(answers(targets=[]), staff_names=False)


def test_page_without_an_order_says_so() -> None:
    nothing: dict[str, Any] = {
        field.name: []
        for field in fields(Answers)
        if isinstance(getattr(answers(), field.name), list)
    }
    said = text(page(answers(**nothing), staff_names=False))

    assert "There are no orders." in said
    assert "No payment is overdue on 15 Nov 2024." in said
    assert "No order has changed since the first batch." in said


def test_page_asks_nothing_of_anybody(whole: str) -> None:
    assert "default-src 'none'" in whole
    assert {*re.findall(r"https?://[^\"'\s]+", whole)} == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(script|link|img|iframe|object|embed|form)\b|url\((?!#)|@import", whole)


@pytest.mark.parametrize(
    ("rows", "grade", "said"),
    [
        ([quality()], "proved", "Every table is proved as of batch 7 or later"),
        (
            [quality(batch=9), quality(batch=7)],
            "proved",
            "as of batch 7 or later, 15 Nov 2024 12:00 UTC.",
        ),
        (
            [quality(), quality("dim_date", "behind")],
            "partly",
            "dim_date (behind, last compared in batch 7, 15 Nov 2024 12:00 UTC): not proved. The",
        ),
        (
            [quality(state="not compared", batch=None)],
            "partly",
            "dim_staff (not compared, never compared as a whole): not proved.",
        ),
        (
            [quality(batch=None)],
            "partly",
            "dim_staff (equal, never compared as a whole): not proved.",
        ),
        (
            [quality(state="equal but for quarantine", quarantined=2)],
            "partly",
            "2 rows in quarantine; the rest is proved as of batch 7 or later",
        ),
        (
            [quality(), quality("fact_payment", "different", 6)],
            "different",
            "fact_payment (different, last compared in batch 6): not equal.",
        ),
        (
            [quality(state="different, perhaps by quarantine alone")],
            "different",
            "dim_staff (different, perhaps by quarantine alone, last",
        ),
        ([], "partly", "No comparison with ToteSys can be read."),
    ],
)
def test_verdict_says_what_is_proved_and_since_when(rows: Any, grade: str, said: str) -> None:
    found = verdict(answers(quality=rows))

    assert found.grade == grade
    assert said in found.sentence


def test_look_at_the_source_that_is_long_ago_is_said_to_be() -> None:
    late = answers(made_at=NOON + dt.timedelta(days=2))

    assert "(out of date)" in text(page(late, staff_names=False))
    assert "(out of date)" not in text(page(answers(), staff_names=False))


def test_mail_has_the_numbers_and_no_name_of_staff() -> None:
    said = summary.text(answers())

    assert summary.subject(answers()) == "Terrific Totes, 15 Nov 2024: Equals ToteSys"
    assert "EUR     567,792,732.95    3,800 orders" in said
    assert "November 2024 (not over)" in said
    assert "receivable GBP     199,890,417.55  1,320 payments" in said
    assert "Lehner" not in said


def test_table_for_the_ui_has_money_as_text_and_no_markup() -> None:
    odd = Revenue("<b>|", 1, 1, Decimal("2.10"))
    found = summary.table(answers(revenue=[odd]))

    assert "| revenue | &lt;b>\\| | 1 | 2.10 |" in found
    assert "| overdue, receivable | GBP | 1,320 | 199,890,417.55 |" in found


@pytest.mark.parametrize("count", [1, 2, 60])
def test_picture_of_any_number_of_months_is_drawn(count: int) -> None:
    drawn = charts.by_month(months(count, ["GBP"]), charts.WIDE)

    assert drawn.count('d="M') >= count
    assert "NaN" not in drawn


def test_panels_share_their_months() -> None:
    """A currency that began later has its bars where the others have those months."""
    rows = [row for row in months(6) if row.currency_code != "GBP" or row.month.month > 8]
    drawn = charts.by_month(rows, charts.WIDE)
    bars = [re.findall(r'd="M([\d.]+),', panel) for panel in re.findall(r"mark-rect.*?</g>", drawn)]
    last = [max(map(float, panel)) for panel in bars if panel]

    assert len(last) == 3
    assert len({*last}) == 1


def test_month_rows_are_not_changed() -> None:
    rows: list[Month] = months(2)
    marked(rows, dt.date(2024, 11, 2))

    assert rows == months(2)
