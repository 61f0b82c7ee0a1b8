"""S3 is found, and signed in to, as every AWS tool does it: by environment, profile and role.

What gives a role's credentials, and what assumes it, is a server on loopback.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from totesys_dagster.errors import LakeUnusableError
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.s3 import Bucket
from totesys_dagster.lake.store import Store
from totesys_dagster.settings import INGESTION_URL
from totesys_dagster_tests import faulty_proxy
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.faulty_proxy import Answer, Fault, Proxy
from totesys_dagster_tests.lake.conftest import proven
from totesys_dagster_tests.object_store import ObjectStore

HOUR = 3600.0


@pytest.fixture
def proxy(s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """What stands before the server and notes who signed what; the environment leads to it."""
    with faulty_proxy.running(s3.endpoint) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint)
        yield running


@pytest.fixture
def write_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Write the file of profiles, and forget what the environment says of the same."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    def write(text: str) -> None:
        (tmp_path / "config").write_text(text)

    return write


def said(store: Store) -> str:
    """The sentence with which a look at the place fails."""
    with pytest.raises(LakeUnusableError) as error:
        store.check()
    message = str(error.value)
    assert message.startswith(f"{INGESTION_URL} ({store.url}) cannot be used: ")
    assert message.endswith(", then run again.")
    assert "\n" not in message
    return message


# Credentials of a role


@dataclass
class Role:
    """Gives credentials as a container's agent does: each answer lasts for `seconds`."""

    keys: list[str]
    secret: str
    seconds: float = HOUR
    asked: int = 0
    ends: dict[str, float] = field(default_factory=dict)  # when each key was last to expire
    status: int = 200
    without: tuple[str, ...] = ()
    by_the_second: bool = False  # botocore reads such a time only, of a machine's role

    def answer(self) -> dict[str, str | None]:
        key = self.keys[self.asked % len(self.keys)]
        self.asked += 1
        now = dt.datetime.now(dt.UTC)
        end = now + dt.timedelta(seconds=self.seconds)
        if self.by_the_second:
            end = end.replace(microsecond=0) + dt.timedelta(seconds=1)
        self.ends[key] = time.monotonic() + (end - now).total_seconds()
        return {
            "AccessKeyId": key,
            "SecretAccessKey": self.secret,
            "Token": None,
            "Expiration": end.isoformat().replace("+00:00", "Z"),
        }


@pytest.fixture
def given(s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Role, str]]:
    """A role, from which alone there are credentials, and the server that gives them."""
    role = Role([s3.access_key, s3.other_key], s3.secret_key)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith("/security-credentials/"):
                self._say(b"machine")
            else:
                answer = role.answer() if role.status == 200 else {}
                body = {name: value for name, value in answer.items() if name not in role.without}
                self._say(json.dumps(body | {"Code": "Success"}).encode())

        def do_PUT(self) -> None:
            self._say(b"token")

        def _say(self, body: bytes) -> None:
            self.send_response(role.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    yield role, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def role(given: tuple[Role, str], monkeypatch: pytest.MonkeyPatch) -> Role:
    """A container's role."""
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{given[1]}/role")
    return given[0]


@pytest.fixture
def machine(given: tuple[Role, str], monkeypatch: pytest.MonkeyPatch) -> Role:
    """A machine's role, as EC2 gives it."""
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", given[1])
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    return given[0]


def test_credentials_that_last_are_asked_for_once(
    s3: ObjectStore, proxy: Proxy, role: Role
) -> None:
    """Also when the zone is opened anew, as a sensor does every few seconds."""
    for _ in range(5):
        Store(f"s3://{s3.bucket}/role", INGESTION_URL).check()

    assert role.asked == 1
    assert proxy.faults.signers == [s3.access_key] * 5


def test_credentials_that_are_about_to_expire_are_renewed(
    s3: ObjectStore, proxy: Proxy, role: Role
) -> None:
    store = Store(f"s3://{s3.bucket}/role", INGESTION_URL)
    role.seconds = 120
    store.check()
    asked = role.asked
    role.seconds = HOUR
    for _ in range(3):
        store.check()

    assert role.asked == asked + 1
    assert len(set(proxy.faults.signers[-3:])) == 1
    assert proxy.faults.signers[0] != proxy.faults.signers[1]


@pytest.mark.long
def test_long_run_never_sees_credentials_expire(
    s3: ObjectStore, proxy: Proxy, role: Role, platform: Platform
) -> None:
    """Each of the two keys is good for a second, and refused by the server after that."""
    role.seconds = 1.0

    def rule(_method: str, _path: str) -> Fault:
        late = time.monotonic() > role.ends[proxy.faults.signers[-1]]
        return Answer(400, "ExpiredToken") if late else "pass"

    proxy.faults.rule = rule
    platform.ingestion = proven(Store(f"s3://{s3.bucket}/long-run", INGESTION_URL))
    end = time.monotonic() + 4
    while time.monotonic() < end:
        platform.application.execute("UPDATE design SET file_name = file_name || 'x'")
        assert platform.capture() is not None

    assert role.asked > 4
    assert set(proxy.faults.signers) == {s3.access_key, s3.other_key}


def test_credentials_of_a_machine_that_expire_are_asked_for_anew(
    s3: ObjectStore, proxy: Proxy, machine: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are about to expire, botocore keeps for 12 to 20 minutes more, at random."""
    monkeypatch.setattr("botocore.utils.random.randint", lambda _low, high: high)
    machine.seconds, machine.by_the_second = 1, True
    store = Store(f"s3://{s3.bucket}/machine", INGESTION_URL)
    store.check()
    [expired] = {*proxy.faults.signers}

    def rule(_method: str, _path: str) -> Fault:
        late = proxy.faults.signers[-1] == expired
        return Answer(400, "ExpiredToken") if late else "pass"

    proxy.faults.rule = rule
    machine.seconds = HOUR
    store.check()

    assert proxy.faults.signers[-1] != expired


@pytest.mark.usefixtures("s3")
def test_log_in_a_bucket_that_does_not_exist_is_not_empty() -> None:
    """S3 says of an object only that it is missing when its bucket is."""
    log = ManifestLog(Store("s3://no-such-bucket/lake", INGESTION_URL))
    with pytest.raises(LakeUnusableError, match="no-such-bucket"):
        log.end()


def test_role_whose_answer_lacks_something_is_one_sentence(s3: ObjectStore, role: Role) -> None:
    role.without = ("Expiration",)

    sentence = said(Store(f"s3://{s3.bucket}/role", INGESTION_URL))
    assert "lacks 'Expiration'" in sentence


def test_role_that_gives_nothing_is_one_sentence(s3: ObjectStore, role: Role) -> None:
    role.status = 403

    sentence = said(Store(f"s3://{s3.bucket}/role", INGESTION_URL))
    assert "container-role" in sentence
    assert "check what provides the credentials" in sentence


@pytest.mark.long
def test_role_that_gives_nothing_later_is_one_sentence(s3: ObjectStore, role: Role) -> None:
    role.seconds = 1
    store = Store(f"s3://{s3.bucket}/role", INGESTION_URL)
    store.check()
    role.status = 403

    assert "check what provides the credentials" in said(store)


def test_role_that_gives_expired_credentials_is_one_sentence(s3: ObjectStore, role: Role) -> None:
    role.seconds = -60

    sentence = said(Store(f"s3://{s3.bucket}/role", INGESTION_URL))
    assert "the credentials of the container's role were renewed too late" in sentence


def test_role_that_cannot_be_assumed_is_one_sentence(
    s3: ObjectStore,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    write_config: Callable[[str], None],
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    write_config(
        "[default]\nrole_arn = arn:aws:iam::1:role/lake\nsource_profile = base\n"
        f"[profile base]\naws_access_key_id = {s3.access_key}\n"
        "aws_secret_access_key = kept-in-memory-only\n"
    )
    denied = "<Code>AccessDenied</Code><Message>It is not you that it trusts.</Message>"
    answer = Answer(403, text=f"<ErrorResponse><Error>{denied}</Error></ErrorResponse>")
    proxy.faults.rule = lambda method, _: answer if method == "POST" else "pass"

    sentence = said(Store(f"s3://{s3.bucket}/role", INGESTION_URL))
    assert "(AssumeRole: AccessDenied, It is not you that it trusts)" in sentence
    assert "the role's trust policy" in sentence
    assert "kept-in-memory-only" not in sentence


@pytest.mark.long
def test_role_that_asks_for_a_code_is_one_sentence(s3: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "[default]\nrole_arn = arn:aws:iam::1:role/lake\nsource_profile = base\n"
        "mfa_serial = arn:aws:iam::1:mfa/ann\n"
        f"[profile base]\naws_access_key_id = {s3.access_key}\n"
        "aws_secret_access_key = kept-in-memory-only\n"
    )
    code = (
        "from totesys_dagster.lake.store import Store\n"
        "try: Store('s3://lake/x', 'TOTESYS_INGESTION_URL').check()\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    environment = {name: value for name, value in os.environ.items() if name not in keys}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**environment, "AWS_CONFIG_FILE": str(tmp_path / "config")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,  # without a terminal
        timeout=60,
        check=True,
    )

    assert done.stdout.startswith("LakeUnusableError TOTESYS_INGESTION_URL (s3://lake/x)")
    assert "asks for a code (mfa_serial), which nobody can enter here" in done.stdout


def test_program_that_gives_credentials_renews_them(
    s3: ObjectStore,
    proxy: Proxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write_config: Callable[[str], None],
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    answer = {
        "Version": 1,
        "AccessKeyId": s3.access_key,
        "SecretAccessKey": s3.secret_key,
        "Expiration": (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=60)).isoformat(),
    }
    (tmp_path / "answer").write_text(json.dumps(answer))
    write_config(f"[default]\ncredential_process = cat {tmp_path}/answer\n")
    store = Store(f"s3://{s3.bucket}/program", INGESTION_URL)
    store.check()
    (tmp_path / "answer").write_text(json.dumps({**answer, "AccessKeyId": s3.other_key}))
    store.check()

    assert proxy.faults.signers == [s3.access_key, s3.other_key]


def test_program_that_fails_is_one_sentence_without_what_it_prints(
    s3: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    write_config: Callable[[str], None],
    tmp_path: Path,
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "give.py").write_text("raise SystemExit('password hunter2 is wrong')")
    write_config(f"[default]\ncredential_process = {sys.executable} {tmp_path}/give.py\n")

    sentence = said(Store(f"s3://{s3.bucket}/program", INGESTION_URL))
    assert "the profile's credential_process fails" in sentence
    assert "hunter2" not in sentence


def test_new_keys_in_a_file_are_taken_with_the_next_request(
    s3: ObjectStore, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tools for sign-in write there, while a run goes on."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    store = Store(f"s3://{s3.bucket}/file", INGESTION_URL)
    for key in (s3.access_key, s3.other_key):
        text = f"[default]\naws_access_key_id={key}\naws_secret_access_key={s3.secret_key}\n"
        file.write_text(text + "#" * len(proxy.faults.signers))
        store.check()

    assert proxy.faults.signers == [s3.access_key, s3.other_key]


def test_half_of_a_pair_of_keys_is_one_sentence(
    s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert "missing: AWS_SECRET_ACCESS_KEY" in said(Store(f"s3://{s3.bucket}/x", INGESTION_URL))


# Where S3 is

SERVICES = "[default]\nservices = mine\n[services mine]\ns3 =\n  endpoint_url = http://services:2\n"
IN_PROFILE = "[default]\nendpoint_url = http://profile:1\n"

# Name, file of profiles, environment, endpoint.
ENDPOINTS: list[tuple[str, str, dict[str, str | None], str]] = [
    ("profile", IN_PROFILE, {}, "http://profile:1"),
    ("another profile", "[profile lake]\nendpoint_url = http://lake:3\n", {"AWS_PROFILE": "lake"},
     "http://lake:3"),
    ("services of the profile", SERVICES, {}, "http://services:2"),
    ("environment over profile", IN_PROFILE, {"AWS_ENDPOINT_URL": "http://all:4"}, "http://all:4"),
    ("that of S3 over that of all", SERVICES,
     {"AWS_ENDPOINT_URL": "http://all:4", "AWS_ENDPOINT_URL_S3": "http://s3:5"}, "http://s3:5"),
    ("empty", IN_PROFILE, {"AWS_ENDPOINT_URL": ""}, "http://profile:1"),
    ("ignored", IN_PROFILE, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
     "https://s3.eu-west-2.amazonaws.com"),
    ("region of the profile", "[default]\nregion = eu-west-3\n", {"AWS_DEFAULT_REGION": None},
     "https://s3.eu-west-3.amazonaws.com"),
    ("AWS_DEFAULT_REGION over profile", "[default]\nregion = eu-west-3\n", {},
     "https://s3.eu-west-2.amazonaws.com"),
    ("AWS_REGION over all", "[default]\nregion = eu-west-3\n", {"AWS_REGION": "eu-north-1"},
     "https://s3.eu-north-1.amazonaws.com"),
    ("no region", "", {"AWS_DEFAULT_REGION": None}, "https://s3.amazonaws.com"),
    ("FIPS", "", {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_DEFAULT_REGION": "us-west-2"},
     "https://s3-fips.us-west-2.amazonaws.com"),
    ("dual stack", "[default]\nuse_dualstack_endpoint = true\n", {},
     "https://s3.dualstack.eu-west-2.amazonaws.com"),
    ("password", "[default]\nendpoint_url = http://ann:hunter2@lake:3/\n", {}, "http://lake:3"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("config", "environment", "endpoint"),
    [row[1:] for row in ENDPOINTS],
    ids=[row[0] for row in ENDPOINTS],
)
@pytest.mark.usefixtures("s3")
def test_endpoint_is_found_as_every_tool_finds_it(
    monkeypatch: pytest.MonkeyPatch,
    write_config: Callable[[str], None],
    config: str,
    environment: dict[str, str | None],
    endpoint: str,
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    write_config(config)
    for name, value in environment.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)

    assert Bucket("lake", "x").address == f"s3://lake/x at {endpoint}"


@pytest.mark.parametrize(
    ("style", "target"),
    [("path", "store.example/lake/x/a"), ("auto", "store.example/lake/x/a"),
     ("virtual", "lake.store.example/x/a")],
)  # fmt: skip
def test_bucket_is_addressed_in_the_style_of_the_profile(
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    write_config: Callable[[str], None],
    style: str,
    target: str,
) -> None:
    """The name leads nowhere but through a proxy, which HTTP_PROXY names."""
    write_config(f"[default]\ns3 =\n  addressing_style = {style}\n")
    monkeypatch.setenv("HTTP_PROXY", proxy.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store.example")
    proxy.faults.rule = lambda *_: Answer(404, "NoSuchKey")
    found = Store("s3://lake/x", INGESTION_URL).exists("a")

    assert found is False
    assert proxy.faults.targets == [target]


def test_hosts_of_no_proxy_are_reached_directly(
    s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    Store(f"s3://{s3.bucket}/x", INGESTION_URL).check()


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(
    s3: ObjectStore, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """An endpoint with TLS on the name localhost; the file of its authority is `authority.pem`."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with faulty_proxy.running(s3.endpoint, context) as running:
        endpoint = running.endpoint.replace("127.0.0.1", "localhost")
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        yield endpoint


def test_authority_of_the_environment_is_trusted(
    s3: ObjectStore, tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    store = proven(Store(f"s3://{s3.bucket}/tls", INGESTION_URL))
    store.put("environment", b"one")

    assert tls.startswith("https://")
    assert store.get("environment") == b"one"


@pytest.mark.usefixtures("tls")
def test_authority_of_the_profile_is_trusted(
    s3: ObjectStore, tmp_path: Path, write_config: Callable[[str], None]
) -> None:
    write_config(f"[default]\nca_bundle = {tmp_path}/authority.pem\n")

    Store(f"s3://{s3.bucket}/tls", INGESTION_URL).check()


@pytest.mark.usefixtures("tls")
def test_unknown_authority_is_said_with_its_remedy(s3: ObjectStore) -> None:
    sentence = said(Store(f"s3://{s3.bucket}/tls", INGESTION_URL))

    assert "is not signed by an authority that this machine trusts" in sentence
    assert "AWS_CA_BUNDLE" in sentence
    assert "credentials" not in sentence


def test_certificate_for_another_name_is_said_with_its_remedy(
    s3: ObjectStore, tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", tls.replace("localhost", "127.0.0.1"))

    sentence = said(Store(f"s3://{s3.bucket}/tls", INGESTION_URL))
    assert "is for another name" in sentence
    assert "use the name in the certificate for the endpoint" in sentence


@pytest.mark.usefixtures("tls")
@pytest.mark.parametrize("text", [None, "no certificate"], ids=["missing", "damaged"])
def test_file_of_authorities_that_is_none_is_said(
    s3: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    if text:
        (tmp_path / "other.pem").write_text(text)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "other.pem"))

    sentence = said(Store(f"s3://{s3.bucket}/tls", INGESTION_URL))
    assert "AWS_CA_BUNDLE, or ca_bundle of the profile, names cannot be read" in sentence


def test_certificate_that_has_expired_is_said(
    s3: ObjectStore, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    authority.issue_cert("localhost", not_after=past).configure_cert(context)
    with faulty_proxy.running(s3.endpoint, context) as running:
        endpoint = running.endpoint.replace("127.0.0.1", "localhost")
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)

        assert "has expired" in said(Store(f"s3://{s3.bucket}/tls", INGESTION_URL))


def test_endpoint_without_tls_is_said(s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint.replace("http:", "https:"))

    sentence = said(Store(f"s3://{s3.bucket}/tls", INGESTION_URL))
    assert "does not speak TLS" in sentence
    assert "write http:// to connect without TLS" in sentence


def test_import_of_the_store_leaves_boto3_for_later() -> None:
    """The code location is imported by every run; a lake in a directory needs no AWS."""
    code = "import sys, totesys_dagster.lake.store; raise SystemExit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
