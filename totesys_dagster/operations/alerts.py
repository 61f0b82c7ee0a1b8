"""E-mail about failures: a run that failed, or a source or warehouse that cannot be reached.

A mail names the run, the batch and the reason in one sentence, and holds no data. Without the
settings for mail nothing is sent, which is said once.
"""

import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage

import dagster as dg

from totesys_dagster import settings
from totesys_dagster.errors import SettingError, TotesysError
from totesys_dagster.metadata import BATCH_TAG
from totesys_dagster.operations.reasons import first_failure
from totesys_dagster.settings import Mail

TIMEOUT_SECONDS = 20
ALERTS_OFF = (
    f"Alerts are off: set {settings.SMTP_URL}, {settings.ALERT_FROM} and {settings.ALERT_TO} to be"
    " told of failures by e-mail."
)


class MailError(TotesysError):
    """A mail could not be sent."""


def send(mail: Mail, subject: str, body: str) -> None:
    """Send a mail. Raises MailError."""
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = mail.sender
    message["To"] = ", ".join(mail.recipients)
    message.set_content(body)
    context = ssl.create_default_context()
    try:
        if mail.encrypted:
            with smtplib.SMTP_SSL(
                mail.host, mail.port, timeout=TIMEOUT_SECONDS, context=context
            ) as server:
                _deliver(server, mail, message)
        else:
            with smtplib.SMTP(mail.host, mail.port, timeout=TIMEOUT_SECONDS) as server:
                server.ehlo()
                if server.has_extn("starttls"):
                    server.starttls(context=context)
                elif mail.user is not None:
                    raise MailError(
                        f"{settings.SMTP_URL} ({mail.host}:{mail.port}) offers no encryption, so"
                        " the password was not sent: use smtps://, or leave out the user."
                    )
                _deliver(server, mail, message)
    except (OSError, smtplib.SMTPException) as error:
        raise MailError(
            f"{settings.SMTP_URL} ({mail.host}:{mail.port}) did not take a mail:"
            f" {type(error).__name__}. Check the server, the user and the password."
        ) from None


def _deliver(server: smtplib.SMTP, mail: Mail, message: EmailMessage) -> None:
    if mail.user is not None:
        server.login(mail.user, mail.password or "")
    server.send_message(message)


def failure_mail(job: str, run_id: str, batch: str | None, reason: str) -> tuple[str, str]:
    """The subject and the body of the mail about a failed run."""
    what = f"{job} of batch {batch}" if batch else job
    body = f"{reason}\n\nJob: {job}\nBatch: {batch or 'none'}\nDagster run: {run_id}\n"
    return f"[totesys_dagster] {what} failed", body


# What is wrong at the moment and has been told. Kept by the process only: after a restart, a
# system that still cannot be reached is told of once more.
_open_incidents: set[str] = set()


def report_incident(subject: str, reason: str) -> None:
    """Mail that something is wrong, once until `resolve_incident`. Never raises."""
    if subject in _open_incidents:
        return
    _open_incidents.add(subject)
    log = dg.get_dagster_logger()
    try:
        mail = settings.mail()
        if mail is None:
            log.warning(ALERTS_OFF)
        else:
            send(mail, f"[totesys_dagster] {subject}", f"{reason}\n")
    except TotesysError as error:
        log.error(str(error))


def resolve_incident(subject: str) -> None:
    """Note that it is right again."""
    _open_incidents.discard(subject)


def _failures(context: dg.RunFailureSensorContext) -> Iterator[dg.DagsterEvent]:
    """The run's failed steps, and its checks: of a check that stops a step, only it says why."""
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ASSET_CHECK_EVALUATION}
    for entry in context.instance.all_logs(context.dagster_run.run_id, of_type=kinds):
        if entry.dagster_event is not None:
            yield entry.dagster_event


@dg.run_failure_sensor(
    name="failure_alert",
    description="Sends an e-mail when a run fails.",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
)
def failure_alert(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
    """Mail the reason of a run's failure to the configured recipients."""
    try:
        mail = settings.mail()
    except SettingError as error:
        return dg.SkipReason(str(error))
    if mail is None:
        return dg.SkipReason(ALERTS_OFF)
    run = context.dagster_run
    batch = run.tags.get(BATCH_TAG) or run.tags.get("dagster/partition")
    reason = first_failure(_failures(context)) or context.failure_event.message
    subject, body = failure_mail(run.job_name, run.run_id, batch, reason or "The run failed.")
    send(mail, subject, body)
    return None
