"""What the lake says of the source: whether its digests are those that were asked for."""

from __future__ import annotations

import pytest

from totesys_dagster.ingestion.known import Known
from totesys_dagster.lake.manifest import PartialDigest, StarEntry, WholeDigest
from totesys_dagster.lake.requests import DigestRequest
from totesys_dagster_tests.hand_made import OBSERVED_AT, manifest


def known(**quarantined: tuple[int, ...]) -> Known:
    """A lake with digests of these stars, without these keys where there are any."""
    head = manifest()
    for star, keys in quarantined.items():
        head.stars[star] = StarEntry(
            whole=WholeDigest(
                method="postgres-1",
                columns=(),
                rows=3,
                digest="3",
                sequence=1,
                observed_at=OBSERVED_AT,
            ),
            without=PartialDigest(
                method="postgres-1", columns=(), rows=2, digest="2", quarantined=keys
            )
            if keys
            else None,
        )
    return Known(head)


def request(**stars: tuple[int, ...]) -> DigestRequest:
    return DigestRequest(number=1, stars=stars)


@pytest.mark.parametrize(
    ("lake", "asked", "answered"),
    [
        (known(fact_payment=()), None, True),
        (known(fact_payment=()), request(), True),
        (known(fact_payment=(3,)), request(fact_payment=(3,)), True),
        # Exactly these keys: no other, no fewer, no more, and none where none is asked for.
        (known(fact_payment=(3,)), request(fact_payment=(4,)), False),
        (known(fact_payment=(3,)), request(fact_payment=(3, 4)), False),
        (known(fact_payment=(3, 4)), request(fact_payment=(3,)), False),
        (known(fact_payment=()), request(fact_payment=(3,)), False),
        (known(fact_payment=(3,)), request(), False),
        (known(fact_payment=(3,)), None, False),
        (known(fact_payment=(3,), dim_staff=(1,)), request(fact_payment=(3,)), False),
        # Stars that the catalogue no longer knows, be they asked for or digested.
        (known(fact_payment=()), request(fact_gone=(3,)), True),
        (known(fact_payment=(3,)), request(fact_gone=(3,), fact_payment=(3,)), True),
        (known(fact_gone=(3,)), request(), True),
    ],
)
def test_request_for_digests_is_answered_by_those_without_exactly_its_keys(
    lake: Known, asked: DigestRequest | None, answered: bool
) -> None:
    assert lake.answers(asked) is answered
