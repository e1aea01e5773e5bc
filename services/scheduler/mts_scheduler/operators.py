"""What operators ask and change: tests that wait, diallers and their calls, addresses that are left alone.

A test that an operator holds stays a held job in every respect, so that settling knows it, a cancel removes it and a
late report of an earlier attempt counts; it is ready at no time, so that no claim finds it and no window is missed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import asyncpg

from mts_common import database
from mts_common.database import ACQUIRE_SECONDS, Pool
from mts_common.operator_messages import (
    ChangeJobs,
    ChangeJobsReply,
    DiallerSession,
    HeldJob,
    JobChange,
    LiftQuarantine,
    LiftQuarantineReply,
    ListJobs,
    ListJobsReply,
    ListLines,
    ListLinesReply,
    QuarantinedAddress,
    RunningCall,
)
from mts_common.vocabulary import about
from mts_scheduler.lifecycle import Lane
from mts_scheduler.statements import SQL

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Operators:
    """The servers of `JOB_LISTS`, `JOB_CHANGES`, `LINE_LISTS` and `QUARANTINE_LIFTS`; `changed` follows each commit."""

    pool: Pool
    changed: Callable[[], None]

    async def list_jobs(self, items: list[ListJobs]) -> list[ListJobsReply]:
        """The tests that wait."""
        async with self.pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            return [
                _jobs(
                    await connection.fetch(
                        SQL["list_jobs"],
                        item.client_id,
                        item.immediate,
                        item.on_hold,
                        item.address,
                        item.limit,
                        item.offset,
                    )
                )
                for item in items
            ]

    async def change_jobs(self, items: list[ChangeJobs]) -> list[ChangeJobsReply]:
        """Hold or release tests, as far as they wait."""
        replies = [await self._change(item) for item in items]
        self.changed()
        return replies

    async def _change(self, item: ChangeJobs) -> ChangeJobsReply:
        test_ids = sorted(set(item.test_ids))
        async with database.transaction(self.pool) as connection:
            if item.change is JobChange.HOLD:
                rows = await connection.fetch(SQL["hold_jobs"], test_ids)
            else:
                at_once = item.change is JobChange.RELEASE_NOW
                if at_once:
                    await connection.execute(SQL["open_immediate_lanes"], test_ids)
                rows = await connection.fetch(SQL["release_jobs"], test_ids, at_once)
        changed = tuple(sorted(row["test_id"] for row in rows))
        _log.info("an operator: %s of tests %s", item.change.value, changed, extra=about("operator"))
        return ChangeJobsReply(changed=changed)

    async def list_lines(self, items: list[ListLines]) -> list[ListLinesReply]:
        """Diallers, running calls and quarantined addresses."""
        async with self.pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            return [
                ListLinesReply(
                    diallers=tuple(map(_session, await connection.fetch(SQL["list_diallers"], item.limit))),
                    calls=tuple(map(_call, await connection.fetch(SQL["list_calls"], item.limit))),
                    quarantine=tuple(map(_quarantined, await connection.fetch(SQL["list_quarantine"], item.limit))),
                )
                for item in items
            ]

    async def lift_quarantine(self, items: list[LiftQuarantine]) -> list[LiftQuarantineReply]:
        """Leave addresses alone no longer."""
        async with self.pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            lifted = [await connection.fetchval(SQL["lift_quarantine"], item.address) for item in items]
        for address in filter(None, lifted):
            _log.info("an operator: the quarantine of %s is lifted", address, extra=about("operator"))
        self.changed()
        return [LiftQuarantineReply(lifted=address is not None) for address in lifted]


def _jobs(rows: list[asyncpg.Record]) -> ListJobsReply:
    """The count stands in every row, in one without a test where the page is empty."""
    return ListJobsReply(total=rows[0]["total"], jobs=tuple(_job(row) for row in rows if row["test_id"] is not None))


def _job(row: asyncpg.Record) -> HeldJob:
    return HeldJob(
        test_id=row["test_id"],
        client_id=row["client_id"],
        meter_type=row["meter_type"],
        remote_address=row["remote_address"],
        transport=row["transport"],
        immediate=row["kind"] == Lane.IMMEDIATE,
        ready_at=row["ready_at"],
        attempts=row["attempt"],
        tries=row["tries"],
        failure=row["failure"],
        received_at=row["received_at"],
    )


def _session(row: asyncpg.Record) -> DiallerSession:
    return DiallerSession(
        dialler=row["name"],
        transport=row["transport"],
        lines=row["lines"],
        calls=row["calls"],
        lease_until=row["lease_until"],
    )


def _call(row: asyncpg.Record) -> RunningCall:
    return RunningCall.model_validate(dict(row))


def _quarantined(row: asyncpg.Record) -> QuarantinedAddress:
    return QuarantinedAddress(address=row["canonical_address"], until=row["until"], reason=row["reason"])
