"""Projection status: how far a test is and, once it is complete, what was read."""

from __future__ import annotations

from collections.abc import Sequence

from mts_common.database import Connection, to_json
from mts_results.history import History
from mts_results.merge import merge_reports, merge_times
from mts_results.render import PENDING, render, summary
from mts_results.statements import SQL


async def apply(connection: Connection, histories: Sequence[History]) -> None:
    """A test has a row from the moment that anything of an attempt or its outcome is known."""
    shown = [history for history in histories if not history.cancelled and (history.attempts or history.finished)]
    hidden = {history.test_id for history in histories} - {history.test_id for history in shown}
    if hidden:
        await connection.execute(SQL["delete_status"], sorted(hidden))
    if shown:
        await connection.execute(SQL["put_status"], *zip(*map(_status_row, shown), strict=True))
        await _apply_data(connection, [history for history in shown if history.with_data])


async def _apply_data(connection: Connection, histories: Sequence[History]) -> None:
    completed = [history for history in histories if history.completed]
    incomplete = [history.test_id for history in histories if not history.completed]
    if incomplete:
        await connection.execute(SQL["delete_status_data"], incomplete)
    if completed:
        await connection.execute(SQL["put_status_data"], *zip(*map(_data_row, completed), strict=True))


def _status_row(history: History) -> tuple[object, ...]:
    completed = history.completed
    times = merge_times(history.attempts)
    return (
        history.test_id,
        completed,
        summary(history.finished) if completed and history.finished else PENDING,
        times.test_started_at,
        times.test_ended_at,
        times.connection_started_at,
        times.connection_ended_at,
        history.finished.finished_at if completed and history.finished else None,
    )


def _data_row(history: History) -> tuple[object, ...]:
    merged = merge_reports([attempt.report for attempt in history.attempts if attempt.report is not None])
    shown = render(merged)
    lists = (
        shown.status_events,
        shown.meter_properties,
        shown.profile_configuration,
        shown.registers,
        shown.survey,
    )
    texts = (None if items is None else to_json(items) for items in lists)
    return (history.test_id, shown.serial_number, shown.meter_time, *texts)
