"""Connections over TLS: a real server with the certificate of a throw-away authority."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
import trustme

from totesys_dagster import settings
from totesys_dagster.errors import SettingError
from totesys_dagster.local.postgres import SUPERUSER, Server
from totesys_dagster.postgres import connect
from totesys_dagster_tests.tls import PostgresFront


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def dsn(authority: trustme.CA, server: Server) -> str:
    """A server that answers TLS only, as `localhost`."""
    front = PostgresFront(authority.issue_cert("localhost"), server.port)
    return psycopg.conninfo.make_conninfo(
        server.dsn(SUPERUSER, "postgres"),
        host="localhost",
        hostaddr="127.0.0.1",
        port=front.port,
        channel_binding="disable",
    )


@pytest.fixture
def root(authority: trustme.CA, tmp_path: Path) -> Path:
    """The authority's own certificate, as a client is given it."""
    authority.cert_pem.write_to_path(tmp_path / "root.crt")
    return tmp_path / "root.crt"


def use(monkeypatch: pytest.MonkeyPatch, dsn: str, **parts: object) -> None:
    monkeypatch.setenv(settings.SOURCE_DSN, psycopg.conninfo.make_conninfo(dsn, **parts))


def test_verified_server_is_connected_to(
    monkeypatch: pytest.MonkeyPatch, dsn: str, root: Path
) -> None:
    use(monkeypatch, dsn, sslmode="verify-full", sslrootcert=str(root))

    with connect(settings.SOURCE_DSN) as connection:
        assert connection.pgconn.ssl_in_use


def test_certificate_of_another_authority_is_refused(
    monkeypatch: pytest.MonkeyPatch, dsn: str, tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.crt")
    use(monkeypatch, dsn, sslmode="verify-full", sslrootcert=str(tmp_path / "other.crt"))

    with pytest.raises(SettingError, match="certificate verify failed"):
        connect(settings.SOURCE_DSN)


def test_certificate_of_another_host_is_refused(
    monkeypatch: pytest.MonkeyPatch, dsn: str, root: Path
) -> None:
    use(monkeypatch, dsn, host="elsewhere", sslmode="verify-full", sslrootcert=str(root))

    with pytest.raises(SettingError, match='does not match host name "elsewhere"'):
        connect(settings.SOURCE_DSN)


@pytest.mark.parametrize("mode", [None, "disable", "prefer", "require", "verify-ca"])
def test_weaker_mode_to_another_host_is_refused_unless_asked_for(
    monkeypatch: pytest.MonkeyPatch, dsn: str, root: Path, mode: str | None
) -> None:
    use(monkeypatch, dsn, host="elsewhere", sslmode=mode, sslrootcert=str(root))
    with pytest.raises(SettingError, match="does not verify that it is the right server"):
        connect(settings.SOURCE_DSN)

    monkeypatch.setenv(settings.TRUSTED_HOSTS, "other, elsewhere")
    if mode in ("disable", "verify-ca"):  # the server answers TLS only
        return
    connect(settings.SOURCE_DSN).close()
