"""How people are notified: by e-mail, through a topic of Amazon SNS, or both.

A message that a channel did not accept stays in the outbox and is sent later.
"""

import smtplib
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict

from totesys_dagster import settings
from totesys_dagster.alerting import recipients
from totesys_dagster.alerting.incidents import Message
from totesys_dagster.alerting.recipients import Mail
from totesys_dagster.errors import TotesysError

# A sensor's tick has a minute in total; no new message is started after the first seconds.
TIMEOUT_SECONDS = 10
DELIVERY_SECONDS = 10

# The longest subject that Amazon SNS accepts.
LONGEST_SUBJECT = 99

ALERTS_OFF = (
    f"Alerts are off: set {settings.SMTP_URL}, {settings.ALERT_FROM} and {settings.ALERT_TO} to be"
    f" notified of failures by e-mail, or {settings.ALERT_TOPIC} through Amazon SNS."
)


class NotSentError(TotesysError):
    """A message was not sent."""


class Outgoing(BaseModel):
    """A message that one channel has not accepted yet."""

    model_config = ConfigDict(frozen=True)

    channel: str
    subject: str
    body: str


def channels() -> list[str]:
    """The channels that the settings name; none when alerts are off."""
    return [name for name, (is_set, _) in CHANNELS.items() if is_set()]


def addressed(messages: Iterable[Message]) -> list[Outgoing]:
    """Messages for every channel."""
    return [
        Outgoing(channel=channel, subject=message.subject, body=message.body)
        for message in messages
        for channel in channels()
    ]


def deliver(outbox: Sequence[Outgoing]) -> tuple[list[Outgoing], list[str]]:
    """Send what can be sent. Returns what is left for later, and why.

    A channel that fails is not retried at once. Messages for a channel that is no longer in use are
    dropped.
    """
    used = channels()
    start = time.monotonic()
    failures: dict[str, str] = {}
    left = []
    for message in outbox:
        if message.channel not in used:
            continue
        late = time.monotonic() - start > DELIVERY_SECONDS
        if message.channel in failures or late:
            left.append(message)
            continue
        try:
            CHANNELS[message.channel][1](message.subject, message.body)
        except TotesysError as error:
            failures[message.channel] = str(error)
            left.append(message)
    return left, list(failures.values())


def send_alert(subject: str, body: str) -> None:
    """Mail an alert as the settings say. Raises SettingError or NotSentError."""
    mail = recipients.mail()
    if mail is not None:
        send_mail(subject, body, mail)


def send_mail(
    subject: str, body: str, mail: Mail, attached: Mapping[str, bytes] = MappingProxyType({})
) -> None:
    """Send a mail with HTML files attached, by name. Raises NotSentError."""
    message = EmailMessage()
    message["Subject"] = _one_line(subject)
    message["From"] = mail.sender
    message["To"] = ", ".join(mail.recipients)
    message.set_content(body)
    for name, data in attached.items():
        # As bytes, so the file arrives as it was written, including its line ends.
        message.add_attachment(data, maintype="text", subtype="html", filename=name)
    try:
        with _connect(mail) as server:
            if mail.user is not None:
                server.login(mail.user, mail.password or "")
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise NotSentError(
            f"{settings.SMTP_URL} ({mail.host}:{mail.port}) did not take a mail:"
            f" {type(error).__name__}. Check the server, the user and the password."
        ) from None


@contextmanager
def _connect(mail: Mail) -> Iterator[smtplib.SMTP]:
    """A connection to the mail server, encrypted if possible, and always if there is a password."""
    context = ssl.create_default_context()
    place = (mail.host, mail.port)
    if mail.encrypted:
        with smtplib.SMTP_SSL(*place, timeout=TIMEOUT_SECONDS, context=context) as server:
            yield server
        return
    with smtplib.SMTP(*place, timeout=TIMEOUT_SECONDS) as server:
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=context)
        elif mail.user is not None:
            raise NotSentError(
                f"{settings.SMTP_URL} ({mail.host}:{mail.port}) offers no encryption, so the"
                " password was not sent: use smtps://, or leave out the user."
            )
        yield server


def publish(subject: str, body: str) -> None:
    """Publish to the topic that the settings name. Raises SettingError or NotSentError."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    topic = recipients.alert_topic()
    if topic is None:
        return
    limits = Config(
        connect_timeout=TIMEOUT_SECONDS,
        read_timeout=TIMEOUT_SECONDS,
        retries={"total_max_attempts": 1},
    )
    try:
        client = boto3.client("sns", region_name=topic.region, config=limits)
        client.publish(TopicArn=topic.arn, Subject=_short(subject), Message=body)
    except (BotoCoreError, ClientError, ValueError) as error:
        answer = error.response["Error"]["Code"] if isinstance(error, ClientError) else None
        raise NotSentError(
            f"{settings.ALERT_TOPIC} ({topic.arn}) did not take a message"
            f" ({answer or type(error).__name__}): check the topic, and that the role may publish"
            " to it."
        ) from None


def _one_line(subject: str) -> str:
    """The subject without control characters, which a partition key can contain."""
    return "".join(character if character.isprintable() else " " for character in subject)


def _short(subject: str) -> str:
    """The subject as Amazon SNS accepts it: short and in ASCII."""
    return _one_line(subject).encode("ascii", "replace").decode()[:LONGEST_SUBJECT]


Send = Callable[[str, str], None]
CHANNELS: Mapping[str, tuple[Callable[[], bool], Send]] = {
    "e-mail": (recipients.mail_is_set, send_alert),
    "SNS": (recipients.alert_topic_is_set, publish),
}
