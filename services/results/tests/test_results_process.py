"""The service as a process of its own, with a real broker and a real database."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Protocol

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mts_common import telemetry
from mts_common.broker import Broker
from mts_common.database import Pool
from mts_common.messages import (
    Section,
    SectionState,
    SettleOutcomes,
    SettleOutcomesReply,
    SettleRequests,
    SettleRequestsReply,
    encode,
)
from mts_common.topology import OUTCOME_SETTLES, RESULTS_OUTCOMES, RESULTS_SETTLES
from mts_results.ingest import Ingest

Make = Callable[..., Any]
View = Callable[[str, int], Awaitable[dict[str, Any] | None]]


class Database(Protocol):
    def url(self, role: str) -> str: ...


class Results:
    """`python -m mts_results` with the settings of a test."""

    def __init__(self, settings: dict[str, str]) -> None:
        self._environment = os.environ | settings
        self.health = f"http://127.0.0.1:{settings['MTS_HEALTH_PORT']}/health/ready"

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mts_results",
            *arguments,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def finish(self, *arguments: str) -> tuple[int | None, str]:
        """Exit code and output of a command that ends by itself."""
        process = await self.start(*arguments)
        async with asyncio.timeout(30):
            output, faults = await process.communicate()
        return process.returncode, (output + faults).decode()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await self.start("run")
        reading = asyncio.ensure_future(process.communicate())
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            async with asyncio.timeout(10):
                await reading


@pytest.fixture
async def results(amqp_url: str, database: Database) -> Results:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return Results(
        {
            "MTS_AMQP_URL": amqp_url,
            "MTS_POSTGRES_URL": database.url("results"),
            "MTS_HEALTH_PORT": str(port),
            "MTS_PARTITION_TESTS": "1000",
        }
    )


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.05)


async def test_what_is_published_becomes_what_clients_read_through_a_kill(
    pool: Pool,
    amqp_url: str,
    results: Results,
    view: View,
    requested: Make,
    report: Make,
    call: Make,
    finished: Make,
    cancelled: Make,
    energy: Make,
) -> None:
    ids = range(100)

    async def completed() -> int:
        return int(await pool.fetchval("SELECT count(*) FROM results_v1.test_status WHERE completed"))

    async def some() -> bool:
        return await completed() > 0

    async def all_done() -> bool:
        return await completed() == len(ids) and await view("test_search", 500) is None

    async with Broker(amqp_url, "test") as broker:
        publish = broker.publisher.publish
        await publish([*(requested(test_id) for test_id in ids), requested(500)])
        async with results.running() as process:
            for test_id in ids:
                read = {Section.REGISTERS: SectionState.READ}
                await publish([report(test_id, 1, read, data=energy("0.00000"))])
                await publish([finished(test_id)])
            await eventually(some)
            process.kill()
            await process.wait()
        await publish([call(1, *ids)])
        await publish([cancelled(500)])
        async with results.running() as process:
            await eventually(all_done)
            known = await broker.requester.ask(
                RESULTS_SETTLES, SettleRequests(test_ids=(1, 9999)), SettleRequestsReply, 5
            )
            assert known.known == (1,)
            asked = SettleOutcomes(finished=((1, 1),), cancelled=(500,))
            assert (await broker.requester.ask(OUTCOME_SETTLES, asked, SettleOutcomesReply, 5)).settled == (1, 500)
            async with httpx.AsyncClient(timeout=5) as client:
                assert (await client.get(results.health)).json() == {"status": "OK"}
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                assert await process.wait() == 0
    status, search = await view("test_status", 99), await view("test_search", 99)
    assert status is not None
    assert search is not None
    assert search["result_summary"] == status["result_summary"] == "SUCCESS"
    assert status["registers"][0]["value"] == Decimal("0.00000")
    assert await pool.fetchval("SELECT count(*) FROM results_v1.wire_trace") == len(ids)


async def test_migrating_and_rebuilding_are_commands(results: Results) -> None:
    code, output = await results.finish("migrate")
    assert code == 0
    assert output.startswith("applied 001_inputs.sql\napplied 002_projections.sql\n")
    assert await results.finish("migrate") == (0, "")
    assert await results.finish("rebuild", "--projection", "search") == (0, "0 tests\n")
    code, output = await results.finish("rebuild", "--projection", "other")
    assert code == 2
    assert "there are status, search" in output


async def test_dead_letters_are_listed_shown_and_put_back_by_command(
    results: Results, pool: Pool, amqp_url: str, finished: Make
) -> None:
    told = finished(1)
    async with results.running(), Broker(amqp_url, "test") as broker:
        await broker.publisher.dead_letter(RESULTS_OUTCOMES, told.kind, encode([told]), "a fault mended since")

        async def put_aside() -> bool:
            count: int = await pool.fetchval("SELECT count(*) FROM results.dead_letter")
            return count == 1

        await eventually(put_aside)
        code, output = await results.finish("dead", "list", "--queue", RESULTS_OUTCOMES.name)
        assert code == 0
        listed = json.loads(output)
        assert (listed["total"], listed["letters"][0]["reason"]) == (1, "a fault mended since")
        code, output = await results.finish("dead", "show", "1")
        assert json.loads(json.loads(output)["text"]) == json.loads(encode([told]))
        assert (await results.finish("dead", "requeue", "1"))[1] == "1 put back: 1\n"

        async def handled() -> bool:
            count: int = await pool.fetchval("SELECT count(*) FROM results.outcome")
            return count == 1

        await eventually(handled)
    assert (await results.finish("dead", "requeue", "--all")) == (0, "0 put back\n")
    assert (await results.finish("dead", "requeue", "1"))[0] == 1
    for wrong in (("show", "1"), ("requeue",), ("requeue", "1", "--all")):
        code, output = await results.finish("dead", *wrong)
        assert (code, "Traceback" in output) == (2, False)


async def test_results_does_not_run_on_a_schema_that_is_not_migrated(results: Results) -> None:
    code, output = await results.finish("run")
    assert code == 1
    assert "StatementFault" in output


async def test_what_is_stored_shows_in_the_trace_it_belongs_to(
    ingest: Ingest, requested: Make, report: Make, finished: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("test"))
    traces = [f"00-{number:032x}-{number:016x}-01" for number in (1, 2)]
    await ingest.requests([requested(1, traceparent=traces[0]), requested(2, traceparent=traces[1]), requested(3)])
    await ingest.reports([report(1, 1, traceparent=traces[0])])
    await ingest.outcomes([finished(1, traceparent=traces[0])])
    spans = {
        (span.name, (span.attributes or {})["mts.test_id"], span.context.trace_id)
        for span in exporter.get_finished_spans()
        if span.context
    }
    assert spans == {("store request", 1, 1), ("store request", 2, 2), ("store report", 1, 1), ("store outcome", 1, 1)}
