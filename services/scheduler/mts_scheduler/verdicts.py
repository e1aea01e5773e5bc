"""Writing down what has been decided about tests, and telling it, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import asyncpg

from mts_common import metrics
from mts_common.database import Connection
from mts_common.messages import FailureKind, Outcome, Section, SectionState, TestFinished
from mts_common.outbox import Outbox
from mts_scheduler.decide import Final, HoldAgain, Standing
from mts_scheduler.statements import SQL

OUTBOX = Outbox("scheduler")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A locked job and what was decided about it.

    `reported`: the newest attempt has a report. `alone`: it must not share its next call.
    """

    job: asyncpg.Record
    decision: HoldAgain | Final
    reported: bool = False
    alone: bool = False


async def lock_jobs(connection: Connection, test_ids: Iterable[int]) -> list[asyncpg.Record]:
    """Lock those of the jobs that are held or called, in the order of their ids."""
    return await connection.fetch(SQL["lock_jobs"], sorted(set(test_ids)))


def standing_of(job: asyncpg.Record) -> Standing:
    """What the job has used up so far."""
    sections = {Section(name): SectionState(state) for name, state in job["sections"].items()}
    return Standing(job["tries"], job["costless"], sections)


def standing_before_attempt(job: asyncpg.Record) -> Standing:
    """What the job had used up before its newest attempt, which may have been counted as lost already."""
    standing = standing_of(job)
    if job["attempt"] > 0 and job["counted"] == job["attempt"]:
        return replace(standing, tries=standing.tries - 1)
    return standing


async def write(connection: Connection, verdicts: Sequence[Verdict], settle_after: float) -> None:
    """Carry out the verdicts about jobs that the transaction has locked; final ones are told."""
    if not verdicts:
        return
    rows = await connection.fetch(SQL["end_attempts"], list(map(_row, verdicts)), settle_after)
    await OUTBOX.put(connection, [finished(row) for row in rows if row["state"] == "done"])
    _measure(verdicts, {row["test_id"]: row["ended_at"] for row in rows})


def _measure(verdicts: Sequence[Verdict], ended_at: Mapping[int, datetime]) -> None:
    """Lengths of time by the database's clock alone."""
    for verdict in verdicts:
        job, decision = verdict.job, verdict.decision
        failure = decision.failure or ""
        if isinstance(decision, Final):
            metrics.COMPLETED.add(
                1,
                {
                    "mts.client_id": str(job["client_id"]),
                    "mts.lane": job["kind"],
                    "mts.outcome": decision.outcome,
                    "mts.failure": failure,
                },
            )
            if job["test_id"] in ended_at:
                taken = ended_at[job["test_id"]] - job["received_at"]
                metrics.TEST_DURATION.record(taken.total_seconds(), {"mts.lane": job["kind"]})
        else:
            metrics.REPEATED.add(1, {"mts.failure": failure})


def _row(verdict: Verdict) -> dict[str, Any]:
    job, decision = verdict.job, verdict.decision
    row: dict[str, Any] = {
        "test_id": job["test_id"],
        "attempt": job["attempt"],
        "tries": decision.standing.tries,
        "costless": decision.standing.costless,
        "sections": decision.standing.sections,
        "counted": job["attempt"] if decision.standing.tries > standing_before_attempt(job).tries else job["counted"],
        "reported": job["attempt"] if verdict.reported else job["reported"],
        "alone": verdict.alone,
        "failure": decision.failure,
    }
    if isinstance(decision, Final):
        return row | {"final": True, "outcome": decision.outcome, "detail": decision.detail}
    not_before = job["not_after"] if decision.failure is FailureKind.WINDOW_CLOSED else None
    return row | {"final": False, "pause": decision.pause_seconds, "not_before": _iso(not_before)}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def finished(job: asyncpg.Record) -> TestFinished:
    """What is told of a job that is done."""
    return TestFinished(
        test_id=job["test_id"],
        attempt=job["reported"],
        outcome=Outcome(job["outcome"]),
        failure=FailureKind(job["failure"]) if job["failure"] else None,
        detail=job["detail"],
        finished_at=job["ended_at"],
        traceparent=job["traceparent"],
    )
