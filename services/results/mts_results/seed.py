"""Replacing all readings of devices at once: maintenance, done with the rest of a registry seed in its transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from mts_common.database import Connection
from mts_results.months import ensure_months
from mts_results.statements import SQL

Measurement = tuple[str, datetime, str, Decimal]
"""Device, start of the period, channel, value."""
Register = tuple[str, str, datetime, Decimal]
"""Device, register, time, value."""
Fact = tuple[str, str | None, datetime | None]
"""Device, firmware, end of its last test."""


async def replace_readings(
    connection: Connection,
    measurements: Sequence[Measurement],
    registers: Sequence[Register],
    facts: Sequence[Fact],
    now: datetime,
) -> None:
    """Make these, and nothing else, what is known of devices. Their readings count as read `now`.

    Waits for those who read the tables, and they for it, until the caller's transaction ends.
    """
    await connection.execute(SQL["forget_readings"])
    await _copy(
        connection,
        "measurement",
        ("device_id", "starts_at", "channel", "value", "read_at"),
        [(*each, now) for each in measurements],
        [starts_at for _, starts_at, _, _ in measurements],
    )
    await _copy(
        connection,
        "register_reading",
        ("device_id", "register", "read_at", "value"),
        registers,
        [read_at for _, _, read_at, _ in registers],
    )
    await connection.execute(SQL["seed_facts"], *([fact[column] for fact in facts] for column in range(3)))
    await connection.execute(SQL["note_newest_readings"])
    await connection.execute(SQL["count_all_periods"])


async def _copy(
    connection: Connection,
    table: str,
    columns: Sequence[str],
    rows: Sequence[tuple[object, ...]],
    moments: Sequence[datetime],
) -> None:
    await ensure_months(connection, table, moments)
    await connection.copy_records_to_table(table, schema_name="results", columns=columns, records=rows)
