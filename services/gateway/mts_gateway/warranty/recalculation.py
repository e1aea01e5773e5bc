"""Keeping due dates true to the readings: within the transaction of whoever has changed what they depend on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date

import asyncpg

from mts_common.database import Connection
from mts_gateway.warranty.due_date import Reading, due_date
from mts_gateway.warranty.statements import SQL


async def recalculate(connection: Connection, meter_ids: Iterable[int]) -> None:
    """Calculate anew, and store where they changed, the due dates of all enabled contract meters of these meters, and
    the expirations of their contracts; each stored change is one version more, by SYSTEM.

    Runs in the caller's transaction, after the caller's change of readings: it takes the lock on the meters' assets
    first, so that of two changes at once the later one sees what the earlier has stored.
    """
    meters = sorted(set(meter_ids))
    await connection.fetch(SQL["lock_assets_of_meters"], meters)
    rows = await connection.fetch(SQL["enabled_contract_meters"], meters)
    changed = [(row, due) for row, due in await _due_dates(connection, rows) if due != row["calculated_due_date"]]
    if changed:
        await connection.execute(
            SQL["store_due_dates"], [row["contract_meter_id"] for row, _ in changed], [due for _, due in changed]
        )
        await connection.execute(SQL["refresh_expiration"], sorted({row["contract_id"] for row, _ in changed}))


async def _due_dates(
    connection: Connection, rows: Sequence[asyncpg.Record]
) -> list[tuple[asyncpg.Record, date | None]]:
    readings: dict[int, list[Reading]] = defaultdict(list)
    for read in await connection.fetch(SQL["readings_of_meters"], sorted({row["meter_id"] for row in rows})):
        readings[read["meter_id"]].append((read["read_at"], read["value"]))
    return [
        (
            row,
            due_date(
                readings[row["meter_id"]],
                row["start_value"],
                row["interval_value"],
                row["base_daily_rate"],
                row["start_date"],
            ),
        )
        for row in rows
    ]
