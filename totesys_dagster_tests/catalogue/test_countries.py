"""Names of countries: none is guessed, and none is added that is known anyhow."""

from __future__ import annotations

import pycountry
import pytest

from totesys_dagster.catalogue.countries import NAMES
from totesys_dagster.warehouse import reports
from totesys_simulator.vocabulary import ADDRESSES


@pytest.mark.parametrize("name", NAMES)
def test_name_that_is_added_is_not_known_by_a_strict_search(name: str) -> None:
    with pytest.raises(LookupError):
        pycountry.countries.lookup(name)
    assert pycountry.countries.get(alpha_2=NAMES[name]) is not None


def test_every_country_of_the_simulated_business_is_in_the_list() -> None:
    listed = reports.all_reports()["country_names"].query

    for country in {address[5] for address in ADDRESSES}:
        assert "('{}', '".format(country.replace("'", "''")) in listed
