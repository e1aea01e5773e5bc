"""Taking in what the other services tell: each batch is stored and its tests' projections renewed in one transaction.

Any order and any number of deliveries lead to the same tables: inputs are kept under their keys, the projections are
made from all that is stored of a test, and whoever stores anything of a test holds the lock on its row meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

import asyncpg

from mts_common import failpoints, metrics
from mts_common.database import Connection, Pool, transaction
from mts_common.messages import (
    AttemptReport,
    AttemptReportPart,
    CallFinished,
    TestCancelled,
    TestFinished,
    TestRequested,
)
from mts_results import projections
from mts_results.partitions import Partitions
from mts_results.reports import check_part, storable, storable_text, store_parts, store_reports
from mts_results.statements import SQL
from mts_results.tracing import item_spans


class _Line(NamedTuple):
    test_id: int
    attempt: int
    connected_at: datetime | None
    disconnected_at: datetime | None


_Item = TypeVar("_Item", TestRequested, AttemptReport | AttemptReportPart, _Line, TestFinished | TestCancelled)
_Store = Callable[[Connection, list[_Item]], Awaitable[None]]


class Ingest:
    """The handlers of the events that reach results; `now` is the clock."""

    def __init__(self, pool: Pool, partitions: Partitions, now: Callable[[], datetime]) -> None:
        self._pool = pool
        self._partitions = partitions
        self._now = now

    async def requests(self, items: list[TestRequested]) -> None:
        """Keep requests."""
        await self._take(items, _store_requests)

    async def reports(self, items: list[AttemptReport | AttemptReportPart]) -> None:
        """Keep reports, and parts of reports until they are whole. Raises `Rejected`, `MalformedMessage`."""
        await self._take(items, self._store_reports)

    async def calls(self, items: list[CallFinished]) -> None:
        """Keep when the connections of attempts began and ended."""
        lines = [
            _Line(test.test_id, test.attempt, call.connection_started_at, call.connection_ended_at)
            for call in items
            if call.connection_started_at or call.connection_ended_at
            for test in call.tests
        ]
        await self._take(lines, _store_lines, with_data=False)

    async def outcomes(self, items: list[TestFinished | TestCancelled]) -> None:
        """Keep final words; a cancelled test is forgotten for ever, whatever arrives later."""
        await self._take(items, _store_outcomes)

    async def _take(self, items: Sequence[_Item], store: _Store[_Item], *, with_data: bool = True) -> None:
        if not items:
            return
        try:
            await self._take_once(items, store, with_data)
        except asyncpg.CheckViolationError:  # another process has dropped a partition since this one looked
            await self._partitions.refresh()
            await self._take_once(items, store, with_data)

    async def _take_once(self, items: Sequence[_Item], store: _Store[_Item], with_data: bool) -> None:
        kept = await self._partitions.kept(item.test_id for item in items)
        async with transaction(self._pool) as connection:
            await self._partitions.count_late(connection, (i.test_id for i in items if i.test_id not in kept))
            ids = sorted(kept)
            await connection.execute(SQL["make_tests"], ids, self._now())
            locked = await connection.fetch(SQL["lock_tests"], ids)
            open_ids = {row["test_id"] for row in locked if row["cancelled_at"] is None}
            open_items = [item for item in items if item.test_id in open_ids]
            if open_items:
                await store(connection, open_items)
                chosen = projections.PROJECTIONS.values()
                await projections.apply(connection, sorted(open_ids), chosen, with_data=with_data)
            failpoints.reach("results.storing", type(items[0]).__name__)
        self._measure(items, len(items) - sum(item.test_id in kept for item in items))
        failpoints.reach("results.stored", type(items[0]).__name__)

    def _measure(self, items: Sequence[_Item], late: int) -> None:
        metrics.LATE_ITEMS.add(late)
        for item in items:
            if isinstance(item, TestFinished):
                metrics.RESULT_LAG.record((self._now() - item.finished_at).total_seconds())

    async def _store_reports(self, connection: Connection, items: list[AttemptReport | AttemptReportPart]) -> None:
        reports = [item for item in items if isinstance(item, AttemptReport)]
        parts = [item for item in items if isinstance(item, AttemptReportPart)]
        for part in parts:
            check_part(part)
        if parts:
            reports += await store_parts(connection, parts, self._now())
        if reports:
            await store_reports(connection, reports)


async def _store_requests(connection: Connection, items: list[TestRequested]) -> None:
    rows = {item.test_id: (item.test_id, storable(item.model_dump_json(exclude={"password"}))) for item in items}
    with item_spans("store request", items):
        await connection.execute(SQL["store_requests"], *zip(*rows.values(), strict=True))


async def _store_lines(connection: Connection, items: list[_Line]) -> None:
    rows = {(item.test_id, item.attempt): item for item in items}
    await connection.execute(SQL["store_lines"], *zip(*rows.values(), strict=True))


async def _store_outcomes(connection: Connection, items: list[TestFinished | TestCancelled]) -> None:
    cancelled = {item.test_id: item.cancelled_at for item in items if isinstance(item, TestCancelled)}
    finished = [item for item in items if isinstance(item, TestFinished) and item.test_id not in cancelled]
    if cancelled:
        await connection.execute(SQL["mark_cancelled"], list(cancelled), list(cancelled.values()))
        await connection.execute(SQL["delete_inputs"], list(cancelled))
    if finished:
        with item_spans("store outcome", finished):
            rows = {item.test_id: _outcome_row(item) for item in sorted(finished, key=_weight)}
            await connection.execute(SQL["store_outcomes"], *zip(*rows.values(), strict=True))


def _weight(item: TestFinished) -> tuple[datetime, bool, int]:
    """Which of two final words on a test stands: the greater, as in `store_outcomes`."""
    return item.finished_at, item.attempt is None, item.attempt or 0


def _outcome_row(item: TestFinished) -> tuple[object, ...]:
    detail = storable_text(item.detail)
    return (item.test_id, item.attempt, item.outcome, item.failure, detail, item.finished_at)
