"""test-status, batch-status and test-trace: what results publishes, in the shapes of both documents."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from mts_gateway.fields import MAX_ID
from mts_gateway.testing import Credentials, RunningGateway, Store

LEAST = {"meterType": "ELSTERA1700", "remoteAddress": "07777000000"}
AT = datetime(2026, 11, 19, 23, 0, 0, tzinfo=UTC)

REGISTERS = """[
    {"category": "Miscellaneous", "name": "Firmware", "timestamp": "2026-11-19T23:00:09Z", "value": "B40", "units": ""},
    {"category": "Energy", "name": "Active Energy Import", "timestamp": "2026-11-19T23:00:05Z",
     "value": 12345678901234567.8900, "units": "kWh"},
    {"category": "Energy", "name": "Active Energy Export", "timestamp": "2026-11-19T23:00:06Z",
     "value": 0.10, "units": "kWh"},
    {"category": "Time of Use", "name": "Rate 1", "timestamp": "2026-11-19T23:00:08Z", "value": 7, "units": "kWh"}
]"""
SURVEY = """[{"name": "kWh Import", "units": "kWh", "readings": [
    {"timestamp": "2026-11-18T00:00:00Z", "value": 640.000},
    {"timestamp": "2026-11-18T00:30:00Z", "value": 0.30, "status": ["power failed"]}
]}]"""


@pytest.fixture
def test_id(api: httpx.Client) -> int:
    return request(api)


def request(api: httpx.Client, **given: Any) -> int:
    answer = api.post("/MTS/test-request", json=LEAST | given)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["testId"])


def status(api: httpx.Client, test_id: int, **headers: str) -> dict[str, Any]:
    answer = api.get("/MTS/test-status", params={"testId": test_id}, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def publish(store: Store, test_id: int, **columns: Any) -> None:
    """What results would show of the test."""
    row = {"test_id": test_id, "completed": True, "result_summary": "SUCCESS", "completed_at": AT, **columns}
    names, places = ", ".join(row), ", ".join(f"${place}" for place in range(1, len(row) + 1))
    store.run(f"INSERT INTO results_v1.test_status ({names}) VALUES ({places})", *row.values())  # noqa: S608


def exact(text: str) -> Any:
    """JSON with every digit kept."""
    return json.loads(text, parse_float=Decimal)


@pytest.mark.parametrize("outcome", ["SUCCESS", "PARTIAL SUCCESS", "ERROR: no answer", "PENDING"])
def test_result_and_result_summary_both_carry_the_outcome(
    api: httpx.Client, store: Store, test_id: int, outcome: str
) -> None:
    publish(store, test_id, completed=outcome != "PENDING", result_summary=outcome)
    found = status(api, test_id)
    assert found["result"] == found["resultSummary"] == outcome


def test_times_are_shown_once_known_in_utc_to_the_second(api: httpx.Client, store: Store, test_id: int) -> None:
    publish(store, test_id, completed=False, result_summary="PENDING", test_started_at=AT.replace(microsecond=999_999))
    found = status(api, test_id)
    assert found["testStartTime"] == "2026-11-19T23:00:00Z"
    assert not {"testEndTime", "connectionStartTime", "connectionEndTime"} & set(found)
    store.run(
        "UPDATE results_v1.test_status SET test_ended_at = $2, connection_started_at = $3, connection_ended_at = $4 "
        "WHERE test_id = $1",
        test_id,
        AT.replace(second=9),
        AT.replace(second=1),
        AT.replace(second=8),
    )
    found = status(api, test_id)
    assert (found["testStartTime"], found["testEndTime"]) == ("2026-11-19T23:00:00Z", "2026-11-19T23:00:09Z")
    assert (found["connectionStartTime"], found["connectionEndTime"]) == (
        "2026-11-19T23:00:01Z",
        "2026-11-19T23:00:08Z",
    )


@pytest.mark.parametrize("read", ["12345678", "ERROR: the meter says 87654321, the request 12345678"])
def test_the_serial_number_is_the_requested_one_until_the_test_is_complete(
    api: httpx.Client, store: Store, read: str
) -> None:
    test_id = request(api, serialNumber="12345678")
    assert status(api, test_id)["serialNumber"] == "12345678"
    publish(store, test_id, completed=False, result_summary="PENDING", serial_number="not yet final")
    assert status(api, test_id)["serialNumber"] == "12345678"
    store.run(
        "UPDATE results_v1.test_status SET completed = true, serial_number = $2 WHERE test_id = $1", test_id, read
    )
    assert status(api, test_id)["serialNumber"] == read


@pytest.mark.parametrize("meter_time", ["2014-10-31T23:33:32 -203s", "ERROR: not read"])
def test_the_meter_time_is_shown_as_results_has_it(
    api: httpx.Client, store: Store, test_id: int, meter_time: str
) -> None:
    publish(store, test_id, meter_time=meter_time)
    assert status(api, test_id)["meterTime"] == meter_time


def test_events_properties_and_profile_are_shown_when_they_were_read(api: httpx.Client, store: Store) -> None:
    nothing, empty, full = request(api), request(api), request(api)
    publish(store, nothing)
    publish(store, empty, status_events=[], meter_properties=[], profile_configuration=[])
    publish(
        store,
        full,
        status_events=["Lid/terminal cover tamper"],
        meter_properties=[{"name": "CT\\VT ratios", "value": "CT: 600:5 VT: 1:1"}],
        profile_configuration=["kWh Import", "kvarh Q1"],
    )
    names = ("statusEvents", "meterProperties", "profileConfiguration")
    assert not set(names) & set(status(api, nothing))
    assert [status(api, empty)[name] for name in names] == [[], [], []]
    assert [status(api, full)[name] for name in names] == [
        ["Lid/terminal cover tamper"],
        [{"name": "CT\\VT ratios", "value": "CT: 600:5 VT: 1:1"}],
        ["kWh Import", "kvarh Q1"],
    ]


def test_registers_are_grouped_in_the_documents_order_without_empty_groups(
    api: httpx.Client, store: Store, test_id: int
) -> None:
    publish(store, test_id, registers=exact(REGISTERS))
    found = status(api, test_id)
    assert found["registers"] == found["registerValues"]
    assert [group["category"] for group in found["registers"]] == ["Energy", "Miscellaneous", "Time of Use"]
    assert [[each["name"] for each in group["registerValues"]] for group in found["registers"]] == [
        ["Active Energy Import", "Active Energy Export"],
        ["Firmware"],
        ["Rate 1"],
    ]
    assert found["registers"][1]["registerValues"] == [{"name": "Firmware", "value": "B40", "units": ""}]


def test_the_flat_dialect_lists_registers_with_their_times(api: httpx.Client, store: Store, test_id: int) -> None:
    publish(store, test_id, registers=exact(REGISTERS))
    found = status(api, test_id, Accept="application/json; dialect=flat")
    assert "registers" not in found
    assert [list(each) for each in found["registerValues"]] == [["name", "timestamp", "value", "units"]] * 4
    assert found["registerValues"][0] == {
        "name": "Firmware",
        "timestamp": "2026-11-19T23:00:09Z",
        "value": "B40",
        "units": "",
    }


@pytest.mark.parametrize("dialect", ["grouped", "flat"])
def test_no_digit_of_a_value_is_changed(api: httpx.Client, store: Store, dialect: str) -> None:
    test_id = request(api, surveyDays=1)
    publish(store, test_id, registers=exact(REGISTERS), survey=exact(SURVEY))
    text = api.get(
        "/MTS/test-status", params={"testId": test_id}, headers={"Accept": f"application/json; dialect={dialect}"}
    ).text
    for value in ("12345678901234567.8900", "0.10", "7", '"B40"', "640.000", "0.30"):
        assert f'"value":{value}' in text.replace('"value": ', '"value":')


def test_the_tokens_dialect_holds_unless_the_request_says_otherwise(gateway: RunningGateway, store: Store) -> None:
    with gateway.http(store.new_client(dialect="flat").token) as api:
        test_id = request(api)
        publish(store, test_id, registers=exact(REGISTERS))
        assert "registers" not in status(api, test_id)
        assert "registers" in status(api, test_id, Accept="application/json;dialect=grouped")


@pytest.mark.parametrize(
    "accept",
    ["", ";;;", "text/html", "application/json; dialect=round", "dialect=flat", "application/json; dialect", ","],
)
def test_an_accept_header_that_makes_no_sense_is_tolerated(
    api: httpx.Client, store: Store, test_id: int, accept: str
) -> None:
    publish(store, test_id, registers=exact(REGISTERS))
    assert "registers" in status(api, test_id, Accept=accept)


def test_survey_data_is_shown_only_if_it_was_requested(api: httpx.Client, store: Store, test_id: int) -> None:
    requested = request(api, surveyDays=1)
    for each in (test_id, requested):
        publish(store, each, survey=exact(SURVEY))
    assert "surveyData" not in status(api, test_id)
    assert status(api, requested)["surveyData"] == [
        {
            "name": "kWh Import",
            "units": "kWh",
            "readings": [
                {"timestamp": "2026-11-18T00:00:00Z", "value": 640.0},
                {"timestamp": "2026-11-18T00:30:00Z", "value": 0.3, "status": ["power failed"]},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("path", "name"), [("/MTS/test-status", "testId"), ("/MTS/test-trace", "testId"), ("/MTS/batch-status", "batchId")]
)
def test_another_clients_id_is_answered_exactly_like_one_that_does_not_exist(
    api: httpx.Client, gateway: RunningGateway, store: Store, path: str, name: str
) -> None:
    with gateway.http(store.new_client().token) as other:
        foreign = (
            other.post("/MTS/test-request", json=LEAST).json() | other.post("/MTS/batch-request", json=[LEAST]).json()
        )
    for wanted in (foreign[name], MAX_ID):
        answer = api.get(path, params={name: wanted})
        assert answer.status_code == 400
        assert answer.json() == {"details": [f"{name} {wanted} is not known"]}


@pytest.mark.parametrize("text", ["0", "-1", "x", "", str(MAX_ID + 1)])
def test_an_id_that_is_no_id_is_400(api: httpx.Client, text: str) -> None:
    for path, name in (("/MTS/test-status", "testId"), ("/MTS/batch-status", "batchId"), ("/MTS/test-trace", "testId")):
        answer = api.get(path, params={name: text})
        assert answer.status_code == 400
        assert answer.json()["details"][0].startswith(name)


def test_the_id_is_read_under_any_case_of_its_name(api: httpx.Client, test_id: int) -> None:
    for name in ("testid", "TESTID", "testId"):
        assert api.get("/MTS/test-status", params={name: str(test_id), "unknown": "1"}).status_code == 200


def test_a_batch_counts_what_is_completed(api: httpx.Client, store: Store) -> None:
    batch_id = api.post("/MTS/batch-request", json=[LEAST] * 3).json()["batchId"]
    first, second, _ = (each["testId"] for each in api.get(f"/MTS/batch-status?batchId={batch_id}").json()["status"])
    publish(store, second, result_summary="ERROR: no answer")
    publish(store, first, completed=False, result_summary="PENDING")
    found = api.get("/MTS/batch-status", params={"batchid": batch_id}).json()
    assert (found["totalCount"], found["completedCount"]) == (3, 1)
    assert [each["resultSummary"] for each in found["status"]] == ["PENDING", "ERROR: no answer", "PENDING"]


def publish_trace(store: Store, test_id: int, attempt: int, outcome: str, detail: str, frames: bytes | None) -> None:
    store.run(
        "INSERT INTO results_v1.wire_trace VALUES ($1, $2, $3, $4, $5, $6, $7)",
        test_id,
        attempt,
        AT,
        AT.replace(second=5),
        outcome,
        detail,
        frames,
    )


def test_the_wire_trace_shows_each_attempt(
    api: httpx.Client, admin: httpx.Client, store: Store, test_id: int, gateway: RunningGateway
) -> None:
    lines = [
        {"at": "2026-11-19T23:00:01.123456+00:00", "dir": "tx", "hex": "2f3f210d0a", "note": "sign-on"},
        {"at": "2026-11-19T23:00:02Z", "dir": "--", "hex": "", "note": "line dropped"},
    ]
    frames = gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    publish_trace(store, test_id, 2, "error", "busy", frames)
    publish_trace(store, test_id, 1, "success", "", None)
    expected = {
        "testId": test_id,
        "attempts": [
            {
                "attempt": 1,
                "startTime": "2026-11-19T23:00:00Z",
                "endTime": "2026-11-19T23:00:05Z",
                "result": "SUCCESS",
                "frames": [],
            },
            {
                "attempt": 2,
                "startTime": "2026-11-19T23:00:00Z",
                "endTime": "2026-11-19T23:00:05Z",
                "result": "ERROR: busy",
                "frames": [
                    {"time": "2026-11-19T23:00:01.123Z", "direction": "tx", "hex": "2f3f210d0a", "note": "sign-on"},
                    {"time": "2026-11-19T23:00:02.000Z", "direction": "--", "hex": "", "note": "line dropped"},
                ],
            },
        ],
    }
    assert api.get("/MTS/test-trace", params={"testid": test_id}).json() == expected
    assert admin.get(f"/MTS/admin/tests/{test_id}/trace").json() == expected


def test_a_test_without_attempts_has_an_empty_trace(api: httpx.Client, admin: httpx.Client, test_id: int) -> None:
    assert api.get(f"/MTS/test-trace?testId={test_id}").json() == {"testId": test_id, "attempts": []}
    for wrong in (MAX_ID, "x", 0):
        assert admin.get(f"/MTS/admin/tests/{wrong}/trace").status_code == 400


def test_queries_wait_for_missing_views_but_accepting_goes_on(
    store: Store, start_gateway: Any, owner: Credentials
) -> None:
    with start_gateway().http(owner.token) as api:
        store.run("ALTER TABLE results_v1.test_status RENAME COLUMN survey TO hidden")
        try:
            test_id = request(api)
            answer = api.get("/MTS/test-status", params={"testId": test_id})
            assert answer.status_code == 503
            assert answer.json() == {"details": ["the results cannot be read at the moment"]}
            assert api.get("/health/ready").status_code == 503
            assert api.get("/MTS/service-status").json()["status"] == "results down"
        finally:
            store.run("ALTER TABLE results_v1.test_status RENAME COLUMN hidden TO survey")
        assert status(api, test_id)["result"] == "PENDING"
        assert api.get("/health/ready").status_code == 200


def test_queries_wait_for_views_that_may_not_be_read(store: Store, start_gateway: Any, owner: Credentials) -> None:
    with start_gateway().http(owner.token) as api:
        store.run("REVOKE SELECT ON results_v1.test_search FROM mts_gateway")
        try:
            assert request(api)
            assert api.get("/MTS/test-search?fromTime=2026-11-01T00:00:00Z").status_code == 503
        finally:
            store.run("GRANT SELECT ON results_v1.test_search TO mts_gateway")
