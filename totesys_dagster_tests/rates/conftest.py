"""The two sources: a daily one on loopback, and a history of the bank of a few lines."""

from __future__ import annotations

import datetime as dt
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from totesys_dagster import settings
from totesys_dagster.feeds.load import FeedLoad, load_all
from totesys_dagster.orchestration import rates as orchestration
from totesys_dagster.rates import assets, client, process
from totesys_dagster.rates.process import EXCHANGE_RATES
from totesys_dagster.warehouse import schema
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.orchestra import orchestra

__all__ = ["orchestra"]

NOON = dt.datetime(2024, 11, 15, 12, tzinfo=dt.UTC)


def body(day: str, eur: float, usd: float) -> bytes:
    """What the daily source says: so much for one pound."""
    return json.dumps({"date": day, "gbp": {"gbp": 1, "eur": eur, "usd": usd}}).encode()


def history(*lines: str) -> bytes:
    """A history of the bank, of lines as `2024-11-08,1.0666,0.83`: what a euro was."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(zipfile.ZipInfo("eurofxref-hist.csv"), "\n".join(["Date,USD,GBP", *lines]))
    return archive.getvalue()


@dataclass
class Service:
    """The daily source. `bodies` are what it has, by day; what it has not it answers with 404."""

    url: str = ""
    bodies: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    found = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            day = self.path.strip("/")
            found.asked.append(day)
            self.send_response(200 if day in found.bodies else 404)
            data = found.bodies.get(day, b"")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}/{{date}}"
    monkeypatch.setenv(settings.RATES_URL, found.url)
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The daily source does not answer at all."""
    monkeypatch.setattr(client, "PAUSES", ())
    monkeypatch.setenv(settings.RATES_URL, "http://127.0.0.1:1/{date}")


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bank that has quoted from 2024-11-08 to 2024-11-13, but for the weekend."""
    data = history(*(f"2024-11-{day},1.0666,0.83" for day in ("08", "11", "12", "13")))
    use_history(monkeypatch, data)


def use_history(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Let that be the history that is installed, of a bank that began in November 2024."""
    for module in (assets, orchestration):
        monkeypatch.setattr(module, "packaged_history", lambda: data)
    monkeypatch.setattr(process, "BANK_SINCE", dt.date(2024, 11, 1))


@pytest.fixture
def made(platform: Platform) -> Platform:
    """A warehouse with all tables and no rows."""
    schema.migrate(platform.warehouse, platform.names)
    return platform


def load(platform: Platform) -> list[FeedLoad]:
    return [
        *load_all(
            platform.warehouse,
            platform.names,
            EXCHANGE_RATES,
            platform.ingestion,
            platform.processed,
        )
    ]


# The dollar's rates of some days: the day of the month, the source, and for how long it is carried.
Rates = list[tuple[str, str | None, int | None]]


def dollars(
    platform: Platform, first: str, last: str, table: str = "current_fact_exchange_rate"
) -> Rates:
    return platform.rows(
        "SELECT to_char(rate_date, 'DD'), source, carried_days"
        f" FROM {table} WHERE currency_code = 'USD'"
        f" AND rate_date BETWEEN '{first}' AND '{last}' ORDER BY rate_date, exchange_rate_record_id"
    )
