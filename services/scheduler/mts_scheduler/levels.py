"""What the scheduler's tables say of work and lines, as metrics; diallers are scaled by some of it."""

from __future__ import annotations

from mts_common import metrics
from mts_common.database import Connection
from mts_common.levels import Levels
from mts_scheduler.grants import Grants
from mts_scheduler.statements import SQL
from mts_scheduler.verdicts import OUTBOX

CLIENTS = 50  # shown one by one


def job_levels(grants: Grants) -> Levels:
    """Tests that wait, those that are due, and ends that may not have reached results."""

    async def read(connection: Connection) -> None:
        for row in await connection.fetch(SQL["waiting_levels"], await grants.openings(connection)):
            labels: dict[metrics.Lane | metrics.Transport, str] = {
                "mts.lane": row["kind"],
                "mts.transport": row["transport"],
            }
            metrics.HELD.set(row["held"], labels)
            metrics.ON_HOLD.set(row["on_hold"], labels)
            metrics.DUE.set(row["due"], labels)
            metrics.DUE_AGE.set(row["due_age"], labels)
        clients = await connection.fetch(SQL["client_levels"], CLIENTS)
        metrics.HELD_OF_CLIENT.set_all((row["held"], {"mts.client_id": row["client"]}) for row in clients)
        metrics.UNSETTLED_AGE.set(await connection.fetchval(SQL["unsettled_age"]), {"mts.schema": OUTBOX.schema})

    return Levels(
        (metrics.HELD, metrics.ON_HOLD, metrics.DUE, metrics.DUE_AGE, metrics.HELD_OF_CLIENT, metrics.UNSETTLED_AGE),
        read,
    )


def line_levels() -> Levels:
    """Diallers with a lease, their lines, the calls under way, and the addresses left alone."""

    async def read(connection: Connection) -> None:
        for row in await connection.fetch(SQL["line_levels"]):
            labels: dict[metrics.Transport, str] = {"mts.transport": row["transport"]}
            metrics.LEASES.set(row["diallers"], labels)
            metrics.LEASED_LINES.set(row["lines"], labels)
            metrics.RUNNING_CALLS.set(row["running"], labels)
            metrics.ORPHANED_CALLS.set(row["orphaned"], labels)
        metrics.QUARANTINED.set(await connection.fetchval(SQL["quarantined"]))

    return Levels(
        (metrics.LEASES, metrics.LEASED_LINES, metrics.RUNNING_CALLS, metrics.ORPHANED_CALLS, metrics.QUARANTINED),
        read,
    )
