"""Work side by side: in order, a bounded number at a time, and failures where they belong."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from totesys_dagster.parallel import ahead, import_ahead


def test_results_come_in_the_order_of_the_items() -> None:
    def slowest_first(number: int) -> int:
        time.sleep(0.02 * (3 - number))
        return number

    assert list(ahead(slowest_first, range(4), threads=4)) == [0, 1, 2, 3]


def test_work_is_done_side_by_side() -> None:
    """Each waits for the other, so that one thread alone would never end."""
    both = threading.Barrier(2, timeout=10)

    assert len(list(ahead(lambda _: both.wait(), range(2), threads=2))) == 2


def test_no_more_is_begun_than_is_taken() -> None:
    begun: list[int] = []
    results = ahead(begun.append, range(100), threads=2)

    next(results)
    next(results)

    assert len(begun) <= 4


def test_failure_comes_in_its_place_and_ends_it() -> None:
    begun: list[int] = []

    def fail_at_one(number: int) -> int:
        begun.append(number)
        if number == 1:
            raise ValueError("one")
        return number

    results = ahead(fail_at_one, range(100), threads=1)

    assert next(results) == 0
    with pytest.raises(ValueError, match="one"):
        next(results)
    assert len(begun) <= 3


def test_failure_of_the_items_is_not_hidden() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise ValueError("no more")

    results = ahead(str, items(), threads=1)

    with pytest.raises(ValueError, match="no more"):
        list(results)


def test_who_imports_what_is_being_imported_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "slowly.py").write_text("import time\ntime.sleep(0.2)\ndone = True\n")
    import_ahead("slowly")

    assert importlib.import_module("slowly").done


def test_error_of_an_import_is_left_to_who_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken.py").write_text("raise ValueError('broken')\n")
    import_ahead("broken")

    with pytest.raises(ValueError, match="broken"):
        importlib.import_module("broken")
