"""test-request and batch-request through HTTP: what is accepted, what is stored and told, what is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import httpx
import pytest

from mts_common.messages import RunWindow, TestRequested, Transport
from mts_common.security import Vault
from mts_common.topology import RESULTS_REQUESTS, SCHEDULER_REQUESTS
from mts_gateway.testing import Credentials, Listener, RunningGateway, Store

LEAST = {"meterType": "ELSTERA1700", "remoteAddress": "07777000000"}
SAMPLE = {
    "requestReference": "ABC",
    "meterType": "ELSTERA1700",
    "remoteAddress": "07777000000",
    "outstationAddress": "1",
    "serialNumber": "12345678",
    "password": "AAAA0000",
    "surveyDays": 10,
    "surveyDate": "2019-12-01",
}


def request(api: httpx.Client, **given: Any) -> int:
    answer = api.post("/MTS/test-request", json=LEAST | given)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"testId"}
    return int(answer.json()["testId"])


def status(api: httpx.Client, test_id: int) -> dict[str, Any]:
    answer = api.get("/MTS/test-status", params={"testId": test_id})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(api: httpx.Client, **given: Any) -> list[str]:
    answer = api.post("/MTS/test-request", json=LEAST | given)
    assert answer.status_code == 400, answer.text
    details: list[str] = answer.json()["details"]
    return details


def test_the_sample_is_accepted_and_its_parameters_are_repeated(api: httpx.Client) -> None:
    test_id = request(api, **SAMPLE)
    found = status(api, test_id)
    received = datetime.fromisoformat(found.pop("testRequestTime"))
    assert abs(received - datetime.now(UTC)) < timedelta(minutes=1)
    assert found == {"testId": test_id, **SAMPLE, "result": "PENDING", "resultSummary": "PENDING"}


def test_only_what_was_given_is_repeated_and_survey_days_always(api: httpx.Client) -> None:
    found = status(api, request(api))
    assert set(found) == {
        "testId", "meterType", "remoteAddress", "surveyDays", "result", "resultSummary", "testRequestTime"
    }  # fmt: skip
    assert found["surveyDays"] == 0


def test_a_test_is_known_from_the_moment_its_id_is_returned(api: httpx.Client) -> None:
    for _ in range(20):
        assert status(api, request(api))["result"] == "PENDING"


def test_ids_rise_in_the_order_of_receipt(api: httpx.Client) -> None:
    ids = [request(api) for _ in range(5)]
    assert ids == sorted(set(ids))


def test_each_of_many_concurrent_requests_gets_its_own_test(api: httpx.Client) -> None:
    references = [f"ref {place}" for place in range(100)]
    with ThreadPoolExecutor(20) as threads:
        ids = list(threads.map(lambda reference: request(api, requestReference=reference), references))
    assert len(set(ids)) == 100
    assert [status(api, test_id)["requestReference"] for test_id in ids] == references


def test_scheduler_and_results_are_told_of_what_was_accepted(
    api: httpx.Client, owner: Credentials, site: Any, listener: Listener
) -> None:
    test_id = request(api, **SAMPLE, immediate=True, comsSettings="7E1")
    for queue in (SCHEDULER_REQUESTS, RESULTS_REQUESTS):
        told = listener.wait_for(queue, test_id)
        assert told == TestRequested(
            test_id=test_id,
            client_id=owner.client_id,
            request_reference="ABC",
            received_at=told.received_at,
            immediate=True,
            meter_type="ELSTERA1700",
            remote_address="07777000000",
            canonical_address="+447777000000",
            transport=Transport.MODEM,
            coms_settings="7E1",
            outstation_address="1",
            serial_number="12345678",
            password=told.password,
            survey_days=10,
            survey_from=date(2019, 12, 1),
        )
        assert told.password is not None
        assert Vault([site.key]).open(told.password) == "AAAA0000"


def test_every_test_of_a_batch_is_told_with_its_batch(api: httpx.Client, listener: Listener) -> None:
    answer = api.post("/MTS/batch-request", json=[LEAST] * 3)
    batch_id = answer.json()["batchId"]
    for each in batch_status(api, batch_id)["status"]:
        assert listener.wait_for(SCHEDULER_REQUESTS, each["testId"]).batch_id == batch_id


def test_the_clients_own_run_windows_are_told(admin: httpx.Client, gateway: RunningGateway, listener: Listener) -> None:
    windows = [{"opens": "22:00", "closes": "06:00", "zone": "Europe/London"}]
    client = admin.post("/MTS/admin/clients", json={"name": "night", "runWindows": windows}).json()
    token = admin.post("/MTS/admin/tokens", json={"clientId": client["clientId"]}).json()["token"]
    with gateway.http(token) as api:
        told = listener.wait_for(SCHEDULER_REQUESTS, request(api))
    assert told.run_windows == (RunWindow(opens=time(22), closes=time(6), zone="Europe/London"),)


def test_the_password_is_sealed_wherever_it_is_stored(api: httpx.Client, store: Store) -> None:
    test_id = request(api, password="SECRET12")
    rows = store.run("SELECT t::text AS text FROM gateway.test t WHERE test_id = $1", test_id)
    rows += store.run("SELECT o::text AS text FROM gateway.outbox o")
    assert not [row for row in rows if "SECRET12" in row["text"]]
    assert status(api, test_id)["password"] == "SECRET12"


def test_a_setting_masks_the_password(start_gateway: Any, owner: Credentials) -> None:
    with start_gateway(mask_passwords=True).http(owner.token) as api:
        assert status(api, request(api, password="SECRET12"))["password"] == "********"
        assert "password" not in status(api, request(api))


def test_a_reference_is_returned_verbatim(api: httpx.Client) -> None:
    for reference in ("  MPAN 12\t34 ", 'quote " and \\ slash', "Zähler 電力 😀", "x" * 100, "<b>&amp;</b>"):
        assert status(api, request(api, requestReference=reference))["requestReference"] == reference
    assert refused(api, requestReference="x" * 101) == ["requestReference must not be longer than 100 characters"]


def test_immediate_is_false_unless_said(api: httpx.Client, store: Store) -> None:
    ids = [request(api), request(api, immediate=False), request(api, immediate=True), request(api, immediate=None)]
    rows = store.run("SELECT immediate FROM gateway.test WHERE test_id = ANY($1) ORDER BY test_id", ids)
    assert [row["immediate"] for row in rows] == [False, False, True, False]
    assert refused(api, immediate="true") == ["immediate must be true or false"]


def test_the_meter_type_is_taken_in_any_case_and_shown_canonical(api: httpx.Client) -> None:
    assert status(api, request(api, meterType="elstera1700"))["meterType"] == "ELSTERA1700"
    assert refused(api, meterType="NONE") == ["meterType is not a known meter type (GET /MTS/meter-types lists them)"]
    assert refused(api, meterType=None) == ["meterType is required"]


def test_an_address_is_shown_without_the_blanks_of_a_number(api: httpx.Client) -> None:
    assert status(api, request(api, remoteAddress="07777 000-000"))["remoteAddress"] == "07777000000"
    assert status(api, request(api, remoteAddress="[2001:DB8::1]:80"))["remoteAddress"] == "[2001:DB8::1]:80"
    assert refused(api, remoteAddress="abc") == ["remoteAddress is not in a recognised format"]
    assert refused(api, remoteAddress=None) == ["remoteAddress is required"]


def test_spellings_of_one_address_have_one_canonical_form(api: httpx.Client, store: Store) -> None:
    numbers = ["07777000001", "+447777000001", "00447777 000001"]
    hosts = ["METER.example:80", "meter.example:80", "Meter.Example.:80"]
    rows = store.run(
        "SELECT canonical_address FROM gateway.test WHERE test_id = ANY($1) ORDER BY test_id",
        [request(api, remoteAddress=address) for address in numbers + hosts],
    )
    assert [row["canonical_address"] for row in rows] == ["+447777000001"] * 3 + ["meter.example:80"] * 3


def test_the_country_of_national_numbers_is_a_setting(start_gateway: Any, owner: Credentials, store: Store) -> None:
    with start_gateway(country_code="49").http(owner.token) as api:
        test_id = request(api, remoteAddress="0171123456")
    (row,) = store.run("SELECT canonical_address FROM gateway.test WHERE test_id = $1", test_id)
    assert row["canonical_address"] == "+49171123456"


def test_line_settings_are_for_phone_numbers(api: httpx.Client) -> None:
    assert status(api, request(api, comsSettings="8N1"))["comsSettings"] == "8N1"
    assert refused(api, comsSettings="8N1", remoteAddress="host:1") == ["comsSettings applies to phone numbers only"]
    assert refused(api, comsSettings="8X1")[0].startswith("comsSettings must be data bits, parity and stop bits")


def test_lengths_of_texts_are_limited(api: httpx.Client) -> None:
    for name, most in (("outstationAddress", 64), ("serialNumber", 64), ("password", 128)):
        assert refused(api, **{name: "1" * (most + 1)}) == [f"{name} must not be longer than {most} characters"]
    assert status(api, request(api, serialNumber="S" * 64))["serialNumber"] == "S" * 64


def test_the_meter_type_may_demand_or_refuse_forms(api: httpx.Client) -> None:
    assert refused(api, outstationAddress="X") == ["outstationAddress must be a decimal device address for ELSTERA1700"]
    assert refused(api, password="short") == ["password must be 8 characters for ELSTERA1700"]
    details = refused(api, meterType="EDMIATLAS")
    assert "outstationAddress is required for EDMIATLAS: the meter's serial number in digits" in details
    assert "password is required for EDMIATLAS: USER,PASSWORD" in details


def test_survey_days_are_whole_within_the_limit_and_only_where_there_is_a_survey(api: httpx.Client) -> None:
    assert status(api, request(api, surveyDays=100))["surveyDays"] == 100
    assert status(api, request(api, surveyDays=10.0))["surveyDays"] == 10
    assert refused(api, surveyDays=101) == ["surveyDays is over the limit of 100"]
    assert refused(api, surveyDays=-1) == ["surveyDays must be a whole number from 0 to 100"]
    assert refused(api, meterType="ISKRA_MT174", surveyDays=1) == ["surveyDays must be 0: ISKRA_MT174 keeps no survey"]


def test_a_survey_without_a_date_starts_as_many_days_before_the_day_of_receipt(api: httpx.Client, store: Store) -> None:
    test_id = request(api, surveyDays=10)
    assert "surveyDate" not in status(api, test_id)
    (row,) = store.run("SELECT survey_from, received_at FROM gateway.test WHERE test_id = $1", test_id)
    assert row["survey_from"] == row["received_at"].astimezone(UTC).date() - timedelta(days=10)


def test_a_survey_date_is_real_and_not_in_the_future(api: httpx.Client) -> None:
    today = datetime.now(UTC).date()
    assert status(api, request(api, surveyDays=1, surveyDate=str(today)))["surveyDate"] == str(today)
    tomorrow = str(today + timedelta(days=2))
    assert refused(api, surveyDays=1, surveyDate=tomorrow) == ["surveyDate must not be in the future"]
    assert refused(api, surveyDate="2026-02-30") == ["surveyDate must be a date in the form yyyy-MM-dd"]


def test_without_survey_days_a_date_is_checked_repeated_and_otherwise_ignored(api: httpx.Client, store: Store) -> None:
    test_id = request(api, surveyDate="2026-01-31")
    assert status(api, test_id)["surveyDate"] == "2026-01-31"
    (row,) = store.run("SELECT survey_from FROM gateway.test WHERE test_id = $1", test_id)
    assert row["survey_from"] is None


def test_names_are_taken_in_any_case(api: httpx.Client) -> None:
    answer = api.post("/MTS/test-request", json={"METERTYPE": "ELSTERA1700", "remoteaddress": "123", "surveydays": 3})
    assert status(api, answer.json()["testId"])["surveyDays"] == 3
    assert refused(api, METERTYPE="ELSTERA1700") == ["meterType is given more than once"]


def test_null_empty_and_unknown_parameters_are_as_if_absent(api: httpx.Client) -> None:
    test_id = request(api, requestReference="", password=None, surveyDays="", surveyDate=None, testId=5, result="X")
    assert set(status(api, test_id)) == set(status(api, request(api)))


def test_all_faults_come_at_once_and_nothing_is_stored(api: httpx.Client, store: Store, owner: Credentials) -> None:
    details = refused(api, immediate=1, meterType="X", remoteAddress="x", surveyDays=-1, surveyDate="x", password=7)
    assert sorted(detail.split()[0] for detail in details) == [
        "immediate", "meterType", "password", "remoteAddress", "surveyDate", "surveyDays"
    ]  # fmt: skip
    assert store.run("SELECT 1 FROM gateway.test WHERE client_id = $1", owner.client_id) == []


def batch_status(api: httpx.Client, batch_id: int) -> dict[str, Any]:
    answer = api.get("/MTS/batch-status", params={"batchId": batch_id})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_batch_is_accepted_and_shown_in_the_order_of_the_request(api: httpx.Client) -> None:
    tests = [LEAST | {"requestReference": f"{place}"} for place in (3, 1, 2)]
    answer = api.post("/MTS/batch-request", json=[*tests, LEAST])
    assert answer.status_code == 200
    assert set(answer.json()) == {"batchId"}
    found = batch_status(api, answer.json()["batchId"])
    assert (found["batchId"], found["totalCount"], found["completedCount"]) == (answer.json()["batchId"], 4, 0)
    assert [each.get("requestReference") for each in found["status"]] == ["3", "1", "2", None]
    assert found["status"][0] == {
        "testId": found["status"][0]["testId"],
        "requestReference": "3",
        "meterType": "ELSTERA1700",
        "remoteAddress": "07777000000",
        "resultSummary": "PENDING",
    }
    assert [status(api, each["testId"])["result"] for each in found["status"]] == ["PENDING"] * 4


def test_a_batch_with_a_bad_item_is_rejected_whole(api: httpx.Client, store: Store, owner: Credentials) -> None:
    answer = api.post("/MTS/batch-request", json=[LEAST, LEAST | {"remoteAddress": "x", "surveyDays": 999}, 5])
    assert answer.status_code == 400
    assert answer.json()["details"] == [
        "[1].remoteAddress is not in a recognised format",
        "[1].surveyDays is over the limit of 100",
        "[2] must be a JSON object",
    ]
    assert store.run("SELECT 1 FROM gateway.test WHERE client_id = $1", owner.client_id) == []
    assert store.run("SELECT 1 FROM gateway.batch WHERE client_id = $1", owner.client_id) == []


def test_an_empty_batch_and_one_over_the_limit_are_400(start_gateway: Any, owner: Credentials) -> None:
    with start_gateway(max_batch_tests=2).http(owner.token) as api:
        for body, detail in (
            ([], "the batch must hold at least one test"),
            ([LEAST] * 3, "the batch holds 3 tests, over the limit of 2"),
            (LEAST, "the body must be a JSON array of tests"),
        ):
            answer = api.post("/MTS/batch-request", json=body)
            assert (answer.status_code, answer.json()) == (400, {"details": [detail]})
        assert api.post("/MTS/batch-request", json=[LEAST] * 2).status_code == 200


def test_a_batch_of_ten_thousand_is_accepted_while_single_tests_go_on(
    gateway: RunningGateway, store: Store, api: httpx.Client
) -> None:
    with gateway.http(store.new_client().token) as other, ThreadPoolExecutor(1) as thread:
        batch = thread.submit(api.post, "/MTS/batch-request", json=[LEAST] * 10_000)
        while not batch.done():
            request(other)
        found = batch_status(api, batch.result().json()["batchId"])
    assert found["totalCount"] == len(found["status"]) == 10_000


@pytest.mark.parametrize("bad", ["x" * 129, "umläut", "tab\there"])
def test_an_idempotency_key_is_up_to_128_printable_ascii_characters(api: httpx.Client, bad: str) -> None:
    answer = api.post("/MTS/test-request", json=LEAST, headers=[(b"Idempotency-Key", bad.encode("latin-1"))])
    assert answer.status_code == 400
    assert answer.json()["details"] == ["Idempotency-Key must be one value of up to 128 printable ASCII characters"]
    assert api.post("/MTS/test-request", json=LEAST, headers={"Idempotency-Key": "x" * 128}).status_code == 200


def test_a_repeat_with_its_key_gets_the_first_answer_and_creates_nothing(
    api: httpx.Client, store: Store, owner: Credentials
) -> None:
    for path, body in (("/MTS/test-request", LEAST), ("/MTS/batch-request", [LEAST, LEAST])):
        answers = [api.post(path, json=body, headers={"Idempotency-Key": path}) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.text for answer in answers}) == 1
    assert len(store.run("SELECT 1 FROM gateway.test WHERE client_id = $1", owner.client_id)) == 3


def test_a_hundred_concurrent_repeats_create_one_test(
    site: Any, gateway: RunningGateway, start_gateway: Any, store: Store, owner: Credentials
) -> None:
    other = start_gateway()
    with gateway.http(owner.token) as one, other.http(owner.token) as two, ThreadPoolExecutor(40) as threads:
        answers = list(
            threads.map(
                lambda place: (one, two)[place % 2].post(
                    "/MTS/test-request", json=LEAST, headers={"Idempotency-Key": "same"}
                ),
                range(100),
            )
        )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert len(store.run("SELECT 1 FROM gateway.test WHERE client_id = $1", owner.client_id)) == 1


def test_a_key_with_another_body_or_method_is_400(api: httpx.Client) -> None:
    key = {"Idempotency-Key": "k"}
    assert api.post("/MTS/test-request", json=LEAST, headers=key).status_code == 200
    for path, body in (("/MTS/test-request", LEAST | {"immediate": True}), ("/MTS/batch-request", [LEAST])):
        answer = api.post(path, json=body, headers=key)
        assert answer.status_code == 400
        assert answer.json()["details"] == ["Idempotency-Key was used before with another request"]


def test_a_key_binds_one_client_only(api: httpx.Client, gateway: RunningGateway, store: Store) -> None:
    key = {"Idempotency-Key": "shared"}
    first = api.post("/MTS/test-request", json=LEAST, headers=key)
    with gateway.http(store.new_client().token) as other:
        second = other.post("/MTS/test-request", json=LEAST, headers=key)
    assert first.json() != second.json()


def test_a_refused_request_binds_no_key(api: httpx.Client) -> None:
    key = {"Idempotency-Key": "again"}
    assert api.post("/MTS/test-request", json={}, headers=key).status_code == 400
    assert api.post("/MTS/test-request", json=LEAST, headers=key).status_code == 200


def test_a_key_is_free_again_after_a_day(api: httpx.Client, store: Store, owner: Credentials) -> None:
    key = {"Idempotency-Key": "old"}
    first = api.post("/MTS/test-request", json=LEAST, headers=key).json()
    age = "UPDATE gateway.idempotency SET created_at = now() - interval '23 hours 59 minutes' WHERE client_id = $1"
    store.run(age, owner.client_id)
    assert api.post("/MTS/test-request", json=LEAST, headers=key).json() == first
    store.run(age.replace("23 hours 59 minutes", "24 hours"), owner.client_id)
    assert api.post("/MTS/test-request", json=LEAST | {"immediate": True}, headers=key).json() != first
