"""Diallers' leases: renewing them, giving calls back, and what becomes of calls that nobody vouches for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from mts_common import database, metrics
from mts_common.database import Connection, Pool
from mts_common.messages import (
    CallReleased,
    CallReleasedReply,
    DiallerAlive,
    DiallerLease,
    FailureKind,
    Outcome,
)
from mts_scheduler.decide import AttemptEnd, decide, give_up
from mts_scheduler.grants import lane_windows
from mts_scheduler.lifecycle import JobState, Lane
from mts_scheduler.settings import SchedulerSettings
from mts_scheduler.statements import SQL
from mts_scheduler.verdicts import Verdict, lock_jobs, standing_of, write
from mts_scheduler.windows import missed_since, open_until

# More messages than this in a queue is a backlog; fewer are what is always under way.
BACKLOG_MESSAGES = 100


class Calm:
    """Whether the scheduler has had its backlog worked off for one whole lease: only then do leases expire.

    Until then a dialler's signs of life, and the ends of its attempts, may not have had their turn yet.
    """

    def __init__(self, lease_seconds: float, clock: Callable[[], float]) -> None:
        self._lease = lease_seconds
        self._clock = clock
        self._since: float | None = None
        self._looked = clock()

    def look(self, backlog: int | None) -> bool:
        """Told how many messages wait (None = that cannot be known now), whether leases may expire.

        Not looking for half a lease breaks the calm as well: then this process stood still.
        """
        now = self._clock()
        idle, self._looked = now - self._looked, now
        if backlog is None or backlog > BACKLOG_MESSAGES or idle > self._lease / 2:
            self._since = None
            return False
        if self._since is None:
            self._since = now
        return now - self._since >= self._lease


@dataclass(frozen=True, slots=True)
class Leases:
    """The servers of `DIALLER_ALIVES` and `CALL_RELEASES`, and the sweep; `changed` is called after each commit."""

    pool: Pool
    settings: SchedulerSettings
    changed: Callable[[], None]

    async def alive(self, items: list[DiallerAlive]) -> list[DiallerLease]:
        """Renew leases; tell each dialler which of the calls it named are no longer its own."""
        return [await self._renew(item) for item in items]

    async def _renew(self, item: DiallerAlive) -> DiallerLease:
        lease_seconds = self.settings.lease_seconds
        async with database.transaction(self.pool) as connection:
            await connection.execute(SQL["renew"], item.dialler, item.transport, item.lines, lease_seconds)
            await connection.execute(SQL["note_missing"], item.dialler, item.transport, item.calls)
            rows = await connection.fetch(SQL["running_calls"], item.calls, item.dialler)
        running = {row["call_id"] for row in rows}
        lost = tuple(call_id for call_id in item.calls if call_id not in running)
        return DiallerLease(dialler=item.dialler, lease_seconds=lease_seconds, lost=lost)

    async def released(self, items: list[CallReleased]) -> list[CallReleasedReply]:
        """Take calls back: what was not reported is held again, at no try. A call that has ended stays as it is.

        The tests pause as after a failure: the ends of some may be on their way, and must come before a new grant.
        """
        for item in items:
            async with database.transaction(self.pool) as connection:
                await connection.execute(SQL["give_back"], item.call_id, self.settings.retry_pause_seconds)
                await connection.execute(SQL["end_calls"], [item.call_id], "released")
        self.changed()
        return [CallReleasedReply(call_id=item.call_id) for item in items]

    async def sweep(self) -> None:
        """End the calls that are lost, and the tests that have waited too long for any call."""
        while await self._end_lost_calls():
            self.changed()
        while await self._give_up_waiting():
            self.changed()

    async def _end_lost_calls(self) -> bool:
        """End some; whether there were any. Each of their tests has had a try, and has its next call for itself."""
        async with database.transaction(self.pool) as connection:
            await connection.execute(SQL["hold_expired"])
            calls = [row["call_id"] for row in await connection.fetch(SQL["lost_calls"], self.settings.lease_seconds)]
            tests = await connection.fetch(SQL["lost_tests"], calls, self.settings.lease_seconds)
            await self._end_lost_tests(connection, {row["test_id"]: row["call_id"] for row in tests})
            ended = await connection.fetch(SQL["end_calls"], calls, "lost")
            await connection.execute(
                SQL["quarantine"],
                [row["canonical_address"] for row in ended],
                [row["dialler"] for row in ended],
                self.settings.quarantine_seconds,
            )
            await connection.execute(SQL["forget_diallers"])
        metrics.LOST_CALLS.add(len(ended))
        return bool(calls or tests)

    async def _end_lost_tests(self, connection: Connection, calls: dict[int, Any]) -> None:
        end = AttemptEnd(Outcome.ERROR, FailureKind.DIALLER_LOST)
        verdicts = [
            Verdict(job, decide(standing_of(job), end, self.settings.rules), alone=True)
            for job in await lock_jobs(connection, calls)
            if job["state"] == JobState.CALLED and job["call_id"] == calls[job["test_id"]]
        ]
        await write(connection, verdicts, self.settings.settle_after_seconds)

    async def _give_up_waiting(self) -> bool:
        """End some tests that found no line through all their windows; whether there were any."""
        missed = self.settings.max_missed_windows
        async with database.transaction(self.pool) as connection:
            limits = await self._waiting_limits(connection)
            waiting = {
                row["test_id"]: row["ready_at"] for row in await connection.fetch(SQL["waited_too_long"], limits)
            }
            verdicts = [
                Verdict(job, give_up(standing_of(job), f"not started in {missed} {_TURNS[Lane(job['kind'])]}"))
                for job in await lock_jobs(connection, waiting)
                if job["state"] == JobState.HELD and job["ready_at"] == waiting[job["test_id"]]
            ]
            await write(connection, verdicts, self.settings.settle_after_seconds)
        return bool(verdicts)

    async def _waiting_limits(self, connection: Connection) -> list[dict[str, Any]]:
        """Since when a test must have been due to be given up, for each kind of lane that is not open."""
        missed, limits = self.settings.max_missed_windows, []
        for row in await connection.fetch(SQL["lane_windows"]):
            now, windows = row["now"], lane_windows(row["windows"], self.settings)
            if row["kind"] == Lane.IMMEDIATE:
                since = now - timedelta(days=missed)
            elif open_until(windows, now) is None:
                since = missed_since(windows, now, missed)
            else:
                continue
            limits.append({"kind": row["kind"], "windows": row["windows"], "since": since.isoformat()})
        return limits


_TURNS = {Lane.IMMEDIATE: "days", Lane.OVERNIGHT: "run windows"}
