"""What a client sees when something underneath is broken, and what a hostile client gets."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from mts_common.topology import SCHEDULER_REQUESTS
from mts_gateway import endpoint, protocol
from mts_gateway.reading import Reader
from mts_gateway.testing import Credentials, Listener, RunningGateway, Store

StartGateway = Callable[..., RunningGateway]
LEAST = {"meterType": "ELSTERA1700", "remoteAddress": "07777000000"}


def request(api: httpx.Client) -> httpx.Response:
    return api.post("/MTS/test-request", json=LEAST)


def accepted_by(store: Store, owner: Credentials) -> set[int]:
    rows = store.run("SELECT test_id FROM gateway.test WHERE client_id = $1", owner.client_id)
    return {row["test_id"] for row in rows}


def test_an_unreachable_database_is_503_and_recovers_without_a_restart(api: httpx.Client, store: Store) -> None:
    assert request(api).status_code == 200
    with store.shut_out():
        for answer in (request(api), api.get("/MTS/limits"), api.get("/MTS/test-status?testId=1")):
            assert answer.status_code == 503
            assert answer.json() == {"details": ["the database cannot be reached at the moment"]}
            assert int(answer.headers["Retry-After"]) >= 1
        assert api.get("/health/live").status_code == 200
        assert api.get("/health/ready").status_code == 503
        service = api.get("/MTS/service-status")
        assert service.status_code == 200
        assert "database" in service.json()["status"]
    assert request(api).status_code == 200


def test_no_accepted_test_is_lost_when_connections_are_cut(api: httpx.Client, store: Store, owner: Credentials) -> None:
    with ThreadPoolExecutor(10) as threads:
        answers = [threads.submit(request, api) for _ in range(200)]
        for _ in range(5):
            store.cut_off()
        done = [answer.result() for answer in answers]
    assert {answer.status_code for answer in done} <= {200, 503}
    accepted = [answer.json()["testId"] for answer in done if answer.status_code == 200]
    assert len(set(accepted)) == len(accepted)
    assert set(accepted) <= accepted_by(store, owner)


def test_a_locked_table_is_503_and_nothing_is_half_done(
    start_gateway: StartGateway, store: Store, owner: Credentials
) -> None:
    with start_gateway(statement_seconds=0.5).http(owner.token) as api, ThreadPoolExecutor(1) as thread:
        lock = thread.submit(store.run, "DO 'BEGIN LOCK TABLE gateway.test; PERFORM pg_sleep(3); END'")
        deadline = time.monotonic() + 10
        answer = request(api)
        while answer.status_code == 200 and time.monotonic() < deadline:
            answer = request(api)
        assert answer.status_code == 503
        lock.result()
        before = accepted_by(store, owner)
        assert request(api).json()["testId"] not in before


def test_tests_are_accepted_without_the_broker_and_told_when_there_is_one(
    start_gateway: StartGateway, owner: Credentials, gateway: RunningGateway, listener: Listener
) -> None:
    with start_gateway(amqp_url="amqp://127.0.0.1:1/").http(owner.token) as api:
        assert api.get("/health/ready").status_code == 200
        test_id = request(api).json()["testId"]
    assert listener.wait_for(SCHEDULER_REQUESTS, test_id).client_id == owner.client_id


def test_a_fault_of_ours_is_500_without_its_inside(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def search(*_: Any) -> None:
        raise KeyError("something secret")

    monkeypatch.setattr(Reader, "search", search)
    answer = api.get("/MTS/test-search?fromTime=2026-11-01T00:00:00Z")
    assert answer.status_code == 500
    assert answer.json() == {"details": ["a fault of the server; it has been logged"]}
    assert "GET /MTS/test-search failed" in caplog.text


def test_a_connection_outlives_a_fault_of_ours(
    gateway: RunningGateway, owner: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def search(*_: Any) -> None:
        raise KeyError

    monkeypatch.setattr(Reader, "search", search)
    faulty = head("GET", "/MTS/test-search?fromTime=2026-11-01T00:00:00Z", owner.token)
    with raw(gateway) as client:
        client.sendall(faulty + head("GET", "/MTS/limits", owner.token, "Connection: close"))
        answers = read_all(client)
    assert answers.count(b"HTTP/1.1 500 ") == answers.count(b"HTTP/1.1 200 ") == 1


def test_more_requests_than_may_run_are_put_off(start_gateway: StartGateway, owner: Credentials) -> None:
    gateway = start_gateway(max_requests=1)
    with gateway.http(owner.token) as api, raw(gateway) as slow:
        slow.sendall(head("POST", "/MTS/test-request", owner.token, "Content-Length: 5"))
        deadline = time.monotonic() + 10
        answer = api.get("/MTS/limits")
        while answer.status_code == 200 and time.monotonic() < deadline:
            answer = api.get("/MTS/limits")
        assert answer.status_code == 503
        assert answer.json() == {"details": ["too many requests are being handled"]}
        slow.sendall(b"12345")
        assert b" 400 " in slow.recv(4096)
        assert api.get("/MTS/limits").status_code == 200


def test_a_request_under_way_is_answered_before_the_gateway_ends(
    start_gateway: StartGateway, owner: Credentials, store: Store
) -> None:
    gateway = start_gateway()
    with raw(gateway) as client:
        body = b'{"meterType": "ELSTERA1700", "remoteAddress": "123"}'
        client.sendall(head("POST", "/MTS/test-request", owner.token, f"Content-Length: {len(body)}") + body[:10])
        with gateway.http() as other:
            assert other.get("/health/live").status_code == 200
        gateway.stop()
        client.sendall(body[10:])
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert len(accepted_by(store, owner)) == 1


def test_the_trace_of_a_request_is_told_with_the_test(api: httpx.Client, listener: Listener) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    parent = f"00-{trace_id}-b7ad6b7169203331-01"
    test_id = api.post("/MTS/test-request", json=LEAST, headers={"traceparent": parent}).json()["testId"]
    told = listener.wait_for(SCHEDULER_REQUESTS, test_id)
    assert told.traceparent is not None
    assert told.traceparent.split("-")[1] == trace_id


@contextmanager
def raw(gateway: RunningGateway) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=gateway.settings.tls_cert)
    plain = socket.create_connection(("127.0.0.1", gateway.port), timeout=15)
    with plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as client:
        yield client


def head(verb: str, path: str, token: str, *lines: str) -> bytes:
    first = [f"{verb} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}", *lines]
    return "\r\n".join([*first, "", ""]).encode()


def read_all(client: ssl.SSLSocket) -> bytes:
    """What comes until the connection is closed, however it is closed."""
    found = b""
    try:
        while piece := client.recv(65536):
            found += piece
    except (ConnectionError, ssl.SSLError):
        pass
    return found


@pytest.mark.parametrize(
    "request_text",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /MTS/limits HTTP/1.1\r\nBad Header\r\n\r\n",
        b"POST /MTS/test-request HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X-Large: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X-Many: x\r\n" * 10_000 + b"\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_not_http_is_400_in_json(gateway: RunningGateway, request_text: bytes) -> None:
    with raw(gateway) as client:
        client.sendall(request_text)
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/json; charset=utf-8\r\n" in answer
    assert b'{"details":["' in answer


def test_a_head_that_does_not_end_in_time_is_cut(start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    gateway = start_gateway()
    for beginning in (b"", b"\r\n", b"GET / HTTP/1.1\r\nX-Slow: "):
        with raw(gateway) as client:
            client.sendall(beginning)
            assert read_all(client) == b""


def test_dripping_bytes_does_not_keep_a_connection(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    with raw(start_gateway()) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        deadline = time.monotonic() + 10
        with pytest.raises((ConnectionError, ssl.SSLError)):
            while time.monotonic() < deadline:
                client.sendall(b"x")
                time.sleep(0.02)


def test_a_body_that_does_not_arrive_in_time_is_400(
    start_gateway: StartGateway, owner: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(protocol, "UNREAD_SECONDS", 0.3)
    with raw(start_gateway()) as client:
        client.sendall(head("POST", "/MTS/test-request", owner.token, "Content-Length: 100") + b"{")
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"the request body did not arrive within" in answer


def test_a_body_that_nobody_reads_is_thrown_away_up_to_a_limit(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "UNREAD_BYTES", 1024**2)
    with raw(start_gateway()) as client:
        client.sendall(head("POST", "/MTS/test-request", "wrong", f"Content-Length: {10 * 1024**3}"))
        assert client.recv(4096).startswith(b"HTTP/1.1 401 ")
        with pytest.raises((ConnectionError, ssl.SSLError)):
            for _ in range(1000):
                client.sendall(b"x" * 65536)


def test_a_client_that_hangs_up_in_its_body_harms_nobody(
    gateway: RunningGateway, owner: Credentials, api: httpx.Client, store: Store
) -> None:
    for _ in range(20):
        with raw(gateway) as client:
            client.sendall(head("POST", "/MTS/test-request", owner.token, "Content-Length: 100000") + b"{" * 70_000)
    assert request(api).status_code == 200
    assert len(accepted_by(store, owner)) == 1


def test_a_connection_serves_one_request_after_another(gateway: RunningGateway, owner: Credentials) -> None:
    two = head("GET", "/MTS/limits", owner.token) + head("GET", "/MTS/nowhere", owner.token, "Connection: close")
    with raw(gateway) as client:
        client.sendall(two)
        answers = read_all(client)
    assert answers.count(b"HTTP/1.1 200 ") == answers.count(b"HTTP/1.1 404 ") == 1


@pytest.mark.parametrize("expect", ["right", "wrong"])
def test_the_body_is_asked_for_only_once_the_caller_is_known(
    gateway: RunningGateway, owner: Credentials, expect: str
) -> None:
    token = owner.token if expect == "right" else "wrong"
    with raw(gateway) as client:
        client.sendall(head("POST", "/MTS/test-request", token, "Content-Length: 5", "Expect: 100-continue"))
        answer = client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 100 " if expect == "right" else b"HTTP/1.1 401 ")
