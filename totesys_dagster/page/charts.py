"""Pictures as SVG, drawn by Vega-Lite without a browser; the result contains no script.

Colours are CSS variables, so a picture follows its page's light or dark mode. Altair and its
renderer take a second to load: import this module only where something is drawn.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import altair as alt
import vl_convert

from totesys_dagster.page.answers import Country, Month

# The renderer includes this font and measures text with it; Arial and Helvetica are as wide.
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"

# Placeholder colours, replaced by CSS variables once the picture is drawn.
_INK, _GRID, _LAND, _MARK, _ON_MARK, _EDGE = (
    f"#0{number}0{number}0{number}" for number in "123456"
)
THEME = {
    _INK: "var(--muted)",
    _GRID: "var(--line)",
    _LAND: "var(--land)",
    _MARK: "var(--mark)",
    _ON_MARK: "var(--on-mark)",
    _EDGE: "var(--paper)",
}
# The same for a picture of months outside the page, on white or on black.
PLAIN = {_INK: "#6b7280", _GRID: "#9ca3af", _MARK: "#3b82c4"}

WIDE, NARROW = 876, 358
_MAP_HEIGHT = 0.46  # of its width: Antarctica is left out
_EQUAL_EARTH = 5.6  # the width of the whole Earth at scale 1, and a margin for circles

_NUMBER = re.compile(r"-?\d+\.\d+")
_PATH = re.compile(r'(?<= d=")[^"]*')
# The attributes that describe marks to screen readers, which get the table beside the picture.
_SPOKEN = re.compile(r' (?:role|aria-[a-z]+|pointer-events|xmlns:xlink|version)="[^"]*"')


def by_month(months: Sequence[Month], width: int, colours: Mapping[str, str] = THEME) -> str:
    """Revenue by month: one panel per currency, stacked, each with a scale from zero."""
    values = [
        {
            "month": one.month.isoformat(),
            "currency": one.currency_code,
            "revenue": float(one.revenue),  # exact enough for a picture in whole pixels
            "unfinished": one.unfinished,
        }
        for one in months
    ]
    bars = (
        alt.Chart(alt.NamedData("months"), width=width - 32, height=104)
        .mark_bar(color=_MARK, stroke=_MARK, width={"band": 0.8})
        .encode(
            # One time scale for all panels, so each month is at the same place.
            x=alt.X(
                "utcyearmonth(month):T",
                title=None,
                scale=alt.Scale(type="utc"),
                axis=alt.Axis(format="%b %Y", tickCount=6 if width > NARROW else 3),
            ),
            y=alt.Y("revenue:Q", title=None, axis=alt.Axis(format="~s", tickCount=3)),
            fillOpacity=alt.condition("datum.unfinished", alt.value(0.15), alt.value(1)),
            strokeWidth=alt.condition("datum.unfinished", alt.value(1), alt.value(0)),
            strokeDash=alt.value([3, 2]),
        )
    )
    header = alt.Header(labelOrient="top", labelAnchor="start", labelAngle=0, labelPadding=4)
    panels = bars.facet(row=alt.Row("currency:N", title=None, header=header), spacing=12)
    panels = panels.resolve_scale(y="independent").resolve_axis(x="independent")
    return _svg(panels, {"months": values}, colours)


def world(countries: Sequence[Country], width: int = WIDE) -> str:
    """A map with one circle per country, whose area is its number of orders."""
    places = _places()
    dots: list[dict[str, Any]] = []
    for code, orders in sorted(_by_code(countries).items(), key=lambda one: -one[1]):
        if code in places:
            place = places[code]
            label = "" if any(dot["label"] and _near(place, dot) for dot in dots) else code
            dots.append({"orders": orders, "label": label, **place})
    project: dict[str, Any] = {
        "type": "equalEarth",
        "scale": width / _EQUAL_EARTH,
        "translate": [width / 2, width * _MAP_HEIGHT * 0.55],
    }
    land = json.loads((resources.files(__package__) / "data" / "land-110m.json").read_text())
    shape = alt.NamedData("land", format=alt.TopoDataFormat(type="topojson", feature="land"))
    ground = alt.Chart(shape).mark_geoshape(fill=_LAND, stroke=None, clip=True)
    base = alt.Chart(alt.NamedData("dots")).encode(longitude="lon:Q", latitude="lat:Q")
    circles = base.mark_circle(color=_MARK, opacity=1, stroke=_EDGE, strokeWidth=1).encode(
        size=alt.Size(
            "orders:Q", scale=alt.Scale(zero=True, nice=False, range=[0, 900]), legend=None
        )
    )
    codes = base.mark_text(color=_ON_MARK, fontSize=10, fontWeight="bold").encode(text="label:N")
    chart = alt.layer(ground, circles, codes).project(**project)
    chart = chart.properties(width=width, height=round(width * _MAP_HEIGHT))
    return _svg(chart, {"land": land, "dots": dots}, THEME)


def _near(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the codes of two circles would overlap, at about 2.3 pixels a degree. If so, only the
    one with more orders shows its code; the table has both."""
    return bool(abs(one["lon"] - other["lon"]) < 8 and abs(one["lat"] - other["lat"]) < 5)


def _by_code(countries: Sequence[Country]) -> dict[str, int]:
    """Orders by country code. Two names can mean the same country."""
    found: dict[str, int] = {}
    for one in countries:
        if one.country_code:
            found[one.country_code] = found.get(one.country_code, 0) + one.orders
    return found


def _places() -> dict[str, dict[str, float]]:
    with (resources.files(__package__) / "data" / "places.csv").open() as file:
        return {
            row["country_code"]: {"lon": float(row["longitude"]), "lat": float(row["latitude"])}
            for row in csv.DictReader(file)
        }


def _svg(chart: Any, data: Mapping[str, Any], colours: Mapping[str, str]) -> str:
    """The picture. The data is put in last: inspecting it would take Altair half a second."""
    configured = (
        chart.configure(font=FONT, background="transparent", aria=False, padding=2)
        .configure_view(stroke=None)
        .configure_header(labelColor=_INK, labelFontSize=12, labelFontWeight="bold")
        .configure_axis(
            labelColor=_INK,
            labelFontSize=11,
            gridColor=_GRID,
            domainColor=_GRID,
            tickColor=_GRID,
            domain=False,
        )
        .configure_axisX(grid=False)
        .configure_axisY(ticks=False)
    )
    specification = configured.to_dict() | {"datasets": data}
    drawn = _SPOKEN.sub("", vl_convert.vegalite_to_svg(specification))
    for stands_for, colour in colours.items():
        drawn = drawn.replace(stands_for, colour)
    drawn = _PATH.sub(lambda path: _NUMBER.sub(_rounded, path[0]), drawn)
    return drawn.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")
