"""What results does on its own: partitions made ahead and dropped; traces, stray parts, dead letters deleted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from mts_common import dead_letters
from mts_common.database import UNAVAILABLE, Pool
from mts_results.months import Months
from mts_results.partitions import Partitions
from mts_results.statements import SQL

ROUND_SECONDS = 60.0
PARTS_KEPT = timedelta(days=1)

_log = logging.getLogger(__name__)


class Housekeeping:
    """Every process does it; what another has done already is not done again."""

    def __init__(
        self,
        pool: Pool,
        partitions: Partitions,
        months: Months,
        keep_days: int,
        trace_keep_days: int,
        now: Callable[[], datetime],
    ) -> None:
        self._pool = pool
        self._partitions = partitions
        self._months = months
        self._keep_days = keep_days
        self._trace_keep_days = trace_keep_days
        self._now = now

    async def run(self) -> None:
        """A round each minute until cancelled; a round that finds the database away is left out."""
        while True:
            try:
                await self.round()
            except UNAVAILABLE as error:
                _log.warning("housekeeping: %s, left for the next round", type(error).__name__)
            await asyncio.sleep(ROUND_SECONDS)

    async def round(self) -> None:
        """One round of all."""
        await self._partitions.make_ahead()
        await self._partitions.drop_old(self._now() - timedelta(days=self._keep_days))
        await self._partitions.empty_old_traces(self._now() - timedelta(days=self._trace_keep_days))
        await self._months.make_ahead(self._now())
        await self._months.drop_old(self._now())
        await self._pool.execute(SQL["expire_parts"], self._now() - PARTS_KEPT)
        await dead_letters.forget(self._pool, "results", self._keep_days)
