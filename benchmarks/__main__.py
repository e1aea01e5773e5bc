"""`make bench`: how much one of each service does on this machine, next to what its parts could do at best, and what a
call costs on a modem line, next to the least that it could.

Machines differ and are shared, so what counts are the ratios within one run. The calls are computed: those figures are
the same everywhere.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks import floors
from benchmarks.efficiency import BIT_RATE, DELAY_SECONDS, SURVEY_DAYS, efficiencies
from benchmarks.load import Load, percentiles
from mts_client import MeterTest, MtsClient
from mts_metersim.presets import fleet
from mts_stack.processes import free_ports, listens, wait_until
from mts_stack.services import SERVICES
from mts_stack.settings import run_window
from mts_stack.stack import Description, Stack

LOAD_SECONDS = 8.0
CONNECTIONS = 50
METERS = 400
DRAIN_SECONDS = 180.0
SETTINGS = {"MTS_RATE_LIMIT_CALLS": "1000000000", "MTS_DIALLER_LINES": "200"}


@dataclass(frozen=True)
class Row:
    """A line of the result; `ratio` says to what `value` is compared."""

    what: str
    value: str
    ratio: str = ""


def main() -> int:
    """Measure and print; 0 if every request was answered well."""
    _print_calls()
    directory = Path(tempfile.mkdtemp(prefix="mts-bench-"))
    directory.chmod(0o711)
    stack = Stack(directory / "local", fleet("bulk", METERS))
    try:
        stack.prepare()
        description = stack.start(SETTINGS | {"MTS_RUN_WINDOWS": _far_window()})
        rows = list(_measure(stack, description, directory))
    finally:
        stack.stop()
        shutil.rmtree(directory, ignore_errors=True)
    _print(rows)
    return 0


def _far_window() -> str:
    return run_window(datetime.now(UTC) + timedelta(hours=12), timedelta(hours=1))


def _measure(stack: Stack, description: Description, directory: Path) -> Iterator[Row]:
    inserts = asyncio.run(floors.inserts(description.postgres))
    publishes = asyncio.run(floors.publishes(description.amqp))
    requests = asyncio.run(floors.requests(description.amqp))
    yield Row("database: single-row commits", f"{inserts:,.0f}/s")
    yield Row("broker: confirmed publishes", f"{publishes:,.0f}/s")
    yield Row("broker: requests answered", f"{requests:,.0f}/s")

    body = directory / "request.json"
    body.write_text(json.dumps(_request(stack.fleet.meters[0], immediate=False)))
    ca = str(stack.services.tls.ca)
    with _bare(stack) as bare_url:
        bare = _load(bare_url, "none", body, ca)
    accepted = _load(f"{description.gateway}/test-request", description.token, body, ca)
    for name, load in (("bare endpoint", bare), ("gateway", accepted)):
        if set(load.statuses) != {"200"}:
            raise SystemExit(f"{name}: not every request was answered with 200: {load.statuses}")
    yield Row("bare endpoint: checks, stores nothing", f"{bare.rate:,.0f}/s", _latency(bare))
    yield Row("gateway: tests accepted", f"{accepted.rate:,.0f}/s", f"{accepted.rate / bare.rate:.2f} of bare")
    yield Row("", _latency(accepted), f"{accepted.rate / inserts:.2f} of single-row commits")

    told = _drain(description)
    yield Row("accepted tests told and held", f"{accepted.requests / (LOAD_SECONDS + told):,.0f}/s")
    yield from _end_to_end(stack, description)
    for name in SERVICES:
        memory = psutil.Process(stack.services.process(name).pid).memory_info().rss
        yield Row(f"{name}: resident memory", f"{memory / 1024**2:,.0f} MiB")


def _request(meter: dict[str, Any], *, immediate: bool) -> dict[str, Any]:
    return {**meter, "immediate": immediate, "requestReference": "bench"}


@contextmanager
def _bare(stack: Stack) -> Iterator[str]:
    [port] = free_ports(1)
    tls = stack.services.tls
    command = [sys.executable, "-m", "benchmarks.bare", str(port), str(tls.certificate), str(tls.key)]
    process = subprocess.Popen(command)
    try:
        wait_until(lambda: listens(port), 30)
        yield f"https://127.0.0.1:{port}/MTS/test-request"
    finally:
        process.terminate()
        process.wait(10)


def _load(url: str, token: str, body: Path, ca: str) -> Load:
    command = [sys.executable, "-m", "benchmarks.load", url, token, str(body), str(CONNECTIONS), str(LOAD_SECONDS), ca]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_SECONDS * 5, check=True)
    return Load(**json.loads(done.stdout))


def _latency(load: Load) -> str:
    return ", ".join(f"{name} {value} ms" for name, value in load.milliseconds.items())


def _drain(description: Description) -> float:
    """Seconds until everything accepted is known to scheduler and results."""
    start = time.monotonic()
    if not wait_until(lambda: asyncio.run(_behind(description.postgres)) == 0, DRAIN_SECONDS):
        raise SystemExit("what was accepted did not reach scheduler and results in time")
    return time.monotonic() - start


async def _behind(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        behind = await connection.fetchval(
            "SELECT (SELECT count(*) FROM gateway.test) * 2"
            " - (SELECT count(*) FROM scheduler.job) - (SELECT count(*) FROM results_v1.test_search)"
        )
        return int(behind)
    finally:
        await connection.close()


def _end_to_end(stack: Stack, description: Description) -> Iterator[Row]:
    """A batch of one immediate test a meter, from acceptance to the last result."""
    meters = stack.fleet.meters
    with MtsClient(description.gateway, description.token, trust=stack.services.trust) as client:
        start = time.monotonic()
        batch = client.batch_request([MeterTest.model_validate(_request(meter, immediate=True)) for meter in meters])
        client.wait_for_batch(batch, deadline=DRAIN_SECONDS, poll=0.5)
        seconds = time.monotonic() - start
    outcomes, waits = asyncio.run(_outcomes(description.postgres, batch))
    yield Row(f"end to end: {len(meters)} immediate tests", f"{len(meters) / seconds:,.0f}/s", outcomes)
    yield Row(
        "time from acceptance to result", ", ".join(f"{k} {v / 1000:.1f} s" for k, v in percentiles(waits).items())
    )


async def _outcomes(url: str, batch: int) -> tuple[str, list[float]]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT result_summary, extract(epoch FROM completed_at - received_at)::float8 AS seconds"
            " FROM results_v1.test_search WHERE batch_id = $1",
            batch,
        )
    finally:
        await connection.close()
    good = sum(row["result_summary"] == "SUCCESS" for row in rows)
    return f"{good} of {len(rows)} SUCCESS", [row["seconds"] for row in rows]


def _print_calls() -> None:
    line = f"{BIT_RATE} bit/s and {DELAY_SECONDS * 1000:.0f} ms each way"
    table = Table(
        *("meter type", "bytes", "least", "turns", "least", "seconds", "least", "ratio"),
        title=f"A full test with {SURVEY_DAYS} survey days at {line}",
    )
    for call in efficiencies():
        octets = (f"{call.octets:,}", f"{call.least.octets:,}")
        seconds = (f"{call.seconds:.1f}", f"{call.least_seconds:.1f}")
        turns = (str(call.turns), str(call.least.turns))
        table.add_row(call.meter_type, *octets, *turns, *seconds, f"{call.ratio:.2f}")
    Console().print(table)


def _print(rows: Sequence[Row]) -> None:
    table = Table("measured", "value", "compared", title="One process of each service, this machine, this run")
    for row in rows:
        table.add_row(row.what, row.value, row.ratio)
    Console().print(table)


if __name__ == "__main__":
    raise SystemExit(main())
