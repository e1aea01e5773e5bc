"""Keeping due dates true to the readings: within the transaction of whoever has changed what they depend on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from mts_common.database import Connection
from mts_gateway.warranty.due_date import Reading, due_date
from mts_gateway.warranty.statements import SQL

ONE_MORE = 1
NO_VERSION = 0  # what is changed for a preview, or together with a change that is counted already


@dataclass(frozen=True, slots=True)
class Terms:
    """What a due date depends on beside readings."""

    meter_id: int
    start: Decimal
    interval: Decimal | None
    base_daily_rate: Decimal | None
    contract_start: date


async def recalculate(connection: Connection, meter_ids: Iterable[int]) -> None:
    """Calculate anew, and store where they changed, the due dates of all enabled contract meters of these meters, and
    the expirations of their contracts; each stored change is one version more, by SYSTEM.

    Runs in the caller's transaction, after the caller's change of readings: it takes the lock on the meters' assets
    first, so that of two changes at once the later one sees what the earlier has stored.
    """
    meters = sorted(set(meter_ids))
    await connection.fetch(SQL["lock_assets_of_meters"], meters)
    contract_ids = await _renew(connection, meters, [], ONE_MORE)
    await connection.execute(SQL["refresh_expiration"], contract_ids, ONE_MORE)


async def recalculate_contract(connection: Connection, contract_id: int, versions: int) -> None:
    """The same for the meters of a contract whose asset the caller has locked; its expiration is left to the caller."""
    await _renew(connection, [], [contract_id], versions)


async def due_dates(connection: Connection, terms: Sequence[Terms]) -> list[date | None]:
    """The due dates on these terms and the stored readings."""
    readings: dict[int, list[Reading]] = defaultdict(list)
    columns = [
        [each.meter_id for each in terms],
        [each.start for each in terms],
        [each.interval for each in terms],
    ]
    for read in await connection.fetch(SQL["readings_that_tell"], *columns):
        readings[read["place"] - 1].append((read["read_at"], read["value"]))
    return [
        due_date(readings[place], each.start, each.interval, each.base_daily_rate, each.contract_start)
        for place, each in enumerate(terms)
    ]


async def _renew(
    connection: Connection, meter_ids: Sequence[int], contract_ids: Sequence[int], versions: int
) -> list[int]:
    """Store the due dates that changed; the contracts they belong to."""
    rows = await connection.fetch(SQL["enabled_contract_meters"], meter_ids, contract_ids)
    terms = [
        Terms(row["meter_id"], row["start_value"], row["interval_value"], row["base_daily_rate"], row["start_date"])
        for row in rows
    ]
    changed = [
        (row, due)
        for row, due in zip(rows, await due_dates(connection, terms), strict=True)
        if due != row["calculated_due_date"]
    ]
    if changed:
        ids = [row["contract_meter_id"] for row, _ in changed]
        await connection.execute(SQL["store_due_dates"], ids, [due for _, due in changed], versions)
    return sorted({row["contract_id"] for row, _ in changed})
