"""Whatever order and number of messages arrive, a test's rows come out the same."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from mts_common import metrics
from mts_common.consumer import Rejected
from mts_common.database import Pool
from mts_common.messages import (
    AttemptReport,
    AttemptReportPart,
    CallFinished,
    FailureKind,
    MalformedMessage,
    MeterData,
    Outcome,
    Section,
    SectionState,
    TestCancelled,
    TestFinished,
    TestRequested,
    encode,
)
from mts_results.ingest import Ingest
from mts_results.projections import PROJECTIONS
from mts_results.rebuild import rebuild
from mts_results.render import NO_TIME
from mts_stack.scrapes import Scrape

Make = Callable[..., Any]
View = Callable[[str, int], Awaitable[dict[str, Any] | None]]

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
FAILED, PARTIAL, READ = SectionState
VIEWS = ("test_status", "test_search")


async def tell(ingest: Ingest, messages: Sequence[Any]) -> None:
    """Hand the messages over as their queues would, all of a queue in one batch."""
    handlers: list[tuple[tuple[type, ...], Callable[[list[Any]], Awaitable[None]]]] = [
        ((TestRequested,), ingest.requests),
        ((AttemptReport, AttemptReportPart), ingest.reports),
        ((CallFinished,), ingest.calls),
        ((TestFinished, TestCancelled), ingest.outcomes),
    ]
    for kinds, handler in handlers:
        if batch := [message for message in messages if isinstance(message, kinds)]:
            await handler(batch)


@pytest.fixture
def story(requested: Make, report: Make, call: Make, finished: Make, energy: Make) -> Callable[[int], list[Any]]:
    """A test that is done in two attempts: the first reads a part, the second the registers."""

    def make(test_id: int) -> list[Any]:
        first = report(
            test_id,
            1,
            {Section.SERIAL_NUMBER: READ, Section.REGISTERS: PARTIAL, Section.STATUS_EVENTS: FAILED},
            outcome=Outcome.PARTIAL,
            failure=FailureKind.DROPPED,
            data=energy("1", serial_number="K123"),
        )
        second = report(
            test_id,
            2,
            {Section.SERIAL_NUMBER: FAILED, Section.REGISTERS: READ, Section.STATUS_EVENTS: READ},
            data=energy("2.50", status_events=["cover open"]),
        )
        return [requested(test_id), first, call(1, test_id), second, call(2, test_id), finished(test_id, 2)]

    return make


STORY_STATUS: dict[str, Any] = {
    "completed": True,
    "result_summary": "SUCCESS",
    "test_started_at": START + timedelta(hours=1),
    "test_ended_at": START + timedelta(hours=2, seconds=90),
    "connection_started_at": START + timedelta(hours=2, seconds=1),
    "connection_ended_at": START + timedelta(hours=2, seconds=90),
    "completed_at": START + timedelta(days=1),
    "serial_number": "K123",
    "meter_time": NO_TIME,
    "status_events": ["cover open"],
    "meter_properties": None,
    "profile_configuration": None,
    "registers": [
        {
            "category": "Energy",
            "name": "kWh Import",
            "timestamp": "2026-03-01T12:00:00Z",
            "value": Decimal("2.50"),
            "units": "kWh",
        }
    ],
    "survey": None,
}
STORY_SEARCH: dict[str, Any] = {
    "client_id": 7,
    "batch_id": 70,
    "request_reference": "MPAN 1",
    "meter_type": "ELSTERA1700",
    "remote_address": "Meter.Example:1153",
    "received_at": START - timedelta(minutes=5),
    "completed_at": START + timedelta(days=1),
    "result_summary": "SUCCESS",
}


async def test_every_order_of_a_tests_messages_gives_the_same_rows(
    pool: Pool, ingest: Ingest, view: View, story: Callable[[int], list[Any]]
) -> None:
    orders = [
        [messages[place] for place in order]
        for order, messages in zip(itertools.permutations(range(6)), map(story, range(720)), strict=True)
    ]
    for step in zip(*orders, strict=True):
        await tell(ingest, step)
    for test_id in range(720):
        assert await view("test_status", test_id) == STORY_STATUS
        assert await view("test_search", test_id) == STORY_SEARCH
    assert await pool.fetchval("SELECT count(*) FROM results_v1.wire_trace") == 2 * 720


@pytest.mark.parametrize("seed", range(3))
async def test_messages_that_come_several_times_through_several_processes_have_one_effect(
    pool: Pool, ingest: Ingest, view: View, story: Callable[[int], list[Any]], seed: int
) -> None:
    messages = [message for test_id in range(40) for message in story(test_id)] * 3
    random.Random(seed).shuffle(messages)  # noqa: S311
    async with asyncio.timeout(60), asyncio.TaskGroup() as processes:
        for part in range(4):
            for start in range(part * 180, (part + 1) * 180, 45):
                processes.create_task(tell(ingest, messages[start : start + 45]), name=f"process {part}")
    for test_id in range(40):
        assert await view("test_status", test_id) == STORY_STATUS
        assert await view("test_search", test_id) == STORY_SEARCH
    assert await pool.fetchval("SELECT count(*) FROM results_v1.wire_trace") == 80


async def test_a_requested_test_is_found_and_has_no_status_yet(ingest: Ingest, view: View, requested: Make) -> None:
    await tell(ingest, [requested(1)])
    assert await view("test_search", 1) == STORY_SEARCH | {"completed_at": None, "result_summary": "PENDING"}
    assert await view("test_status", 1) is None


async def test_an_attempts_times_show_while_the_test_is_pending_and_its_data_do_not(
    ingest: Ingest, view: View, story: Callable[[int], list[Any]]
) -> None:
    await tell(ingest, story(1)[:2])
    pending: dict[str, Any] = dict.fromkeys(STORY_STATUS)
    assert await view("test_status", 1) == pending | {
        "completed": False,
        "result_summary": "PENDING",
        "test_started_at": START + timedelta(hours=1),
        "test_ended_at": START + timedelta(hours=1, seconds=60),
        "connection_started_at": START + timedelta(hours=1, seconds=2),
    }


async def test_a_test_is_not_complete_without_the_attempt_its_outcome_names(
    ingest: Ingest, view: View, report: Make, finished: Make
) -> None:
    await tell(ingest, [report(1, 1), finished(1, 2)])
    status = await view("test_status", 1)
    assert status is not None
    assert (status["completed"], status["completed_at"], status["result_summary"]) == (False, None, "PENDING")


async def test_a_test_that_was_never_tried_completes_by_its_outcome_alone(
    ingest: Ingest, view: View, requested: Make, finished: Make
) -> None:
    word = finished(1, None, outcome=Outcome.ERROR, detail="not started in 7 windows")
    await tell(ingest, [requested(1), word])
    for name in VIEWS:
        row = await view(name, 1)
        assert row is not None
        assert row["result_summary"] == "ERROR: not started in 7 windows"
        assert row["completed_at"] == word.finished_at


async def test_the_later_final_word_stands_in_any_order(
    ingest: Ingest, view: View, report: Make, finished: Make
) -> None:
    words = [
        finished(0, 1, outcome=Outcome.ERROR, detail="too early"),
        finished(0, 2, finished_at=START + timedelta(days=2), outcome=Outcome.PARTIAL),
        finished(0, None, finished_at=START + timedelta(days=2), outcome=Outcome.SUCCESS),
    ]
    for test_id, order in enumerate(itertools.permutations(words)):
        for word in order:
            await tell(ingest, [word.model_copy(update={"test_id": test_id})])
        status = await view("test_status", test_id)
        assert status is not None
        assert (status["completed"], status["result_summary"]) == (True, "SUCCESS")


async def test_what_an_attempt_read_is_not_lost_to_a_later_one_that_read_nothing(
    ingest: Ingest, view: View, report: Make, finished: Make, energy: Make
) -> None:
    first = report(1, 1, {Section.REGISTERS: PARTIAL}, data=energy("1"))
    second = report(1, 2, {Section.REGISTERS: FAILED}, outcome=Outcome.ERROR, failure=FailureKind.BUSY)
    await tell(ingest, [first, second, finished(1, 2, outcome=Outcome.PARTIAL)])
    status = await view("test_status", 1)
    assert status is not None
    assert [register["value"] for register in status["registers"]] == [1]


@pytest.mark.parametrize("place", range(7))
async def test_a_cancelled_test_is_gone_for_ever_whatever_arrives(
    pool: Pool,
    ingest: Ingest,
    view: View,
    story: Callable[[int], list[Any]],
    cancelled: Make,
    place: int,
) -> None:
    messages = story(1)
    for message in [*messages[:place], cancelled(1), *messages[place:], cancelled(1)]:
        await tell(ingest, [message])
    for name in VIEWS:
        assert await view(name, 1) is None
    for table in ("request", "attempt", "trace", "line", "outcome", "status_data"):
        assert await pool.fetchval(f"SELECT count(*) FROM results.{table}") == 0  # noqa: S608


async def test_a_cancel_and_an_outcome_in_one_batch_leave_nothing(
    ingest: Ingest, view: View, finished: Make, cancelled: Make
) -> None:
    await tell(ingest, [finished(1, None), cancelled(1), finished(2, None)])
    assert await view("test_status", 1) is None
    assert await view("test_status", 2) is not None


@pytest.mark.parametrize(
    "text",
    ["0.00000", "0", "-1990.000", "123456789012345678901234567890.123456789", "1E+30", "1E-30", "2.50E+3", "1E+300"],
)
async def test_a_reading_keeps_every_digit(
    pool: Pool, ingest: Ingest, view: View, report: Make, finished: Make, energy: Make, text: str
) -> None:
    await tell(ingest, [report(1, 1, {Section.REGISTERS: READ}, data=energy(text)), finished(1, 1)])
    status = await view("test_status", 1)
    assert status is not None
    value = Decimal(status["registers"][0]["value"])
    assert value == Decimal(text)
    shown = await pool.fetchval("SELECT registers #>> '{0,value}' FROM results_v1.test_status")
    assert shown == format(Decimal(text), "f")
    assert await pool.fetchval("SELECT jsonb_typeof(registers #> '{0,value}') FROM results_v1.test_status") == "number"


async def test_a_nul_that_a_meter_sent_is_kept_as_a_replacement_character(
    ingest: Ingest, view: View, report: Make, finished: Make
) -> None:
    data = MeterData(serial_number="a\0b", status_events=("\\u0000 \\\0\0",))
    states = {Section.SERIAL_NUMBER: READ, Section.STATUS_EVENTS: READ}
    await tell(
        ingest,
        [
            report(1, 1, states, data=data, detail="c\0d"),
            finished(1, 1, outcome=Outcome.ERROR, detail="e\0f"),
        ],
    )
    status, trace = await view("test_status", 1), await view("wire_trace", 1)
    assert status is not None
    assert trace is not None
    assert status["serial_number"] == "a\ufffdb"
    assert status["status_events"] == ["\\u0000 \\\ufffd\ufffd"]
    assert status["result_summary"] == "ERROR: e\ufffdf"
    assert trace["detail"] == "c\ufffdd"


async def test_the_wire_trace_of_each_attempt_is_kept(ingest: Ingest, view: View, report: Make) -> None:
    await tell(ingest, [report(1, 1, outcome=Outcome.ERROR, detail="the line dropped")])
    assert await view("wire_trace", 1) == {
        "attempt": 1,
        "started_at": START + timedelta(hours=1),
        "ended_at": START + timedelta(hours=1, seconds=60),
        "outcome": "error",
        "detail": "the line dropped",
        "frames": b"\x1f\x8btrace",
    }


async def test_the_meters_password_is_not_kept(pool: Pool, ingest: Ingest, requested: Make) -> None:
    await tell(ingest, [requested(1, password="sealed-token")])
    item = await pool.fetchval("SELECT item::text FROM results.request")
    assert "sealed-token" not in item
    assert "password" not in item


def parts_of(report: AttemptReport, count: int) -> list[AttemptReportPart]:
    body = encode([report])
    size = -(-len(body) // count)
    return [
        AttemptReportPart(
            test_id=report.test_id,
            attempt=report.attempt,
            part=part,
            parts=count,
            body=body[part * size : (part + 1) * size],
        )
        for part in range(count)
    ]


async def test_a_report_in_parts_is_put_together_from_any_order(
    pool: Pool, ingest: Ingest, view: View, story: Callable[[int], list[Any]]
) -> None:
    for test_id, order in enumerate(itertools.permutations(range(3))):
        messages = story(test_id)
        parts = parts_of(messages[3], 3)
        await tell(ingest, messages[:3] + messages[4:])
        for place in order:
            status = await view("test_status", test_id)
            assert status is not None
            assert not status["completed"]
            await tell(ingest, [parts[place], parts[place]])
        await tell(ingest, parts)
        assert await view("test_status", test_id) == STORY_STATUS
    assert await pool.fetchval("SELECT count(*) FROM results.report_part") == 0


async def test_the_parts_of_a_report_may_reach_several_processes_at_once(
    ingest: Ingest, view: View, story: Callable[[int], list[Any]]
) -> None:
    messages = story(1)
    await tell(ingest, messages[:3] + messages[4:])
    async with asyncio.timeout(30), asyncio.TaskGroup() as processes:
        for part in parts_of(messages[3], 5):
            processes.create_task(ingest.reports([part]), name=f"part {part.part}")
    assert await view("test_status", 1) == STORY_STATUS


async def test_parts_that_are_not_a_report_are_refused(pool: Pool, ingest: Ingest) -> None:
    part = AttemptReportPart(test_id=1, attempt=1, part=0, parts=2, body=b"{")
    await ingest.reports([part])
    with pytest.raises(MalformedMessage):
        await ingest.reports([part.model_copy(update={"part": 1})])
    assert await pool.fetchval("SELECT count(*) FROM results.report_part") == 1


async def test_parts_of_another_tests_report_are_refused(ingest: Ingest, report: Make) -> None:
    (part,) = parts_of(report(2, 1), 1)
    with pytest.raises(Rejected, match="not its report"):
        await ingest.reports([part.model_copy(update={"test_id": 1})])


@pytest.mark.parametrize(
    "changes", [{"parts": 17}, {"part": 2}, {"part": -1}, {"body": bytes(8 * 1024**2 + 1)}, {"parts": 0, "part": 0}]
)
async def test_a_part_beyond_the_limits_is_refused(ingest: Ingest, changes: dict[str, Any]) -> None:
    part = AttemptReportPart(test_id=1, attempt=1, part=0, parts=2, body=b"")
    with pytest.raises(Rejected):
        await ingest.reports([part.model_copy(update=changes)])


async def tables(pool: Pool) -> list[list[asyncpg.Record]]:
    return [
        await pool.fetch(f"SELECT * FROM results.{table} ORDER BY test_id")  # noqa: S608
        for table in ("status", "status_data", "search")
    ]


async def test_projections_made_again_are_the_same(
    pool: Pool, ingest: Ingest, story: Callable[[int], list[Any]], cancelled: Make, finished: Make
) -> None:
    await tell(ingest, [message for test_id in range(120) for message in story(test_id)[: 1 + test_id % 6]])
    await tell(ingest, [cancelled(3), finished(900, None)])
    before = await tables(pool)
    assert all(before)
    await pool.execute("DELETE FROM results.search; UPDATE results.status SET result_summary = 'spoilt'")
    await pool.execute("UPDATE results.status_data SET registers = NULL WHERE test_id < 60")
    await pool.execute("INSERT INTO results.status (test_id, completed, result_summary) VALUES (3, true, 'stale')")
    assert await rebuild(pool, list(PROJECTIONS)) == 121
    assert await tables(pool) == before


async def test_one_projection_is_made_again_alone(
    pool: Pool, ingest: Ingest, story: Callable[[int], list[Any]]
) -> None:
    await tell(ingest, story(1))
    await pool.execute("DELETE FROM results.search; DELETE FROM results.status")
    await rebuild(pool, ["search"])
    status, _, search = await tables(pool)
    assert (len(status), len(search)) == (0, 1)


async def test_the_end_of_a_call_leaves_the_data_as_they_are(
    pool: Pool, ingest: Ingest, view: View, story: Callable[[int], list[Any]]
) -> None:
    messages = story(1)
    await tell(ingest, messages[:4] + messages[5:])
    await pool.execute("UPDATE results.status_data SET serial_number = 'not written again'")
    await tell(ingest, [messages[4]])
    assert await view("test_status", 1) == STORY_STATUS | {"serial_number": "not written again"}


async def test_the_time_until_an_outcome_can_be_read_is_measured(
    ingest: Ingest, clock: Any, requested: Make, finished: Make, metered: Callable[[], Scrape]
) -> None:
    before = metered().value(metrics.RESULT_LAG)
    clock.moment = START + timedelta(days=1, seconds=3)
    await tell(ingest, [requested(1), finished(1, None)])
    assert metered().value(metrics.RESULT_LAG) == before + 1
