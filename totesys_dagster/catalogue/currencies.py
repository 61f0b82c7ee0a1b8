"""Which currencies there are, and what ISO 4217 calls them: those in use, and those that were.

A row may be older than its currency's end: an order of 2022 in kuna is right. So a code is known
when the package pycountry has it (list one of ISO 4217: currencies in use, funds, metals, and the
codes for tests and for no currency) or when ISO 4217 withdrew it in 1999 or later (list three).

A batch is judged by the list of the day on which it was captured, which is kept with it: a newer
package must not give other rows for the same batch.
"""

from __future__ import annotations

# Code, the name that it had last, and the month in which ISO 4217 withdrew it, from list three as
# published on 2026-01-01 (amendment 180, the last one known when this was written):
# https://www.six-group.com/en/products-services/financial-information/data-standards.html
#
# Of a code that was withdrawn from one country after the other, the last month counts; left out
# are codes that are in use elsewhere, and those that only changed their name. A month is not always
# the one in which the money ceased to be legal tender: list three has 2017-12 for STD and MRO,
# which went on into 2018, and 2002-03 for the currencies that the euro replaced.
WITHDRAWN: dict[str, tuple[str, str]] = {
    "ADP": ("Andorran Peseta", "2003-07"),
    "AFA": ("Afghani", "2003-01"),
    "ANG": ("Netherlands Antillean Guilder", "2025-03"),
    "AON": ("New Kwanza", "2000-02"),
    "AOR": ("Kwanza Reajustado", "2000-02"),
    "ATS": ("Schilling", "2002-03"),
    "AYM": ("Azerbaijan Manat", "2005-10"),
    "AZM": ("Azerbaijanian Manat", "2005-12"),
    "BEF": ("Belgian Franc", "2002-03"),
    "BGL": ("Lev", "2003-11"),
    "BGN": ("Bulgarian Lev", "2026-01"),
    "BYB": ("Belarusian Ruble", "2001-01"),
    "BYR": ("Belarusian Ruble", "2017-01"),
    "CHC": ("WIR Franc (for electronic)", "2004-11"),
    "CSD": ("Serbian Dinar", "2006-10"),
    "CUC": ("Peso Convertible", "2021-06"),
    "CYP": ("Cyprus Pound", "2008-01"),
    "DEM": ("Deutsche Mark", "2002-03"),
    "ECS": ("Sucre", "2000-09"),
    "ECV": ("Unidad de Valor Constante (UVC)", "2000-09"),
    "EEK": ("Kroon", "2011-01"),
    "ESP": ("Spanish Peseta", "2002-03"),
    "FIM": ("Markka", "2002-03"),
    "FRF": ("French Franc", "2002-03"),
    "GHC": ("Cedi", "2008-01"),
    "GHP": ("Ghana Cedi", "2007-06"),
    "GRD": ("Drachma", "2002-03"),
    "HRK": ("Kuna", "2023-01"),
    "IEP": ("Irish Pound", "2002-03"),
    "ITL": ("Italian Lira", "2002-03"),
    "LTL": ("Lithuanian Litas", "2014-12"),
    "LUF": ("Luxembourg Franc", "2002-03"),
    "LVL": ("Latvian Lats", "2014-01"),
    "MGF": ("Malagasy Franc", "2004-12"),
    "MRO": ("Ouguiya", "2017-12"),
    "MTL": ("Maltese Lira", "2008-01"),
    "MZM": ("Mozambique Metical", "2006-06"),
    "NLG": ("Netherlands Guilder", "2002-03"),
    "PTE": ("Portuguese Escudo", "2002-03"),
    "ROL": ("Old Leu", "2005-06"),
    "RUR": ("Russian Ruble", "2004-01"),
    "SDD": ("Sudanese Dinar", "2007-07"),
    "SIT": ("Tolar", "2007-01"),
    "SKK": ("Slovak Koruna", "2009-01"),
    "SLL": ("Leone", "2023-12"),
    "SRG": ("Surinam Guilder", "2003-12"),
    "STD": ("Dobra", "2017-12"),
    "TJR": ("Tajik Ruble", "2001-04"),
    "TMM": ("Turkmenistan Manat", "2009-01"),
    "TPE": ("Timor Escudo", "2002-11"),
    "TRL": ("Old Turkish Lira", "2005-12"),
    "USS": ("US Dollar (Same day)", "2014-03"),
    "VEB": ("Bolivar", "2008-01"),
    "VEF": ("Bolívar", "2018-08"),
    "XEU": ("European Currency Unit (E.C.U)", "1999-01"),
    "XFO": ("Gold-Franc", "2006-10"),
    "XFU": ("UIC-Franc", "2013-11"),
    "XRE": ("RINET Funds Code", "1999-11"),
    "YUM": ("New Dinar", "2003-07"),
    "ZMK": ("Zambian Kwacha", "2012-12"),
    "ZRN": ("New Zaire", "1999-06"),
    "ZWD": ("Zimbabwe Dollar", "2008-08"),
    "ZWL": ("Zimbabwe Dollar", "2024-09"),
    "ZWN": ("Zimbabwe Dollar (new)", "2006-09"),
    "ZWR": ("Zimbabwe Dollar", "2009-06"),
}


def currencies() -> dict[str, str]:
    """The name of each currency by its code, as they are known today, in the order of the codes.

    A code that the package has again is in use again.
    """
    import pycountry  # only now: it takes 30 ms, and most processes look no currency up

    in_use = {currency.alpha_3: currency.name for currency in pycountry.currencies}
    withdrawn = {code: name for code, (name, _) in WITHDRAWN.items()}
    return dict(sorted((withdrawn | in_use).items()))
