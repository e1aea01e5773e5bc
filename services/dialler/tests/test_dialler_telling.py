"""Telling the results and the scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

from mts_common.messages import (
    AttemptFinished,
    AttemptReport,
    AttemptReportPart,
    AttemptTimes,
    Outcome,
    decode,
)
from mts_common.publisher import PublishFailed
from mts_dialler.attempt import Told
from mts_dialler.telling import Teller, report_bodies
from mts_dialler.testing import ManualClock, eventually

AT = datetime(2026, 3, 2, tzinfo=UTC)
CALL = uuid4()
TIMES = AttemptTimes(started_at=AT, ended_at=AT)


def report(trace: bytes = b"") -> AttemptReport:
    return AttemptReport(
        call_id=CALL,
        test_id=7,
        attempt=2,
        client_id=1,
        meter_type="ELSTERA1700",
        outcome=Outcome.SUCCESS,
        times=TIMES,
        wire_trace=trace,
    )


FINISHED = AttemptFinished(call_id=CALL, dialler="d", test_id=7, attempt=2, outcome=Outcome.SUCCESS, times=TIMES)


class FlakyBroker:
    def __init__(self) -> None:
        self.away = False
        self.refused = 0
        self.kinds: list[str] = []
        self.bodies: list[bytes] = []
        self.open = asyncio.Event()
        self.open.set()

    async def publish_body(self, kind: str, body: bytes) -> None:
        if self.away:
            self.refused += 1
            raise PublishFailed("away")
        self.kinds.append(kind)
        self.bodies.append(body)
        await self.open.wait()


@asynccontextmanager
async def telling_to(broker: FlakyBroker, clock: ManualClock) -> AsyncIterator[Teller]:
    teller = Teller(broker, clock)
    running = asyncio.create_task(teller.run())
    try:
        yield teller
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_the_report_is_told_before_the_end() -> None:
    broker = FlakyBroker()
    async with telling_to(broker, ManualClock()) as teller:
        await teller.tell_attempt(Told(report(), FINISHED))
    assert broker.kinds == ["attempt.report", "attempt.finished"]


async def test_telling_goes_on_until_the_broker_is_back() -> None:
    broker, clock = FlakyBroker(), ManualClock()
    broker.away = True
    async with telling_to(broker, clock) as teller, asyncio.TaskGroup() as group:
        group.create_task(teller.tell_attempt(Told(report(), FINISHED)))
        for refused in range(1, 5):
            await eventually(lambda expected=refused: broker.refused == expected)  # type: ignore[misc]
            await asyncio.sleep(0)
            clock.advance(10.0)
        broker.away = False
        clock.advance(10.0)
    assert broker.kinds == ["attempt.report", "attempt.finished"]


async def test_ends_that_come_while_others_are_published_travel_together() -> None:
    broker = FlakyBroker()
    broker.open.clear()
    async with telling_to(broker, ManualClock()) as teller, asyncio.TaskGroup() as group:
        group.create_task(teller.tell_end(FINISHED))
        await eventually(lambda: len(broker.kinds) == 1)
        for _ in range(3):
            group.create_task(teller.tell_end(FINISHED))
        given_up = group.create_task(teller.tell_end(FINISHED))
        await asyncio.sleep(0)
        given_up.cancel()
        broker.open.set()
    assert broker.kinds == ["attempt.finished", "attempt.finished"]
    assert [len(decode(AttemptFinished, body)) for body in broker.bodies] == [1, 4]


def test_a_small_report_is_one_message() -> None:
    [(kind, body)] = report_bodies(report())
    assert kind == "attempt.report"
    assert decode(AttemptReport, body) == [report()]


def test_a_large_report_goes_in_numbered_slices_that_join_again() -> None:
    large = report(trace=bytes(range(256)) * 200)
    bodies = list(report_bodies(large, max_bytes=16_000))
    assert {kind for kind, _ in bodies} == {"attempt.report-part"}
    assert all(len(body) <= 16_000 for _, body in bodies)
    parts = [decode(AttemptReportPart, body)[0] for _, body in bodies]
    assert [(part.part, part.parts, part.test_id, part.attempt) for part in parts] == [
        (number, len(parts), 7, 2) for number in range(len(parts))
    ]
    assert decode(AttemptReport, b"".join(part.body for part in parts)) == [large]
