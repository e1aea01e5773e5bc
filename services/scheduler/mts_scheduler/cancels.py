"""Cancelling tests that are not in a call.

A cancel and a grant of the same test meet at the job's row: whichever comes first, the other finds another state. The
row of an id that is not known here yet is its tombstone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mts_common import database
from mts_common.database import Pool
from mts_common.messages import CancelReply, CancelTests, TestCancelled
from mts_scheduler.settings import SchedulerSettings
from mts_scheduler.statements import SQL
from mts_scheduler.verdicts import OUTBOX


@dataclass(frozen=True, slots=True)
class Cancels:
    """The server of `CANCELS`; `changed` is called after each commit."""

    pool: Pool
    settings: SchedulerSettings
    changed: Callable[[], None]

    async def serve(self, items: list[CancelTests]) -> list[CancelReply]:
        """Which tests are gone, by this request or an earlier one. After the answer no dial of them can follow."""
        replies = [await self._cancel(item) for item in items]
        self.changed()
        return replies

    async def _cancel(self, item: CancelTests) -> CancelReply:
        test_ids = sorted(set(item.test_ids))
        settle_after = self.settings.settle_after_seconds
        async with database.transaction(self.pool) as connection:
            rows = await connection.fetch(SQL["cancel_held"], test_ids, settle_after)
            if item.delete_completed:
                rows += await connection.fetch(SQL["delete_done"], test_ids, settle_after)
            await OUTBOX.put(
                connection, [TestCancelled(test_id=row["test_id"], cancelled_at=row["ended_at"]) for row in rows]
            )
            gone = await connection.fetch(SQL["gone"], test_ids)
        return CancelReply(
            cancelled=tuple(row["test_id"] for row in gone if not row["deleted"]),
            deleted=tuple(row["test_id"] for row in gone if row["deleted"]),
        )
