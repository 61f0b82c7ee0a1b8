"""Names of countries as systems like ToteSys write them, where ISO 3166 spells them otherwise.

`make render` writes `warehouse/sql/reports/country_names.sql` from these and from the names that
ISO 3166 knows, by the package pycountry. Nothing is guessed: its fuzzy search takes the Republic of
Korea, where more of ToteSys' orders go than anywhere else, for North Korea.
"""

from __future__ import annotations

# Each name is one that a strict search in the package does not find.
NAMES: dict[str, str] = {
    "Antarctica (the territory South of 60 deg S)": "AQ",
    "Bouvet Island (Bouvetoya)": "BV",
    "British Indian Ocean Territory (Chagos Archipelago)": "IO",
    "Cape Verde": "CV",
    "Cote d'Ivoire": "CI",
    "Curacao": "CW",
    "Democratic Republic of the Congo": "CD",
    "Ivory Coast": "CI",
    "Libyan Arab Jamahiriya": "LY",
    "Macedonia": "MK",
    "Micronesia": "FM",
    "Palestinian Territory": "PS",
    "Pitcairn Islands": "PN",
    "Republic of Korea": "KR",
    "Reunion": "RE",
    "Saint Barthelemy": "BL",
    "Saint Helena": "SH",
    "Saint Martin": "MF",
    "Sint Maarten": "SX",
    "Slovakia (Slovak Republic)": "SK",
    "Svalbard & Jan Mayen Islands": "SJ",
    "Swaziland": "SZ",
    "Turkey": "TR",
    "United States Virgin Islands": "VI",
    "Aland Islands": "AX",
}
