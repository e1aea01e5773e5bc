"""What the gateway does, as metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from mts_common import metrics
from mts_gateway.testing import Credentials, RunningGateway, Store
from mts_gateway.testing.contract_api import CONTRACTS
from mts_stack.scrapes import Scrape

LEAST = {"meterType": "ELSTERA1700", "remoteAddress": "07777000000"}
LONG = 2_000_000_000
SECONDS = 20.0
TEMPLATE = "/fscmRestApi/resources/{version}/assetWarrantyContracts"

Metered = Callable[[], Scrape]


def timed(metered: Metered, count: float, labels: Mapping[str, str]) -> Scrape:
    """What is shown once so many requests were measured, which they are after they are answered."""
    deadline = time.monotonic() + SECONDS
    while (shown := metered()).value(metrics.HTTP_DURATION, **labels) < count:
        assert time.monotonic() < deadline, "the request was not measured in time"
    assert shown.value(metrics.HTTP_DURATION, **labels) == count
    return shown


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
    assert "nosuchtest" not in timed(metered, before + 1, labels).text


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/fscmRestApi/resources", "/fscmRestApi/resources"),
        (f"{CONTRACTS}/describe", f"{TEMPLATE}/describe"),
        (f"{CONTRACTS}/1", f"{TEMPLATE}/{{contractId}}"),
        (
            f"{CONTRACTS}/1/child/contractMeters/2",
            f"{TEMPLATE}/{{contractId}}/child/contractMeters/{{contractMeterId}}",
        ),
        ("/ctapi/Customer", "/ctapi/customer"),
    ],
)
def test_requests_of_the_neighbours_apis_are_timed_too(
    gateway: RunningGateway, metered: Metered, path: str, route: str
) -> None:
    labels = {"http_route": route, "http_response_status_code": "401"}
    before = metered().value(metrics.HTTP_DURATION, **labels)
    with gateway.neighbour() as anybody:
        assert anybody.get(path, params={"q": "nosuchthing"}).status_code == 401
    assert "nosuchthing" not in timed(metered, before + 1, labels).text


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
        deadline = time.monotonic() + SECONDS
        while metered().value(metrics.UNSETTLED_AGE, mts_schema="gateway") < 3600:
            assert time.monotonic() < deadline, "the age was not shown in time"
            time.sleep(0.05)
    shown = metered()
    assert shown.levels(metrics.OUTBOX_AGE, mts_schema="gateway") != []
    assert shown.value(metrics.TABLE_SIZE, mts_schema="gateway", mts_table="test", mts_part="indexes") > 0
    assert shown.levels(metrics.INVALID_INDEXES, mts_schema="gateway") == [0]
    assert shown.value(metrics.CONNECTIONS, db_client_connection_pool_name="gateway") > 0
