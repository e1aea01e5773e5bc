"""Taking in what results has stored of the registers that contract meters count, and moving their due dates."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from mts_common.broker import Broker
from mts_common.consumer import Batching, TooManyDead
from mts_common.database import Pool, transaction
from mts_common.messages import ReadingsStored
from mts_common.topology import GATEWAY_READINGS
from mts_common.vocabulary import about
from mts_gateway.warranty.recalculation import recalculate
from mts_gateway.warranty.statements import SQL

# A message may hold the surveys of months.
_AT_ONCE = Batching(items=50, prefetch=50)

_log = logging.getLogger(__name__)


class IntakeStopped(Exception):
    """Readings are no longer taken in: so many could not be handled that the code must be wrong."""


class Intake:
    """Keeps the gateway's copy of cumulative readings, and with it the due dates, up to date."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._stopped = False

    async def run(self, broker: Broker) -> None:
        """Take in until cancelled. Where that cannot go on, the messages wait, and requests are served all the same."""
        try:
            await broker.consume(GATEWAY_READINGS, self.take, _AT_ONCE)
        except TooManyDead as error:
            self._stopped = True
            _log.critical("readings are no longer taken in: %s", error, extra=about("fault"))
            await asyncio.Event().wait()

    async def check(self) -> None:
        """Raises `IntakeStopped`."""
        if self._stopped:
            raise IntakeStopped

    async def take(self, items: list[ReadingsStored]) -> None:
        """Keep the readings of contract meters' registers; of two for one time the later told stands."""
        told = _latest(items)
        if not told:
            return
        columns = [list(column) for column in zip(*((*key, value) for key, value in told.items()), strict=True)]
        async with transaction(self._pool) as connection:
            rows = await connection.fetch(SQL["keep_readings"], *columns)
            if rows:
                await recalculate(connection, (row["meter_id"] for row in rows))


def _latest(items: Iterable[ReadingsStored]) -> dict[tuple[str, str, datetime], Decimal]:
    return {
        (item.device_id, reading.name, reading.read_at): reading.value for item in items for reading in item.registers
    }
