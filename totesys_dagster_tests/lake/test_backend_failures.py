"""What is said when a place cannot be used: its real cause, and the remedy that fits.

The answers are those of a proxy before a real server, the silences those of real sockets, and the
directories lie on real file systems, which only the superuser can make.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from totesys_dagster.errors import LakeUnusableError
from totesys_dagster.lake import s3 as s3_module
from totesys_dagster.lake.store import Store
from totesys_dagster.settings import INGESTION_URL
from totesys_dagster_tests import faulty_proxy
from totesys_dagster_tests.faulty_proxy import Answer, Proxy, passes
from totesys_dagster_tests.lake.conftest import proven
from totesys_dagster_tests.object_store import ObjectStore

SECRET = "hunter2"
KEY = "manifests/0000000001.json"


def failure(store: Store, operation: Callable[[], object]) -> str:
    """The sentence with which an operation fails, without the words that each has."""
    with pytest.raises(LakeUnusableError) as error:
        operation()
    message = str(error.value)
    begin, end = f"{INGESTION_URL} ({store.url}) cannot be used: ", ", then run again."
    assert message.startswith(begin)
    assert message.endswith(end)
    assert not {"\n", "<", ">"} & {*message}
    assert SECRET not in message
    assert "kept-in-memory-only" not in message
    return message.removeprefix(begin).removesuffix(end)


# Answers of S3


@pytest.fixture(scope="module")
def proxy(s3_server: ObjectStore) -> Iterator[Proxy]:
    with faulty_proxy.running(s3_server.endpoint) as running:
        yield running


@pytest.fixture
def store(s3: ObjectStore, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A zone behind the proxy."""
    proxy.faults.rule = passes
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    return proven(Store(f"s3://{s3.bucket}/failing", INGESTION_URL))


PAST = email.utils.format_datetime(dt.datetime.now(dt.UTC) - dt.timedelta(days=100))
HTML = (("Content-Type", "text/html; charset=utf-8"),)
KMS = (
    "<Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::1:role/capture is not authorized"
    " to perform: kms:GenerateDataKey on the resource</Message></Error>"
)
XHTML = '<?xml version="1.0"?><html><body>Welcome</body></html>'

# Answer, what is said, what is to be done.
ANSWERS: list[tuple[Answer, str, str]] = [
    (Answer(404, "NoSuchBucket"), "has no bucket lake (NoSuchBucket", "create it, or correct"),
    (Answer(400, "InvalidBucketName"), "lake is not a valid bucket name", "correct it"),
    (Answer(403, "AccessDenied"), "denies s3:ListBucket (AccessDenied", "s3:PutObject"),
    (Answer(403, "AllAccessDisabled"), "denies s3:ListBucket", "credentials of the environment"),
    (Answer(403), "or a proxy in its place, denies s3:ListBucket (HTTP 403 Forbidden", "s3:Put"),
    (Answer(403, text=KMS), "the bucket's KMS key cannot be used", "kms:GenerateDataKey"),
    (Answer(400, "KMS.DisabledException"), "KMS key cannot be used (KMS.Disabled", "enable it"),
    (Answer(400, "ExpiredToken"), "the credentials of the environment have expired", "AWS_SESSION"),
    (Answer(403, "InvalidAccessKeyId"), "does not know the access key", "correct the key"),
    (Answer(403, "SignatureDoesNotMatch"), "secret key of the environment does not match", "proxy"),
    (Answer(400, "InvalidToken"), "does not know the session token", "put new ones into"),
    (Answer(403, "RequestTimeTooSkewed", (("Date", PAST),)), "is 100 days", "synchronize it"),
    (Answer(403, "RequestTimeTooSkewed"), "is too far off", "synchronize it"),
    (Answer(301, "PermanentRedirect"), "redirects every request", "https://"),
    (Answer(301, "", (("Location", "https://store.example/login"),)), "redirects every", "https://"),
    (Answer(400, "AuthorizationHeaderMalformed"), "in another region", "AWS_DEFAULT_REGION"),
    (Answer(503, "SlowDown"), "is throttling requests (SlowDown", "nothing is lost"),
    (Answer(429), "is throttling requests (HTTP 429", "nothing is lost"),
    (Answer(500, "InternalError"), "has failed (InternalError", "nothing is lost"),
    (Answer(502), "has failed (HTTP 502 Bad Gateway", "nothing is lost"),
    (Answer(501, "NotImplemented"), "does not support s3:ListBucket", "with conditional writes"),
    (Answer(507, "XMinioStorageFull"), "is full (XMinioStorageFull", "make room"),
    (Answer(407), "a proxy requires a password", "HTTPS_PROXY"),
    (Answer(418, "Teapot"), "refuses s3:ListBucket (Teapot", "check its settings"),
    (Answer(404, "", HTML, "<html><p>Not <b>here</b>"), "is not S3 (HTTP 404", "AWS_ENDPOINT_URL"),
    (Answer(200, "", HTML, "<html><p>Welcome"), "is not S3 (HTTP 500", "endpoint_url of the"),
    (Answer(502, "", HTML, "<html>Squid"), "is not S3 (HTTP 502 Bad Gateway", "remove the proxy"),
    (Answer(200, "", (("Content-Type", "application/json"),), "{}"), "is not S3", "correct the"),
    (Answer(200, "", (("Content-Type", "text/xml"),), XHTML), "is not S3 (its list of", "correct"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "why", "remedy"),
    ANSWERS,
    ids=[f"{a.status} {a.code or a.text}" for a, _, _ in ANSWERS],
)
def test_answer_is_said_with_its_cause_and_remedy(
    store: Store, proxy: Proxy, answer: Answer, why: str, remedy: str
) -> None:
    proxy.faults.rule = lambda *_: answer
    said = failure(store, store.check)

    assert why in said.partition("; ")[0]
    assert remedy in said.partition("; ")[2]


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        (lambda store: store.put(KEY, b"one"), "s3:PutObject"),
        (lambda store: store.get(KEY), "s3:GetObject"),
        (lambda store: store.exists(KEY), "s3:GetObject"),
        (lambda store: store.list("manifests"), "s3:ListBucket"),
    ],
    ids=["put", "get", "exists", "list"],
)
def test_denial_names_what_is_denied(
    store: Store, proxy: Proxy, operation: Callable[[Store], object], action: str
) -> None:
    proxy.faults.rule = lambda *_: Answer(403, "AccessDenied")

    assert f"denies {action} (AccessDenied" in failure(store, lambda: operation(store))


def test_page_in_the_place_of_s3_is_never_taken_for_an_object_that_is_missing(
    store: Store, proxy: Proxy
) -> None:
    """The log would begin again."""
    proxy.faults.rule = lambda *_: Answer(404, "", HTML, "<html>Not here</html>")

    assert "is not S3" in failure(store, lambda: store.get(KEY))
    assert "is not S3" in failure(store, lambda: store.exists(KEY))


def test_missing_bucket_is_never_taken_for_an_object_that_is_missing(s3: ObjectStore) -> None:
    store = Store(f"s3://{s3.bucket}-of-another/x", INGESTION_URL)

    assert "has no bucket" in failure(store, lambda: store.get(KEY))


# No answer


@contextmanager
def listening(answer: bytes | None) -> Iterator[str]:
    """An endpoint that says so much to whoever asks, and hangs up; None says nothing at all."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                kept.append(connection)
                if answer is not None:
                    connection.recv(1 << 16)
                    connection.sendall(answer)
                    connection.close()

        kept: list[socket.socket] = []
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for connection in kept:
            connection.close()


TUNNEL_DENIED = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "closed the connection without an answer (Remote end closed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "closed the connection without an answer (SSH-2.0"),
        (None, "does not answer (timed out)"),
    ],
    ids=["closed", "another protocol", "silence"],
)
def test_endpoint_without_an_answer_is_said(
    s3: ObjectStore, monkeypatch: pytest.MonkeyPatch, answer: bytes | None, why: str
) -> None:
    monkeypatch.setattr(s3_module, "READ_SECONDS", 0.1)
    with listening(answer) as place:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://ann:{SECRET}@{place}")
        store = Store(f"s3://{s3.bucket}/x", INGESTION_URL)

        assert f"{place} {why}" in failure(store, store.check)


@pytest.mark.parametrize(
    ("endpoint", "said", "remedy"),
    [
        ("http://127.0.0.1:1", "nothing listens at 127.0.0.1:1", "start the store"),
        (
            "http://store.invalid:9000",
            "the host name of store.invalid:9000 is unknown",
            "check DNS",
        ),
        ("127.0.0.1:9000", "Invalid endpoint: 127.0.0.1:9000", "correct the AWS settings"),
    ],
)
def test_endpoint_that_is_none_is_said(
    s3: ObjectStore, monkeypatch: pytest.MonkeyPatch, endpoint: str, said: str, remedy: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    store = Store(f"s3://{s3.bucket}/x", INGESTION_URL)
    message = failure(store, store.check)

    assert said in message
    assert remedy in message


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_nobody_runs_is_said(
    s3: ObjectStore, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://ann:{SECRET}@127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"{scheme}://store.example")
    store = Store(f"s3://{s3.bucket}/x", INGESTION_URL)
    said = failure(store, store.check)

    assert "the proxy at 127.0.0.1:1 cannot be used" in said
    assert "Connection refused" in said
    assert "correct HTTPS_PROXY and HTTP_PROXY" in said


def test_proxy_that_wants_a_password_is_said(
    s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(TUNNEL_DENIED) as place:
        monkeypatch.setenv("HTTPS_PROXY", f"http://ann:{SECRET}@{place}")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "https://store.example")
        store = Store(f"s3://{s3.bucket}/x", INGESTION_URL)

        assert "407 Proxy Authentication Required" in failure(store, store.check)


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"AWS_PROFILE": "nobody"}, "The config profile (nobody) could not be found"),
        ({"AWS_DEFAULT_REGION": "eu west"}, "'eu west' doesn't match a supported format"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no AWS credentials were found"),
    ],
)
def test_wrong_settings_of_aws_are_said(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    store = Store("s3://lake/x", INGESTION_URL)

    assert said in failure(store, store.check)


# A directory

superuser = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only the superuser can mount"
)


@contextmanager
def mounted(directory: Path, options: str) -> Iterator[None]:
    """A file system of its own, in memory, at a directory."""
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(directory)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@superuser
def test_full_disk_is_said(tmp_path: Path) -> None:
    store = Store((tmp_path / "full" / "lake").as_uri(), INGESTION_URL)
    with mounted(tmp_path / "full", "size=64k"):
        store.put("first", b"")
        said = failure(store, lambda: store.put(KEY, bytes(1 << 20)))

        assert said == f"{tmp_path}/full/lake/{KEY} is on a disk that is full; make room"
        assert store.list("manifests") == []


@superuser
def test_disk_that_is_mounted_for_reading_is_said_and_read(tmp_path: Path) -> None:
    store = Store((tmp_path / "disk" / "lake").as_uri(), INGESTION_URL)
    with mounted(tmp_path / "disk", "size=1m"):
        store.put(KEY, b"one")
        remount = ["mount", "-o", "remount,ro", str(tmp_path / "disk")]
        subprocess.run(remount, check=True)
        said = failure(store, lambda: store.put("manifests/2", b"two"))

        assert said.endswith("is on a file system that is read-only; mount it for writing")
        store.check()
        assert store.get(KEY) == b"one"


@superuser
def test_directory_of_another_user_is_said() -> None:
    program = (
        "import os, sys\n"
        "from totesys_dagster.lake.store import Store\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: Store(sys.argv[1], 'TOTESYS_INGESTION_URL').put('a', b'')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    place = Path("/tmp/totesys-of-root")
    place.mkdir(mode=0o700, exist_ok=True)
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, (place / "lake").as_uri()],
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        place.rmdir()

    assert done.stdout.startswith("LakeUnusableError TOTESYS_INGESTION_URL (file:///tmp/totesys-of")
    assert (
        "may not be used by user 65534; give that user the right to read and write it"
        in done.stdout
    )


def test_file_in_the_place_of_the_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("")
    for place in (tmp_path / "lake", tmp_path / "lake" / "deeper"):
        store = Store(place.as_uri(), INGESTION_URL)
        for operation in (
            store.check,
            lambda store=store: store.put(KEY, b""),
            lambda store=store: store.get(KEY),
            lambda store=store: store.exists(KEY),
            lambda store=store: store.list(""),
        ):
            assert failure(store, operation).endswith("; name a directory")


def test_place_that_cannot_be_made_is_said() -> None:
    store = Store("file:///proc/nowhere", INGESTION_URL)

    assert failure(store, store.check).startswith("/proc/nowhere ")


def test_link_that_leads_to_itself_is_said(tmp_path: Path) -> None:
    (tmp_path / "lake").symlink_to(tmp_path / "lake")
    store = Store((tmp_path / "lake").as_uri(), INGESTION_URL)

    assert "is a link that leads to itself; correct it" in failure(store, lambda: store.get(KEY))


def test_name_that_is_too_long_is_said(directory: Store) -> None:
    said = failure(directory, lambda: directory.put("x" * 300, b""))

    assert said.endswith("is too long a name for its file system; choose a shorter one")


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_file_system_without_links_is_said(
    directory: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def link(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)

    assert "on a file system without hard links" in failure(
        directory, lambda: directory.put(KEY, b"")
    )
    assert [key for key in directory.list("") if not key.startswith("probe/")] == []


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ESTALE, "lost it; mount it again"),
        (errno.EDQUOT, "is over its quota; make room"),
        (errno.EIO, "is on a disk that fails; replace the disk"),
        (errno.EBUSY, "gives an error: Device or resource busy; fix that"),
    ],
)
def test_other_failures_of_a_file_system_are_said(
    directory: Store, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def read(*_: object) -> bytes:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "read_bytes", read)

    assert failure(directory, lambda: directory.get(KEY)).endswith(said)


@pytest.mark.parametrize(
    "key", ["../outside", "a/../../outside", "/etc/passwd", "a//b", "a/./b", ""]
)
def test_key_that_leads_out_of_the_directory_is_refused(directory: Store, key: str) -> None:
    for operation in (lambda: directory.put(key, b""), lambda: directory.get(key)):
        assert failure(directory, operation).endswith(
            "is not an object's key; restore what names it"
        )


def test_reading_makes_no_directory(tmp_path: Path) -> None:
    store = Store((tmp_path / "lake").as_uri(), INGESTION_URL)

    assert store.list("") == []
    assert not store.exists(KEY)
    assert not (tmp_path / "lake").exists()


def test_file_that_was_not_finished_is_no_object(directory: Store, tmp_path: Path) -> None:
    """A process was killed while it wrote."""
    directory.put(KEY, b"one")
    (tmp_path / "a lake" / "manifests" / ".unfinished-1").write_bytes(b"half")

    assert directory.list("manifests") == [KEY]
