"""Every event again and in another order; and what no consumer can make anything of."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from uuid import uuid4

from fault_harness.checker import Checker
from fault_harness.events import publish, take, tap
from fault_harness.system import System, run_apart, until
from fault_harness.workload import Workload

from mts_common import topology
from mts_common.consumer import MAX_DEAD_IN_A_ROW
from mts_common.messages import Message, Outcome, TestFinished, encode


def test_every_event_twice_and_shuffled_changes_nothing(system: System, workload: Workload, checker: Checker) -> None:
    tapped = run_apart(tap(system))
    workload.run(calls=24)
    checker.verify(workload)
    events = run_apart(take(system, tapped))
    assert {kind for kind, _ in events} >= {"test.requested", "attempt.report", "test.finished", "call.finished"}
    run_apart(publish(system, random.Random(workload.seed).sample(events * 2, 2 * len(events))))  # noqa: S311
    before = jobs(system)
    checker.verify(workload)
    assert jobs(system) == before


UNREADABLE = (
    ("test.finished", b"\x00 not JSON", "Invalid JSON"),
    ("test.finished", b'{"v":1,"items":[{"test_id":"x"}]}', "test_id"),
    ("test.finished", b'{"v":2,"items":[]}', "v: "),
    ("nobody.knows", b'{"v":1,"items":[]}', "has no place here"),
)


def test_what_cannot_be_read_is_put_aside_with_its_reason_and_blocks_nobody(
    system: System, workload: Workload, checker: Checker
) -> None:
    queue = topology.RESULTS_OUTCOMES.name
    run_apart(publish(system, [(kind, body) for kind, body, _ in UNREADABLE], queue))
    workload.run(calls=6)
    system.poison += len(UNREADABLE)
    checker.verify(workload)
    letters = {letter["body"]: letter for letter in system.dead_letters()}
    for kind, body, reason in UNREADABLE:
        letter = letters[body]
        assert (letter["queue"], letter["kind"]) == (queue, kind)
        assert reason in letter["reason"]


def test_an_item_whose_handler_always_fails_is_put_aside_alone(
    system: System, workload: Workload, checker: Checker
) -> None:
    order = workload.order(system.meter())
    checker.verify(workload)
    assert order.answer is not None
    done = TestFinished(test_id=order.answer, outcome=Outcome.SUCCESS, finished_at=datetime(2020, 1, 1, tzinfo=UTC))
    neighbours: list[Message] = [done] * 5
    impossible = done.model_copy(update={"test_id": 2**80})
    run_apart(publish(system, [(done.kind, encode([*neighbours, impossible, *neighbours]))]))
    system.poison += 1
    checker.verify(workload)
    letter = system.dead_letters()[-1]
    assert (letter["queue"], letter["kind"]) == (topology.RESULTS_OUTCOMES.name, done.kind)


def test_a_consumer_whose_every_message_fails_stops_its_process_and_is_blocked_for_a_few_restarts_at_most(
    system: System, workload: Workload, checker: Checker
) -> None:
    results, queue = system.stack.services.process("results"), topology.RESULTS_OUTCOMES.name
    count = MAX_DEAD_IN_A_ROW + 5
    run_apart(publish(system, [(TestFinished.kind, b"not JSON %d" % number) for number in range(count)], queue))
    until(lambda: not results.running, "results has ended by itself")
    assert results.exit_code == 1
    assert "TooManyDead" in results.log_tail()
    system.poison += count

    def put_aside() -> bool:
        if not results.running:
            results.start()
        return len(system.dead_letters()) == system.poison

    until(put_aside, "all are put aside", 60.0)
    workload.run(calls=3)
    checker.verify(workload)


def test_unknown_fields_are_ignored(system: System, workload: Workload, checker: Checker) -> None:
    order = workload.order(system.meter())
    checker.verify(workload)
    item = {"test_id": order.answer, "outcome": "success", "finished_at": "2020-01-01T00:00:00Z", "new": uuid4().hex}
    run_apart(publish(system, [("test.finished", json.dumps({"v": 1, "items": [item], "more": 1}).encode())]))
    checker.verify(workload)


def jobs(system: System) -> list[tuple[object, ...]]:
    return [tuple(row) for row in system.query("SELECT test_id, state, attempt, tries FROM scheduler.job ORDER BY 1")]
