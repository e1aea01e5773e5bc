"""The job's states: the database refuses what the table does not list."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from mts_scheduler.lifecycle import TRANSITIONS, JobState

if TYPE_CHECKING:
    from conftest import Bench

_COLUMNS = {
    JobState.HELD: "ended_at = NULL, outcome = NULL, settle_at = NULL",
    JobState.CALLED: "ended_at = NULL, outcome = NULL, settle_at = NULL, attempt = 1, call_id = gen_random_uuid()",
    JobState.DONE: "ended_at = now(), outcome = 'success', detail = ''",
    JobState.CANCELLED: "ended_at = now()",
}
_FIRST_STEPS: dict[JobState, tuple[JobState, ...]] = {
    JobState.HELD: (),
    JobState.CALLED: (JobState.CALLED,),
    JobState.DONE: (JobState.DONE,),
    JobState.CANCELLED: (JobState.CANCELLED,),
}


async def _become(bench: Bench, state: JobState) -> None:
    await bench.pool.execute(f"UPDATE scheduler.job SET state = '{state}', {_COLUMNS[state]}")  # noqa: S608


@pytest.mark.parametrize(("before", "after"), [pair for pair in product(JobState, JobState) if pair[0] != pair[1]])
async def test_a_job_moves_only_as_the_table_says(bench: Bench, before: JobState, after: JobState) -> None:
    await bench.request(1)
    for step in _FIRST_STEPS[before]:
        await _become(bench, step)
    if (before, after) in TRANSITIONS:
        await _become(bench, after)
        assert await bench.state(1) == after
    else:
        with pytest.raises(asyncpg.CheckViolationError):
            await _become(bench, after)
        assert await bench.state(1) == before


async def test_an_address_cannot_have_two_running_calls(bench: Bench) -> None:
    insert = (
        "INSERT INTO scheduler.call (call_id, dialler, nonce, client_id, kind, canonical_address, coms_settings, "
        "remote_address, transport, started_at) VALUES ($1, 'd1', $1, 1, 'immediate', 'a:1', '', 'a:1', 'tcp', now())"
    )
    await bench.pool.execute(insert, uuid4())
    with pytest.raises(asyncpg.UniqueViolationError):
        await bench.pool.execute(insert, uuid4())


@pytest.mark.parametrize(
    "broken",
    ["terms = NULL", "client_id = NULL", "state = 'done', ended_at = now()", "settle_at = now()", "counted = 1"],
)
async def test_a_job_that_makes_no_sense_is_refused(bench: Bench, broken: str) -> None:
    await bench.request(1)
    with pytest.raises(asyncpg.CheckViolationError):
        await bench.pool.execute(f"UPDATE scheduler.job SET {broken}")  # noqa: S608
