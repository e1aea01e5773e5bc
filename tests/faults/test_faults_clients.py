"""Clients that race, repeat, flood and vanish."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import urlsplit

from fault_harness.checker import Checker
from fault_harness.system import System, shuffled, until
from fault_harness.workload import Order, Workload

# A thousand tests in all, each of which a cancel may meet at any step.
BATCHES, BATCH_TESTS, SINGLES = 20, 45, 100
LONGEST_BATCH_PAUSE, LONGEST_SINGLE_PAUSE = 3.0, 0.6
FLOOD = 600
CUT_TESTS = 10_000
GONE_TESTS = 200


def test_a_cancel_raced_against_every_step_of_a_thousand_tests_either_removes_each_or_changes_nothing(
    system: System, workload: Workload, checker: Checker
) -> None:
    choice = random.Random(workload.seed)  # noqa: S311 - chance, not a secret
    batch = [workload.body(system.meter(place=place % 20)) for place in range(BATCH_TESTS)]
    races: list[tuple[float, Callable[[], Order]]] = [
        (choice.uniform(0, LONGEST_BATCH_PAUSE), partial(workload.batch, batch)) for _ in range(BATCHES)
    ]
    races += [
        (choice.uniform(0, LONGEST_SINGLE_PAUSE), partial(workload.order, system.meter(place=place % 20)))
        for place in range(SINGLES)
    ]

    def race(pause: float, place_order: Callable[[], Order]) -> None:
        order = place_order()
        time.sleep(pause)
        workload.cancel_once(order)

    with ThreadPoolExecutor(6, "race") as threads:
        list(threads.map(lambda each: race(*each), shuffled(choice, races)))
    counts = checker.verify(workload)
    orders = [order.key for order in workload.orders]
    removed = system.value(
        "SELECT count(*) FROM gateway.test WHERE removed_at IS NOT NULL AND request_reference = ANY ($1)", orders
    )
    assert 0 < removed < counts.tests == BATCHES * BATCH_TESTS + SINGLES


def test_one_key_used_a_hundred_times_at_once_makes_one_test(
    system: System, workload: Workload, checker: Checker
) -> None:
    order = workload.order(system.meter())
    with ThreadPoolExecutor(20, "repeat") as threads:
        list(threads.map(lambda _: workload.repeat(order), range(100)))
    counts = checker.verify(workload)
    assert (len(order.answers), counts.tests) == (1, 1)


def test_a_client_that_floods_does_not_keep_another_waiting(
    system: System, workload: Workload, checker: Checker
) -> None:
    token, _ = system.stack.services.create_tokens("another")
    meters = [system.meter(place=place) for place in range(12)]
    normal = seconds_to_start(system, token, workload)
    flood = [workload.body(meters[place % len(meters)]) for place in range(FLOOD)]
    batch = workload.batch(flood)
    until(lambda: system.value("SELECT count(*) >= 8 FROM scheduler.call WHERE ended_at IS NULL"), "all lines are busy")
    slowest = max(seconds_to_start(system, token, workload) for _ in range(3))
    workload.cancel_once(batch)
    checker.verify(workload)
    # A line has to come free first: one call of the flood.
    assert slowest < 2 * normal + longest_call(system)


def test_a_batch_cut_off_half_way_leaves_nothing(system: System, workload: Workload, checker: Checker) -> None:
    body = json.dumps([workload.body(system.meter())] * CUT_TESTS).encode()
    before = system.value("SELECT count(*) FROM gateway.test")
    send_and_vanish(system, body, len(body) // 2)
    checker.verify(workload)
    assert system.value("SELECT count(*) FROM gateway.test") == before


def test_a_batch_whose_client_has_gone_before_the_answer_is_accepted_in_whole_or_not_at_all(
    system: System, workload: Workload, checker: Checker
) -> None:
    order = workload.unplaced([workload.body(system.meter(), immediate=False)] * GONE_TESTS)
    body = json.dumps(order.bodies, separators=(",", ":")).encode()  # as the client repeats it
    send_and_vanish(system, body, len(body), order.key)
    counts = checker.verify(workload)
    assert (len(order.answers), counts.tests) == (1, GONE_TESTS)


def send_and_vanish(system: System, body: bytes, sent: int, key: str = "") -> None:
    """Ask for a batch, send so much of the body and break the connection."""
    head = f"POST /MTS/batch-request HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {system.stack.token}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    head += f"Idempotency-Key: {key}\r\n\r\n" if key else "\r\n"
    port = urlsplit(system.stack.services.api_url).port
    plain = socket.create_connection(("127.0.0.1", port or 0), timeout=10.0)
    with system.stack.services.trust.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
        connection.sendall(head.encode() + body[:sent])


def seconds_to_start(system: System, token: str, workload: Workload) -> float:
    """From an accept for another client to the grant of its call."""
    order = workload.order(system.meter(place=15), token=token)
    until(lambda: system.query("SELECT FROM scheduler.job WHERE test_id = $1 AND attempt > 0", order.answer), "granted")
    return float(
        system.value(
            "SELECT extract(epoch FROM c.started_at - j.received_at)::float8 FROM scheduler.job j "
            "JOIN scheduler.call c USING (call_id) WHERE j.test_id = $1",
            order.answer,
        )
    )


def longest_call(system: System) -> float:
    return float(system.value("SELECT extract(epoch FROM max(ended_at - started_at))::float8 FROM scheduler.call"))
