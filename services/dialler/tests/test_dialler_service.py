"""The whole service against a real RabbitMQ and a meter on a real socket; the scheduler is the test."""

from __future__ import annotations

import asyncio
import gzip
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from cryptography.fernet import Fernet

from mts_common import topology
from mts_common.broker import Broker
from mts_common.messages import (
    AttemptFinished,
    AttemptReport,
    CallFinished,
    CallGrant,
    CallReleased,
    CallReleasedReply,
    CallWant,
    DiallerAlive,
    DiallerLease,
    FailureKind,
    GrantedCall,
    GrantedTest,
    Message,
    Outcome,
    Section,
    Transport,
)
from mts_common.security import Vault
from mts_dialler.__main__ import work
from mts_dialler.drivers.base import ReportBuilder, Terms
from mts_dialler.line import Line
from mts_dialler.lines_file import LinesFileFault
from mts_dialler.settings import DiallerSettings
from mts_dialler.testing import eventually
from mts_metersim.log import CallLog
from mts_metersim.modem_bank import running_bank, to_host_and_port
from mts_metersim.modem_plan import ModemSpec, Plan, Subscriber
from mts_metersim.testing import far_end
from mts_stack.processes import free_ports

KEY = Fernet.generate_key().decode()
SECONDS = 20.0


class AskingDriver:
    """Sends the password and takes the answer for the serial number."""

    def sections(self, terms: Terms) -> frozenset[Section]:
        return frozenset({Section.SERIAL_NUMBER})

    async def read(self, line: Line, terms: Terms, report: ReportBuilder) -> None:
        await line.send(terms.password.encode(), "password")
        report.serial_number = (await line.receive(5.0)).decode()
        report.read(Section.SERIAL_NUMBER)


class Scheduler:
    """Grants `calls`, one to an ask; keeps what it and the results are told."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.calls: list[GrantedCall] = []
        self.wanted: list[CallWant] = []
        self.alive: list[DiallerAlive] = []
        self.released: list[UUID] = []
        self.told: list[Message] = []

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._broker.serve(topology.CALL_WANTS, self._on_wants))
            group.create_task(self._broker.serve(topology.DIALLER_ALIVES, self._on_alives))
            group.create_task(self._broker.serve(topology.CALL_RELEASES, self._on_releases))
            for queue in (topology.RESULTS_REPORTS, topology.SCHEDULER_ATTEMPTS, topology.SCHEDULER_CALLS):
                group.create_task(self._broker.consume(queue, self._on_events))

    async def _on_wants(self, wants: list[CallWant]) -> list[CallGrant]:
        self.wanted += wants
        if not self.calls:
            await asyncio.sleep(wants[0].wait_seconds)
        return [CallGrant(nonce=want.nonce, calls=self._next(want.transport)) for want in wants]

    def _next(self, transport: Transport) -> tuple[GrantedCall, ...]:
        fitting = [call for call in self.calls if call.transport is transport][:1]
        self.calls = [call for call in self.calls if call not in fitting]
        return tuple(fitting)

    async def _on_alives(self, alives: list[DiallerAlive]) -> list[DiallerLease]:
        self.alive += alives
        return [DiallerLease(dialler=alive.dialler, lease_seconds=120.0, lost=()) for alive in alives]

    async def _on_releases(self, releases: list[CallReleased]) -> list[CallReleasedReply]:
        self.released += [each.call_id for each in releases]
        return [CallReleasedReply(call_id=each.call_id) for each in releases]

    async def _on_events(self, events: list[Message]) -> None:
        self.told += events


@pytest.fixture
async def scheduler(amqp_url: str) -> AsyncIterator[Scheduler]:
    async with Broker(amqp_url, "test") as broker:
        scheduler = Scheduler(broker)
        running = asyncio.create_task(scheduler.run())
        yield scheduler
        running.cancel()
        await asyncio.wait([running])


@pytest.fixture
def settings(amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> DiallerSettings:
    [port] = free_ports(1)
    for name, value in {
        "AMQP_URL": amqp_url,
        "METER_KEYS": KEY,
        "ALLOW_NETWORKS": "127.0.0.0/8",
        "WANT_SECONDS": "0.1",
        "ALIVE_SECONDS": "0.2",
        "DRAIN_SECONDS": "0.1",
        "HEALTH_PORT": str(port),
    }.items():
        monkeypatch.setenv(f"MTS_{name}", value)
    return DiallerSettings()


@asynccontextmanager
async def dialling(settings: DiallerSettings) -> AsyncIterator[tuple[asyncio.Task[None], asyncio.Event]]:
    stop = asyncio.Event()
    task = asyncio.create_task(work(settings, {"ANY": AskingDriver()}, stop))
    try:
        yield task, stop
    finally:
        task.cancel()
        await asyncio.wait([task])


def a_call(port: int) -> GrantedCall:
    address = f"127.0.0.1:{port}"
    test = GrantedTest(
        test_id=1,
        client_id=1,
        meter_type="ANY",
        remote_address=address,
        password=Vault([KEY]).seal("SECRET"),
        attempt=3,
        tries=0,
    )
    return GrantedCall(
        call_id=uuid4(),
        remote_address=address,
        canonical_address=address,
        transport=Transport.TCP,
        tests=(test,),
    )


def meter(answer: bytes) -> AbstractAsyncContextManager[int]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(6)
        writer.write(answer)
        await reader.read()

    return far_end(talk)


async def test_a_granted_test_is_read_and_told_over_the_broker(scheduler: Scheduler, settings: DiallerSettings) -> None:
    async with meter(b"E123") as port, dialling(settings) as (task, stop):
        call = a_call(port)
        scheduler.calls.append(call)
        await eventually(lambda: len(scheduler.told) == 3, SECONDS)
        told = {type(message): message for message in scheduler.told}
        report, finished, ended = told[AttemptReport], told[AttemptFinished], told[CallFinished]
        assert isinstance(report, AttemptReport)
        assert report.outcome is Outcome.SUCCESS
        assert report.data.serial_number == "E123"
        assert report.times.connection_ended_at is not None
        assert b"SECRET".hex().encode() not in gzip.decompress(report.wire_trace)
        assert isinstance(finished, AttemptFinished)
        assert (finished.test_id, finished.attempt, finished.call_id) == (1, 3, call.call_id)
        assert isinstance(ended, CallFinished)
        assert ended.call_id == call.call_id

        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.health_port}") as client:
            assert (await client.get("/health/ready")).status_code == 200
            assert (await client.get("/health/live")).status_code == 200
        stop.set()
        async with asyncio.timeout(SECONDS):
            await task


async def test_one_process_serves_modems_and_tcp(
    scheduler: Scheduler, settings: DiallerSettings, tmp_path: Path
) -> None:
    lines = tmp_path / "lines.toml"
    lines.write_text(
        f'[[line]]\nname = "m1"\ndevice = "{tmp_path}/m1"\nnumbers = "07*"\nreset_pause_seconds = 0\n'
        "settle_seconds = 0\ndtr_seconds = 0.05\n"
    )
    settings = settings.model_copy(update={"lines_file": lines, "dialler_lines": 3})
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(meter(b"E123"))
        other = await stack.enter_async_context(meter(b"E456"))
        log = stack.enter_context(CallLog(None))
        plan = Plan((ModemSpec("m1"),), {"07700900001": Subscriber(to=f"127.0.0.1:{port}")}, 0)
        await stack.enter_async_context(running_bank(plan, tmp_path, to_host_and_port, log))
        scheduler.calls.append(
            a_call(port).model_copy(
                update={
                    "remote_address": "07700900001",
                    "canonical_address": "+447700900001",
                    "transport": Transport.MODEM,
                }
            )
        )
        scheduler.calls.append(a_call(other))
        task, stop = await stack.enter_async_context(dialling(settings))
        await eventually(lambda: len(scheduler.told) == 6, SECONDS)
        reports = [message for message in scheduler.told if isinstance(message, AttemptReport)]
        assert {report.data.serial_number for report in reports} == {"E123", "E456"}
        assert {report.outcome for report in reports} == {Outcome.SUCCESS}
        asked = {(want.transport, want.number_filter) for want in scheduler.wanted}
        assert asked == {(Transport.MODEM, "07*"), (Transport.TCP, "")}
        assert {(alive.transport, alive.lines) for alive in scheduler.alive} == {
            (Transport.MODEM, 1),
            (Transport.TCP, 3),
        }
        stop.set()
        async with asyncio.timeout(SECONDS):
            await task


async def test_a_lines_file_that_cannot_be_read_stops_the_start(settings: DiallerSettings, tmp_path: Path) -> None:
    with pytest.raises(LinesFileFault):
        await work(settings.model_copy(update={"lines_file": tmp_path / "none"}), {}, asyncio.Event())


async def test_an_address_off_the_allow_list_is_told_as_forbidden(
    scheduler: Scheduler, settings: DiallerSettings
) -> None:
    async with dialling(settings.model_copy(update={"allow_networks": ()})):
        scheduler.calls.append(a_call(4059))
        await eventually(lambda: len(scheduler.told) == 3, SECONDS)
        assert {message.failure for message in scheduler.told if isinstance(message, AttemptReport)} == {
            FailureKind.ADDRESS_FORBIDDEN
        }


async def test_a_stopped_service_gives_its_call_back_before_it_ends(
    scheduler: Scheduler, settings: DiallerSettings
) -> None:
    async with meter(b"") as port, dialling(settings) as (task, stop):
        call = a_call(port)
        scheduler.calls.append(call)
        await eventually(lambda: any(alive.calls == (call.call_id,) for alive in scheduler.alive), SECONDS)
        stop.set()
        async with asyncio.timeout(SECONDS):
            await task
        assert scheduler.released == [call.call_id]
        assert scheduler.told == []


async def test_the_process_stops_with_exit_code_0(scheduler: Scheduler, settings: DiallerSettings) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "mts_dialler", "run")
    try:
        await eventually(lambda: bool(scheduler.alive), SECONDS)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(SECONDS):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
