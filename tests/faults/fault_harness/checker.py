"""The invariants I1 to I6 of the platform, looked for after the faults are over and everything has drained.

Evidence: what the clients were told, the simulator's own log, the API, and what stands in the database and the broker.
"""

from __future__ import annotations

import gzip
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx

from fault_harness.system import LOOK_SECONDS, System, run_apart
from fault_harness.workload import Said, Workload
from mts_common import database, topology
from mts_results.projections import PROJECTIONS
from mts_results.rebuild import rebuild

DRAIN_SECONDS = 120.0
SLACK = timedelta(seconds=0.5)
READERS = 4

# What a test of each special meter ends by; a healthy one, and those not named, by SUCCESS.
ENDS = {
    "refuses_password": "ERROR",
    "silent": "ERROR",
    "garbage": "ERROR",
    "echo": "ERROR",
    "wrong_serial": "PARTIAL SUCCESS",
}

_UNDONE = """
SELECT t.test_id FROM gateway.test t LEFT JOIN results.status s USING (test_id)
WHERE t.removed_at IS NULL AND NOT coalesce(s.completed, false)
"""
# Each row is something that a system at rest has not got.
_STUCK = {
    "a test that is held or called": "SELECT test_id FROM scheduler.job WHERE state IN ('held', 'called')",
    "a call that has not ended": "SELECT call_id FROM scheduler.call WHERE ended_at IS NULL",
    "an end that is not settled": "SELECT test_id FROM scheduler.job WHERE settle_at IS NOT NULL",
    "a request that is not settled": "SELECT test_id FROM gateway.test WHERE removed_at IS NULL "
    "AND NOT (scheduler_knows AND results_knows)",
    "a row in the gateway's outbox": "SELECT id FROM gateway.outbox",
    "a row in the scheduler's outbox": "SELECT id FROM scheduler.outbox",
    "a row in the outbox of results": "SELECT id FROM results.outbox",
    "parts of a report": "SELECT test_id FROM results.report_part",
}
# Each row is a contradiction between what the services have written down.
_CONTRADICTIONS = {
    "a removed test has an outcome": "SELECT test_id FROM gateway.test t JOIN results.status USING (test_id) "
    "WHERE t.removed_at IS NOT NULL",
    "a removed test was not cancelled": "SELECT t.test_id FROM gateway.test t LEFT JOIN scheduler.job j "
    "ON j.test_id = t.test_id AND j.state = 'cancelled' WHERE t.removed_at IS NOT NULL AND j.test_id IS NULL",
    "a cancelled test is not removed": "SELECT t.test_id FROM gateway.test t JOIN scheduler.job j USING (test_id) "
    "WHERE j.state = 'cancelled' AND t.removed_at IS NULL",
    "the scheduler and results disagree": "SELECT test_id FROM scheduler.job j JOIN results.outcome o USING (test_id) "
    "WHERE j.state = 'done' AND (o.outcome <> j.outcome OR o.attempt IS DISTINCT FROM j.reported)",
    "a test came from nowhere": "SELECT test_id FROM scheduler.job LEFT JOIN gateway.test USING (test_id) "
    "WHERE gateway.test.test_id IS NULL",
    "dialled after its cancel": "SELECT test_id FROM scheduler.job j JOIN scheduler.call c USING (call_id) "
    "WHERE j.state = 'cancelled' AND NOT j.deleted AND c.started_at > j.ended_at",
    "dialled outside its window": "SELECT call_id FROM scheduler.call WHERE kind = 'overnight'",
}


@dataclass(frozen=True)
class Counts:
    """What became of the clients' calls and tests; `recovered`: ended well after more than one grant."""

    attempts: int
    ok: int
    failed: int
    unknown: int
    tests: int
    lost: int
    duplicated: int
    recovered: int

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in vars(self).items())


class Checker:
    """Finds every broken invariant of a system that is left alone."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._faults: list[str] = []
        self._expected: dict[int, str] = {}

    def expect(self, test_id: int | None, result: str) -> None:
        """That test's result begins so, whatever its meter lets one expect."""
        if test_id is not None:
            self._expected[test_id] = result

    def verify(self, *workloads: Workload, seconds: float = DRAIN_SECONDS) -> Counts:
        """End the faults, let the system drain and look; raises AssertionError with all that is wrong."""
        system = self._system
        system.heal()
        for workload in workloads:
            workload.resolve()
        self._drain(seconds)
        tests = self._check_orders(workloads)
        self._check_outcomes(tests)
        self._check_dials()
        self._check_tables()
        self._check_secrets()
        lost = sum(fault.startswith("I1") for fault in self._faults)
        said = sum((workload.said for workload in workloads), Counter[Said]())
        counts = Counts(
            attempts=said.total(),
            ok=said[Said.OK],
            failed=said[Said.FAILED],
            unknown=said[Said.UNKNOWN],
            tests=len(tests),
            lost=lost,
            duplicated=len(self._doubled()),
            recovered=sum(row["attempt"] > 1 for row in self._jobs(tests) if row["outcome"] == "success"),
        )
        if self._faults:
            raise AssertionError("\n".join([f"{len(self._faults)} broken invariants ({counts})", *self._faults[:40]]))
        system.verified = True
        return counts

    def _broken(self, invariant: str, what: str) -> None:
        self._faults.append(f"{invariant}: {what}")

    # --- I5, and the wait for it

    def _drain(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while left := self._unfinished():
            self._system.stack.services.check_alive()
            if time.monotonic() > deadline:
                for each in left:
                    self._broken("I5", each)
                return
            time.sleep(LOOK_SECONDS)

    def _unfinished(self) -> list[str]:
        found: dict[str, list[asyncpg.Record]] = self._system.with_database(_find_unfinished)
        left = [f"{what}: {_some(row[0] for row in rows)}" for what, rows in found.items()]
        return left or self._undelivered()

    def _undelivered(self) -> list[str]:
        """The queues of events; those of requests always hold the asks of idle diallers."""
        left, queues = [], self._system.management.queues()
        for name in (*topology.DEAD_QUEUES, *(queue.name for queue in topology.EVENT_QUEUES)):
            if held := queues.get(name, {}).get("messages", 0):
                left.append(f"{name} holds {held} messages")
        dead = len(self._system.dead_letters())
        if dead != self._system.poison:
            left.append(f"there are {dead} dead letters, not {self._system.poison}")
        return left

    # --- I1

    def _check_orders(self, workloads: Sequence[Workload]) -> dict[int, dict[str, Any]]:
        """The tests that were ordered, by id, with what was asked for."""
        tests: dict[int, dict[str, Any]] = {}
        rows = self._system.query("SELECT test_id, batch_id, request_reference FROM gateway.test ORDER BY test_id")
        by_key: dict[str, list[asyncpg.Record]] = defaultdict(list)
        for row in rows:
            by_key[row["request_reference"]].append(row)
        for order in (order for workload in workloads for order in workload.orders):
            found = by_key[order.key]
            if len(order.answers) > 1:
                self._broken("I1", f"{order.key} was answered by several ids: {sorted(order.answers)}")
            if order.answer is None:
                if found:
                    self._broken("I1", f"{order.key} was refused, yet made tests")
                continue
            ids = {row["batch_id" if order.as_batch else "test_id"] for row in found}
            if len(found) != len(order.tests) or ids != {order.answer}:
                self._broken(
                    "I1", f"{order.key} ({len(order.tests)} tests, id {order.answer}) made {len(found)}: {ids}"
                )
            tests |= {
                row["test_id"]: {**test, "cancelled": order.cancelled, "token": order.token or self._system.stack.token}
                for row, test in zip(found, order.tests, strict=False)
            }
        return tests

    def _doubled(self) -> list[asyncpg.Record]:
        return self._system.query(
            "SELECT request_reference FROM gateway.test WHERE request_reference IS NOT NULL AND batch_id IS NULL "
            "GROUP BY request_reference HAVING count(*) > 1"
        )

    def _check_outcomes(self, tests: dict[int, dict[str, Any]]) -> None:
        """By the API: each test has ended, as its meter lets it, or was cancelled by its client."""
        fleet = {meter["serialNumber"]: meter["fault"] for meter in self._system.stack.fleet.ready()}
        with (
            ThreadPoolExecutor(READERS, "reader") as threads,
            self._system.stack.api_client(self._system.stack.token) as http,
        ):

            def read(test_id: int) -> httpx.Response:
                owner = {"Authorization": f"Bearer {tests[test_id]['token']}"}
                return http.get("/test-status", params={"testId": test_id}, headers=owner)

            answers = threads.map(read, tests)
            for (test_id, test), answer in zip(tests.items(), answers, strict=True):
                if answer.status_code != 200:
                    if not (test["cancelled"] and "was cancelled" in answer.text):
                        self._broken("I1", f"test {test_id} is gone: {answer.status_code} {answer.text}")
                    continue
                wanted = ENDS.get(fleet[test["serialNumber"]] or "", "SUCCESS")
                if test["remoteAddress"] == self._system.trespass.address:
                    wanted = "ERROR"
                wanted = self._expected.get(test_id, wanted)
                if not str(answer.json()["result"]).startswith(wanted):
                    self._broken("I1", f"test {test_id} of {test['serialNumber']} ended {answer.json()['result']}")

    def _jobs(self, tests: Iterable[int]) -> list[asyncpg.Record]:
        return self._system.query(
            "SELECT test_id, attempt, outcome FROM scheduler.job WHERE test_id = ANY($1::bigint[])", list(tests)
        )

    # --- I2 and I4

    def _check_dials(self) -> None:
        log = self._system.stack.fleet.calls()
        for call in log:
            if call["event"] == "busy":
                self._broken("I2", f"a second call to port {call['port']} at {call['at']}")
        if self._system.trespass.calls:
            self._broken("I4", f"{self._system.trespass.calls} dials to an address off the allow-list")
        granted: dict[str, list[asyncpg.Record]] = defaultdict(list)
        for row in self._system.query("SELECT canonical_address, started_at, ended_at, ending FROM scheduler.call"):
            granted[row["canonical_address"]].append(row)
        for call in log:
            if call["event"] == "connection_start":
                address = f"127.0.0.1:{call['port']}"
                calls = granted[self._system.dialled_as.get(address, address)]
                if not _within(datetime.fromisoformat(call["at"]), calls):
                    self._broken("I4", f"a dial to port {call['port']} at {call['at']} belongs to no granted call")
        self._check_passwords(log, granted)

    def _check_passwords(self, log: Sequence[dict[str, Any]], granted: dict[str, list[asyncpg.Record]]) -> None:
        """A password that a meter has refused is not tried again, unless the dialler died before it could say so."""
        wrong = Counter(call["port"] for call in log if call["event"] == "connection_end" and call["wrong_passwords"])
        asked = Counter(row[0] for row in self._system.query("SELECT canonical_address FROM gateway.test"))
        for port, dials in wrong.items():
            address = f"127.0.0.1:{port}"
            unheard = sum(call["ending"] != "finished" for call in granted[address])
            if dials > asked[address] + unheard:
                self._broken("I4", f"{dials} wrong passwords for {asked[address]} tests of {address}")

    # --- I3

    def _check_tables(self) -> None:
        for what, statement in _CONTRADICTIONS.items():
            if rows := self._system.query(statement):
                self._broken("I3" if "dial" not in what else "I4", f"{what}: {_some(row[0] for row in rows)}")
        if rows := self._system.query("SELECT test_id FROM scheduler.job WHERE tries > $1", self._system.max_tries):
            self._broken("I4", f"more tries than allowed: {_some(row[0] for row in rows)}")
        before = self._projected()
        run_apart(_rebuild(self._system.database.url("results")))
        for table, content in self._projected().items():
            if content != before[table]:
                self._broken("I3", f"results.{table} is another one when made anew")

    def _projected(self) -> dict[str, list[str]]:
        tables = ("status", "status_data", "search")
        return {
            table: [row[0] for row in self._system.query(f"SELECT t::text FROM results.{table} t ORDER BY test_id")]  # noqa: S608
            for table in tables
        }

    # --- I6

    def _check_secrets(self) -> None:
        secrets = {meter["password"].encode() for meter in self._system.stack.fleet.ready() if meter["password"]}
        secrets.add(self._system.stack.token.encode())
        for place, text in self._texts():
            found = [secret for secret in secrets if secret in text or secret.hex().encode() in text.lower()]
            if found:
                self._broken("I6", f"{len(found)} secrets stand in {place}")

    def _texts(self) -> Iterable[tuple[str, bytes]]:
        """Everything that is kept, as bytes; wire traces unpacked."""
        for log in self._system.logs:
            yield log.name, log.read_bytes()
        tables = self._system.query(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
            "WHERE schemaname IN ('gateway', 'scheduler', 'results')"
        )
        for (table,) in tables:
            rows = self._system.query(f"SELECT t::text FROM {table} t")  # noqa: S608
            yield table, b"\n".join(row[0].encode() for row in rows)
        for row in self._system.query("SELECT test_id, frames FROM results.trace"):
            yield f"the wire trace of test {row['test_id']}", gzip.decompress(row["frames"])
        for letter in self._system.dead_letters():
            yield f"a dead letter of {letter['queue']}", letter["body"]


async def _find_unfinished(connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, list[asyncpg.Record]]:
    """What a system at rest has not got; while there are tests without an outcome, these alone."""
    if undone := await connection.fetch(_UNDONE):
        return {"tests without an outcome": undone}
    found = {what: await connection.fetch(statement) for what, statement in _STUCK.items()}
    return {what: rows for what, rows in found.items() if rows}


async def _rebuild(url: str) -> None:
    async with database.open_pool(url, "fault tests", 2) as pool:
        await rebuild(pool, list(PROJECTIONS))


def _within(at: datetime, calls: Sequence[asyncpg.Record]) -> bool:
    return any(
        call["started_at"] - SLACK <= at and (call["ended_at"] is None or at <= call["ended_at"] + SLACK)
        for call in calls
    )


def _some(values: Iterable[object]) -> str:
    listed = list(values)
    return f"{', '.join(map(str, listed[:10]))}{' ...' if len(listed) > 10 else ''} ({len(listed)})"
