"""What the scheduler does and what its tables hold, as metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from mts_common import metrics
from mts_common.amqp import Link
from mts_common.database import schema_statements
from mts_common.dead_letters import DeadLetters
from mts_common.levels import read_once
from mts_common.messages import FailureKind, RunWindow
from mts_common.publisher import Publisher
from mts_common.topology import SCHEDULER_CALLS, SCHEDULER_REQUESTS
from mts_scheduler.levels import job_levels, line_levels
from mts_scheduler.statements import SQL
from mts_scheduler.verdicts import OUTBOX
from mts_stack.scrapes import Scrape

if TYPE_CHECKING:
    from conftest import Bench

Metered = Callable[[], Scrape]

SQL_OF_DEAD = schema_statements("scheduler")


async def levels(bench: Bench, metered: Metered) -> Scrape:
    for each in (job_levels(bench.grants), line_levels(), OUTBOX.levels):
        await read_once(bench.pool, each)
    return metered()


async def test_an_empty_scheduler_has_every_level_at_zero(bench: Bench, metered: Metered) -> None:
    shown = await levels(bench, metered)
    for by_lane in (metrics.HELD, metrics.ON_HOLD, metrics.DUE, metrics.DUE_AGE):
        assert shown.levels(by_lane) == [0, 0, 0, 0]
    for by_transport in (metrics.LEASES, metrics.LEASED_LINES, metrics.RUNNING_CALLS, metrics.ORPHANED_CALLS):
        assert shown.levels(by_transport) == [0, 0]
    assert shown.levels(metrics.QUARANTINED) == [0]
    assert shown.levels(metrics.UNSETTLED_AGE, mts_schema="scheduler") == [0]
    assert shown.levels(metrics.OUTBOX_AGE, mts_schema="scheduler") == [0]


async def test_a_test_is_due_while_it_could_be_dialled(bench: Bench, metered: Metered) -> None:
    await bench.request_many([1, 2], "10.0.0.1:4001")
    await bench.request(3, immediate=False, client_id=2)
    await bench.elapse(100)
    shown = await levels(bench, metered)
    assert shown.value(metrics.HELD, mts_lane="immediate", mts_transport="tcp") == 2
    assert shown.value(metrics.DUE, mts_lane="immediate", mts_transport="tcp") == 2
    assert shown.value(metrics.DUE, mts_lane="overnight", mts_transport="tcp") == 1
    assert 99 <= shown.value(metrics.DUE_AGE, mts_lane="immediate", mts_transport="tcp") <= 160
    assert shown.value(metrics.HELD_OF_CLIENT, mts_client_id="1") == 2
    assert shown.value(metrics.HELD_OF_CLIENT, mts_client_id="2") == 1


async def test_a_test_behind_a_call_or_a_quarantine_is_held_but_not_due(bench: Bench, metered: Metered) -> None:
    await bench.request(1, "10.0.0.1:4001")
    await bench.ask_one()
    await bench.request(2, "10.0.0.1:4001")
    await bench.request(3, "10.0.0.2:4001")
    await bench.pool.execute(SQL["quarantine"], ["10.0.0.2:4001"], ["d1"], 60.0)
    shown = await levels(bench, metered)
    assert shown.value(metrics.HELD) == 2
    assert shown.value(metrics.DUE) == 0
    assert shown.value(metrics.QUARANTINED) == 1
    assert shown.value(metrics.RUNNING_CALLS, mts_transport="tcp") == 1


async def test_a_test_that_an_operator_holds_is_not_due(bench: Bench, metered: Metered) -> None:
    await bench.request_many([1, 2])
    await bench.pool.execute(SQL["hold_jobs"], [1])
    shown = await levels(bench, metered)
    assert (shown.value(metrics.HELD), shown.value(metrics.ON_HOLD), shown.value(metrics.DUE)) == (2, 1, 1)


async def test_an_overnight_test_is_due_since_its_window_opened(
    make_bench: Callable[..., Bench], run_window: Callable[[float, float], RunWindow], metered: Metered
) -> None:
    bench = make_bench(run_windows=[run_window(-600, 600)])
    await bench.request(1, immediate=False)
    await bench.elapse(7200)
    shown = await levels(bench, metered)
    assert 590 <= shown.value(metrics.DUE_AGE, mts_lane="overnight") <= 660


async def test_an_overnight_test_is_not_due_while_its_window_is_closed(
    make_bench: Callable[..., Bench], run_window: Callable[[float, float], RunWindow], metered: Metered
) -> None:
    bench = make_bench(run_windows=[run_window(3600, 7200)])
    await bench.request(1, immediate=False)
    shown = await levels(bench, metered)
    assert shown.value(metrics.HELD, mts_lane="overnight") == 1
    assert shown.levels(metrics.DUE, mts_lane="overnight") == [0, 0]


async def test_clients_with_few_tests_are_shown_together(
    bench: Bench, metered: Metered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mts_scheduler.levels.CLIENTS", 1)
    await bench.request_many([1, 2], client_id=5)
    await bench.request(3, client_id=6)
    await bench.request(4, client_id=7)
    shown = await levels(bench, metered)
    assert shown.value(metrics.HELD_OF_CLIENT, mts_client_id="5") == 2
    assert shown.value(metrics.HELD_OF_CLIENT, mts_client_id="other") == 2
    assert len(shown.levels(metrics.HELD_OF_CLIENT)) == 2


async def test_a_call_whose_dialler_has_no_lease_is_orphaned_until_it_is_lost(bench: Bench, metered: Metered) -> None:
    await bench.request(1)
    await bench.ask_one(lines=3)
    shown = await levels(bench, metered)
    assert (shown.value(metrics.LEASES), shown.value(metrics.LEASED_LINES)) == (1, 3)
    before = shown.value(metrics.LOST_CALLS)
    await bench.elapse(200)
    shown = await levels(bench, metered)
    assert (shown.value(metrics.LEASES), shown.value(metrics.ORPHANED_CALLS, mts_transport="tcp")) == (0, 1)
    await bench.leases.sweep()
    shown = await levels(bench, metered)
    assert shown.value(metrics.ORPHANED_CALLS) == 0
    assert shown.value(metrics.LOST_CALLS) == before + 1


async def test_a_grant_is_measured_once_however_often_it_is_asked_for(bench: Bench, metered: Metered) -> None:
    before = metered().value(metrics.GRANT_LAG, mts_lane="immediate", mts_transport="tcp")
    await bench.request(1)
    await bench.ask_one()
    assert metered().value(metrics.GRANT_LAG, mts_lane="immediate", mts_transport="tcp") == before + 1


async def test_final_words_and_repeats_are_counted_by_failure(bench: Bench, metered: Metered) -> None:
    before = metered()
    await bench.request(1, client_id=41)
    await bench.end(await bench.ask_one(), FailureKind.BUSY)
    await bench.end(await bench.ask_one())
    await bench.request(2, client_id=41)
    await bench.end(await bench.ask_one(), FailureKind.WRONG_PASSWORD)
    shown = metered()
    assert shown.value(metrics.REPEATED, mts_failure="busy") == before.value(metrics.REPEATED, mts_failure="busy") + 1
    assert shown.value(metrics.COMPLETED, mts_client_id="41", mts_outcome="success", mts_failure="") == 1
    assert shown.value(metrics.COMPLETED, mts_client_id="41", mts_failure="wrong_password") == 1
    assert shown.value(metrics.TEST_DURATION) == before.value(metrics.TEST_DURATION) + 2


async def test_ends_that_results_has_not_confirmed_have_an_age(bench: Bench, metered: Metered) -> None:
    await bench.request(1)
    await bench.end(await bench.ask_one())
    await bench.elapse(300)
    shown = await levels(bench, metered)
    assert 299 <= shown.value(metrics.UNSETTLED_AGE, mts_schema="scheduler") <= 360
    assert shown.value(metrics.OUTBOX_SIZE, mts_schema="scheduler") == 1


async def test_levels_that_cannot_be_read_are_not_shown(bench: Bench, metered: Metered) -> None:
    await levels(bench, metered)
    await bench.pool.execute("ALTER TABLE scheduler.quarantine RENAME TO elsewhere")
    shown = await levels(bench, metered)
    assert shown.levels(metrics.DUE) == []
    assert shown.levels(metrics.QUARANTINED) == []
    assert shown.levels(metrics.OUTBOX_AGE, mts_schema="scheduler") == [0]


async def test_dead_letters_that_are_kept_are_shown_by_their_queue(bench: Bench, metered: Metered) -> None:
    letters = DeadLetters(bench.pool, "scheduler", Publisher(Link("amqp://nowhere", "test")))
    await bench.pool.execute(SQL_OF_DEAD["bury"], [SCHEDULER_CALLS.name], ["call.finished"], ["broken"], [b"{"], [None])
    await read_once(bench.pool, letters.levels)
    shown = metered()
    assert shown.levels(metrics.DEAD_LETTERS_KEPT, messaging_destination_name=SCHEDULER_CALLS.name) == [1]
    assert shown.levels(metrics.DEAD_LETTERS_KEPT, messaging_destination_name=SCHEDULER_REQUESTS.name) == [0]
