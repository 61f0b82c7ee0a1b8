"""Days through the job of Dagster: asked for, judged, loaded, and an outage carried."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from totesys_dagster import settings
from totesys_dagster.definitions import defs
from totesys_dagster.orchestration.rates import range_tags
from totesys_dagster.rates.client import Client
from totesys_dagster_tests.orchestra import Orchestra, orchestra

__all__ = ["orchestra"]

# A Saturday; by the bank, the pound had 1.2 euros and 1.27 dollars then.
FIRST, LAST = dt.date(2024, 11, 9), dt.date(2024, 11, 13)
BODIES = {
    "2024-11-09": {"eur": 1.2, "usd": 1.29},
    "2024-11-10": {"eur": 1 / 1.2, "usd": 1 / 1.29},
    "2024-11-11": {"eur": 1.21, "usd": 1.288},
    "2024-11-12": {"eur": 1.08, "usd": 1.16},
}


def test_range_is_loaded_in_one_run_and_what_is_wrong_has_the_banks_rate(
    orchestra: Orchestra,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answers(_: Client, day: dt.date) -> list[bytes | str]:
        units = BODIES.get(day.isoformat())
        body = json.dumps({"date": day.isoformat(), "gbp": units}).encode()
        return [body] if units else ["host answered 404"]

    monkeypatch.setenv(settings.RATES_URL, "http://127.0.0.1:1/{date}")
    monkeypatch.setattr(Client, "answers", answers)
    result = defs.resolve_job_def("exchange_rates").execute_in_process(
        instance=orchestra.instance, tags=range_tags(FIRST, LAST), raise_on_error=False
    )

    assert result.success
    checks = {c.check_name: c.passed for c in result.get_asset_check_evaluations()}
    assert (checks["quoted"], checks["contract"], checks["audit"]) == (False, False, True)
    assert orchestra.platform.rows(
        "SELECT to_char(rate_date, 'DD'), source, carried_days FROM current_fact_exchange_rate"
        " WHERE currency_code = 'USD' AND rate_date BETWEEN '2024-11-09' AND '2024-11-13'"
        " ORDER BY 1"
    ) == [
        ("09", "fawazahmed0", 0),
        ("10", "ECB", 2),
        ("11", "fawazahmed0", 0),
        ("12", "ECB", 0),
        ("13", "ECB", 0),
    ]
