"""Clients that hold on to what others need: sockets, room and memory; and those that try tokens."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import asyncpg
import httpx
import pytest

from mts_common.security import new_token, token_digest
from mts_common.telemetry import JsonFormatter
from mts_gateway import endpoint, protocol
from mts_gateway.admission import Admission
from mts_gateway.refusals import Refused
from mts_gateway.testing import Credentials, RunningGateway, Store

StartGateway = Callable[..., RunningGateway]

LEAST = {"meterType": "ELSTERA1700", "remoteAddress": "127.0.0.1:4059"}


@contextmanager
def connected(gateway: RunningGateway) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=gateway.settings.tls_cert)
    plain = socket.create_connection(("127.0.0.1", gateway.port), timeout=15)
    with plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as client:
        yield client


def post(token: str, length: int, path: str = "/MTS/batch-request") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
    return head.encode()


def first_statuses(clients: Sequence[ssl.SSLSocket], count: int, seconds: float = 20.0) -> Iterator[bytes]:
    """The statuses of the first `count` answers on any of the connections; fewer if it takes too long."""
    deadline = time.monotonic() + seconds
    for client in itertools.cycle(clients):
        client.settimeout(0.05)
        with suppress(TimeoutError):
            if (answer := client.recv(4096)).startswith(b"HTTP/1.1 "):
                yield answer.split()[1]
                count -= 1
        if count == 0 or time.monotonic() > deadline:
            return


def is_cut(client: ssl.SSLSocket) -> bool:
    """Whether the connection was ended by the other side, without an answer."""
    try:
        return client.recv(4096) == b""
    except TimeoutError:
        return False
    except (ConnectionError, ssl.SSLError):
        return True


def test_of_more_connections_than_there_may_be_those_that_ask_nothing_give_way(
    start_gateway: StartGateway, owner: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slowloris with every socket there is: whoever has a request is served."""
    monkeypatch.setattr(protocol, "CONNECTIONS", 20)
    gateway = start_gateway()
    with ExitStack() as held, gateway.http(owner.token) as api:
        slow = [held.enter_context(connected(gateway)) for _ in range(20)]
        for each in slow:
            each.sendall(b"GET /MTS/limits HTTP/1.1\r\nX-Slow: ")
        for _ in range(5):
            assert api.get("/MTS/limits", headers={"Connection": "close"}).status_code == 200
        assert is_cut(slow[0])
        slow[-1].settimeout(0.2)
        assert not is_cut(slow[-1])


def test_a_request_that_is_being_read_does_not_give_way(
    start_gateway: StartGateway, owner: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "CONNECTIONS", 3)
    gateway = start_gateway()
    body = json.dumps(LEAST).encode()
    with ExitStack() as held:
        busy = held.enter_context(connected(gateway))
        busy.sendall(post(owner.token, len(body), "/MTS/test-request") + body[:10])
        for _ in range(6):
            held.enter_context(connected(gateway)).sendall(b"GET / HTTP/1.1\r\n")
        busy.sendall(body[10:])
        assert busy.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_sends_large_bodies_slowly_keeps_nobody_from_sending_theirs(
    start_gateway: StartGateway, owner: Credentials, store: Store
) -> None:
    gateway = start_gateway()
    batch = [{**LEAST, "requestReference": "x" * 100} for _ in range(1000)]
    assert len(json.dumps(batch)) > endpoint.LARGE_BODY
    with ExitStack() as held, gateway.http(store.new_client().token) as other:
        for _ in range(2 * endpoint.LARGE_BODIES):
            slow = held.enter_context(connected(gateway))
            slow.sendall(post(owner.token, 4 * endpoint.LARGE_BODY) + b"[" + b" " * (2 * endpoint.LARGE_BODY))
        assert other.post("/MTS/batch-request", json=batch, timeout=10.0).status_code == 200


def test_a_client_that_sends_many_bodies_slowly_keeps_to_its_half_of_the_room(
    start_gateway: StartGateway, owner: Credentials, store: Store
) -> None:
    gateway = start_gateway(max_requests=8)
    with ExitStack() as held, gateway.http(store.new_client().token) as other:
        slow = [held.enter_context(connected(gateway)) for _ in range(8)]
        for each in slow:
            each.sendall(post(owner.token, 100) + b"[")
        assert list(first_statuses(slow, 4)) == [b"503"] * 4
        assert other.post("/MTS/test-request", json=LEAST).status_code == 200
        assert list(first_statuses(slow, 1, seconds=0.5)) == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"surveyDays": ' + b"9" * 1_000_000 + b"}",
        b'{"surveyDays": 1e' + b"9" * 100_000 + b"}",
        b'{"surveyDays": 1e-' + b"9" * 18 + b"}",
        b'{"surveyDays": ' + b"[" * 1_000_000,
        b'{"x": ' + b'{"x": ' * 100_000,
        b"[" * 500_000 + b"]" * 500_000,
        b'{"remoteAddress": "' + b"1" * 1_000_000 + b'"}',
        b'{"' + b"x" * 1_000_000 + b'": 1}',
        b"{" + b'"meterType": "DLMS",' * 50_000 + b'"x": 1}',
    ],
)
def test_huge_numbers_depths_and_names_are_400_soon_and_in_few_words(api: httpx.Client, body: bytes) -> None:
    answer = api.post("/MTS/test-request", content=body, timeout=10.0)
    assert answer.status_code == 400
    assert len(answer.content) < 10_000


# --- tokens


class Statement:
    """A pool whose connections answer every statement with no rows, and keep what they are given."""

    def __init__(self) -> None:
        self.given: list[tuple[Sequence[bytes], ...]] = []

    def acquire(self, timeout: float) -> Statement:
        return self

    async def __aenter__(self) -> Statement:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def fetch(self, _: str, *arguments: Any) -> list[asyncpg.Record]:
        self.given.append(arguments)
        return []


async def test_guesses_share_their_statements_and_only_their_digests_leave_the_process() -> None:
    """So a guess costs the same whatever it looks like, and tells nothing by its time: nothing secret is compared."""
    pool: Any = Statement()
    admission = Admission(pool, "admit", RunningLimits)
    guesses = [new_token()[0] for _ in range(1000)]
    running = asyncio.ensure_future(admission.run())
    try:
        found = await asyncio.gather(*(admission.admit(guess, "mts") for guess in guesses), return_exceptions=True)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert {(each.status, json.dumps(each.body)) for each in found if isinstance(each, Refused)} == {
        (401, json.dumps(found[0].body)) if isinstance(found[0], Refused) else None
    }
    assert len(pool.given) <= len(guesses) // 100
    digests = [digest for given in pool.given for digest in given[0]]
    assert sorted(digests) == sorted(map(token_digest, guesses))


RunningLimits: Any = type("Limits", (), {"window_seconds": 60, "calls_per_window": 600})


def test_a_wrong_a_deleted_and_an_expired_token_are_answered_in_the_same_bytes(
    gateway: RunningGateway, store: Store
) -> None:
    deleted, expired = store.new_client(), store.new_client()
    store.run("UPDATE gateway.token SET deleted_at = now() WHERE token_id = $1", deleted.token_id)
    store.run("UPDATE gateway.token SET expires_at = now() WHERE token_id = $1", expired.token_id)
    answers = []
    for token in (new_token()[0], deleted.token, expired.token, "x", deleted.token[:-1], deleted.token.swapcase()):
        with gateway.http(token) as api:
            answer = api.get("/MTS/limits")
            answers.append((answer.status_code, answer.content, sorted(set(answer.headers) - {"date"})))
    assert answers[0][0] == 401
    assert all(answer == answers[0] for answer in answers)


def test_guessing_does_not_use_up_the_calls_of_anybody(start_gateway: StartGateway, owner: Credentials) -> None:
    gateway = start_gateway(rate_limit_calls=5, rate_limit_seconds=2_000_000_000)
    with gateway.http() as guesser, gateway.http(owner.token) as api:
        for _ in range(50):
            guess = {"Authorization": f"Bearer {new_token()[0]}"}
            assert guesser.get("/MTS/limits", headers=guess).status_code == 401
        assert [api.get("/MTS/limits").status_code for _ in range(6)] == [200] * 5 + [429]


# --- logs


@pytest.mark.parametrize(
    "path", ["/MTS/%0a{%22level%22:%22CRITICAL%22}", "/MTS/%1b[2J", "/MTS/%c2%9b31m", "/%e2%80%ae"]
)
def test_a_url_cannot_write_lines_or_escapes_into_the_log(
    gateway: RunningGateway, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    with caplog.at_level(logging.DEBUG), gateway.http("x") as api:
        assert api.get(path).status_code == 404
        assert api.get("/MTS/limits", headers={"Accept": "\x1b]0;x\x07"}).status_code == 400
    for record in caplog.records:
        line = JsonFormatter("gateway").format(record)
        assert line.isascii()
        assert line.isprintable()


@pytest.mark.parametrize("item", ["null", "[null, null]", "1", '"x"', "[]", "true"])
@pytest.mark.parametrize("kind", ["assets", "contracts", "customers", "devices", "distributors", "meters", "users"])
def test_an_item_of_a_registry_that_is_no_object_is_400(admin: httpx.Client, kind: str, item: str) -> None:
    answer = admin.post("/MTS/admin/registry", content=f'{{"{kind}": [{item}, {item}]}}'.encode())
    assert answer.status_code == 400
    assert f"/{kind}/1: must be a JSON object" in answer.json()["details"]
