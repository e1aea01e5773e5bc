"""Storing attempts' reports, and putting together those that came in parts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from mts_common.consumer import Rejected
from mts_common.database import Connection, to_json
from mts_common.messages import AttemptReport, AttemptReportPart, decode
from mts_results.statements import SQL
from mts_results.tracing import item_spans

MAX_PARTS = 16
MAX_PART_BYTES = 8 * 1024**2

_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def check_part(part: AttemptReportPart) -> None:
    """Raises `Rejected` if the part is not one of a report of a size that is taken."""
    if not 0 <= part.part < part.parts <= MAX_PARTS:
        raise Rejected(f"part {part.part} of {part.parts}: parts count from 0 to at most {MAX_PARTS - 1}")
    if len(part.body) > MAX_PART_BYTES:
        raise Rejected(f"a part of {len(part.body)} bytes: at most {MAX_PART_BYTES} are taken")


async def store_parts(connection: Connection, parts: Sequence[AttemptReportPart], now: datetime) -> list[AttemptReport]:
    """Keep `parts`, whose tests the caller has locked; the reports that are whole now, their parts taken away.

    Raises `MalformedMessage` or `Rejected` if the parts together are not the report they are numbered for.
    """
    columns = zip(*{(p.test_id, p.attempt, p.part): _part_row(p) for p in parts}.values(), strict=True)
    await connection.execute(SQL["store_parts"], *columns, now)
    whole = await connection.fetch(SQL["whole_reports"], sorted({part.test_id for part in parts}))
    return [await _put_together(connection, row["test_id"], row["attempt"]) for row in whole]


async def store_reports(connection: Connection, reports: Sequence[AttemptReport]) -> None:
    """Keep `reports`, whose tests the caller has locked, each under a span of its own trace."""
    distinct = {(report.test_id, report.attempt): report for report in reports}
    traced = [key for key, report in distinct.items() if report.wire_trace]
    with item_spans("store report", distinct.values()):
        rows = zip(*map(_report_row, distinct.values()), strict=True)
        await connection.execute(SQL["store_attempts"], *rows)
        if traced:
            traces = zip(*((*key, distinct[key].wire_trace) for key in traced), strict=True)
            await connection.execute(SQL["store_traces"], *traces)


def storable(text: str) -> str:
    """JSON that jsonb takes: a NUL that a meter sent becomes a replacement character."""
    return _NUL.sub(r"\1\\ufffd", text) if r"\u0000" in text else text


def storable_text(text: str) -> str:
    """Text that a text column takes, likewise."""
    return text.replace("\0", "\ufffd")


async def _put_together(connection: Connection, test_id: int, attempt: int) -> AttemptReport:
    bodies = {row["part"]: row["body"] for row in await connection.fetch(SQL["take_parts"], test_id, attempt)}
    reports = decode(AttemptReport, b"".join(bodies[part] for part in sorted(bodies)))
    if [(report.test_id, report.attempt) for report in reports] != [(test_id, attempt)]:
        raise Rejected(f"the parts for test {test_id}, attempt {attempt} are not its report")
    return reports[0]


def _part_row(part: AttemptReportPart) -> tuple[object, ...]:
    return (part.test_id, part.attempt, part.part, part.parts, part.body)


def _report_row(report: AttemptReport) -> tuple[object, ...]:
    body = report.model_dump(mode="json", include={"sections"})
    return (
        report.test_id,
        report.attempt,
        report.call_id,
        report.outcome,
        report.failure,
        storable_text(report.detail),
        report.times.started_at,
        report.times.ended_at,
        report.times.connection_started_at,
        report.times.connection_ended_at,
        storable(to_json(body["sections"])),
        storable(report.data.model_dump_json()),
    )
