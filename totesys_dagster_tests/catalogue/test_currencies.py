"""Which currencies are known, and how a list of them is kept."""

from __future__ import annotations

import datetime as dt
import re

import pycountry
import pytest

from totesys_dagster.catalogue import currencies
from totesys_dagster.catalogue.currencies import WITHDRAWN
from totesys_dagster_tests.processes import imported_with

# Those in use on 2026-01-01.
IN_USE = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN
    BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR
    FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY
    KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU
    MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON
    RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP
    TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XAG XAU XBA XBB
    XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XTS XUA XXX YER ZAR ZMW ZWG
"""


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("GBP", "Pound Sterling"),
        ("USD", "US Dollar"),
        ("EUR", "Euro"),
        ("HRK", "Kuna"),  # withdrawn 2023-01, right for an order of 2022
        ("BGN", "Bulgarian Lev"),
        ("DEM", "Deutsche Mark"),
        ("ZWL", "Zimbabwe Dollar"),
        ("XAU", "Gold"),
        ("CHW", "WIR Franc"),  # a fund
        ("XTS", "Codes specifically reserved for testing purposes"),
    ],
)
def test_code_has_its_name(code: str, name: str) -> None:
    assert currencies.currencies()[code] == name


@pytest.mark.parametrize("code", ["ZZZ", "gbp", "GB", "", "YDD", "ZRZ"])
def test_no_other_code_is_known(code: str) -> None:
    """Neither are those that ISO 4217 withdrew before 1999."""
    assert code not in currencies.currencies()


def test_every_currency_in_use_has_the_name_of_the_package() -> None:
    known = currencies.currencies()

    assert len(pycountry.currencies) > 170
    assert {c.alpha_3: known[c.alpha_3] for c in pycountry.currencies} == {
        c.alpha_3: c.name for c in pycountry.currencies
    }


def test_no_currency_is_both_in_use_and_withdrawn() -> None:
    """A package that has one again, or has one still, would hide a line of our own."""
    assert {c.alpha_3 for c in pycountry.currencies}.isdisjoint(WITHDRAWN)


@pytest.mark.parametrize("code", WITHDRAWN)
def test_withdrawn_currency_has_a_code_a_name_and_a_month_since_1999(code: str) -> None:
    name, month = WITHDRAWN[code]

    assert re.fullmatch("[A-Z]{3}", code)
    assert name.strip() == name
    assert name.isprintable()  # list three has a no-break space
    assert dt.date(1999, 1, 1) <= dt.date.fromisoformat(f"{month}-01") < dt.date(2026, 12, 1)


def test_code_that_was_known_once_is_known_for_ever() -> None:
    """When a newer package has dropped one, it belongs among those that were withdrawn."""
    assert set(IN_USE.split()) <= set(currencies.currencies())


def test_predecessors_of_the_euro_are_all_there() -> None:
    """Those of the twenty-one countries, and of four that used another country's money."""
    countries = (
        "ATS BEF BGN CYP DEM EEK ESP FIM FRF GRD HRK IEP ITL LTL LUF LVL MTL NLG PTE SIT SKK"
    )

    assert set(WITHDRAWN) >= {*countries.split(), "ADP", "XEU"}


def test_list_is_in_the_order_of_its_codes() -> None:
    known = currencies.currencies()

    assert list(known) == sorted(known)


def test_package_is_not_loaded_before_a_currency_is_looked_up() -> None:
    """Nor by the code location: see `test_definitions.py`."""
    assert "pycountry" not in imported_with("totesys_dagster.processed.transform")
