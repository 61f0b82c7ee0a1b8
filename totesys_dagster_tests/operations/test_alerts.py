"""Alerts, sent to a real SMTP server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message

import dagster as dg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from totesys_dagster import settings
from totesys_dagster.definitions import defs
from totesys_dagster.local.postgres import free_port
from totesys_dagster.operations import alerts
from totesys_dagster.operations.alerts import ALERTS_OFF, MailError, failure_alert
from totesys_dagster_tests.operations.conftest import Orchestra, damage


class Inbox:
    """Keeps the mails that the server was given."""

    def __init__(self) -> None:
        self.mails: list[Message] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content))
        return "250 OK"


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


@pytest.fixture(autouse=True)
def _no_incidents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "_open_incidents", set())


def fail(orchestra: Orchestra) -> dg.RunFailureSensorContext:
    """A capture that fails because its partition is no batch key, as the sensor sees it."""
    orchestra.instance.add_dynamic_partitions("batch", ["yesterday"])
    result = defs.resolve_job_def("ingest").execute_in_process(
        instance=orchestra.instance, partition_key="yesterday", raise_on_error=False
    )
    return failure(orchestra, result)


def failure(orchestra: Orchestra, result: dg.ExecuteInProcessResult) -> dg.RunFailureSensorContext:
    """A failed run, as the sensor sees it."""
    return dg.build_run_status_sensor_context(
        sensor_name="failure_alert",
        dagster_event=next(event for event in result.all_events if event.is_run_failure),
        dagster_instance=orchestra.instance,
        dagster_run=result.dagster_run,
    ).for_run_failure()


def test_failed_run_sends_one_mail_with_its_reason(orchestra: Orchestra, inbox: Inbox) -> None:
    failure_alert(fail(orchestra))

    [mail] = inbox.mails
    assert mail["Subject"] == "[totesys_dagster] ingest of batch yesterday failed"
    assert mail["To"] == "ann@example.com, bob@example.com"
    assert "'yesterday' cannot be the key of a batch" in str(mail.get_payload())


def test_damage_of_the_lake_is_told_in_the_words_of_the_check(
    orchestra: Orchestra, inbox: Inbox
) -> None:
    manifest = orchestra.platform.capture()
    assert manifest is not None
    store, key = orchestra.platform.ingestion, manifest.tables["staff"].objects[0].key
    with damage(store, key, None):
        failure_alert(failure(orchestra, orchestra.verify()))

    [mail] = inbox.mails
    assert mail["Subject"] == "[totesys_dagster] verify_lake failed"
    assert f"{store.uri(key)} does not exist" in mail.get_payload(decode=True).decode()


def test_batch_that_a_check_stops_is_told_in_the_words_of_the_check(
    orchestra: Orchestra, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.QUARANTINE_LIMIT, "0")
    orchestra.platform.application.execute(
        "UPDATE sales_order SET agreed_delivery_date = '2022-13-45' WHERE sales_order_id = 1"
    )
    orchestra.tick_and_run("source_changes")
    [result] = orchestra.tick_and_run("new_batches")
    failure_alert(failure(orchestra, result))

    [mail] = inbox.mails
    assert "1 rows break the contract" in mail.get_payload(decode=True).decode()


def test_without_settings_nothing_is_sent_and_it_says_so(orchestra: Orchestra) -> None:
    answer = failure_alert(fail(orchestra))

    assert isinstance(answer, dg.SkipReason)
    assert answer.skip_message == ALERTS_OFF


def test_system_out_of_reach_is_told_once(
    orchestra: Orchestra, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv(settings.SOURCE_DSN, "postgresql://nobody:hidden@127.0.0.1:1/totesys")
        for _ in range(3):
            with pytest.raises(Exception, match="TOTESYS_SOURCE_DSN"):
                orchestra.tick("source_changes")
    [mail] = inbox.mails
    assert mail["Subject"] == "[totesys_dagster] the source cannot be read"
    assert "hidden" not in str(mail)

    orchestra.tick("source_changes")
    monkeypatch.setenv(settings.SOURCE_DSN, "postgresql://nobody:hidden@127.0.0.1:1/totesys")
    with pytest.raises(Exception, match="TOTESYS_SOURCE_DSN"):
        orchestra.tick("source_changes")
    assert len(inbox.mails) == 2


def test_password_is_not_sent_in_clear(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    server = settings.mail()
    assert server is not None
    monkeypatch.setenv(settings.SMTP_URL, f"smtp://ann:secret@127.0.0.1:{server.port}")
    mail = settings.mail()
    assert mail is not None

    with pytest.raises(MailError, match="offers no encryption, so the password was not sent"):
        alerts.send(mail, "subject", "body")
    assert inbox.mails == []


def test_mail_server_out_of_reach_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.SMTP_URL, "smtps://ann:secret@127.0.0.1:1")
    monkeypatch.setenv(settings.ALERT_FROM, "totesys@example.com")
    monkeypatch.setenv(settings.ALERT_TO, "ann@example.com")
    mail = settings.mail()
    assert mail is not None

    with pytest.raises(MailError, match=r"TOTESYS_SMTP_URL .* did not take a mail") as error:
        alerts.send(mail, "subject", "body")
    assert "secret" not in str(error.value)
