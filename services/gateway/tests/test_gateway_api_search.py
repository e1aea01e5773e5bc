"""test-search: filters, order, pages and counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from mts_gateway.testing import Credentials, Neighbours, RunningGateway, Store

NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)
TESTS: Sequence[dict[str, Any]] = (
    {"requestReference": "A", "remoteAddress": "07777000001"},
    {"requestReference": "A", "remoteAddress": "07777000002", "meterType": "IEC62056_21"},
    {"requestReference": "AB", "remoteAddress": "10.0.0.1:4000"},
    {"requestReference": "a%_b", "remoteAddress": "meter_one.example:4000"},
    {"remoteAddress": "meter-one.example:4000"},
)


@pytest.fixture
def ids(api: httpx.Client, store: Store, owner: Credentials) -> list[int]:
    """Tests received at noon and each hour after it; the second is completed."""
    found = []
    for test in TESTS:
        answer = api.post("/MTS/test-request", json={"meterType": "ELSTERA1700"} | test)
        found.append(int(answer.json()["testId"]))
    store.publish_search(owner.client_id)
    for place, test_id in enumerate(found):
        at = NOON + timedelta(hours=place, microseconds=1)
        store.run("UPDATE results_v1.test_search SET received_at = $2 WHERE test_id = $1", test_id, at)
    store.run(
        "UPDATE results_v1.test_search SET completed_at = $2, result_summary = 'SUCCESS' WHERE test_id = $1",
        found[1],
        NOON + timedelta(hours=9),
    )
    return found


def search(api: httpx.Client, **given: Any) -> dict[str, Any]:
    answer = api.get("/MTS/test-search", params={"fromTime": "2026-11-19T00:00:00Z"} | given)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found["resultCount"] == len(found["results"])
    return found


def found_ids(api: httpx.Client, **given: Any) -> list[int]:
    return [each["testId"] for each in search(api, **given)["results"]]


def test_a_search_finds_the_clients_tests_in_received_order(api: httpx.Client, ids: list[int]) -> None:
    found = search(api)
    assert (found["totalResultCount"], found["resultCount"], found["offset"]) == (5, 5, 0)
    assert found["results"][:2] == [
        {
            "testId": ids[0],
            "receivedTimestamp": "2026-11-19T12:00:00Z",
            "requestReference": "A",
            "meterType": "ELSTERA1700",
            "remoteAddress": "07777000001",
            "resultSummary": "PENDING",
        },
        {
            "testId": ids[1],
            "receivedTimestamp": "2026-11-19T13:00:00Z",
            "completedTimestamp": "2026-11-19T21:00:00Z",
            "requestReference": "A",
            "meterType": "IEC62056_21",
            "remoteAddress": "07777000002",
            "resultSummary": "SUCCESS",
        },
    ]
    assert [each["testId"] for each in found["results"]] == ids


def test_another_clients_tests_are_never_found(gateway: RunningGateway, store: Store, ids: list[int]) -> None:
    with gateway.http(store.new_client().token) as other:
        assert search(other) == {"totalResultCount": 0, "resultCount": 0, "offset": 0, "results": []}


def test_reverse_order_is_the_reverse(api: httpx.Client, ids: list[int]) -> None:
    assert found_ids(api, reverseOrder="true") == ids[::-1]
    assert found_ids(api, reverseOrder="false") == ids
    assert found_ids(api, reverseOrder="true", limit=2, offset=1) == [ids[3], ids[2]]


def test_from_is_inclusive_and_to_is_exclusive(api: httpx.Client, store: Store, ids: list[int]) -> None:
    store.run("UPDATE results_v1.test_search SET received_at = $2 WHERE test_id = $1", ids[0], NOON)
    store.run(
        "UPDATE results_v1.test_search SET received_at = $2 WHERE test_id = $1", ids[1], NOON + timedelta(hours=1)
    )
    assert found_ids(api, fromTime="2026-11-19T12:00:00Z", toTime="2026-11-19T13:00:00Z") == [ids[0]]
    assert found_ids(api, fromTime="2026-11-19T12:00:01Z", toTime="2026-11-19T13:00:01Z") == [ids[1]]
    assert found_ids(api, fromTime="2026-11-19T12:00:00Z", toTime="2026-11-19T12:00:00Z") == []


def test_to_time_is_now_unless_given(api: httpx.Client, store: Store, owner: Credentials) -> None:
    now = datetime.now(UTC)
    test_id = api.post("/MTS/test-request", json={"meterType": "ELSTERA1700", "remoteAddress": "123"}).json()["testId"]
    store.publish_search(owner.client_id)
    assert found_ids(api, fromTime=f"{now:%Y-%m-%dT%H:%M:%SZ}") == [test_id]


def test_reference_and_meter_type_are_exact(api: httpx.Client, ids: list[int]) -> None:
    assert found_ids(api, requestReference="A") == ids[:2]
    assert found_ids(api, requestReference="a") == []
    assert found_ids(api, requestReference="a%_b") == [ids[3]]
    assert found_ids(api, meterType="IEC62056_21") == [ids[1]]
    assert found_ids(api, meterType="iec62056_21") == [ids[1]]
    assert found_ids(api, meterType="IEC62056") == []
    assert found_ids(api, requestReference="A", meterType="ELSTERA1700") == [ids[0]]


def test_an_address_is_found_by_any_literal_part_of_it(api: httpx.Client, ids: list[int]) -> None:
    assert found_ids(api, remoteAddress="0777700000") == ids[:2]
    assert found_ids(api, remoteAddress=":4000") == ids[2:]
    assert found_ids(api, remoteAddress="07777000002") == [ids[1]]
    assert found_ids(api, remoteAddress="meter_one") == [ids[3]]
    for pattern in ("%", "_7777", "0.*0", "\\"):
        assert found_ids(api, remoteAddress=pattern) == []


def test_status_filters_by_what_is_completed(api: httpx.Client, ids: list[int]) -> None:
    assert found_ids(api, status="ALL") == ids
    assert found_ids(api, status="COMPLETED") == [ids[1]]
    assert found_ids(api, status="PENDING") == [ids[0], *ids[2:]]


def test_offset_skips_results_and_the_total_stays_exact(api: httpx.Client, ids: list[int]) -> None:
    for offset in range(7):
        found = search(api, limit=2, offset=offset)
        assert [each["testId"] for each in found["results"]] == ids[offset : offset + 2]
        assert (found["totalResultCount"], found["offset"]) == (5, offset)


def test_limit_nought_only_counts(api: httpx.Client, ids: list[int]) -> None:
    assert search(api, limit=0) == {"totalResultCount": 5, "resultCount": 0, "offset": 0, "results": []}
    assert search(api, limit=0, status="PENDING")["totalResultCount"] == 4


def test_without_a_limit_the_default_holds(start_gateway: Any, owner: Credentials, ids: list[int]) -> None:
    with start_gateway(default_search_limit=3, max_search_limit=4).http(owner.token) as api:
        assert found_ids(api) == ids[:3]
        assert found_ids(api, limit="") == ids[:3]
        assert found_ids(api, limit=4) == ids[:4]
        answer = api.get("/MTS/test-search", params={"fromTime": "2026-11-19T00:00:00Z", "limit": 5})
        assert (answer.status_code, answer.json()) == (400, {"details": ["limit is over the limit of 4"]})


def test_the_range_is_limited_and_must_run_forward(start_gateway: Any, owner: Credentials) -> None:
    with start_gateway(max_search_days=2).http(owner.token) as api:
        for to_time, fault in (
            ("2026-11-03T00:00:00Z", None),
            ("2026-11-01T00:00:00Z", None),
            ("2026-11-03T00:00:01Z", "toTime is more than the limit of 2 days after fromTime (absent = now)"),
            ("2026-10-31T23:59:59Z", "toTime must not be before fromTime (absent = now)"),
        ):
            answer = api.get("/MTS/test-search", params={"fromTime": "2026-11-01T00:00:00Z", "toTime": to_time})
            assert answer.json().get("details") == (None if fault is None else [fault])
            assert answer.status_code == (200 if fault is None else 400)
        assert api.get("/MTS/test-search", params={"fromTime": "2020-01-01T00:00:00Z"}).status_code == 400


def test_all_faults_of_a_search_come_at_once(api: httpx.Client) -> None:
    answer = api.get("/MTS/test-search?toTime=x&status=x&limit=x&offset=x&reverseOrder=x&limit=1&requestReference=%00")
    assert answer.status_code == 400
    assert sorted(detail.split()[0] for detail in answer.json()["details"]) == [
        "fromTime", "limit", "limit", "offset", "requestReference", "reverseOrder", "status", "toTime"
    ]  # fmt: skip


def test_a_test_of_a_batch_is_found_with_its_batch(api: httpx.Client, store: Store, owner: Credentials) -> None:
    batch = [{"meterType": "ELSTERA1700", "remoteAddress": "123"}] * 2
    batch_id = api.post("/MTS/batch-request", json=batch).json()["batchId"]
    store.publish_search(owner.client_id)
    assert [each["batchId"] for each in search(api)["results"]] == [batch_id] * 2


def test_a_cancelled_test_is_not_found_even_if_results_still_shows_it(
    api: httpx.Client, ids: list[int], neighbours: Neighbours
) -> None:
    assert api.request("DELETE", "/MTS/test-cancel", json={"testId": ids[2]}).status_code == 200
    found = search(api)
    assert found["totalResultCount"] == 4
    assert ids[2] not in [each["testId"] for each in found["results"]]
