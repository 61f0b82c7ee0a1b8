"""The locations of the lake's two zones and of the drops: one URL for each location, and separate
locations for all of them."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Collection
from pathlib import Path
from urllib.parse import unquote_to_bytes

from totesys_dagster import files, settings
from totesys_dagster.errors import SettingError

# Everything after the scheme is the path: a # or ? in it has no special meaning.
_BUCKET = re.compile(r"s3://([A-Za-z0-9][A-Za-z0-9._-]*)(/.*)?", re.IGNORECASE | re.DOTALL)
_FILE = re.compile(r"file:(?://(?:localhost)?)?(/(?!/).*)", re.IGNORECASE | re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def zone_url(name: str) -> str:
    """The location of a zone: `s3://bucket/prefix`, or an absolute `file:///` URL for a directory.

    Each location has one URL, and each zone its own location. Raises SettingError, without the
    value: it may be that of another setting, with a password.
    """
    url = _zone(name, settings.get(name))
    if url is None:
        raise SettingError(
            f"{name} is neither a directory nor a place in a bucket: write s3://bucket/path, or the"
            " directory's path; credentials belong into the settings of AWS."
        )
    if _overlap(url, _other_zone(name)):
        raise SettingError(
            f"{settings.INGESTION_URL} and {settings.PROCESSED_URL} are the same place, or one lies"
            " within the other: give each zone a place of its own, such as s3://bucket/ingestion"
            " and s3://bucket/processed."
        )
    return url


def drops_url() -> str:
    """The location of the drops, like that of a zone. It is outside both zones.

    Raises SettingError, without the value.
    """
    name = settings.DROPS_URL
    url = _zone(name, settings.drops())
    if url is None:
        raise SettingError(
            f"{name} is neither a directory nor a place in a bucket: write s3://bucket/path, or the"
            " directory's path; credentials belong into the settings of AWS."
        )
    for zone in (settings.INGESTION_URL, settings.PROCESSED_URL):
        if settings.is_set(zone) and _overlap(url, _zone(zone, settings.get(zone))):
            raise SettingError(
                f"{name} and {zone} are the same place, or one lies within the other: what others"
                " deliver needs a place of its own, such as s3://bucket/drops."
            )
    return url


def require_usable(provided: Collection[str]) -> None:
    """Check the locations of zones and drops without creating any. Raises SettingError.

    `provided` are settings of the embedded default, whose home is checked when it is created.
    """
    urls = {name: zone_url(name) for name in (settings.INGESTION_URL, settings.PROCESSED_URL)}
    urls[settings.DROPS_URL] = drops_url()
    for name, url in urls.items():
        if name not in provided and settings.is_set(name) and url.startswith("file:"):
            require_place(name, url)


def require_place(name: str, url: str) -> None:
    """Refuse a directory that cannot be created or used. Raises SettingError."""
    path = Path(os.fsdecode(unquote_to_bytes(url.removeprefix("file://"))))
    try:
        there = next(one for one in (path, *path.parents) if os.path.lexists(one))
        with os.scandir(there):  # says why not, as do the next lines
            pass
        if there != path and not os.access(there, os.W_OK):
            raise PermissionError(errno.EACCES, "", str(there))
    except OSError as error:
        reason, remedy = files.why(error)
        raise SettingError(
            f"{name} ({url}) cannot be used: {error.filename} {reason}; {remedy}, then run again."
        ) from None


def _zone(name: str, value: str) -> str | None:
    """The URL of the location in `value` of setting `name`, or None if it is not one."""
    if match := _BUCKET.fullmatch(value):
        return _bucket(name, match[1], (match[2] or "/").removesuffix("/"))
    if match := _FILE.fullmatch(value):
        value = os.fsdecode(unquote_to_bytes(match[1]))
    elif _SCHEME.match(value):
        return None
    if "\0" in value:
        return None
    path = settings.directory(name, value)
    # If there are links, only the file system knows where .. leads.
    return (path.resolve() if ".." in path.parts else path).as_uri()


def _other_zone(name: str) -> str | None:
    """The URL of the zone other than setting `name`, or None if it is unset or invalid."""
    one, two = settings.INGESTION_URL, settings.PROCESSED_URL
    other = {one: two, two: one}.get(name)
    if other is None or not settings.is_set(other):
        return None
    try:
        return _zone(other, settings.get(other))
    except SettingError:
        return None  # reported when that zone is opened


def _bucket(name: str, bucket: str, prefix: str) -> str:
    """The URL of a location in a bucket; `prefix` is empty or starts with a slash."""
    odd = not {"", ".", ".."}.isdisjoint(prefix.split("/")[1:])
    # SeaweedFS, for instance, treats a backslash as a slash.
    if odd or "\\" in prefix or not prefix.isprintable():
        raise SettingError(
            f"{name} has a path that stores and tools read differently, with a part that is empty,"
            " . or .., a backslash, or what cannot be printed: write s3://bucket/path with plain"
            " names between single slashes."
        )
    return f"s3://{bucket}{prefix}"


def _overlap(one: str, other: str | None) -> bool:
    """Whether two zones are the same location, or one contains the other."""
    if other is None or one[:4] != other[:4]:
        return False
    if one.startswith("file:"):
        one, other = (
            os.path.realpath(os.fsdecode(unquote_to_bytes(url.removeprefix("file://"))))
            for url in (one, other)
        )
    one, other = (f"{place.rstrip('/')}/" for place in (one, other))
    return one.startswith(other) or other.startswith(one)
