"""Connection strings in AWS Secrets Manager, against an emulator of it on loopback."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import psycopg
import pytest
from moto.server import ThreadedMotoServer
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from totesys_dagster import aws_secrets, settings
from totesys_dagster.alerting import recipients
from totesys_dagster.errors import SettingError
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster.postgres.sessions import connect

NAME = "totesys/source-dsn"


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of the emulator, which the platform finds by AWS's own variables."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    monkeypatch.setattr(aws_secrets, "_kept", {})
    yield boto3.client("secretsmanager")
    # All emulators of a process share what they hold.
    urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"").close()
    server.stop()


@pytest.fixture
def role(server: Server) -> Iterator[str]:
    """A role of the embedded server, of which a test changes the password."""
    with psycopg.connect(server.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
        admin.execute("CREATE ROLE rotated LOGIN PASSWORD 'first'")
        admin.execute("GRANT CONNECT ON DATABASE postgres TO rotated")
        yield "rotated"
        admin.execute("DROP OWNED BY rotated; DROP ROLE rotated")


def dsn(server: Server, role: str, password: str) -> str:
    return f"postgresql://{role}:{password}@127.0.0.1:{server.port}/postgres"


def user(setting: str) -> str:
    with connect(setting) as connection:
        row = connection.execute("SELECT current_user").fetchone()
    assert row is not None
    return str(row[0])


def test_connection_string_is_read_from_a_secret(
    secrets: Any, server: Server, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.create_secret(Name=NAME, SecretString=dsn(server, role, "first"))
    monkeypatch.setenv(settings.SOURCE_DSN, f"aws-secret:{NAME}")

    assert user(settings.SOURCE_DSN) == role


def test_rotated_password_takes_effect_without_a_restart(
    secrets: Any, server: Server, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.create_secret(Name=NAME, SecretString=dsn(server, role, "first"))
    monkeypatch.setenv(settings.SOURCE_DSN, f"aws-secret:{NAME}")
    assert user(settings.SOURCE_DSN) == role
    with psycopg.connect(server.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER ROLE {} PASSWORD 'second'").format(sql.Identifier(role)))
    with pytest.raises(SettingError, match="password authentication failed"):
        user(settings.SOURCE_DSN)

    secrets.put_secret_value(SecretId=NAME, SecretString=dsn(server, role, "second"))
    assert user(settings.SOURCE_DSN) == role


def test_secret_is_not_fetched_for_every_connection(
    secrets: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = server.dsn(stack.EXTRACTOR, "postgres")
    secrets.create_secret(Name=NAME, SecretString=value)
    monkeypatch.setenv(settings.SOURCE_DSN, f"aws-secret:{NAME}")
    settings.connection_string(settings.SOURCE_DSN)
    secrets.put_secret_value(SecretId=NAME, SecretString="postgresql://other@host/db")
    assert settings.connection_string(settings.SOURCE_DSN) == value

    monkeypatch.setattr(aws_secrets, "KEEP_SECONDS", 0)
    aws_secrets._kept.clear()
    settings.connection_string(settings.SOURCE_DSN)
    assert "other" in settings.connection_string(settings.SOURCE_DSN)


def test_secret_as_rds_makes_it_is_understood(
    secrets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {
        "engine": "postgres",
        "host": "totesys.eu-west-2.rds.amazonaws.com",
        "port": 5432,
        "username": "extractor",
        "password": "p@ss/w:rd",
        "dbname": "totesys",
        "dbInstanceIdentifier": "totesys",
        "sslmode": "verify-full",
    }
    secrets.create_secret(Name=NAME, SecretString=json.dumps(fields))
    monkeypatch.setenv(settings.SOURCE_DSN, f"aws-secret:{NAME}")

    assert conninfo_to_dict(settings.connection_string(settings.SOURCE_DSN)) == {
        "host": fields["host"],
        "port": "5432",
        "user": "extractor",
        "password": "p@ss/w:rd",
        "dbname": "totesys",
        "sslmode": "verify-full",
    }


@pytest.mark.parametrize(
    "text",
    ["hunter2", "{hunter2", '{"engine": "mysql", "password": "hunter2"}', '{"hunter2": "x"}', "[]"],
)
def test_secret_of_another_form_is_named_and_not_shown(
    secrets: Any, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.create_secret(Name=NAME, SecretString=text)
    monkeypatch.setenv(settings.SOURCE_DSN, f"aws-secret:{NAME}")

    with pytest.raises(SettingError, match="is not a PostgreSQL connection string") as error:
        settings.connection_string(settings.SOURCE_DSN)
    assert "hunter2" not in str(error.value)


@pytest.mark.usefixtures("secrets")
def test_missing_secret_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.SOURCE_DSN, "aws-secret:nowhere")

    with pytest.raises(SettingError) as error:
        connect(settings.SOURCE_DSN)
    assert str(error.value) == (
        "TOTESYS_SOURCE_DSN refers to the secret 'nowhere' of AWS Secrets Manager, which cannot be"
        " read (ResourceNotFoundException): check its name, the region, and that the role may"
        " read it."
    )


def test_any_setting_can_lie_in_a_secret(secrets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets.create_secret(Name="mail", SecretString="smtps://user:hidden@mail.example:465")
    monkeypatch.setenv(settings.SMTP_URL, "aws-secret:mail")
    monkeypatch.setenv(settings.ALERT_FROM, "totesys@example.com")
    monkeypatch.setenv(settings.ALERT_TO, "ops@example.com")

    mail = recipients.mail()
    assert mail is not None
    assert mail.password == "hidden"
