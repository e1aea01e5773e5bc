"""`make capacity`: what one test costs each part, in processor time and in bytes kept.

Processor time and bytes are the same on a busy machine as on an idle one, unlike rates: docs/capacity.md multiplies
them. What a part burns while nothing happens is measured first and taken off.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import psutil
from rich.console import Console
from rich.table import Table

from mts_client import MeterTest, MtsClient
from mts_metersim.presets import fleet
from mts_stack.services import SERVICES
from mts_stack.settings import run_window
from mts_stack.stack import Description, Stack

METERS = 400
ROUNDS = 3
SURVEY_DAYS = 1
IDLE_SECONDS = 20.0
DEADLINE_SECONDS = 400.0
ACCEPTS = 1000
SETTLE_SECONDS = 5.0
SETTINGS = {"MTS_RATE_LIMIT_CALLS": "1000000000", "MTS_DIALLER_LINES": "100"}

_TITLE = f"Tests with {SURVEY_DAYS} survey day over TCP: called at once from batches, and only accepted, one by one"
_RELATIONS = """
SELECT CASE WHEN relname ~ '^trace' THEN 'results: wire traces' ELSE nspname || ': the rest' END AS part,
    sum(pg_total_relation_size(c.oid))::bigint AS size
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND nspname IN ('gateway', 'scheduler', 'results')
GROUP BY 1
"""


def main() -> int:
    """Measure and print."""
    directory = Path(tempfile.mkdtemp(prefix="mts-capacity-"))
    directory.chmod(0o711)
    stack = Stack(directory / "local", fleet("bulk", METERS))
    try:
        stack.prepare()
        opens = datetime.now(UTC) + timedelta(hours=12)
        description = stack.start(SETTINGS | {"MTS_RUN_WINDOWS": run_window(opens, timedelta(hours=1))})
        _run(stack, description)  # the first round fills caches and makes partitions
        table = Table("part", "a test in a batch", "a test accepted alone", title=_TITLE)
        for row in _measure(stack, description, directory):
            table.add_row(*row)
    finally:
        stack.stop()
        shutil.rmtree(directory, ignore_errors=True)
    Console().print(table)
    return 0


def _measure(stack: Stack, description: Description, directory: Path) -> Iterator[tuple[str, str, str]]:
    before, began = _processor_seconds(stack, directory), time.monotonic()
    time.sleep(IDLE_SECONDS)
    idle = {
        part: (seconds - before[part]) / (time.monotonic() - began)
        for part, seconds in _processor_seconds(stack, directory).items()
    }

    def spent(work: Callable[[], int]) -> dict[str, float]:
        """Milliseconds of processor by part that one of the tests in `work` takes."""
        before, began = _processor_seconds(stack, directory), time.monotonic()
        tests = work()
        wall = time.monotonic() - began
        after = _processor_seconds(stack, directory)
        return {part: (after[part] - before[part] - idle[part] * wall) / tests * 1000 for part in after}

    kept = asyncio.run(_kept(description.postgres))
    tests = 0

    def run_all() -> int:
        nonlocal tests
        tests = sum(_run(stack, description) for _ in range(ROUNDS))
        return tests

    called = spent(run_all)
    grown = {part: size - kept.get(part, 0) for part, size in asyncio.run(_kept(description.postgres)).items()}
    accepted = spent(lambda: _accept(stack, description))
    for part, milliseconds in called.items():
        yield f"{part}: processor time", f"{milliseconds:.1f} ms", f"{accepted[part]:.1f} ms"
    for part, size in grown.items():
        yield f"{part}: kept", f"{size / tests / 1024:.1f} KiB", ""


def _accept(stack: Stack, description: Description) -> int:
    """Request tests for the night one after the other, until scheduler and results know them; how many."""
    meter = stack.fleet.meters[0]
    with MtsClient(description.gateway, description.token, trust=stack.services.trust) as client:
        for _ in range(ACCEPTS):
            client.test_request(MeterTest.model_validate({**_test(meter), "immediate": False}))
    time.sleep(SETTLE_SECONDS)
    return ACCEPTS


def _run(stack: Stack, description: Description) -> int:
    """Test every meter that keeps a survey once; how many these are."""
    with MtsClient(description.gateway, description.token, trust=stack.services.trust) as client:
        tests = [MeterTest.model_validate(_test(m)) for m in stack.fleet.meters if m["meterType"] != "ISKRA_MT174"]
        status = client.wait_for_batch(client.batch_request(tests), deadline=DEADLINE_SECONDS, poll=1.0)
    if any(test.result_summary != "SUCCESS" for test in status.status):
        raise SystemExit("not every test ended well")
    return len(tests)


def _test(meter: Mapping[str, Any]) -> dict[str, Any]:
    return {**meter, "immediate": True, "surveyDays": SURVEY_DAYS}


def _processor_seconds(stack: Stack, directory: Path) -> dict[str, float]:
    """Processor time so far, by part; the servers are found by the directory that they were given."""
    spent = {name: _of(psutil.Process(stack.services.process(name).pid)) for name in SERVICES}
    spent |= {"postgres": 0.0, "rabbitmq": 0.0}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            command = process.cmdline()
            if command and str(directory) in " ".join(command):
                if "beam" in command[0]:
                    spent["rabbitmq"] += _of(process)
                elif "postgres" in command[0]:
                    spent["postgres"] += _of(process) + sum(map(_of, process.children(recursive=True)))
    return spent


def _of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


async def _kept(url: str) -> dict[str, int]:
    """Bytes on disk by part, and of the write-ahead log so far."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CHECKPOINT")
        kept = {row["part"]: row["size"] for row in await connection.fetch(_RELATIONS)}
        kept["write-ahead log"] = int(await connection.fetchval("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))
        return kept
    finally:
        await connection.close()


if __name__ == "__main__":
    sys.exit(main())
