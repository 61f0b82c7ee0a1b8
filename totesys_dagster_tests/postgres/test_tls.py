"""Connections over TLS: a real server with the certificate of a throw-away authority."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import psycopg
import pytest
import trustme

from totesys_dagster import settings
from totesys_dagster.errors import SettingError
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster.postgres.sessions import beside, connect
from totesys_dagster.postgres.targets import conninfo
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

    with pytest.raises(SettingError, match=r"certificate verify failed: .*; let sslrootcert in"):
        connect(settings.SOURCE_DSN)


def test_certificate_that_has_expired_is_said_to_be(
    monkeypatch: pytest.MonkeyPatch, authority: trustme.CA, dsn: str, root: Path, server: Server
) -> None:
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    front = PostgresFront(authority.issue_cert("localhost", not_after=past), server.port)
    use(monkeypatch, dsn, port=front.port, sslmode="verify-full", sslrootcert=str(root))

    with pytest.raises(SettingError, match=r"certificate has expired; renew the certificate"):
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


# The ways in which libpq comes to a host and a mode that the connection string does not name. The
# addresses are those of documentation, which nobody has.
ELSEWHERE = "203.0.113.1"
SERVICES = f"""
[elsewhere]
host=db.example
[address]
hostaddr={ELSEWHERE}
[unverified]
host=db.example
sslmode=require
"""


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file of services, and no variable of libpq's."""
    for one in psycopg.pq.Conninfo.get_defaults():
        if one.envvar:
            monkeypatch.delenv(one.envvar.decode(), raising=False)
    (tmp_path / "services.conf").write_text(SERVICES)
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services.conf"))


# Connection string, variables, the host that is named.
UNVERIFIED: list[tuple[str, dict[str, str], str]] = [
    ("postgresql://u:hidden@/x", {"PGHOST": "db.example"}, "db.example"),
    ("postgresql://u:hidden@/x", {"PGHOSTADDR": ELSEWHERE}, ELSEWHERE),
    ("postgresql://u:hidden@localhost/x", {"PGHOSTADDR": ELSEWHERE}, ELSEWHERE),
    (f"postgresql://u:hidden@localhost/x?hostaddr={ELSEWHERE}", {}, ELSEWHERE),
    (f"host=/tmp hostaddr={ELSEWHERE} password=hidden", {}, ELSEWHERE),
    ("postgresql://u:hidden@/x?host=db.example", {}, "db.example"),
    ("service=elsewhere password=hidden", {}, "db.example"),
    ("postgresql://u:hidden@/x?service=address", {}, ELSEWHERE),
    ("postgresql://u:hidden@localhost/x?service=address", {}, ELSEWHERE),
    ("postgresql://u:hidden@/x", {"PGSERVICE": "elsewhere"}, "db.example"),
    ("postgresql://u:hidden@localhost,db.example/x", {}, "db.example"),
    ("host=localhost,,db.example password=hidden", {}, "db.example"),
    (f"host=localhost,localhost hostaddr=127.0.0.1,{ELSEWHERE}", {}, ELSEWHERE),
    ("postgresql://u:hidden@[2001:db8::1]/x", {}, "2001:db8::1"),
    ("postgresql://u:hidden@[::ffff:203.0.113.1]/x", {}, "::ffff:203.0.113.1"),
    ("postgresql://u:hidden@localhost.example/x", {}, "localhost.example"),
    ("postgresql://u:hidden@db.example/x", {"PGSSLMODE": "require"}, "db.example"),
    ("postgresql://u:hidden@db.example/x", {"PGREQUIRESSL": "1"}, "db.example"),
    ("postgresql://u:hidden@db.example/x?sslmode=verify-ca", {}, "db.example"),
    ("postgresql://u:hidden@db.example/x?ssl=true", {}, "db.example"),
    ("service=unverified password=hidden", {"PGSSLMODE": "verify-full"}, "db.example"),
    (
        "postgresql://u:hidden@db.example/x?sslmode=require&sslnegotiation=direct",
        {"PGSSLMODE": "verify-full"},
        "db.example",
    ),
    (
        "postgresql://u:hidden@db.example/x?sslmode=verify-full&gssencmode=require",
        {},
        "db.example with gssencmode=require",
    ),
    (
        "postgresql://u:hidden@db.example/x?sslmode=verify-full",
        {"PGGSSENCMODE": "require"},
        "db.example with gssencmode=require",
    ),
]


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize(("dsn", "variables", "named"), UNVERIFIED)
def test_no_way_to_name_a_host_gets_round_verification(
    monkeypatch: pytest.MonkeyPatch, dsn: str, variables: dict[str, str], named: str
) -> None:
    for name, value in {settings.SOURCE_DSN: dsn, **variables}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingError) as refused:
        connect(settings.SOURCE_DSN)

    assert str(refused.value).startswith(f"{settings.SOURCE_DSN} reaches {named}")
    assert "hidden" not in str(refused.value)


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize(
    ("dsn", "variables"),
    [
        ("postgresql://u@/x", {}),
        ("postgresql://u@/x", {"PGHOST": "/var/run/postgresql"}),
        ("postgresql://u@LocalHost,127.8.8.8,[::1]/x", {}),
        ("host=localhost hostaddr=127.0.0.1", {}),
        ("service=unverified sslmode=verify-full", {}),
        ("service=elsewhere", {"PGSSLMODE": "verify-full"}),
        ("postgresql://u@db.example/x?sslrootcert=system", {}),
    ],
)
def test_what_is_local_or_verified_may_be_reached_by_any_way(
    monkeypatch: pytest.MonkeyPatch, dsn: str, variables: dict[str, str]
) -> None:
    for name, value in {settings.SOURCE_DSN: dsn, **variables}.items():
        monkeypatch.setenv(name, value)

    assert conninfo(settings.SOURCE_DSN)


@pytest.mark.usefixtures("services")
def test_what_was_judged_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment may change between the judgement and the connection."""
    monkeypatch.setenv(settings.SOURCE_DSN, "service=elsewhere sslmode=verify-full")
    pinned = psycopg.conninfo.conninfo_to_dict(conninfo(settings.SOURCE_DSN))

    assert (pinned["host"], pinned["hostaddr"], pinned["port"]) == ("db.example", "", "5432")
    assert (pinned["sslmode"], pinned["gssencmode"]) == ("verify-full", "disable")


@pytest.mark.usefixtures("services")
def test_host_and_mode_of_a_service_are_used(
    monkeypatch: pytest.MonkeyPatch, dsn: str, root: Path, tmp_path: Path
) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(dsn)
    service = {
        **{name: parts[name] for name in ("host", "hostaddr", "port")},
        "sslmode": "verify-full",
        "sslrootcert": root,
    }
    lines = "\n".join(f"{name}={value}" for name, value in service.items())
    (tmp_path / "services.conf").write_text(f"[here]\n{lines}\n")
    secret = {name: parts[name] for name in ("user", "password", "dbname")}
    monkeypatch.setenv(
        settings.SOURCE_DSN, psycopg.conninfo.make_conninfo("", service="here", **secret)
    )

    with connect(settings.SOURCE_DSN) as connection, beside(connection) as other:
        assert connection.pgconn.ssl_in_use
        assert other.pgconn.ssl_in_use
