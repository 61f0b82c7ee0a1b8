"""The names under which the Dagster UI is served, and the headers Host and Origin of a request.

A browser truthfully names the host that it believes to address (Host) and the site of the
requesting page (Origin). A page of another site cannot change either, even if its own name resolves
to this machine (DNS rebinding). So Host must be one of the known names, and Origin the same place.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from totesys_dagster import settings
from totesys_dagster.errors import SettingError

DEFAULT_PORTS = {"http": 80, "https": 443}
_PLACE = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_-][a-z0-9._-]*)(?::([0-9]{0,5}))?")


@dataclass(frozen=True)
class Place:
    """A host in lower case, an address in its canonical form; `port` is None if not given."""

    host: str
    port: int | None = None

    def on(self, scheme: str) -> Place:
        """The same, with the port that a scheme implies."""
        return Place(self.host, self.port or DEFAULT_PORTS[scheme])

    @property
    def is_loopback(self) -> bool:
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True)
class Name:
    """A served place; `scheme` is None if both HTTP and HTTPS may reach it."""

    place: Place
    scheme: str | None = None

    def covers(self, host: Place) -> bool:
        """Whether a Host is this place. If the name has no port, any port matches."""
        wanted = self.place.port
        if wanted is not None and host.port is None:
            return self.place.host == host.host and wanted in DEFAULT_PORTS.values()
        return self.place.host == host.host and wanted in (None, host.port)


def parse_place(text: str) -> Place | None:
    """Parse `host` or `host:port`; None if it is neither."""
    found = _PLACE.fullmatch(text.lower())
    if found is None:
        return None
    host, port = found[1].removesuffix("."), int(found[2] or 0)
    if port > 65535:
        return None
    if host.startswith("["):
        try:
            host = str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            return None
    return Place(host, port or None)


def parse_origin(text: str) -> tuple[str, Place] | None:
    """The scheme and place of an Origin; None for `null`, and if it is not a web page's."""
    scheme, _, rest = text.partition("://")
    scheme, found = scheme.lower(), parse_place(rest)
    return (scheme, found.on(scheme)) if found and scheme in DEFAULT_PORTS else None


def is_served(host: Place, names: Iterable[Name]) -> bool:
    """Whether a Host is this machine or one of the names."""
    return host.is_loopback or any(name.covers(host) for name in names)


def is_same_origin(origin: str, host: Place, names: Iterable[Name]) -> bool:
    """Whether a page of this Origin belongs to the UI that was reached under this Host."""
    parsed = parse_origin(origin)
    if parsed is None:
        return False
    scheme, place = parsed
    if place != host.on(scheme):
        return False
    return host.is_loopback or any(
        name.covers(host) and name.scheme in (None, scheme) for name in names
    )


def served_names() -> tuple[Name, ...]:
    """The names of TOTESYS_WEB_HOSTS, and that of TOTESYS_UI_URL. Raises SettingError."""
    names = []
    if url := settings.get(settings.UI_URL, ""):
        scheme, _, rest = url.partition("://")
        names.append(_name(settings.UI_URL, f"{scheme}://{rest.partition('/')[0]}"))
    hosts = settings.get(settings.WEB_HOSTS, "").split(",")
    names += [_name(settings.WEB_HOSTS, text) for text in map(str.strip, hosts) if text]
    return tuple(names)


def _name(setting: str, text: str) -> Name:
    scheme, separator, rest = text.lower().rpartition("://")
    place = parse_place(rest)
    if place is None or (separator and scheme not in DEFAULT_PORTS):
        raise SettingError(
            f"{setting} names {text!r}, which is no host: write names such as dagster.example.com,"
            " 10.0.0.5:3000 or https://dagster.example.com, separated by commas."
        )
    return Name(place, scheme or None)
