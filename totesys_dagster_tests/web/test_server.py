"""`totesys web` as it runs: a real server, real clients."""

from __future__ import annotations

import json
import socket
import time
from urllib.parse import quote

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from totesys_dagster import dagster_insides
from totesys_dagster.errors import SettingError
from totesys_dagster.local.dev import WEB
from totesys_dagster.web.server import take_port
from totesys_dagster_tests import warm
from totesys_dagster_tests.web.conftest import Web

SUBSCRIPTION = "subscription { locationStateChangeEvents { event { eventType } } }"


def test_requests_of_others_change_and_read_nothing(web: Web) -> None:
    before = web.sensor()
    stop = f'mutation {{stopSensor(id: "{before["state"]}") {{__typename}}}}'
    url, place = f"{web.url}/graphql", {"Host": "rebound.example"}
    json_, text = {"Content-Type": "application/json"}, {"Content-Type": "text/plain"}
    body = json.dumps({"query": stop}).encode()
    foreign = {"Origin": "http://evil.example"}
    refused = [
        httpx.get(f"{url}?query={quote(stop)}"),
        httpx.post(f"{url}?query={quote(stop)}", headers=text),
        httpx.post(url, content=body, headers=text),
        httpx.post(url, content=body, headers={"Content-Type": "text/plain;application/json"}),
        httpx.post(url, content=body, headers={**json_, **foreign}),
        httpx.post(url, content=body, headers={**json_, **place}),
        httpx.get(f"{url}?query={{version}}", headers=place),
        httpx.post(url, content=b"[%s]" % body, headers=text),
        httpx.options(url, headers={**foreign, "Access-Control-Request-Method": "POST"}),
    ]
    assert [answer.status_code for answer in refused] == [
        405,
        415,
        415,
        415,
        403,
        403,
        403,
        415,
        403,
    ]
    assert not any("access-control-allow-origin" in answer.headers for answer in refused)
    # A batch is nothing that Dagster's server knows.
    assert httpx.post(url, content=b"[%s]" % body, headers=json_, timeout=60).status_code == 500
    assert web.sensor() == before
    assert web.ask(stop) == {"stopSensor": {"__typename": "StopSensorMutationResult"}}
    assert web.sensor()["status"] == "STOPPED"


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET http://localhost/ HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    ],
    ids=["none", "in the target", "two"],
)
def test_request_without_one_host_is_refused(web: Web, request_: bytes) -> None:
    with socket.create_connection(("127.0.0.1", web.port), 30) as connection:
        connection.sendall(request_)
        assert b" 400 " in connection.recv(1000).splitlines()[0]


def test_events_arrive_by_websocket_on_own_pages_only(web: Web) -> None:
    address, protocol = f"ws://{web.place}/graphql", [Subprotocol("graphql-ws")]
    with connect(address, origin=Origin(web.url), subprotocols=protocol) as socket_:
        socket_.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket_.recv(30)) == {"type": "connection_ack"}
        socket_.send(json.dumps({"type": "start", "id": "1", "payload": {"query": SUBSCRIPTION}}))
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{web.port + 1}"):
        with pytest.raises(InvalidStatus, match="403"):
            connect(address, origin=Origin(origin), subprotocols=protocol)


def test_port_in_use_is_said_at_once(web: Web) -> None:
    begun = time.monotonic()
    for command in ("web", "dev"):
        done = warm.run(warm.COMMAND_LINE, command, "--port", str(web.port), cwd=web.directory)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"Error: The Dagster UI cannot listen on port {web.port} of 127.0.0.1 (address already"
            " in use): stop what listens there, or choose another port with --port.\n"
        )
    assert time.monotonic() - begun < 30


def test_host_that_is_not_here_is_said() -> None:
    with pytest.raises(SettingError, match=r"on port 3000 of nowhere\.invalid"):
        take_port("nowhere.invalid", 3000)


def test_dev_starts_no_other_web_server(monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster._cli import dev

    started: list[list[str]] = []
    monkeypatch.setattr(dev, "open_ipc_subprocess", lambda parts, **_: started.append(parts))
    dagster_insides.dev_command(WEB)
    with pytest.raises(RuntimeError, match="in the place of its web server"):
        dev.open_ipc_subprocess(["python", "-m", "dagster_ui", "--port", "1"])
    dev.open_ipc_subprocess(["python", "-m", "dagster_webserver", "--port", "1"])
    dev.open_ipc_subprocess(["python", "-m", "dagster._daemon", "run"])
    assert started == [
        ["python", "-m", "totesys_dagster.web", "--port", "1"],
        ["python", "-m", "dagster._daemon", "run"],
    ]
