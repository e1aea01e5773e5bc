"""What the events that reach the scheduler change: idempotent, in any order, any number of times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from mts_common import database, failpoints, telemetry
from mts_common.consumer import Rejected
from mts_common.database import Pool
from mts_common.messages import AttemptFinished, CallFinished, RunWindow, TestRequested, TestTerms
from mts_scheduler.decide import AttemptEnd, decide
from mts_scheduler.lifecycle import Lane
from mts_scheduler.settings import SchedulerSettings
from mts_scheduler.statements import SQL
from mts_scheduler.verdicts import Verdict, lock_jobs, standing_before_attempt, write

_TERMS = set(TestTerms.model_fields) - {"traceparent"}


@dataclass(frozen=True, slots=True)
class Consumers:
    """The handlers of the scheduler's event queues; `changed` is called after each commit."""

    pool: Pool
    settings: SchedulerSettings
    changed: Callable[[], None]

    async def requested(self, items: list[TestRequested]) -> None:
        """Hold tests. One that is cancelled, or known at all, stays as it is.

        Raises `Rejected` for a request so old that its test may have been done and forgotten.
        """
        newest = {item.test_id: item for item in items}
        async with database.transaction(self.pool) as connection:
            oldest = await connection.fetchval(SQL["oldest_kept"], self.settings.job_keep_days)
            for item in newest.values():
                if item.received_at < oldest:
                    raise Rejected(f"test {item.test_id} was requested before {oldest:%Y-%m-%d}, it may have been done")
            await connection.execute(SQL["hold_requested"], list(map(_job, newest.values())))
            await connection.execute(SQL["open_lanes"], _lanes(newest.values()))
        self.changed()

    async def attempt_finished(self, items: list[AttemptFinished]) -> None:
        """Decide what follows from attempts. Only a job's newest attempt counts, once, and lost or not."""
        ends = {(item.test_id, item.attempt): item for item in items}
        async with database.transaction(self.pool) as connection:
            jobs = await lock_jobs(connection, (item.test_id for item in items))
            verdicts = [
                self._verdict(job, ends[job["test_id"], job["attempt"]])
                for job in jobs
                if (job["test_id"], job["attempt"]) in ends and job["reported"] != job["attempt"]
            ]
            await write(connection, verdicts, self.settings.settle_after_seconds)
        failpoints.reach("scheduler.decided")
        self.changed()

    def _verdict(self, job: asyncpg.Record, item: AttemptFinished) -> Verdict:
        attributes = {"mts.test_id": item.test_id, "mts.attempt": item.attempt, "mts.outcome": item.outcome.value}
        with telemetry.span("decide", parent=item.traceparent or job["traceparent"], attributes=attributes) as span:
            end = AttemptEnd(item.outcome, item.failure, item.detail, item.sections)
            decision = decide(standing_before_attempt(job), end, self.settings.rules)
            span.set_attribute("mts.decision", type(decision).__name__)
        return Verdict(job, decision, reported=True)

    async def call_finished(self, items: list[CallFinished]) -> None:
        """Free the addresses of calls whose line is down."""
        async with database.transaction(self.pool) as connection:
            await connection.execute(SQL["end_calls"], [item.call_id for item in items], "finished")
        self.changed()


def _job(item: TestRequested) -> dict[str, Any]:
    return {
        "test_id": item.test_id,
        "client_id": item.client_id,
        "kind": _lane(item),
        "transport": item.transport,
        "canonical_address": item.canonical_address,
        "coms_settings": item.coms_settings or "",
        "terms": item.model_dump(mode="json", include=_TERMS),
        "traceparent": item.traceparent,
        "received_at": item.received_at.isoformat(),
    }


def _lane(item: TestRequested) -> Lane:
    return Lane.IMMEDIATE if item.immediate else Lane.OVERNIGHT


def _lanes(items: Iterable[TestRequested]) -> list[dict[str, Any]]:
    newest: dict[tuple[int, Lane], TestRequested] = {}
    for item in sorted(items, key=lambda item: item.test_id):
        newest[item.client_id, _lane(item)] = item
    return [
        {"client_id": client_id, "kind": lane, "windows": _windows(lane, item.run_windows), "test_id": item.test_id}
        for (client_id, lane), item in newest.items()
    ]


def _windows(lane: Lane, windows: Sequence[RunWindow] | None) -> list[dict[str, Any]]:
    """As the lane keeps them: none = those of the settings."""
    return [window.model_dump(mode="json") for window in windows or ()] if lane is Lane.OVERNIGHT else []
