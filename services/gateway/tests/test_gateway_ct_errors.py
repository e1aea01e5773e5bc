"""Errors under /ctapi (carbontrack.md, 8), and what a client sees when something underneath is broken."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from mts_gateway import endpoint
from mts_gateway.testing import RunningGateway, Store
from mts_gateway.testing.carbontrack import SUNCO, bearer

StartGateway = Callable[..., RunningGateway]
DISTRIBUTOR = "/ctapi/Distributor"
CREDENTIALS = {"UserID": SUNCO[0], "Password": SUNCO[1]}


@pytest.fixture
def client(carbontrack: RunningGateway) -> Iterator[httpx.Client]:
    with carbontrack.neighbour() as client:
        yield client


def number(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["ErrorNumber"]


def test_an_unknown_path_is_named(client: httpx.Client) -> None:
    answer = client.get("/ctapi/Nowhere/At/All?UserID=sunco")
    assert answer.json() == {
        "ResponseCode": 404,
        "ResponseMessage": "Not Found",
        "Message": "There is nothing at this path.",
        "Error": 1,
        "ErrorNumber": 4041,
        "ErrorMessage": "/ctapi/Nowhere/At/All",
    }


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/ctapi/Device", "POST"),
        ("GET", "/ctapi/Measurement", "POST"),
        ("HEAD", "/ctapi/Measurement", "POST"),
        ("POST", "/ctapi/Customer", "GET, HEAD"),
        ("DELETE", DISTRIBUTOR, "GET, HEAD"),
        ("OPTIONS", DISTRIBUTOR, "GET, HEAD"),
        ("OPTIONS", "/ctapi/Device", "POST"),
    ],
)
def test_a_wrong_verb_is_405_with_allow_and_without_cors(
    client: httpx.Client, method: str, path: str, allowed: str
) -> None:
    answer = client.request(method, path, headers={"Origin": "https://elsewhere.example"})
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    if method != "HEAD":
        assert answer.json()["ErrorNumber"] == 4050


def test_an_answer_is_kept_by_nobody(sunco: httpx.Client) -> None:
    for answer in (sunco.get(DISTRIBUTOR), sunco.get("/ctapi/nowhere"), sunco.post("/ctapi/Device", json={})):
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Server" not in answer.headers


def test_a_database_that_is_away_is_503(client: httpx.Client, sunco: httpx.Client, store: Store) -> None:
    store.run("ALTER ROLE mts_gateway CONNECTION LIMIT 0")
    try:
        store.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mts_gateway'")
        for answer in (sunco.get(DISTRIBUTOR), sunco.post("/ctapi/Measurement", json={})):
            assert number(answer) == (503, 5030)
            assert answer.json()["ResponseMessage"] == "Service Unavailable"
            assert int(answer.headers["Retry-After"]) >= 1
        asked = {"grant_type": "password", "username": SUNCO[0], "password": SUNCO[1]}
        answer = client.post("/oauth/token", data=asked)
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    finally:
        store.run("ALTER ROLE mts_gateway CONNECTION LIMIT -1")
    assert sunco.get(DISTRIBUTOR).status_code == 200


def test_without_the_published_views_the_rest_works_on(
    sunco: httpx.Client, store: Store, start_gateway: StartGateway, carbontrack: RunningGateway
) -> None:
    store.run("ALTER TABLE results_v1.measurement RENAME TO away")
    store.run("ALTER TABLE results_v1.device_fact RENAME TO gone")
    try:
        with start_gateway().neighbour(**CREDENTIALS) as fresh:
            for client in (sunco, fresh):
                assert number(client.post("/ctapi/Device", json={})) == (503, 5030)
                assert number(client.post("/ctapi/Measurement", json={})) == (503, 5030)
                assert client.get("/ctapi/Customer").status_code == 200
                assert client.get("/health/ready").status_code == 200
            assert "readings" in fresh.get("/MTS/service-status").json()["status"]
    finally:
        store.run("ALTER TABLE results_v1.away RENAME TO measurement")
        store.run("ALTER TABLE results_v1.gone RENAME TO device_fact")
    assert sunco.post("/ctapi/Device", json={}).status_code == 200


def test_a_fault_of_ours_is_500_without_its_inside(sunco: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    inside: dict[str, Any] = {}
    monkeypatch.setattr("mts_gateway.carbontrack.device._show", lambda _row: inside["secret"])
    answer = sunco.post("/ctapi/Device", json={})
    assert number(answer) == (500, 5000)
    assert (answer.json()["ResponseMessage"], answer.json()["Devices"]) == ("Server Error", [])
    assert "secret" not in answer.text
    monkeypatch.setattr("mts_gateway.carbontrack.oauth._needed", lambda _given, _name: inside["secret"])
    answer = sunco.post("/oauth/token", data={"grant_type": "password"})
    assert (answer.status_code, answer.json()) == (
        500,
        {"error": "server_error", "error_description": "A fault of the server; it has been logged."},
    )


def test_a_body_over_the_limit_is_refused(start_gateway: StartGateway, carbontrack: RunningGateway) -> None:
    with start_gateway(max_body_bytes=1024).neighbour(**CREDENTIALS) as client:
        assert number(client.post("/ctapi/Device", content=b"x" * 1025)) == (400, 4001)
        answer = client.post("/oauth/token", content=b"x" * 1025)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@contextmanager
def half_a_body(gateway: RunningGateway, token: str) -> Iterator[ssl.SSLSocket]:
    """A connection on which the body of a request has begun."""
    trust = ssl.create_default_context(cafile=gateway.settings.tls_cert)
    head = f"POST /ctapi/Device HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 9\r\n\r\n{{"
    with (
        socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(head.encode())
        yield connection


def test_a_body_that_does_not_arrive_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, carbontrack: RunningGateway
) -> None:
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.3)
    answer = b""
    with half_a_body(carbontrack, bearer(carbontrack, *SUNCO)["Authorization"]) as connection:
        while b"}" not in answer:
            answer += connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"ErrorNumber":4001' in answer


def test_requests_over_the_room_are_put_off(start_gateway: StartGateway, carbontrack: RunningGateway) -> None:
    gateway = start_gateway(max_requests=1)
    headers = bearer(carbontrack, *SUNCO)
    deadline = time.monotonic() + 20
    with half_a_body(gateway, headers["Authorization"]), gateway.neighbour(**headers) as client:
        while (answer := client.get(DISTRIBUTOR)).status_code == 200:
            assert time.monotonic() < deadline
    assert number(answer) == (503, 5030)


def test_tls_may_be_required_of_a_proxy(start_gateway: StartGateway, carbontrack: RunningGateway) -> None:
    with start_gateway(gateway_ct_require_tls=True).neighbour(**CREDENTIALS) as client:
        assert client.get(DISTRIBUTOR).status_code == 200
        assert client.get(DISTRIBUTOR, headers={"X-Forwarded-Proto": "https"}).status_code == 200
        answer = client.get(DISTRIBUTOR, headers={"X-Forwarded-Proto": "http"})
        assert (answer.status_code, answer.json()["ResponseMessage"]) == (403, "Forbidden")
        answer = client.post("/oauth/token", headers={"X-Forwarded-Proto": "http"})
        assert (answer.status_code, answer.json()["error"]) == (403, "invalid_request")


def test_without_that_setting_what_comes_is_served(start_gateway: StartGateway, carbontrack: RunningGateway) -> None:
    plain = {"tls_cert": None, "tls_key": None, "trust_proxy": True}
    with start_gateway(**plain).neighbour(**CREDENTIALS) as client:
        assert client.get(DISTRIBUTOR).status_code == 200
        assert client.get(DISTRIBUTOR, headers={"X-Forwarded-Proto": "http"}).status_code == 200
    with start_gateway(**plain, gateway_ct_require_tls=True).neighbour(**CREDENTIALS) as client:
        assert client.get(DISTRIBUTOR).status_code == 403
        assert client.get(DISTRIBUTOR, headers={"X-Forwarded-Proto": "https"}).status_code == 200


def test_every_error_number_says_its_status(client: httpx.Client) -> None:
    answer = client.get(DISTRIBUTOR)
    assert re.fullmatch("[45][0-9]{3}", str(answer.json()["ErrorNumber"]))
    assert answer.json()["ErrorNumber"] // 10 == answer.json()["ResponseCode"] == answer.status_code
