"""What is known of a test, put together from the stored requests, reports, calls and outcomes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
from pydantic import TypeAdapter

from mts_common.database import Connection
from mts_common.messages import (
    AttemptTimes,
    FailureKind,
    MeterData,
    Outcome,
    Section,
    SectionResult,
    TestFinished,
    TestRequested,
)
from mts_results.statements import SQL

Sections = Mapping[Section, SectionResult]

_SECTIONS: TypeAdapter[dict[Section, SectionResult]] = TypeAdapter(dict[Section, SectionResult])


@dataclass(frozen=True, slots=True)
class Report:
    """An attempt's report without its wire trace."""

    times: AttemptTimes
    sections: Sections = field(default_factory=dict)
    data: MeterData = field(default_factory=MeterData)


@dataclass(frozen=True, slots=True)
class Line:
    """When the call of an attempt was connected, as the end of the call told it."""

    connected_at: datetime | None
    disconnected_at: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, of which the report, the end of its call or both have arrived."""

    number: int
    report: Report | None = None
    line: Line | None = None


@dataclass(frozen=True, slots=True)
class History:
    """One test: `attempts` rise by number. Without `with_data` the reports' data were left in the database."""

    test_id: int
    request: TestRequested | None = None
    attempts: tuple[Attempt, ...] = ()
    finished: TestFinished | None = None
    cancelled: bool = False
    with_data: bool = True

    @property
    def completed(self) -> bool:
        """The final word is here, and so is the report of the attempt it names, if it names one."""
        if self.finished is None:
            return False
        reported = {attempt.number for attempt in self.attempts if attempt.report is not None}
        return self.finished.attempt is None or self.finished.attempt in reported


async def load(connection: Connection, test_ids: Sequence[int], *, with_data: bool) -> list[History]:
    """The histories of those of `test_ids` that are known, by id. Data are loaded of finished tests alone."""
    attempts: dict[int, list[Attempt]] = defaultdict(list)
    for row in await connection.fetch(SQL["load_attempts"], test_ids, with_data):
        attempts[row["test_id"]].append(_attempt(row))
    return [
        History(
            test_id=row["test_id"],
            request=TestRequested.model_validate_json(row["item"]) if row["item"] else None,
            attempts=tuple(attempts[row["test_id"]]),
            finished=_finished(row),
            cancelled=row["cancelled_at"] is not None,
            with_data=with_data,
        )
        for row in await connection.fetch(SQL["load_tests"], test_ids)
    ]


def _attempt(row: asyncpg.Record) -> Attempt:
    connected, disconnected = row["line_connected_at"], row["line_disconnected_at"]
    line = Line(connected, disconnected) if connected or disconnected else None
    return Attempt(row["attempt"], _report(row) if row["started_at"] else None, line)


def _report(row: asyncpg.Record) -> Report:
    return Report(
        times=AttemptTimes(
            started_at=row["started_at"],
            ended_at=row["ended_at"],
            connection_started_at=row["connection_started_at"],
            connection_ended_at=row["connection_ended_at"],
        ),
        sections=_SECTIONS.validate_json(row["sections"]),
        data=MeterData.model_validate_json(row["data"]) if row["data"] else MeterData(),
    )


def _finished(row: asyncpg.Record) -> TestFinished | None:
    if row["finished_at"] is None:
        return None
    return TestFinished(
        test_id=row["test_id"],
        attempt=row["attempt"],
        outcome=Outcome(row["outcome"]),
        failure=FailureKind(row["failure"]) if row["failure"] else None,
        detail=row["detail"],
        finished_at=row["finished_at"],
    )
