"""The mail with the page, to the recipients in TOTESYS_REPORT_TO."""

from __future__ import annotations

from totesys_dagster import settings
from totesys_dagster.alerting import notify, recipients
from totesys_dagster.page import summary
from totesys_dagster.page.answers import Answers


def is_set() -> bool:
    """Whether the page has recipients."""
    return settings.is_set(settings.REPORT_TO)


def send(answers: Answers, page: bytes) -> None:
    """Send the numbers, with the page attached. Raises SettingError or NotSentError."""
    name = f"totesys-{answers.today}-batch-{answers.batch.batch_seq}.html"
    notify.send_mail(
        summary.subject(answers),
        summary.text(answers),
        recipients.mail_to(settings.REPORT_TO),
        attached={name: page},
    )
