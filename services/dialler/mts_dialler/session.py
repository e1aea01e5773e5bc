"""One call: dial, run each test's driver, hang up; every failure becomes an outcome."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

from mts_common import failpoints, metrics, telemetry
from mts_common.messages import AttemptReport, AttemptTimes, CallFinished, GrantedCall, GrantedTest, TestAttempt
from mts_dialler.attempt import Attempt, Equipment, Told
from mts_dialler.channels.base import Channel, OwnChannel
from mts_dialler.clock import Clock
from mts_dialler.dial import Dial
from mts_dialler.errors import DiallerError, LineDropped, WindowClosed


async def run_call(
    equipment: Equipment,
    dial: Dial,
    call: GrantedCall,
    tell: Callable[[Told], None],
    window_ends: float | None = None,
) -> CallFinished:
    """Carries out `call` and hands each test's outcome to `tell` as soon as its part is over.

    No test is begun that does not fit before `window_ends`, a time of the monotonic clock; one that is under way then
    goes on. The line is down when this returns, and also when it is cancelled; a test that is cut so is not told.
    """
    connection = _Connection(dial, call, equipment.clock, window_ends)
    first = call.tests[0]
    overnight = (
        call.seconds_left is not None
    )  # long after its request: a trace of its own, linked to that of the request
    try:
        with telemetry.span(
            "call",
            parent=None if overnight else first.traceparent,
            links=[test.traceparent for test in call.tests if overnight or test is not first],
            attributes={
                "mts.call_id": str(call.call_id),
                "mts.transport": call.transport,
                "mts.tests": len(call.tests),
            },
        ):
            call_traceparent = telemetry.traceparent()
            for test in call.tests:
                parent = None if overnight or test is first else test.traceparent
                with telemetry.span("test", parent=parent, links=[call_traceparent] if parent else ()) as span:
                    told = await _run_test(equipment, connection, test, is_last=test is call.tests[-1])
                    span.set_attributes({"mts.test_id": test.test_id, "mts.outcome": told.report.outcome})
                    if told.report.failure:
                        span.set_attribute("mts.failure", told.report.failure)
                    _measure(call, told.report)
                tell(told)
    finally:
        await connection.hang_up()
    ended_at = equipment.clock.now()
    metrics.CALL_DURATION.record((ended_at - connection.started_at).total_seconds(), {"mts.transport": call.transport})
    return CallFinished(
        call_id=call.call_id,
        dialler=equipment.dialler,
        tests=tuple(TestAttempt(test_id=test.test_id, attempt=test.attempt) for test in call.tests),
        connection_started_at=connection.opened_at,
        connection_ended_at=connection.closed_at,
        ended_at=ended_at,
    )


def _measure(call: GrantedCall, report: AttemptReport) -> None:
    metrics.ATTEMPTS.add(
        1,
        {"mts.transport": call.transport, "mts.outcome": report.outcome, "mts.failure": report.failure or ""},
    )
    seconds = (report.times.ended_at - report.times.started_at).total_seconds()
    metrics.ATTEMPT_DURATION.record(seconds, {"mts.meter_type": report.meter_type})


async def _run_test(equipment: Equipment, connection: _Connection, test: GrantedTest, *, is_last: bool) -> Told:
    call = connection.call
    attempt = Attempt(equipment, call, test)
    try:
        driver, terms = attempt.prepare()
        if connection.seconds_left < equipment.shortest_call_seconds:
            raise WindowClosed("the run window closed before the meter was dialled")
        channel = await connection.channel(attempt)
        failpoints.reach("dialler.reading", test.test_id)
        await attempt.read(channel, driver, terms)
    except DiallerError as error:
        attempt.fail(error)
    except Exception as error:
        attempt.fault(error)
    if isinstance(attempt.error, LineDropped) or is_last:
        await connection.hang_up(attempt)
    times = AttemptTimes(
        started_at=connection.started_at,
        ended_at=equipment.clock.now(),
        connection_started_at=connection.opened_at,
        connection_ended_at=connection.closed_at,
    )
    return attempt.told(times, telemetry.traceparent())


def _connected(channel: Channel) -> str:
    """For the trace: that there is a line, and what it is like."""
    facts = channel.facts if isinstance(channel, OwnChannel) else ()
    return ", ".join(["connected", *(f"{fact.name.lower()} {fact.value}" for fact in facts)])


class _Connection:
    """The call's line. A line that broke is dialled again for the next test; an address that did not answer is not."""

    def __init__(self, dial: Dial, call: GrantedCall, clock: Clock, window_ends: float | None) -> None:
        self.call = call
        self._window_ends = math.inf if window_ends is None else window_ends
        self.started_at = clock.now()
        self.opened_at: datetime | None = None  # of the first line
        self.closed_at: datetime | None = None  # of the last line; None while one is open
        self._dial = dial
        self._clock = clock
        self._channel: Channel | None = None
        self._refusal: DiallerError | None = None

    @property
    def seconds_left(self) -> float:
        """Of the run window."""
        return self._window_ends - self._clock.monotonic()

    async def channel(self, attempt: Attempt) -> Channel:
        """The open line; dials if there is none. Raises a leaf of `DiallerError`."""
        if self._channel is not None:
            attempt.event("the line is open from the test before")
            return self._channel
        if self._refusal is not None:
            raise self._refusal
        attempt.event(f"dialling {self.call.remote_address}")
        with telemetry.span("dial", attributes={"server.address": self.call.canonical_address}):
            failpoints.reach("dialler.ringing")
            try:
                channel = await self._dial(self.call)
            except DiallerError as refusal:
                self._refusal = refusal
                raise
        self._channel = channel
        self.opened_at = self.opened_at or self._clock.now()
        self.closed_at = None
        attempt.event(_connected(channel))
        return channel

    async def hang_up(self, attempt: Attempt | None = None) -> None:
        """Closes the line if one is open."""
        channel, self._channel = self._channel, None
        if channel is None:
            return
        with telemetry.span("hang up"):
            await channel.close()
        self.closed_at = self._clock.now()
        if attempt is not None:
            attempt.event("hung up")
