"""A real SMTP server on loopback, and what it was given."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from totesys_dagster import settings
from totesys_dagster.local.server import free_port


class Inbox:
    """Keeps the mails that the server was given."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuses = False

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        if self.refuses:
            return "451 come back later"
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    def take(self) -> list[tuple[str, str]]:
        """Subject and text of the mails that came since the last call."""
        mails, self.mails = self.mails, []
        texts = [str(mail.get_content()).replace("\r\n", "\n") for mail in mails]
        return [(mail["Subject"].strip(), text) for mail, text in zip(mails, texts, strict=True)]


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    """The mails received while the settings point to a server on loopback."""
    inbox = Inbox()
    port = free_port(None)
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    monkeypatch.setenv(settings.SMTP_URL, f"smtp://127.0.0.1:{port}")
    monkeypatch.setenv(settings.ALERT_FROM, "totesys@example.com")
    monkeypatch.setenv(settings.ALERT_TO, "ann@example.com, bob@example.com")
    yield inbox
    controller.stop()
