"""Planted secrets, looked for wherever the platform writes; and the key that seals them, changed under load."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aio_pika
import asyncpg
import httpx
import pytest
from cryptography.fernet import Fernet

from mts_metersim.fleet import Fault, FaultKind, Meter
from mts_metersim.presets import fleet
from mts_stack.fixtures import fresh_database, fresh_vhost
from mts_stack.processes import wait_until
from mts_stack.servers import Servers
from mts_stack.testing import StackUnderTest

TAP = "tap"
SETTINGS = {
    "MTS_LOG_LEVEL": "DEBUG",
    "OTEL_BSP_SCHEDULE_DELAY": "200",
    "MTS_REPLY_SECONDS": "2",
    "MTS_CHARACTER_SECONDS": "1",
    "MTS_MAX_TRIES": "2",
    "MTS_DIALLER_LINES": "6",
}


@contextmanager
def exports() -> Iterator[tuple[str, list[bytes]]]:
    """Where OTLP may be sent over HTTP, and the bodies that came, whatever they hold."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is said."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", bodies
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def planted(place: int, meter: Meter) -> Meter:
    """The meter with a password, of the same form, that stands nowhere by chance."""
    digits = hashlib.sha256(f"planted {place}".encode()).hexdigest().upper()
    if meter.password.startswith("gmac:"):
        return replace(meter, password=f"gmac:{digits[:32]}:{digits[32:]}")
    if "," in meter.password:
        return replace(meter, password=f"READER,Q{digits[:9]}")
    return replace(meter, password=f"Q{digits[:7]}" if meter.password else "")


def meters() -> list[Meter]:
    """Every family, and what ends by a fault: a fault is where a secret slips out."""
    healthy = [meter for meter in fleet("families") if not meter.faults]
    locked = [meter for meter in fleet("bulk", 40) if meter.meter_type == "ELSTERA1700"]
    kinds = [FaultKind.REFUSES_PASSWORD, FaultKind.GARBAGE, FaultKind.ECHO, FaultKind.WRONG_SERIAL]
    faulty = [replace(meter, faults=(Fault(kind),)) for meter, kind in zip(locked, kinds, strict=False)]
    return [planted(place, replace(meter, line=f"line {place}")) for place, meter in enumerate([*healthy, *faulty])]


class Platform:
    """The stack, what it exports, and what must not be seen of it."""

    def __init__(self, stack: StackUnderTest, exported: list[bytes]) -> None:
        self.stack = stack
        self.exported = exported
        self.secrets = {stack.token, stack.admin.headers["Authorization"].removeprefix("Bearer ")}
        for name in ("gateway", "scheduler", "results", "dialler"):
            environment = stack.services.environment(name)
            self.secrets.add(urlsplit(environment.get("MTS_POSTGRES_URL", "")).password or "")
            self.secrets |= set(environment["MTS_METER_KEYS"].split(","))
        for meter in stack.fleet.ready():
            self.secrets |= set(meter["password"].removeprefix("gmac:").removeprefix("READER,").split(":"))
        self.secrets = {secret for secret in self.secrets if len(secret) >= 8}

    def written(self) -> Iterator[tuple[str, bytes]]:
        """Everything, with its place; what is packed is unpacked."""
        for log in sorted((self.stack.services.directory / "log").glob("*.log")):
            if log.stem != "metersim":  # the meters themselves may say what they are asked
                yield log.name, log.read_bytes()
        for body in self.exported:
            yield "an export of telemetry", body
        for body in asyncio.run(_messages(self.stack.amqp_url)):
            yield "a message", body
            yield from (("the wire trace in a message", frames) for frames in _wire_traces(body))
        yield from asyncio.run(_rows(self.stack.database.admin_url))


async def _messages(amqp_url: str) -> list[bytes]:
    """What the tap has taken."""
    found = []
    async with await aio_pika.connect(amqp_url) as connection:
        queue = await (await connection.channel()).get_queue(TAP)
        while message := await queue.get(no_ack=True, fail=False):
            found.append(gzip.decompress(message.body) if message.body[:2] == b"\x1f\x8b" else message.body)
    return found


def _wire_traces(body: bytes) -> Iterable[bytes]:
    items = json.loads(body)["items"] if body.startswith(b'{"v"') else []
    return [gzip.decompress(base64.urlsafe_b64decode(item["wire_trace"])) for item in items if item.get("wire_trace")]


async def _rows(url: str) -> list[tuple[str, bytes]]:
    """Each table as text, which shows bytes in hexadecimal digits; the wire traces unpacked."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        found = []
        for (name,) in tables:
            rows = await connection.fetch(f"SELECT t::text FROM {name} t")  # noqa: S608
            found.append((name, "\n".join(row[0] for row in rows).encode()))
        frames = await connection.fetch("SELECT frames FROM results.trace")
        found += [("a wire trace", gzip.decompress(row["frames"])) for row in frames]
    finally:
        await connection.close()
    return found


def forms(secret: str) -> set[bytes]:
    """How a secret may stand in a text: as it is, in hexadecimal digits, in base64; a key also packed. Lower case."""
    raws = {secret.encode()}
    if len(secret) == 32:
        raws.add(bytes.fromhex(secret))
    packed = {base64.b64encode(raw).rstrip(b"=") for raw in raws}
    return {each.lower() for each in [*raws, *packed, *(raw.hex().encode() for raw in raws)]}


@pytest.fixture(scope="module")
def platform(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with ExitStack() as opened:
        url, exported = opened.enter_context(exports())
        database = opened.enter_context(fresh_database(servers))
        management = opened.enter_context(fresh_vhost(servers))
        management.tap(TAP)
        settings = {**SETTINGS, "OTEL_EXPORTER_OTLP_ENDPOINT": url}
        directory = tmp_path_factory.mktemp("secrets")
        stack = StackUnderTest(directory, servers, database, management, meters(), settings)
        yield Platform(opened.enter_context(stack), exported)


class Load:
    """Requests tests of healthy meters without end; one that got no answer is repeated by its key."""

    def __init__(self, stack: StackUnderTest, asked: Sequence[dict[str, Any]]) -> None:
        self._stack = stack
        self._asked = asked
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._request, name="load")
        self.accepted: list[int] = []

    def _request(self) -> None:
        with self._stack.api_client(self._stack.token) as http:
            while not self._over.is_set():
                meter = self._asked[len(self.accepted) % len(self._asked)]
                self.accepted.append(self._accepted(http, {**meter, "immediate": True}))
                self._over.wait(0.1)

    def _accepted(self, http: httpx.Client, body: dict[str, Any]) -> int:
        headers = {"Idempotency-Key": str(uuid4())}
        while True:
            try:
                answer = http.post("/test-request", json=body, headers=headers)
                if answer.status_code == httpx.codes.OK:
                    return int(answer.json()["testId"])
            except httpx.TransportError:
                pass
            time.sleep(0.2)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60.0)

    def more(self) -> None:
        """Wait until some more have been accepted."""
        wanted = len(self.accepted) + 3
        assert wait_until(lambda: len(self.accepted) >= wanted, 60.0)


def restart(stack: StackUnderTest, service: str, keys: Sequence[str]) -> None:
    process = stack.services.process(service)
    process.environment = {**process.environment, "MTS_METER_KEYS": ",".join(keys)}
    stack.services.restart(service)


@pytest.mark.timeout(300)
def test_the_key_of_the_meters_passwords_is_changed_under_load_and_no_test_is_lost(platform: Platform) -> None:
    stack = platform.stack
    old, new = stack.services.environment("gateway")["MTS_METER_KEYS"], Fernet.generate_key().decode()
    platform.secrets.add(new)
    locked = [meter for meter in stack.fleet.meters if meter["password"]]
    with Load(stack, locked) as load:
        load.more()
        restart(stack, "dialler", [old, new])  # whoever opens learns the new key first
        load.more()
        restart(stack, "gateway", [new, old])  # then whoever seals
        load.more()
    results = {test_id: stack.outcome(test_id, 120.0)["result"] for test_id in load.accepted}
    restart(stack, "dialler", [new])
    restart(stack, "gateway", [new])
    results[0] = stack.outcome(stack.request(locked[0]), 60.0)["result"]
    assert set(results.values()) == {"SUCCESS"}


@pytest.mark.timeout(300)
def test_no_planted_secret_stands_in_any_log_trace_message_or_table(platform: Platform) -> None:
    stack = platform.stack
    asked = [*stack.fleet.meters, *stack.fleet.faulty_meters]
    ids = [stack.request(meter, surveyDays=1 if meter["meterType"] != "ISKRA_MT174" else 0) for meter in asked]
    wrong = {**stack.fleet.meters[0], "remoteAddress": "nowhere", "immediate": "yes"}
    assert stack.http.post("/test-request", json=wrong).status_code == 400
    assert {stack.outcome(test_id, 150.0)["result"].partition(":")[0] for test_id in ids} >= {"SUCCESS", "ERROR"}
    assert wait_until(lambda: len(platform.exported) > 3, 30.0)
    looked_for = {form: secret for secret in platform.secrets for form in forms(secret)}
    leaks = set()
    places: set[str] = set()
    for place, text in platform.written():
        places.add(place)
        lowered = text.lower()
        leaks |= {(place, secret) for form, secret in looked_for.items() if form in lowered}
    assert {"gateway.log", "a message", "the wire trace in a message", "gateway.test", "a wire trace"} <= places
    assert leaks == set()
