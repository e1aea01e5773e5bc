"""Settling and housekeeping: what was told is asked about until it is known, and what is old is forgotten."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from mts_common.database import Statements, open_pool
from mts_common.topology import RESULTS_REQUESTS, SCHEDULER_REQUESTS
from mts_gateway.housekeeping import Housekeeping
from mts_gateway.testing import Credentials, Listener, Neighbours, Store

LEAST = {"meterType": "ELSTERA1700", "remoteAddress": "07777000000"}


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.05)


def knows(store: Store, test_id: int) -> tuple[bool, bool]:
    (row,) = store.run("SELECT scheduler_knows, results_knows FROM gateway.test WHERE test_id = $1", test_id)
    return row["scheduler_knows"], row["results_knows"]


def request(api: httpx.Client, **given: Any) -> int:
    return int(api.post("/MTS/test-request", json=LEAST | given).json()["testId"])


def coming_ids(store: Store) -> set[int]:
    """The ids that the next tests will have."""
    (row,) = store.run("SELECT last_value FROM gateway.test_id")
    return set(range(row["last_value"], row["last_value"] + 50))


def test_a_lost_test_is_told_again_until_both_know_it(
    start_gateway: Any, store: Store, owner: Credentials, neighbours: Neighbours, listener: Listener
) -> None:
    neighbours.lost_by_results |= coming_ids(store)
    try:
        with start_gateway(settle_after_seconds=0.3).http(owner.token) as api:
            test_id = request(api, password="AAAA0000", surveyDays=2, immediate=True)
            first = listener.wait_for(RESULTS_REQUESTS, test_id)
            again = listener.wait_for(RESULTS_REQUESTS, test_id, times=3)
            assert again == first
            assert knows(store, test_id) == (True, False)
            neighbours.lost_by_results.clear()
            until(lambda: knows(store, test_id) == (True, True))
            assert listener.times(SCHEDULER_REQUESTS, test_id) >= 3
    finally:
        neighbours.lost_by_results.clear()


def test_a_test_that_arrived_is_told_once(
    start_gateway: Any, store: Store, owner: Credentials, neighbours: Neighbours, listener: Listener
) -> None:
    with start_gateway(settle_after_seconds=0.3).http(owner.token) as api:
        test_id = request(api)
        until(lambda: knows(store, test_id) == (True, True))
        assert listener.times(SCHEDULER_REQUESTS, test_id) == listener.times(RESULTS_REQUESTS, test_id) == 1


def test_a_cancelled_test_is_not_told_again(
    start_gateway: Any, store: Store, owner: Credentials, neighbours: Neighbours, listener: Listener
) -> None:
    neighbours.lost_by_scheduler |= coming_ids(store)
    try:
        with start_gateway(settle_after_seconds=1.0).http(owner.token) as api:
            gone = request(api)
            assert api.request("DELETE", "/MTS/test-cancel", json={"testId": gone}).status_code == 200
            kept = request(api)
            listener.wait_for(SCHEDULER_REQUESTS, kept, times=2)
            assert listener.times(SCHEDULER_REQUESTS, gone) == 1
    finally:
        neighbours.lost_by_scheduler.clear()


def test_old_keys_tests_and_batches_are_forgotten(
    site: Any, api: httpx.Client, store: Store, owner: Credentials
) -> None:
    old, new = request(api), request(api)
    batch_id = api.post("/MTS/batch-request", json=[LEAST], headers={"Idempotency-Key": "old"}).json()["batchId"]
    api.post("/MTS/test-request", json=LEAST, headers={"Idempotency-Key": "new"})
    long_ago = datetime.now(UTC) - timedelta(days=401)
    store.run("UPDATE gateway.idempotency SET created_at = $1 WHERE key = 'old'", long_ago)
    store.run("UPDATE gateway.test SET received_at = $1 WHERE test_id = $2 OR batch_id = $3", long_ago, old, batch_id)
    store.run("UPDATE gateway.batch SET received_at = $1 WHERE batch_id = $2", long_ago, batch_id)

    async def tidy() -> None:
        async with open_pool(site.roles.url("gateway"), "test", 2) as pool:
            await Housekeeping(pool, Statements("mts_gateway"), keep_days=400).tidy()

    asyncio.run(tidy())
    assert api.get("/MTS/test-status", params={"testId": old}).json() == {"details": [f"testId {old} is not known"]}
    assert api.get("/MTS/batch-status", params={"batchId": batch_id}).status_code == 400
    assert api.get("/MTS/test-status", params={"testId": new}).status_code == 200
    keys = store.run("SELECT key FROM gateway.idempotency WHERE client_id = $1", owner.client_id)
    assert [row["key"] for row in keys] == ["new"]
