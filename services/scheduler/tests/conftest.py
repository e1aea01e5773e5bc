"""A migrated database, and a bench on which a test plays the gateway, the diallers and results."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4

import pytest

from mts_common.addresses import parse
from mts_common.database import Pool, migrate, open_pool
from mts_common.messages import (
    AttemptFinished,
    AttemptTimes,
    CallFinished,
    CallGrant,
    CallReleased,
    CallWant,
    CancelReply,
    CancelTests,
    DiallerAlive,
    DiallerLease,
    FailureKind,
    GrantedCall,
    Message,
    Outcome,
    RunWindow,
    Section,
    SectionState,
    TestAttempt,
    TestCancelled,
    TestFinished,
    TestRequested,
    Transport,
)
from mts_scheduler.cancels import Cancels
from mts_scheduler.consumers import Consumers
from mts_scheduler.grants import Grants
from mts_scheduler.leases import Leases
from mts_scheduler.settings import SchedulerSettings

TIMES = AttemptTimes(started_at=datetime(2026, 1, 1, tzinfo=UTC), ended_at=datetime(2026, 1, 1, 0, 1, tzinfo=UTC))


class Database(Protocol):
    def url(self, role: str) -> str: ...


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    url = database.url("scheduler")
    await migrate(url, "scheduler", "mts_scheduler")
    async with open_pool(url, "test") as pool:
        yield pool


def scheduler_settings(**changes: Any) -> SchedulerSettings:
    """Settings without pauses, so that what is held again is due again."""
    defaults = {
        "amqp_url": "amqp://nowhere",
        "postgres_url": "postgresql://nowhere",
        "retry_pause_seconds": 0,
        "quarantine_seconds": 0,
        "run_windows": (window_from(-3600, 7200),),
    }
    return SchedulerSettings.model_validate(defaults | changes)


def window_from(opens: float, closes: float) -> RunWindow:
    """A window by seconds from now."""
    now = datetime.now(UTC)
    times = [(now + timedelta(seconds=seconds)).time() for seconds in (opens, closes)]
    return RunWindow(opens=times[0], closes=times[1], zone="UTC")


@dataclass
class Bench:
    """One scheduler's parts over a database, and the messages that a test sends to them."""

    pool: Pool
    settings: SchedulerSettings
    changes: int = 0
    _received_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.grants = Grants(self.pool, self.settings)
        self.consumers = Consumers(self.pool, self.settings, self._changed)
        self.leases = Leases(self.pool, self.settings, self._changed)
        self.cancels = Cancels(self.pool, self.settings, self._changed)

    def _changed(self) -> None:
        self.changes += 1

    # --- as the gateway

    def requested(self, test_id: int, address: str | None = None, **changes: Any) -> TestRequested:
        """A request for an immediate test, each at an address of its own unless it is given."""
        remote = parse(address or f"10.1.{test_id // 250}.{test_id % 250}:4001")
        terms: dict[str, Any] = {
            "test_id": test_id,
            "client_id": 1,
            "meter_type": "ELSTERA1700",
            "remote_address": remote.text,
            "canonical_address": remote.canonical,
            "transport": remote.transport,
            "password": "sealed",
            "received_at": self._received_at,
            "immediate": True,
        }
        return TestRequested.model_validate(terms | changes)

    async def request(self, test_id: int, address: str | None = None, **changes: Any) -> None:
        await self.consumers.requested([self.requested(test_id, address, **changes)])

    async def request_many(self, test_ids: Iterable[int], address: str | None = None, **changes: Any) -> None:
        await self.consumers.requested([self.requested(test_id, address, **changes) for test_id in test_ids])

    async def cancel(self, *test_ids: int, delete: bool = False) -> CancelReply:
        return (await self.cancels.serve([CancelTests(test_ids=test_ids, delete_completed=delete)]))[0]

    # --- as a dialler

    async def ask(
        self, lines: int = 1, dialler: str = "d1", transport: Transport = Transport.TCP, **changes: Any
    ) -> tuple[GrantedCall, ...]:
        """The calls of a new ask."""
        want = CallWant.model_validate(
            {"dialler": dialler, "nonce": uuid4(), "transport": transport, "free_lines": lines} | changes
        )
        grant = await self.ask_by(want)
        return grant.calls if grant else ()

    async def ask_by(self, want: CallWant) -> CallGrant | None:
        return await self.grants.claim(want)

    async def ask_one(self, **changes: Any) -> GrantedCall:
        (call,) = await self.ask(**changes)
        return call

    def attempt_end(
        self, call: GrantedCall, failure: FailureKind | None = None, place: int = 0, **changes: Any
    ) -> AttemptFinished:
        """The end of a test in a call: a success unless a failure is given."""
        test = call.tests[place]
        state = SectionState.FAILED if failure else SectionState.READ
        end: dict[str, Any] = {
            "call_id": call.call_id,
            "dialler": "d1",
            "test_id": test.test_id,
            "attempt": test.attempt,
            "outcome": Outcome.ERROR if failure else Outcome.SUCCESS,
            "failure": failure,
            "detail": f"detail of {failure}" if failure else "",
            "times": TIMES,
            "sections": {Section.CLOCK: state},
        }
        return AttemptFinished.model_validate(end | changes)

    def call_end(self, call: GrantedCall) -> CallFinished:
        tests = tuple(TestAttempt(test_id=test.test_id, attempt=test.attempt) for test in call.tests)
        return CallFinished(call_id=call.call_id, dialler="d1", tests=tests, ended_at=TIMES.ended_at)

    async def end(self, call: GrantedCall, failure: FailureKind | None = None, **changes: Any) -> None:
        """End every test of a call in the same way, and the call."""
        places = range(len(call.tests))
        await self.consumers.attempt_finished([self.attempt_end(call, failure, place, **changes) for place in places])
        await self.hang_up(call)

    async def hang_up(self, call: GrantedCall) -> None:
        await self.consumers.call_finished([self.call_end(call)])

    async def alive(self, *calls: UUID, dialler: str = "d1") -> DiallerLease:
        alive = DiallerAlive(dialler=dialler, transport=Transport.TCP, lines=1, calls=calls)
        return (await self.leases.alive([alive]))[0]

    async def release(self, call: GrantedCall) -> None:
        await self.leases.released([CallReleased(dialler="d1", call_id=call.call_id)])

    # --- looking and waiting

    async def job(self, test_id: int) -> dict[str, Any]:
        row = await self.pool.fetchrow("SELECT * FROM scheduler.job WHERE test_id = $1", test_id)
        assert row is not None
        return dict(row)

    async def state(self, test_id: int) -> str:
        return str((await self.job(test_id))["state"])

    async def told(self, model: type[Message]) -> list[Any]:
        """What stands in the outbox, in order."""
        rows = await self.pool.fetch("SELECT item FROM scheduler.outbox WHERE kind = $1 ORDER BY id", model.kind)
        return [model.model_validate_json(row["item"]) for row in rows]

    async def finished(self) -> list[TestFinished]:
        return await self.told(TestFinished)

    async def cancelled(self) -> list[int]:
        return [item.test_id for item in await self.told(TestCancelled)]

    async def outcomes(self) -> dict[int, Outcome]:
        """The final outcome of each test; that each is told once is asserted."""
        finished = await self.finished()
        outcomes = {item.test_id: item.outcome for item in finished}
        assert len(outcomes) == len(finished)
        return outcomes

    async def elapse(self, seconds: float) -> None:
        """Let time pass: everything that the database remembers moves into the past."""
        for table, columns in _MOMENTS.items():
            moved = ", ".join(f"{column} = {column} - make_interval(secs => $1)" for column in columns)
            await self.pool.execute(f"UPDATE scheduler.{table} SET {moved}", seconds)  # noqa: S608


_MOMENTS = {
    "job": ("ready_at", "received_at", "ended_at", "settle_at"),
    "line": ("ready_at",),
    "call": ("started_at", "missing_since", "ended_at", "not_after"),
    "dialler": ("lease_until",),
    "quarantine": ("until",),
}


@pytest.fixture
def make_bench(pool: Pool) -> Callable[..., Bench]:
    """Benches over one database, with settings of their own."""
    return lambda **changes: Bench(pool, scheduler_settings(**changes))


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


@pytest.fixture
def run_window() -> Callable[[float, float], RunWindow]:
    """Makes a window of two times in seconds from now."""
    return window_from
