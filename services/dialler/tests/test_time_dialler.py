"""A dialler whose wall clock is wrong: run windows, leases and time-outs go by the monotonic one."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID

import pytest

from mts_common import topology
from mts_common.messages import (
    AttemptFinished,
    CallGrant,
    CallWant,
    DiallerLease,
    FailureKind,
    GrantedCall,
    GrantedTest,
    Message,
    Outcome,
    Section,
    Transport,
    decode,
)
from mts_common.topology import RequestQueue
from mts_dialler.attempt import Equipment
from mts_dialler.channels.base import Channel
from mts_dialler.drivers.base import ReportBuilder, Terms
from mts_dialler.line import Line
from mts_dialler.lines import TcpLines
from mts_dialler.telling import Teller
from mts_dialler.testing import ManualClock, ScriptedChannel, eventually
from mts_dialler.worker import Pace, Worker

Reply = TypeVar("Reply", bound=Message)

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SHORTEST = 20.0


class Meter:
    """Read at once."""

    def sections(self, terms: Terms) -> frozenset[Section]:
        return frozenset({Section.SERIAL_NUMBER})

    async def read(self, line: Line, terms: Terms, report: ReportBuilder) -> None:
        report.serial_number = "E1"
        report.read(Section.SERIAL_NUMBER)


class World:
    """A scheduler whose one grant is on its way for a while, and a broker that keeps what is told."""

    def __init__(self, clock: ManualClock, seconds_left: float, under_way: float) -> None:
        self._clock = clock
        self._under_way = under_way
        test = GrantedTest(test_id=1, client_id=1, meter_type="ANY", remote_address="x:1", attempt=1, tries=0)
        call = GrantedCall(
            call_id=UUID(int=1),
            remote_address="x:1",
            canonical_address="x:1",
            transport=Transport.TCP,
            seconds_left=seconds_left,
            tests=(test,),
        )
        self._grants = deque([call])
        self.ends: list[AttemptFinished] = []

    async def ask(self, queue: RequestQueue, item: Message, reply_model: type[Reply], timeout: float) -> Reply:  # noqa: ASYNC109
        if queue is topology.DIALLER_ALIVES:
            return cast(Reply, DiallerLease(dialler="d", lease_seconds=120.0, lost=()))
        if not self._grants:
            await asyncio.Event().wait()
        self._clock.advance(self._under_way)
        return cast(Reply, CallGrant(nonce=cast(CallWant, item).nonce, calls=(self._grants.popleft(),)))

    async def publish_body(self, kind: str, body: bytes, *args: Any) -> None:
        if kind == AttemptFinished.kind:
            self.ends += decode(AttemptFinished, body)

    async def dial(self, call: GrantedCall) -> Channel:
        return ScriptedChannel()


async def end_of_a_call(wrong_by: timedelta, seconds_left: float, under_way: float = 0.0) -> AttemptFinished:
    """How a granted call ends on a dialler whose wall clock is wrong by so much."""
    clock = ManualClock(NOON + wrong_by)
    world: Any = World(clock, seconds_left, under_way)
    equipment = Equipment("d", {"ANY": Meter()}, str, clock=clock, shortest_call_seconds=SHORTEST)
    lines = TcpLines(1, world.dial, 30.0, clock)
    worker = Worker(equipment, [lines], Transport.TCP, world, Teller(world, clock), Pace())
    running = asyncio.create_task(worker.run(asyncio.Event()), name="worker")
    try:
        await eventually(lambda: bool(world.ends))
    finally:
        running.cancel()
        await asyncio.wait([running])
    (end,) = world.ends
    return cast(AttemptFinished, end)


@pytest.mark.parametrize("wrong_by", [timedelta(hours=hours) for hours in (-1, 0, 1, 26)])
async def test_a_call_is_dialled_while_its_window_lasts_whatever_the_wall_clock_shows(wrong_by: timedelta) -> None:
    assert (await end_of_a_call(wrong_by, SHORTEST + 1)).outcome is Outcome.SUCCESS
    assert (await end_of_a_call(wrong_by, SHORTEST - 1)).failure is FailureKind.WINDOW_CLOSED


async def test_the_way_of_an_answer_is_taken_off_what_is_left_of_the_window() -> None:
    assert (await end_of_a_call(timedelta(), SHORTEST + 9, under_way=8)).outcome is Outcome.SUCCESS
    assert (await end_of_a_call(timedelta(), SHORTEST + 9, under_way=10)).failure is FailureKind.WINDOW_CLOSED
