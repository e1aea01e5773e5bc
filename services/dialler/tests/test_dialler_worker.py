"""The worker against a scheduler, a broker and meters that do as they are told."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar, cast
from uuid import UUID, uuid4

import pytest

from mts_common import metrics, topology
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
    GrantedCall,
    GrantedTest,
    Message,
    Section,
    Transport,
    decode,
)
from mts_common.publisher import PublishFailed
from mts_common.requests import NoReply
from mts_common.topology import RequestQueue
from mts_dialler.attempt import Equipment
from mts_dialler.channels.base import Channel
from mts_dialler.dial import Dial
from mts_dialler.drivers.base import ReportBuilder, Terms
from mts_dialler.errors import LineFault
from mts_dialler.line import Line
from mts_dialler.lines import TcpLines
from mts_dialler.telling import Teller
from mts_dialler.testing import ManualClock, ScriptedChannel, eventually
from mts_dialler.worker import LeaseNotHeld, Pace, Worker
from mts_stack.scrapes import Scrape

LEASE_SECONDS = 120.0

Reply = TypeVar("Reply", bound=Message)

TOLD_KINDS: dict[str, type[Message]] = {model.kind: model for model in (AttemptReport, AttemptFinished, CallFinished)}


class FakeScheduler:
    """Hands out `work`, one call a line; keeps every question."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.work: deque[GrantedCall] = deque()
        self.alive = True  # does it answer at all?
        self.lose_answers = 0  # so many grants are made but their answers lost
        self.lost: list[UUID] = []
        self.wants: list[CallWant] = []
        self.alives: list[DiallerAlive] = []
        self.released: list[UUID] = []
        self._grants: dict[UUID, CallGrant] = {}
        self._more = asyncio.Event()

    def add(self, *calls: GrantedCall) -> None:
        self.work.extend(calls)
        self._more.set()

    async def ask(
        self,
        queue: RequestQueue,
        item: Message,
        reply_model: type[Reply],
        timeout: float,  # noqa: ASYNC109
    ) -> Reply:
        await asyncio.sleep(0)
        serve = {
            topology.CALL_WANTS: self._on_want,
            topology.DIALLER_ALIVES: self._on_alive,
            topology.CALL_RELEASES: self._on_release,
        }[queue]
        answering = asyncio.ensure_future(serve(item))
        late = asyncio.ensure_future(self._clock.sleep(timeout))
        try:
            await asyncio.wait([answering, late], return_when=asyncio.FIRST_COMPLETED)
            if not (self.alive and answering.done()):
                raise NoReply("away" if not self.alive else "late")
            answer = answering.result()
        finally:
            answering.cancel()
            late.cancel()
        assert isinstance(answer, reply_model)
        return answer

    async def _on_want(self, item: Message) -> Message:
        want = cast(CallWant, item)
        self.wants.append(want)
        if want.nonce not in self._grants:
            while not self.work and self.alive and want.wait_seconds:
                self._more.clear()
                await self._more.wait()
            calls = [self.work.popleft() for _ in range(min(want.free_lines, len(self.work))) if self.alive]
            self._grants[want.nonce] = CallGrant(nonce=want.nonce, calls=tuple(calls))
        if self.lose_answers:
            self.lose_answers -= 1
            raise NoReply("lost")
        return self._grants[want.nonce]

    async def _on_alive(self, item: Message) -> Message:
        alive = cast(DiallerAlive, item)
        self.alives.append(alive)
        lost = tuple(call_id for call_id in self.lost if call_id in alive.calls)
        return DiallerLease(dialler=alive.dialler, lease_seconds=LEASE_SECONDS, lost=lost)

    async def _on_release(self, item: Message) -> Message:
        released = cast(CallReleased, item)
        if self.alive:
            self.released.append(released.call_id)
        return CallReleasedReply(call_id=released.call_id)


class FakeBroker:
    """Keeps what was told, in order; `away`, it confirms nothing."""

    def __init__(self) -> None:
        self.away = False
        self.refused = 0
        self.told: list[tuple[str, int | UUID]] = []

    async def publish_body(self, kind: str, body: bytes) -> None:
        await asyncio.sleep(0)
        if self.away:
            self.refused += 1
            raise PublishFailed("away")
        for message in decode(TOLD_KINDS[kind], body):
            about = message.call_id if isinstance(message, CallFinished) else cast(AttemptReport, message).test_id
            self.told.append((kind, about))


class Meters:
    """Every meter answers at once, but those in `busy`, which listen until their line is closed."""

    def __init__(self) -> None:
        self.channels: dict[str, ScriptedChannel] = {}
        self.busy: set[int] = set()
        self.faults: list[Exception] = []
        self.dialled = 0

    async def dial(self, call: GrantedCall) -> Channel:
        self.dialled += 1
        if self.faults:
            raise self.faults.pop(0)
        self.channels[call.canonical_address] = ScriptedChannel()
        return self.channels[call.canonical_address]

    def sections(self, terms: Terms) -> frozenset[Section]:
        return frozenset({Section.REGISTERS})

    async def read(self, line: Line, terms: Terms, report: ReportBuilder) -> None:
        if terms.test_id in self.busy:
            await line.receive(10.0)
        report.read(Section.REGISTERS)

    def open(self) -> int:
        return sum(not channel.closed for channel in self.channels.values())


def a_call(*test_ids: int) -> GrantedCall:
    address = f"203.0.113.{test_ids[0]}:4059"
    return GrantedCall(
        call_id=uuid4(),
        remote_address=address,
        canonical_address=address,
        transport=Transport.TCP,
        tests=tuple(
            GrantedTest(
                test_id=test_id, client_id=1, meter_type="ANY", remote_address=address, attempt=test_id, tries=0
            )
            for test_id in test_ids
        ),
    )


class FilteredLines(TcpLines):
    """Lines that may not dial every number."""

    def __init__(self, number_filter: str, total: int, dial: Dial, clock: ManualClock) -> None:
        super().__init__(total, dial, 30.0, clock)
        self._number_filter = number_filter

    @property
    def number_filter(self) -> str:
        return self._number_filter


class Bench:
    def __init__(self, lines: int = 4, filters: Sequence[str] = ("",), want_seconds: float = 5.0) -> None:
        self.clock = ManualClock()
        self.scheduler = FakeScheduler(self.clock)
        self.broker = FakeBroker()
        self.meters = Meters()
        self.stop = asyncio.Event()
        equipment = Equipment(
            dialler="d", drivers={"ANY": self.meters}, open_password=lambda sealed: sealed, clock=self.clock
        )
        pace = Pace(calls_per_ask=3, want_seconds=want_seconds)
        teller = Teller(self.broker, self.clock)
        banks = [FilteredLines(number_filter, lines, self.meters.dial, self.clock) for number_filter in filters]
        self.worker = Worker(equipment, banks, Transport.TCP, self.scheduler, teller, pace)
        self.running: asyncio.Task[None]

    async def advance_until(self, holds: Callable[[], bool], step: float = 1.0, limit: float = 600.0) -> None:
        """Lets time pass until `holds()`."""
        until = self.clock.monotonic() + limit
        while not holds():
            assert self.clock.monotonic() < until
            for _ in range(50):
                await asyncio.sleep(0)
            self.clock.advance(step)

    async def drained(self) -> None:
        self.stop.set()
        await self.advance_until(self.running.done)
        await self.running


@asynccontextmanager
async def working(bench: Bench) -> AsyncIterator[Bench]:
    bench.running = asyncio.create_task(bench.worker.run(bench.stop), name="worker")
    try:
        yield bench
    finally:
        bench.running.cancel()
        await asyncio.wait([bench.running])
        assert bench.meters.open() == 0


def told_of(call: GrantedCall) -> list[tuple[str, int | UUID]]:
    """What is told of a call that was carried out."""
    attempts = [(kind, test.test_id) for test in call.tests for kind in ("attempt.report", "attempt.finished")]
    return [*attempts, ("call.finished", call.call_id)]


async def test_a_call_is_told_report_first_and_its_end_last() -> None:
    call = a_call(1, 2)
    async with working(Bench()) as bench:
        bench.scheduler.add(call)
        await eventually(lambda: len(bench.broker.told) == 5)
        assert bench.broker.told == told_of(call)


async def test_no_more_calls_are_asked_for_than_lines_are_free() -> None:
    async with working(Bench(lines=4)) as bench:
        bench.meters.busy = {1, 2, 3, 4}
        bench.scheduler.add(*(a_call(number) for number in range(1, 7)))
        await eventually(lambda: bench.meters.open() == 4)
        assert [want.free_lines for want in bench.scheduler.wants] == [3, 1]
        assert len(bench.scheduler.work) == 2


async def test_work_is_asked_for_again_as_soon_as_a_line_is_free() -> None:
    async with working(Bench(lines=1)) as bench:
        bench.scheduler.add(*(a_call(number) for number in range(1, 21)))
        await eventually(lambda: len(bench.broker.told) == 60)
        assert len({want.nonce for want in bench.scheduler.wants}) == len(bench.scheduler.wants)


async def test_nothing_is_asked_for_before_the_lease_is_held() -> None:
    bench = Bench()
    bench.scheduler.alive = False
    async with working(bench):
        await bench.advance_until(lambda: len(bench.scheduler.alives) > 3)
        assert bench.scheduler.wants == []
        with pytest.raises(LeaseNotHeld):
            await bench.worker.check()
        bench.scheduler.alive = True
        await bench.advance_until(lambda: bool(bench.scheduler.wants))
        await bench.worker.check()


async def test_a_lost_answer_is_asked_for_with_the_same_nonce() -> None:
    call = a_call(1)
    bench = Bench()
    bench.scheduler.lose_answers = 2
    bench.scheduler.add(call)
    async with working(bench):
        await bench.advance_until(lambda: len(bench.broker.told) == 3)
        assert len({want.nonce for want in bench.scheduler.wants[:3]}) == 1
        assert bench.broker.told == told_of(call)


async def test_a_call_that_is_granted_twice_is_carried_out_once() -> None:
    call = a_call(1)
    async with working(Bench()) as bench:
        bench.meters.busy = {1}
        bench.scheduler.add(call, call)
        await eventually(lambda: bench.meters.open() == 1)
        [channel] = bench.meters.channels.values()
        channel.say(b"x")
        await eventually(lambda: len(bench.broker.told) == 3)
        assert bench.meters.dialled == 1


async def test_alive_is_told_with_the_calls_under_way() -> None:
    call = a_call(1)
    async with working(Bench()) as bench:
        bench.meters.busy = {1}
        bench.scheduler.add(call)
        await bench.advance_until(lambda: bool(bench.scheduler.alives and bench.scheduler.alives[-1].calls))
        assert bench.scheduler.alives[-1].calls == (call.call_id,)
        assert bench.scheduler.alives[-1].lines == 4


async def test_a_lost_call_is_hung_up_and_only_what_ended_before_is_told() -> None:
    lost, kept = a_call(1, 2, 3), a_call(4)
    async with working(Bench()) as bench:
        bench.meters.busy = {2, 4}
        bench.scheduler.add(lost, kept)
        await eventually(lambda: bench.meters.open() == 2 and len(bench.broker.told) == 2)
        bench.scheduler.lost = [lost.call_id]
        await bench.advance_until(lambda: bench.meters.open() == 1)
        await bench.advance_until(lambda: bench.scheduler.alives[-1].calls == (kept.call_id,))
        assert bench.broker.told == told_of(lost)[:2]
        assert bench.scheduler.released == []


async def test_everything_is_hung_up_when_the_lease_runs_out_and_not_before() -> None:
    call = a_call(1)
    async with working(Bench()) as bench:
        bench.meters.busy = {1}
        bench.scheduler.add(call)
        await eventually(lambda: bench.meters.open() == 1)
        bench.scheduler.alive = False
        asked_at = bench.clock.monotonic()
        await bench.advance_until(lambda: bench.meters.open() == 0)
        assert LEASE_SECONDS <= bench.clock.monotonic() - asked_at <= LEASE_SECONDS + 1
        assert bench.broker.told == []

        bench.scheduler.alive = True
        await bench.advance_until(lambda: bench.scheduler.released == [call.call_id] and bench.worker.holds_lease)
        bench.scheduler.add(a_call(2))
        await bench.advance_until(lambda: len(bench.broker.told) == 3)


async def test_a_grant_that_comes_when_the_lease_has_run_out_is_given_back_undone() -> None:
    call = a_call(1)
    async with working(Bench()) as bench:
        await eventually(lambda: bool(bench.scheduler.wants))
        bench.clock.advance(LEASE_SECONDS + 1)
        bench.scheduler.add(call)
        await eventually(lambda: bench.scheduler.released == [call.call_id])
        assert bench.meters.channels == {}


async def test_a_grant_whose_answer_took_a_whole_lease_is_given_back_though_the_lease_was_renewed_meanwhile() -> None:
    call = a_call(1)
    async with working(Bench(want_seconds=2 * LEASE_SECONDS)) as bench:
        await eventually(lambda: bool(bench.scheduler.wants))
        await bench.advance_until(lambda: bench.clock.monotonic() > LEASE_SECONDS)
        assert bench.worker.holds_lease
        bench.scheduler.add(call)
        await eventually(lambda: bench.scheduler.released == [call.call_id])
        assert bench.meters.channels == {}


async def test_a_process_that_was_stopped_beyond_its_lease_hangs_up_before_it_renews() -> None:
    async with working(Bench()) as bench:
        bench.meters.busy = {1}
        bench.scheduler.add(a_call(1))
        await eventually(lambda: bench.meters.open() == 1)
        bench.clock.advance(LEASE_SECONDS + 60)  # stopped and continued: all timers are due at once
        await eventually(lambda: bench.meters.open() == 0)


async def test_while_the_broker_is_away_the_call_keeps_its_line_and_is_told_when_it_is_back() -> None:
    call = a_call(1, 2)
    bench = Bench(lines=1)
    bench.broker.away = True
    async with working(bench):
        bench.scheduler.add(call, a_call(3))
        await bench.advance_until(lambda: bench.broker.refused > 3)
        assert len(bench.scheduler.work) == 1
        assert bench.meters.open() == 0
        bench.broker.away = False
        await bench.advance_until(lambda: len(bench.broker.told) == 8)
        assert bench.broker.told[:5] == told_of(call)


async def test_results_of_a_call_that_ended_before_the_lease_are_still_told() -> None:
    call = a_call(1)
    bench = Bench()
    bench.broker.away = True
    async with working(bench):
        bench.scheduler.add(call)
        await bench.advance_until(lambda: bench.broker.refused > 0)
        bench.scheduler.alive = False
        bench.clock.advance(LEASE_SECONDS * 2)
        bench.broker.away = False
        await bench.advance_until(lambda: len(bench.broker.told) == 3)
        assert bench.broker.told == told_of(call)


async def test_a_line_at_fault_rests() -> None:
    bench = Bench(lines=1)
    bench.meters.faults = [LineFault("the dialler has no more sockets")]
    async with working(bench):
        bench.scheduler.add(a_call(1), a_call(2))
        await eventually(lambda: len(bench.broker.told) == 3)
        assert len(bench.scheduler.work) == 1
        before = bench.clock.monotonic()
        await bench.advance_until(lambda: len(bench.broker.told) == 6)
        assert bench.clock.monotonic() - before >= 30.0


async def test_lines_of_different_numbers_ask_apart_and_rest_apart() -> None:
    bench = Bench(lines=1, filters=("07*", "-07*"))
    bench.meters.faults = [LineFault("no dial tone")]
    async with working(bench):
        await eventually(lambda: len(bench.scheduler.wants) == 2)
        assert [(want.number_filter, want.free_lines) for want in bench.scheduler.wants] == [("07*", 1), ("-07*", 1)]
        assert bench.scheduler.alives[0].lines == 2
        before = bench.clock.monotonic()
        bench.scheduler.add(*(a_call(number) for number in range(1, 4)))
        await eventually(lambda: len(bench.broker.told) == 9)
        assert bench.clock.monotonic() == before


async def test_an_idle_worker_drains_when_its_last_ask_is_answered() -> None:
    async with working(Bench()) as bench:
        await eventually(lambda: bool(bench.scheduler.wants))
        bench.stop.set()
        await eventually(bench.worker._draining.is_set)
        assert not bench.running.done()
        bench.scheduler.add(*(late := [a_call(1), a_call(2)]))
        await bench.advance_until(bench.running.done)
        assert bench.scheduler.released == [call.call_id for call in late]
        assert bench.broker.told == []


async def test_a_draining_worker_lets_calls_end_and_takes_no_more() -> None:
    call = a_call(1)
    async with working(Bench(lines=1)) as bench:
        bench.meters.busy = {1}
        bench.scheduler.add(call, a_call(2))
        await eventually(lambda: bench.meters.open() == 1)
        bench.stop.set()
        await eventually(bench.worker._draining.is_set)
        [channel] = bench.meters.channels.values()
        channel.say(b"x")
        await bench.advance_until(bench.running.done)
        assert bench.broker.told == told_of(call)
        assert bench.scheduler.released == []
        assert len(bench.scheduler.work) == 1


async def test_what_does_not_end_in_the_grace_is_given_back() -> None:
    call = a_call(1, 2, 3)
    async with working(Bench(lines=1)) as bench:
        bench.meters.busy = {2}
        bench.scheduler.add(call)
        await eventually(lambda: len(bench.broker.told) == 2)
        before = bench.clock.monotonic()
        await bench.drained()
        assert bench.clock.monotonic() - before >= 60.0
        assert bench.scheduler.released == [call.call_id]
        assert bench.broker.told == told_of(call)[:2]


async def test_a_drain_ends_though_nobody_answers() -> None:
    async with working(Bench()) as bench:
        bench.meters.busy = {1}
        bench.scheduler.add(a_call(1))
        await eventually(lambda: bench.meters.open() == 1)
        bench.scheduler.alive = False
        await bench.drained()
        assert bench.meters.open() == 0
        assert bench.scheduler.released == []


async def test_lines_are_free_busy_or_resting(metered: Callable[[], Scrape]) -> None:
    def lines() -> list[list[float]]:
        shown = metered()
        states = ("free", "busy", "resting")
        return [shown.levels(metrics.LINES, mts_state=state, mts_transport="tcp") for state in states]

    bench = Bench(lines=3)
    bench.meters.busy = {1}
    bench.meters.faults = []
    async with working(bench):
        await eventually(lambda: bool(bench.scheduler.wants))
        assert lines() == [[3], [0], [0]]
        bench.scheduler.add(a_call(1))
        await eventually(lambda: bench.meters.open() == 1)
        assert lines() == [[2], [1], [0]]
        bench.meters.faults = [LineFault("no sockets left")]
        bench.scheduler.add(a_call(2))
        await eventually(lambda: len(bench.broker.told) == 3)
        await eventually(lambda: lines() == [[1], [1], [1]])
        assert metered().levels(metrics.ACTIVE_CALLS, mts_transport="tcp") == [1]
        await bench.drained()
    assert lines() == [[], [], []]
