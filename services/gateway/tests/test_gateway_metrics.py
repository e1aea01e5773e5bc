"""What the gateway does, as metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from mts_common import metrics
from mts_gateway.testing import Credentials, RunningGateway, Store
from mts_stack.scrapes import Scrape

LEAST = {"meterType": "ELSTERA1700", "remoteAddress": "07777000000"}
LONG = 2_000_000_000

Metered = Callable[[], Scrape]


def test_accepted_tests_are_counted_by_client_lane_and_transport(
    api: httpx.Client, owner: Credentials, metered: Metered
) -> None:
    metered()
    api.post("/MTS/test-request", json={**LEAST, "immediate": True}).raise_for_status()
    tcp = {**LEAST, "remoteAddress": "10.0.0.1:4001"}
    api.post("/MTS/batch-request", json=[LEAST, LEAST, tcp]).raise_for_status()
    shown, client = metered(), str(owner.client_id)
    labels = {"mts_client_id": client, "mts_transport": "modem"}
    assert shown.value(metrics.ACCEPTED, mts_lane="immediate", **labels) == 1
    assert shown.value(metrics.ACCEPTED, mts_lane="overnight", **labels) == 2
    assert shown.value(metrics.ACCEPTED, mts_client_id=client, mts_transport="tcp") == 1


def test_a_repeat_with_the_same_key_is_not_another_test(
    api: httpx.Client, owner: Credentials, metered: Metered
) -> None:
    metered()
    for _ in range(2):
        api.post("/MTS/test-request", json=LEAST, headers={"Idempotency-Key": "k"}).raise_for_status()
    assert metered().value(metrics.ACCEPTED, mts_client_id=str(owner.client_id)) == 1


def test_calls_over_the_limit_are_counted_by_client(
    start_gateway: Callable[..., RunningGateway], owner: Credentials, metered: Metered
) -> None:
    metered()
    with start_gateway(rate_limit_calls=2, rate_limit_seconds=LONG).http(owner.token) as api:
        for _ in range(5):
            api.get("/MTS/limits")
    assert metered().value(metrics.RATE_LIMITED, mts_client_id=str(owner.client_id)) == 3


def test_requests_are_timed_by_route_and_status_and_no_query_is_a_label(api: httpx.Client, metered: Metered) -> None:
    labels = {"http_route": "/MTS/test-status", "http_response_status_code": "400"}
    before = metered().value(metrics.HTTP_DURATION, **labels)
    api.get("/MTS/test-status", params={"testId": "nosuchtest"})
    shown = metered()
    assert shown.value(metrics.HTTP_DURATION, **labels) == before + 1
    assert "nosuchtest" not in shown.text


def test_the_levels_of_the_gateways_tables_are_shown(
    start_gateway: Callable[..., RunningGateway], owner: Credentials, store: Store, metered: Metered, monkeypatch: Any
) -> None:
    metered()
    monkeypatch.setattr("mts_common.levels.PAUSE_SECONDS", 0.05)
    with start_gateway().http(owner.token) as api:
        api.post("/MTS/test-request", json=LEAST).raise_for_status()
        store.run(
            "UPDATE gateway.test SET received_at = now() - interval '1 hour' WHERE client_id = $1", owner.client_id
        )
        deadline = time.monotonic() + 20
        while metered().value(metrics.UNSETTLED_AGE, mts_schema="gateway") < 3600:
            assert time.monotonic() < deadline, "the age was not shown in time"
            time.sleep(0.05)
    shown = metered()
    assert shown.levels(metrics.OUTBOX_AGE, mts_schema="gateway") != []
    assert shown.value(metrics.TABLE_SIZE, mts_schema="gateway", mts_table="test", mts_part="indexes") > 0
    assert shown.levels(metrics.INVALID_INDEXES, mts_schema="gateway") == [0]
    assert shown.value(metrics.CONNECTIONS, db_client_connection_pool_name="gateway") > 0
