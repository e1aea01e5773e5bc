"""`make large`: a hundred thousand held tests, released over a run window by two schedulers and four diallers.

Gateway, schedulers, results, broker and database are the real processes; the diallers' lines lead nowhere
(`bulk_dialler.py`). Fails if a test is lost or done twice, if two calls to an address overlap, or if memory grows.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.bulk_dialler import METER_TYPE
from benchmarks.load import percentiles
from mts_client import MeterTest, MtsClient
from mts_metersim.presets import fleet
from mts_stack.processes import Process, free_ports, wait_until
from mts_stack.settings import run_window
from mts_stack.stack import Stack

TESTS = 100_000
BATCH = 10_000
SCHEDULERS, DIALLERS, LINES = 2, 4, 50
SINGLES = 10
HELD_SECONDS, RELEASE_SECONDS = 600.0, 3 * 3600.0
LOOK_SECONDS = 2.0
GROWTH = 1.25  # of resident memory, from the second tenth of the release to its end

_COUNTS = """
SELECT (SELECT count(*) FROM scheduler.job WHERE state = 'held') AS held,
    (SELECT count(*) FROM results.status WHERE completed) AS completed
"""
_FAULTS = {
    "tests without a result": "SELECT count(*) FROM gateway.test t LEFT JOIN results.status s USING (test_id) "
    "WHERE NOT coalesce(s.completed, false)",
    "tests that did not end well": "SELECT count(*) FROM scheduler.job WHERE outcome IS DISTINCT FROM 'success'",
    "tests done more than once": "SELECT count(*) FROM scheduler.job WHERE attempt <> 1",
    "results of more than one attempt": "SELECT count(*) - count(DISTINCT test_id) FROM results.attempt",
    "calls granted and not ended": "SELECT count(*) FROM scheduler.call WHERE ended_at IS NULL",
}
_WAITS = """
SELECT extract(epoch FROM call.started_at - job.received_at)::float8 AS seconds
FROM scheduler.job JOIN scheduler.call USING (call_id)
WHERE job.test_id = ANY ($1::bigint[])
"""


@dataclass
class Memory:
    """Resident MiB of each process, by the share of the tests that was done."""

    seen: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def look(self, processes: Mapping[str, int], done: float) -> None:
        """Note what each uses now."""
        for name, pid in processes.items():
            self.seen[name].append((done, psutil.Process(pid).memory_info().rss / 1024**2))

    def growth(self) -> Iterator[tuple[str, float, float]]:
        """Of each process the most in the second tenth, and the most in the last."""
        for name, looks in self.seen.items():
            early = [used for done, used in looks if 0.1 <= done < 0.2] or [looks[0][1]]
            late = [used for done, used in looks if done >= 0.9] or [looks[-1][1]]
            yield name, max(early), max(late)


class Release:
    """One run: submit, wait until all is held, release, look."""

    def __init__(self, stack: Stack, directory: Path, tests: int) -> None:
        self._stack = stack
        self._directory = directory
        self._tests = tests
        self._processes: list[Process] = []
        self.memory = Memory()

    def run(self) -> tuple[list[tuple[str, str]], list[str]]:
        """What was measured, and what went wrong."""
        far = run_window(datetime.now(UTC) + timedelta(hours=12), timedelta(hours=1))
        description = self._stack.start({"MTS_RATE_LIMIT_CALLS": "1000000", "MTS_RUN_WINDOWS": far})
        self._postgres = description.postgres
        with MtsClient(description.gateway, description.token, trust=self._stack.services.trust) as client:
            accepted = self._timed(lambda: self._submit(client))
        held = self._timed(self._until_held)
        other, _ = self._stack.services.create_tokens("another client")
        try:
            self._begin()
            with MtsClient(description.gateway, other, trust=self._stack.services.trust) as client:
                released, singles = self._until_done(client)
                quiet = self._alone(client)
        finally:
            for process in self._processes:
                process.stop()
        measured = [
            ("tests accepted in batches", f"{self._tests:,} in {accepted:.0f} s"),
            ("then all held after", f"{held:.0f} s"),
            ("released", f"{released:.0f} s, {self._tests / released:,.0f} tests/s"),
            *self._calls(),
            (f"{SINGLES} single immediate tests of another client started after", _seconds(self._waits(singles))),
            ("the same once nothing else was queued", _seconds(self._waits(quiet))),
            *((f"memory of {name}", f"{a:.0f} → {b:.0f} MiB") for name, a, b in self.memory.growth()),
        ]
        return measured, list(self._faults())

    def _timed(self, work: Any) -> float:
        start = time.monotonic()
        work()
        return time.monotonic() - start

    def _submit(self, client: MtsClient) -> None:
        """Every fifth address has two tests."""
        addresses = self._tests * 4 // 5
        for start in range(0, self._tests, BATCH):
            places = range(start, min(start + BATCH, self._tests))
            client.batch_request([_test(place % addresses, immediate=False) for place in places])

    def _until_held(self) -> None:
        if not wait_until(lambda: self._counts()["held"] == self._tests, HELD_SECONDS):
            raise SystemExit("not all that was accepted came to be held")

    def _begin(self) -> None:
        """The stack's own scheduler and dialler give way to two and four others, for whom the window is open."""
        services = self._stack.services
        services.stop("scheduler", "dialler")
        window = run_window(datetime.now(UTC) - timedelta(minutes=1), timedelta(hours=12))
        for number in range(SCHEDULERS):
            command = [sys.executable, "-m", "mts_scheduler", "run"]
            self._start(f"scheduler-{number}", command, "scheduler", {"MTS_RUN_WINDOWS": window})
        for number in range(DIALLERS):
            name = f"dialler-{number}"
            command = [sys.executable, "-m", "benchmarks.bulk_dialler", name, str(LINES), str(self._log(number))]
            self._start(name, command, "dialler", {})

    def _start(self, name: str, command: Sequence[str], service: str, settings: Mapping[str, str]) -> None:
        (port,) = free_ports(1)
        own = {"MTS_HEALTH_PORT": str(port), "PYTHONPATH": str(Path(__file__).parents[1])}
        environment = {**self._stack.services.environment(service), **own, **settings}
        process = Process(name, list(command), self._stack.directory, environment, stop_seconds=30.0)
        process.start()
        self._processes.append(process)

    def _log(self, number: int) -> Path:
        return self._directory / f"calls-{number}.log"

    def _until_done(self, client: MtsClient) -> tuple[float, list[int]]:
        """Seconds from the first look to the last result; on the way, the other client's single tests."""
        start, singles = time.monotonic(), list[int]()
        watched = {name: self._stack.services.process(name).pid for name in ("gateway", "results")}
        while True:
            done = self._counts()["completed"] - len(singles)
            self.memory.look(watched | {process.name: process.pid for process in self._processes}, done / self._tests)
            if done >= self._tests:
                return time.monotonic() - start, singles
            if time.monotonic() - start > RELEASE_SECONDS:
                raise SystemExit(f"only {done} of {self._tests} tests were done in time")
            if len(singles) < SINGLES and done > self._tests * (1 + len(singles)) / (SINGLES + 2):
                singles.append(client.test_request(_test(10**6 + len(singles), immediate=True)))
            time.sleep(LOOK_SECONDS)

    def _alone(self, client: MtsClient) -> list[int]:
        """Single tests, one after the other, of a system that has nothing else to do."""
        before, singles = self._counts()["completed"], list[int]()
        for number in range(SINGLES):
            singles.append(client.test_request(_test(2 * 10**6 + number, immediate=True)))
            if not wait_until(lambda: self._counts()["completed"] == before + len(singles), HELD_SECONDS):
                raise SystemExit("a single test was not done in time")
        return singles

    # --- what came of it

    def _query(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        async def ask() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self._postgres)
            try:
                return await connection.fetch(statement, *arguments)
            finally:
                await connection.close()

        return asyncio.run(ask())

    def _counts(self) -> asyncpg.Record:
        return self._query(_COUNTS)[0]

    def _waits(self, singles: Sequence[int]) -> list[float]:
        return [row["seconds"] for row in self._query(_WAITS, singles)]

    def _calls(self) -> Iterator[tuple[str, str]]:
        counts = [len(self._log(number).read_text("ascii").splitlines()) for number in range(DIALLERS)]
        yield f"calls of {DIALLERS} diallers", f"{sum(counts):,} ({', '.join(f'{count:,}' for count in counts)})"

    def _faults(self) -> Iterator[str]:
        wait_until(lambda: self._query(_FAULTS["calls granted and not ended"])[0][0] == 0, 30.0)
        for what, statement in _FAULTS.items():
            if count := self._query(statement)[0][0]:
                yield f"{count} {what}"
        if overlaps := sum(self._overlaps().values()):
            yield f"{overlaps} calls to an address that was in a call"
        for name, early, late in self.memory.growth():
            if late > GROWTH * early:
                yield f"the memory of {name} grew from {early:.0f} to {late:.0f} MiB"

    def _overlaps(self) -> Counter[str]:
        """By the diallers' own logs, which share the machine's monotonic clock."""
        calls = defaultdict(list)
        for number in range(DIALLERS):
            for line in self._log(number).read_text("ascii").splitlines():
                address, begin, end = line.split()
                calls[address].append((float(begin), float(end)))
        return Counter(
            address
            for address, spans in calls.items()
            for (_, end), (begin, _) in pairwise(sorted(spans))
            if begin < end
        )


def _test(place: int, *, immediate: bool) -> MeterTest:
    address = f"10.{place >> 16}.{place >> 8 & 255}.{place & 255}:4059"
    return MeterTest.model_validate({"meterType": METER_TYPE, "remoteAddress": address, "immediate": immediate})


def _seconds(waits: Sequence[float]) -> str:
    found = percentiles(list(waits))
    return f"p50 {found['p50'] / 1000:.2f} s, most {max(waits):.2f} s" if waits else "-"


def main(arguments: Sequence[str]) -> int:
    """Run and print; 0 if nothing went wrong."""
    tests = int(arguments[0]) if arguments else TESTS
    directory = Path(tempfile.mkdtemp(prefix="mts-large-"))
    directory.chmod(0o711)
    stack = Stack(directory / "local", fleet("healthy", 1))
    try:
        stack.prepare()
        measured, faults = Release(stack, directory, tests).run()
    finally:
        stack.stop()
        shutil.rmtree(directory, ignore_errors=True)
    table = Table("measured", "value", title=f"{tests:,} held tests, {SCHEDULERS} schedulers, {DIALLERS} diallers")
    for row in measured:
        table.add_row(*row)
    Console().print(table)
    for fault in faults:
        print(f"FAULT: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
