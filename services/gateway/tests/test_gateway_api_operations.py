"""The operators' API: waiting tests, lines, quarantine and dead letters, with services that answer over the broker."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from mts_common.messages import FailureKind, Transport, encode
from mts_common.operator_messages import (
    ChangeJobs,
    ChangeJobsReply,
    DeadLetter,
    DiallerSession,
    HeldJob,
    JobChange,
    LiftQuarantine,
    LiftQuarantineReply,
    ListDeadLetters,
    ListDeadLettersReply,
    ListJobs,
    ListJobsReply,
    ListLinesReply,
    QuarantinedAddress,
    RequeueDeadLettersReply,
    RunningCall,
)
from mts_common.topology import (
    JOB_CHANGES,
    JOB_LISTS,
    LINE_LISTS,
    QUARANTINE_LIFTS,
    RESULTS_DEAD,
    RESULTS_REQUEUES,
    SCHEDULER_DEAD,
    SCHEDULER_REQUEUES,
)
from mts_gateway.testing import Neighbours, RunningGateway, Store

AT = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
SHOWN = "2026-03-29T01:30:00Z"
JOB = HeldJob(
    test_id=7,
    client_id=1,
    meter_type="ELSTERA1700",
    remote_address="07777 000000",
    transport=Transport.MODEM,
    immediate=False,
    ready_at=AT,
    attempts=2,
    tries=1,
    failure=FailureKind.BUSY,
    received_at=AT,
)
JOB_SHOWN = {
    "testId": 7,
    "clientId": 1,
    "meterType": "ELSTERA1700",
    "remoteAddress": "07777 000000",
    "transport": "modem",
    "immediate": False,
    "onHold": False,
    "readyTime": SHOWN,
    "attempts": 2,
    "tries": 1,
    "failure": "busy",
    "receivedTime": SHOWN,
}


@pytest.fixture
def scheduler(neighbours: Neighbours) -> Neighbours:
    """Neighbours that have been asked nothing and have no dead letters."""
    neighbours.operators.clear()
    neighbours.answers.clear()
    for queue in (SCHEDULER_DEAD, RESULTS_DEAD):
        neighbours.answers[queue.name] = ListDeadLettersReply(total=0, letters=())
    return neighbours


@pytest.fixture
def nobody(start_gateway: Any, store: Store) -> Iterator[httpx.Client]:
    """An administrator's calls to a gateway without a broker."""
    gateway: RunningGateway = start_gateway(amqp_url="amqp://127.0.0.1:1/")
    with gateway.http(store.new_client(scopes=("admin",)).token) as client:
        yield client


def letter(letter_id: int, minute: int, **changes: Any) -> DeadLetter:
    made = DeadLetter(
        id=letter_id,
        queue="scheduler.requests",
        message_kind="test.requested",
        reason="Rejected: poison",
        size=3,
        died_at=AT.replace(minute=minute),
    )
    return made.model_copy(update=changes)


def test_waiting_tests_are_listed(admin: httpx.Client, scheduler: Neighbours) -> None:
    on_hold = JOB.model_copy(update={"test_id": 8, "ready_at": None, "failure": None})
    scheduler.answers[JOB_LISTS.name] = ListJobsReply(total=12, jobs=(JOB, on_hold))
    wanted: dict[str, str | int] = {
        "clientId": 1,
        "immediate": "false",
        "onHold": "TRUE",
        "remoteAddress": "0777",
        "limit": 2,
        "offset": 10,
    }
    answer = admin.get("/MTS/admin/jobs", params=wanted).json()
    assert scheduler.operators == [
        ListJobs(client_id=1, immediate=False, on_hold=True, address="0777", limit=2, offset=10)
    ]
    assert (answer["totalResultCount"], answer["resultCount"], answer["offset"]) == (12, 2, 10)
    without = {name: value for name, value in JOB_SHOWN.items() if name not in ("readyTime", "failure")}
    assert answer["jobs"] == [JOB_SHOWN, {**without, "testId": 8, "onHold": True}]


def test_every_waiting_test_is_meant_where_nothing_else_is_said(admin: httpx.Client, scheduler: Neighbours) -> None:
    scheduler.answers[JOB_LISTS.name] = ListJobsReply(total=0, jobs=())
    assert admin.get("/MTS/admin/jobs").json() == {"totalResultCount": 0, "resultCount": 0, "offset": 0, "jobs": []}
    assert scheduler.operators == [ListJobs()]


@pytest.mark.parametrize(
    ("path", "body", "change"),
    [
        ("hold", {}, JobChange.HOLD),
        ("release", {}, JobChange.RELEASE),
        ("release", {"now": None}, JobChange.RELEASE),
        ("release", {"now": True}, JobChange.RELEASE_NOW),
    ],
)
def test_waiting_tests_are_held_and_released(
    admin: httpx.Client, scheduler: Neighbours, path: str, body: dict[str, Any], change: JobChange
) -> None:
    scheduler.answers[JOB_CHANGES.name] = ChangeJobsReply(changed=(7,))
    answer = admin.post(f"/MTS/admin/jobs/{path}", json={"testIds": [7, "8"], **body})
    assert (answer.status_code, answer.json()) == (200, {"testIds": [7]})
    assert scheduler.operators == [ChangeJobs(change=change, test_ids=(7, 8))]


def test_lines_are_shown(admin: httpx.Client, scheduler: Neighbours) -> None:
    call = UUID(int=5)
    scheduler.answers[LINE_LISTS.name] = ListLinesReply(
        diallers=(DiallerSession(dialler="d1", transport=Transport.MODEM, lines=8, calls=1, lease_until=AT),),
        calls=(
            RunningCall(
                call_id=call,
                dialler="d1",
                client_id=1,
                remote_address="07777 000000",
                transport=Transport.MODEM,
                started_at=AT,
                not_after=None,
                test_ids=(7,),
            ),
        ),
        quarantine=(QuarantinedAddress(address="+447777000001", until=AT, reason="a call was lost with dialler d1"),),
    )
    answer = admin.get("/MTS/admin/lines").json()
    assert answer["diallers"] == [
        {"dialler": "d1", "transport": "modem", "lines": 8, "calls": 1, "leaseUntilTime": SHOWN}
    ]
    assert answer["calls"][0]["callId"] == str(call)
    assert answer["calls"][0]["testIds"] == [7]
    assert "notAfterTime" not in answer["calls"][0]
    assert answer["quarantine"] == [
        {"remoteAddress": "+447777000001", "untilTime": SHOWN, "reason": "a call was lost with dialler d1"}
    ]


@pytest.mark.parametrize("lifted", [True, False])
def test_a_quarantine_is_lifted(admin: httpx.Client, scheduler: Neighbours, lifted: bool) -> None:
    scheduler.answers[QUARANTINE_LIFTS.name] = LiftQuarantineReply(lifted=lifted)
    body = {"remoteAddress": "+447777000001"}
    answer = admin.request("DELETE", "/MTS/admin/lines/quarantine", json=body)
    assert (answer.status_code, answer.json()) == (200, {**body, "lifted": lifted})
    assert scheduler.operators == [LiftQuarantine(address="+447777000001")]


def test_dead_letters_of_all_services_are_listed_by_time(
    admin: httpx.Client, scheduler: Neighbours, site: Any, store: Store
) -> None:
    scheduler.answers[SCHEDULER_DEAD.name] = ListDeadLettersReply(total=2, letters=(letter(1, 1), letter(2, 3)))
    scheduler.answers[RESULTS_DEAD.name] = ListDeadLettersReply(total=1, letters=(letter(1, 2),))
    answer = admin.get("/MTS/admin/dead-letters", params={"limit": 2, "offset": 1}).json()
    assert answer["totalResultCount"] == 3
    found = [(each["service"], each["deadLetterId"]) for each in answer["deadLetters"]]
    assert found == [("results", 1), ("scheduler", 2)]
    assert answer["deadLetters"][0] == {
        "service": "results",
        "deadLetterId": 1,
        "queue": "scheduler.requests",
        "kind": "test.requested",
        "reason": "Rejected: poison",
        "size": 3,
        "diedTime": "2026-03-29T01:02:00Z",
    }
    assert scheduler.operators == [ListDeadLetters(limit=3), ListDeadLetters(limit=3)]


def test_dead_letters_of_one_service_are_listed(admin: httpx.Client, scheduler: Neighbours) -> None:
    scheduler.answers[RESULTS_DEAD.name] = ListDeadLettersReply(total=9, letters=(letter(9, 1),))
    wanted: dict[str, str | int] = {"service": "results", "queue": "results.reports", "limit": 1, "offset": 8}
    answer = admin.get("/MTS/admin/dead-letters", params=wanted).json()
    assert [each["deadLetterId"] for each in answer["deadLetters"]] == [9]
    assert scheduler.operators == [ListDeadLetters(queue="results.reports", limit=1, offset=8)]


def test_a_dead_letter_is_shown_with_what_it_says(admin: httpx.Client, scheduler: Neighbours) -> None:
    scheduler.answers[SCHEDULER_DEAD.name] = ListDeadLettersReply(total=1, letters=(letter(5, 1, text='{"v": 1}'),))
    assert admin.get("/MTS/admin/dead-letters/scheduler/5").json()["text"] == '{"v": 1}'
    assert scheduler.operators == [ListDeadLetters(ids=(5,), with_text=True)]


def test_a_dead_letter_is_put_back(admin: httpx.Client, scheduler: Neighbours) -> None:
    scheduler.answers[RESULTS_REQUEUES.name] = RequeueDeadLettersReply(requeued=(5,))
    answer = admin.post("/MTS/admin/dead-letters/results/5/requeue")
    assert (answer.status_code, answer.json()) == (200, {"service": "results", "deadLetterId": 5})


def test_a_dead_letter_that_is_not_known_is_400_and_one_that_is_not_taken_503(
    admin: httpx.Client, scheduler: Neighbours
) -> None:
    scheduler.answers[SCHEDULER_REQUEUES.name] = RequeueDeadLettersReply(requeued=())
    for call in (
        admin.get("/MTS/admin/dead-letters/scheduler/5"),
        admin.post("/MTS/admin/dead-letters/scheduler/5/requeue"),
    ):
        assert (call.status_code, call.json()) == (400, {"details": ["deadLetterId 5 is not known"]})
    scheduler.answers[SCHEDULER_DEAD.name] = ListDeadLettersReply(total=1, letters=())
    assert admin.post("/MTS/admin/dead-letters/scheduler/5/requeue").status_code == 503


def test_the_gateways_own_dead_letters_lie_with_it(
    admin: httpx.Client, nobody: httpx.Client, store: Store, scheduler: Neighbours
) -> None:
    body = encode([LiftQuarantine(address="x")])
    (row,) = store.run(
        "INSERT INTO gateway.dead_letter (queue, kind, reason, body, digest) "
        "VALUES ('gateway.readings', 'readings.stored', 'poison', $1, $1) RETURNING dead_letter_id",
        body,
    )
    path = f"/MTS/admin/dead-letters/gateway/{row['dead_letter_id']}"
    assert nobody.get(path).json()["queue"] == "gateway.readings"
    assert nobody.post(f"{path}/requeue").status_code == 503
    assert admin.post(f"{path}/requeue").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "fault"),
    [
        ("GET", "jobs?clientId=0", None, "clientId must be a whole number from 1 to"),
        ("GET", "jobs?onHold=maybe", None, "onHold must be true or false"),
        ("GET", "jobs?limit=1001", None, "limit is over the limit of 1000"),
        ("POST", "jobs/hold", [], "the body must be a JSON object"),
        ("POST", "jobs/hold", {}, "testIds must be a list of 1 to 1000 ids"),
        ("POST", "jobs/hold", {"testIds": {}}, "testIds must be a list of 1 to 1000 ids"),
        ("POST", "jobs/hold", {"testIds": list(range(1, 1002))}, "testIds must be a list of 1 to 1000 ids"),
        ("POST", "jobs/release", {"testIds": [1, "x"]}, "testIds must be a list of whole numbers from 1 to"),
        ("POST", "jobs/release", {"testIds": [1], "now": 1}, "now must be true or false"),
        ("DELETE", "lines/quarantine", {}, "remoteAddress is required"),
        ("GET", "dead-letters?service=dialler", None, "service must be one of gateway, scheduler, results"),
        ("GET", "dead-letters?limit=900&offset=101", None, "offset and limit are over 1000 together: name a service"),
        ("GET", "dead-letters/dialler/1", None, "service must be one of gateway, scheduler, results"),
        ("GET", "dead-letters/results/x", None, "deadLetterId must be a whole number from 1 to"),
    ],
)
def test_a_bad_call_is_refused(admin: httpx.Client, method: str, path: str, body: object, fault: str) -> None:
    answer = admin.request(method, f"/MTS/admin/{path}", json=body)
    assert answer.status_code == 400
    assert answer.json()["details"][0].startswith(fault)


def test_no_answer_from_a_service_is_503(nobody: httpx.Client) -> None:
    for answer in (
        nobody.get("/MTS/admin/jobs"),
        nobody.post("/MTS/admin/jobs/hold", json={"testIds": [1]}),
        nobody.get("/MTS/admin/dead-letters/results/1"),
    ):
        assert answer.status_code == 503
        assert "did not answer" in answer.json()["details"][0]


def test_only_administrators_operate(api: httpx.Client) -> None:
    assert api.get("/MTS/admin/jobs").status_code == 403
    assert api.post("/MTS/admin/jobs/hold", json={"testIds": [1]}).status_code == 403
