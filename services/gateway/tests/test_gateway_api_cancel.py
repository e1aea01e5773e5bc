"""test-cancel and batch-cancel, with a scheduler that answers over the real broker."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from mts_gateway.fields import MAX_ID
from mts_gateway.testing import Credentials, Neighbours, RunningGateway, Store

LEAST = {"meterType": "ELSTERA1700", "remoteAddress": "07777000000"}

pytestmark = pytest.mark.usefixtures("neighbours")


def request(api: httpx.Client) -> int:
    return int(api.post("/MTS/test-request", json=LEAST).json()["testId"])


def cancel(api: httpx.Client, test_id: object) -> httpx.Response:
    return api.request("DELETE", "/MTS/test-cancel", json={"testId": test_id})


def request_batch(api: httpx.Client, size: int) -> tuple[int, list[int]]:
    batch_id = int(api.post("/MTS/batch-request", json=[LEAST] * size).json()["batchId"])
    return batch_id, [each["testId"] for each in batch_status(api, batch_id)["status"]]


def batch_status(api: httpx.Client, batch_id: int) -> dict[str, Any]:
    answer = api.get("/MTS/batch-status", params={"batchId": batch_id})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def cancel_batch(api: httpx.Client, batch_id: int, **given: Any) -> int:
    answer = api.request("DELETE", "/MTS/batch-cancel", json={"batchId": batch_id} | given)
    assert answer.status_code == 200, answer.text
    assert answer.json()["batchId"] == batch_id
    assert set(answer.json()) == {"batchId", "cancelledCount"}
    return int(answer.json()["cancelledCount"])


def test_a_cancelled_test_is_gone_from_that_moment(api: httpx.Client) -> None:
    test_id = request(api)
    answer = cancel(api, test_id)
    assert (answer.status_code, answer.json()) == (200, {"testId": test_id})
    answer = api.get("/MTS/test-status", params={"testId": test_id})
    assert (answer.status_code, answer.json()) == (400, {"details": [f"testId {test_id} was cancelled"]})
    assert api.get("/MTS/test-trace", params={"testId": test_id}).status_code == 400


def test_repeating_a_cancel_is_200(api: httpx.Client) -> None:
    test_id = request(api)
    for _ in range(3):
        assert cancel(api, test_id).json() == {"testId": test_id}


@pytest.mark.parametrize("state", ["running", "done"])
def test_a_running_or_finished_test_is_left_as_it_is(api: httpx.Client, neighbours: Neighbours, state: str) -> None:
    test_id = request(api)
    getattr(neighbours, state).add(test_id)
    assert cancel(api, test_id).json() == {"testId": test_id}
    assert api.get("/MTS/test-status", params={"testId": test_id}).status_code == 200


def test_a_numeric_string_is_taken_and_the_id_comes_back_as_an_integer(api: httpx.Client) -> None:
    test_id = request(api)
    assert cancel(api, str(test_id)).json() == {"testId": test_id}
    answer = api.request("DELETE", "/MTS/test-cancel", json={"TESTID": str(test_id), "other": 1})
    assert answer.json() == {"testId": test_id}


def test_an_unknown_and_a_foreign_id_are_refused_alike(
    api: httpx.Client, gateway: RunningGateway, store: Store, neighbours: Neighbours
) -> None:
    with gateway.http(store.new_client().token) as other:
        foreign, (foreign_batch, _) = request(other), request_batch(other, 1)
        for wanted in (foreign, MAX_ID):
            assert cancel(api, wanted).json() == {"details": [f"testId {wanted} is not known"]}
        for wanted in (foreign_batch, MAX_ID):
            answer = api.request("DELETE", "/MTS/batch-cancel", json={"batchId": wanted})
            assert (answer.status_code, answer.json()) == (400, {"details": [f"batchId {wanted} is not known"]})
        assert other.get("/MTS/test-status", params={"testId": foreign}).status_code == 200
    assert foreign not in [test_id for question in neighbours.asked for test_id in question.test_ids]


@pytest.mark.parametrize("body", [{}, {"testId": None}, {"testId": 1.5}, {"testId": -1}, {"testId": True}, [], 5])
def test_a_cancel_without_an_id_is_400(api: httpx.Client, body: object) -> None:
    assert api.request("DELETE", "/MTS/test-cancel", json=body).status_code == 400
    text = json.dumps(body).replace("testId", "batchId")
    assert api.request("DELETE", "/MTS/batch-cancel", content=text).status_code == 400


def test_no_answer_from_the_scheduler_is_503_and_can_be_repeated(
    start_gateway: Any, owner: Credentials, api: httpx.Client
) -> None:
    test_id, (batch_id, _) = request(api), request_batch(api, 2)
    with start_gateway(amqp_url="amqp://127.0.0.1:1/").http(owner.token) as cut_off:
        answer = cancel(cut_off, test_id)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert cut_off.request("DELETE", "/MTS/batch-cancel", json={"batchId": batch_id}).status_code == 503
    assert api.get("/MTS/test-status", params={"testId": test_id}).status_code == 200
    assert cancel(api, test_id).status_code == 200
    assert cancel_batch(api, batch_id) == 2


def test_a_batch_loses_its_pending_tests_and_stays_known(api: httpx.Client, neighbours: Neighbours) -> None:
    batch_id, (first, running, done, last) = request_batch(api, 4)
    neighbours.running.add(running)
    neighbours.done.add(done)
    assert cancel_batch(api, batch_id) == 2
    found = batch_status(api, batch_id)
    assert (found["totalCount"], [each["testId"] for each in found["status"]]) == (2, [running, done])
    for test_id in (first, last):
        answer = api.get("/MTS/test-status", params={"testId": test_id})
        assert answer.json() == {"details": [f"testId {test_id} was cancelled"]}
    assert cancel_batch(api, batch_id) == 0


def test_completed_tests_are_deleted_and_counted_on_demand(api: httpx.Client, neighbours: Neighbours) -> None:
    batch_id, (pending, running, done) = request_batch(api, 3)
    neighbours.running.add(running)
    neighbours.done.add(done)
    assert cancel_batch(api, batch_id, deleteCompleted=True) == 2
    assert [each["testId"] for each in batch_status(api, batch_id)["status"]] == [running]
    answer = api.get("/MTS/test-status", params={"testId": done})
    assert answer.json() == {"details": [f"testId {done} was deleted"]}
    assert api.get("/MTS/test-status", params={"testId": pending}).status_code == 400
    assert cancel_batch(api, batch_id, deleteCompleted=True) == 0


def test_a_batch_that_is_all_cancelled_is_known_and_empty(api: httpx.Client) -> None:
    batch_id, _ = request_batch(api, 3)
    assert cancel_batch(api, batch_id, deleteCompleted=False) == 3
    assert batch_status(api, batch_id) == {"batchId": batch_id, "totalCount": 0, "completedCount": 0, "status": []}
    assert cancel_batch(api, batch_id) == 0


def test_a_cancelled_test_of_a_batch_no_longer_counts(api: httpx.Client) -> None:
    batch_id, (first, _, _) = request_batch(api, 3)
    cancel(api, first)
    assert batch_status(api, batch_id)["totalCount"] == 2
    assert cancel_batch(api, batch_id) == 2


def test_a_large_batch_is_cancelled_whole(api: httpx.Client) -> None:
    batch_id, _ = request_batch(api, 2500)
    assert cancel_batch(api, batch_id) == 2500
    assert batch_status(api, batch_id)["totalCount"] == 0


def test_delete_completed_is_a_boolean(api: httpx.Client) -> None:
    batch_id, _ = request_batch(api, 1)
    answer = api.request("DELETE", "/MTS/batch-cancel", json={"batchId": batch_id, "deleteCompleted": "true"})
    assert (answer.status_code, answer.json()) == (400, {"details": ["deleteCompleted must be true or false"]})
    assert cancel_batch(api, batch_id, deleteCompleted=None) == 1
