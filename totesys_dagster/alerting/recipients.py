"""Who is notified, and through which channel: the settings of alerts."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from totesys_dagster import settings
from totesys_dagster.errors import SettingError


@dataclass(frozen=True)
class Mail:
    """Where alerts go. The repr leaves out the password."""

    host: str
    port: int
    encrypted: bool
    user: str | None
    password: str | None
    sender: str
    recipients: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Mail({self.host}:{self.port} to {', '.join(self.recipients)})"


def mail_is_set() -> bool:
    """Whether to mail alerts. Server and sender alone may have been set for the report page."""
    if settings.is_set(settings.REPORT_TO):
        return settings.is_set(settings.ALERT_TO)
    return any(map(settings.is_set, (settings.SMTP_URL, settings.ALERT_FROM, settings.ALERT_TO)))


def mail() -> Mail | None:
    """How to mail alerts; None if none of the settings is set. Raises SettingError."""
    return mail_to(settings.ALERT_TO) if mail_is_set() else None


def mail_to(setting: str) -> Mail:
    """How to send mail to the recipients in `setting`. Raises SettingError."""
    try:
        url = urlsplit(settings.get(settings.SMTP_URL))
        port = url.port
    except ValueError:
        url, port = urlsplit(""), None
    # An unencoded / ? or # in the password ends the host.
    beyond_host = url.path.strip("/") or url.query or url.fragment
    if url.scheme not in ("smtp", "smtps") or not url.hostname or port == 0 or beyond_host:
        raise SettingError(
            f"{settings.SMTP_URL} is not a mail server: write smtp://host:587 (STARTTLS when"
            " offered) or smtps://user:password@host:465, with special characters of the password"
            " percent-encoded."
        )
    recipients = tuple(part.strip() for part in settings.get(setting).split(",") if part.strip())
    if not recipients:
        raise SettingError(
            f"{setting} names no recipient: write one or more addresses, separated by commas."
        )
    return Mail(
        host=url.hostname,
        port=port or (465 if url.scheme == "smtps" else 587),
        encrypted=url.scheme == "smtps",
        user=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        sender=settings.get(settings.ALERT_FROM),
        recipients=recipients,
    )


@dataclass(frozen=True)
class Topic:
    """A topic of Amazon SNS."""

    arn: str
    region: str


def alert_topic_is_set() -> bool:
    """Whether to publish alerts to a topic of Amazon SNS."""
    return settings.is_set(settings.ALERT_TOPIC)


def alert_topic() -> Topic | None:
    """The topic that alerts are published to; None if it is not set. Raises SettingError."""
    if not alert_topic_is_set():
        return None
    arn = settings.get(settings.ALERT_TOPIC)
    fields = arn.split(":")
    if len(fields) != 6 or fields[0] != "arn" or fields[2] != "sns" or not all(fields):
        raise SettingError(
            f"{settings.ALERT_TOPIC} is not the ARN of a topic of Amazon SNS: write it as"
            " arn:aws:sns:eu-west-2:123456789012:name."
        )
    return Topic(arn, region=fields[3])


def ui_url() -> str | None:
    """The address of Dagster's UI, for links in alerts; None for no links. Raises SettingError.

    The error does not show the value: it may be that of another setting, with a password.
    """
    if not settings.is_set(settings.UI_URL):
        return None
    value = settings.get(settings.UI_URL).rstrip("/")
    try:
        url = urlsplit(value)
    except ValueError:
        url = urlsplit("")
    if url.scheme not in ("http", "https") or not url.netloc or "@" in value:
        raise SettingError(
            f"{settings.UI_URL} is not the address of Dagster's UI: write https://dagster.example.com,"
            " without user and password."
        )
    return value
