"""Projection search: every requested test, as it is found."""

from __future__ import annotations

from collections.abc import Sequence

from mts_common.database import Connection
from mts_common.messages import TestRequested
from mts_results.history import History
from mts_results.render import PENDING, summary
from mts_results.statements import SQL


async def apply(connection: Connection, histories: Sequence[History]) -> None:
    """A test has a row from the moment that its request is known."""
    rows = [_row(history, history.request) for history in histories if history.request and not history.cancelled]
    hidden = {history.test_id for history in histories if history.cancelled}
    if hidden:
        await connection.execute(SQL["delete_search"], sorted(hidden))
    if rows:
        await connection.execute(SQL["put_search"], *zip(*rows, strict=True))


def _row(history: History, request: TestRequested) -> tuple[object, ...]:
    finished = history.finished if history.completed else None
    return (
        history.test_id,
        request.client_id,
        request.batch_id,
        request.request_reference,
        request.meter_type,
        request.remote_address,
        request.received_at,
        finished.finished_at if finished else None,
        summary(finished) if finished else PENDING,
    )
