"""Asks the daily source over HTTP: bodies as they come, or why none came.

A public service can do anything: be late, drip, redirect in circles, send gigabytes or an HTML
page. So each request has limits of time and size, and each day a limit of time in total.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

CONNECT_SECONDS, READ_SECONDS = 5.0, 10.0
# The most that one request may take, however slowly bytes arrive; and how long a day is tried.
REQUEST_SECONDS = 15.0
DAY_SECONDS = 40.0
# The pause between two rounds through the addresses.
PAUSES = (1.0, 4.0)
LARGEST_BODY = 1024 * 1024  # the real one has 10 kB
REDIRECTS = 3

# A body, or a sentence for people about why there is none.
Answer = bytes | str


class _NoBodyError(Exception):
    """A request brought no body; the message says why. `final` if a retry would not help."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


@dataclass
class Client:
    """Asks one address after another; `{date}` in them stands for the day.

    `silent` is set if no address answered any of a day's requests.
    """

    urls: Sequence[str]
    sleep: Callable[[float], object] = time.sleep
    silent: bool = False

    def answers(self, day: dt.date) -> Iterator[Answer]:
        """The answers for a day, until the caller has what it needs.

        An address that gave a body, or has none, is not asked again. One that fails is asked again
        after a pause.
        """
        end = time.monotonic() + DAY_SECONDS
        left = [url.replace("{date}", day.isoformat()) for url in self.urls]
        self.silent = bool(left)
        for pause in (*PAUSES, None):
            for url in [*left]:
                try:
                    body = _bounded(url, min(REQUEST_SECONDS, end - time.monotonic()))
                except _NoBodyError as error:
                    self.silent = self.silent and not error.final
                    if error.final:
                        left.remove(url)
                    yield f"{urlsplit(url).hostname} {error}"
                else:
                    self.silent = False
                    left.remove(url)
                    yield body
            if not left or pause is None or time.monotonic() + pause >= end:
                return
            self.sleep(pause)


def _bounded(url: str, seconds: float) -> bytes:
    """The body, or _NoBodyError after that time: neither name resolution nor a dripping header has
    a limit of its own. The thread ends at the limit of its next read."""
    found: list[bytes | _NoBodyError] = []
    end = time.monotonic() + seconds

    def ask() -> None:
        try:
            found.append(_get(url, end))
        except _NoBodyError as error:
            found.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    if seconds > 0:
        thread.start()
        thread.join(seconds)
    if not found:
        raise _NoBodyError("did not answer in time")
    if isinstance(found[0], _NoBodyError):
        raise found[0]
    return found[0]


def _get(url: str, end: float) -> bytes:
    import requests  # only now: otherwise every run would wait for it
    from urllib3.exceptions import HTTPError

    try:
        with requests.Session() as session:
            session.max_redirects = REDIRECTS
            with session.get(
                url,
                # Raw bytes: what is archived must be readable without headers.
                headers={"Accept-Encoding": "identity", "User-Agent": "totesys_dagster"},
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                stream=True,
            ) as response:
                _require_body(url, response.url, response.status_code)
                return _read(response.raw.stream(64 * 1024, decode_content=False), end)
    except requests.exceptions.TooManyRedirects:
        raise _NoBodyError("redirects in circles", final=True) from None
    except requests.exceptions.SSLError:
        raise _NoBodyError("has no certificate that is trusted") from None
    except requests.exceptions.Timeout:
        raise _NoBodyError("did not answer in time") from None
    except requests.exceptions.ConnectionError:
        raise _NoBodyError("cannot be reached, or ended the connection") from None
    except (requests.exceptions.RequestException, HTTPError, OSError, ValueError) as error:
        raise _NoBodyError(f"did not answer as HTTP wants it ({type(error).__name__})") from None


def _require_body(asked: str, answered: str, status: int) -> None:
    if urlsplit(asked).scheme == "https" and urlsplit(answered).scheme != "https":
        raise _NoBodyError("redirects to an address without encryption", final=True)
    if status != 200:
        # After 408, 429 or 5xx, a retry may help.
        final = status not in (408, 425, 429) and status < 500
        raise _NoBodyError(f"answered {status}", final=final)


def _read(chunks: Iterator[bytes], end: float) -> bytes:
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) > LARGEST_BODY:
            raise _NoBodyError(f"sent more than {LARGEST_BODY} bytes", final=True)
        if time.monotonic() > end:
            raise _NoBodyError("did not answer in time")
    return bytes(found)
