"""Which ranges of tests are kept: made ahead and on demand, dropped when old, never made again."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import asyncpg

from mts_common.database import Connection, Pool, transaction
from mts_common.vocabulary import Action, about
from mts_results.statements import SQL

_log = logging.getLogger(__name__)


class _Range(NamedTuple):
    first: int
    upto: int
    dropped: bool


class Partitions:
    """The partitions as this process last saw them. Another process may make or drop one at any time."""

    def __init__(self, pool: Pool, width: int) -> None:
        self._pool = pool
        self._width = width
        self._ranges: list[_Range] = []

    async def refresh(self) -> None:
        """Look again: a partition that was here has been dropped."""
        self._ranges = [_Range(*row) for row in await self._pool.fetch(SQL["partitions"])]

    async def kept(self, test_ids: Iterable[int]) -> set[int]:
        """Those of `test_ids` that can be stored, in partitions made if need be; the rest belong to dropped ones."""
        kept = set()
        for test_id in sorted(set(test_ids)):
            found = self._find(test_id) or await self._make(test_id)
            if not found.dropped:
                kept.add(test_id)
        return kept

    async def count_late(self, connection: Connection, test_ids: Iterable[int]) -> None:
        """Count items that arrived for dropped partitions, one of `test_ids` each."""
        found = (self._find(test_id) for test_id in test_ids)
        late = Counter(each.first for each in found if each is not None and each.dropped)
        if late:
            firsts = sorted(late)
            await connection.execute(SQL["count_late"], firsts, [late[first] for first in firsts])
            _log.warning("dropped %d items for tests no longer kept", late.total(), extra=about("late"))

    async def make_ahead(self) -> None:
        """Make the partition that follows the newest test's."""
        newest = await self._pool.fetchval(SQL["newest_test"])
        if newest is not None:
            await self.kept([newest + self._width])

    async def drop_old(self, before: datetime) -> None:
        """Drop the partitions whose newest test was first heard of before `before`; one in use is left for later."""
        await self._clear("old_partitions", before, "drop_partition", "drop-partition")
        await self.refresh()

    async def empty_old_traces(self, before: datetime) -> None:
        """Delete the wire traces of the partitions whose newest test was first heard of before `before`, likewise."""
        await self._clear("old_traces", before, "empty_traces", "empty-traces")

    async def _clear(self, find: str, before: datetime, clear: str, action: Action) -> None:
        for row in await self._pool.fetch(SQL[find], before):
            try:
                async with transaction(self._pool) as connection:
                    await connection.execute(SQL[clear], row["first"])
                _log.info("tests from %d: done", row["first"], extra=about(action))
            except asyncpg.LockNotAvailableError:
                _log.info("tests from %d: in use, left for later", row["first"], extra=about(action))

    def _find(self, test_id: int) -> _Range | None:
        at = bisect_right(self._ranges, test_id, key=lambda known: known.first) - 1
        return self._ranges[at] if at >= 0 and test_id < self._ranges[at].upto else None

    async def _make(self, test_id: int) -> _Range:
        await self._pool.execute(SQL["ensure_partition"], test_id, self._width)
        await self.refresh()
        made = self._find(test_id)
        if made is None:
            raise LookupError(f"there is no partition for test {test_id}")
        return made
