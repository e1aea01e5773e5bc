"""Every method of the API over both clients: what goes over the wire, and what comes back."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from mts_client import (
    AsyncMtsClient,
    BadRequest,
    Dialect,
    Forbidden,
    MeterTest,
    MtsClient,
    MtsError,
    NotConfigured,
    NotFound,
    Outcome,
    RateLimited,
    RetryPolicy,
    Search,
    SearchStatus,
    ServerError,
    ServiceUnavailable,
    Unauthorized,
    UnexpectedAnswer,
    WaitExpired,
    models,
)
from mts_client.testing import FakeMts

TEST = MeterTest(meter_type="ELSTERA1700", remote_address="07777000000")
DAY = datetime(2026, 11, 20, tzinfo=UTC)


def sent(mts: FakeMts) -> Any:
    return json.loads(mts.requests[-1].content)


def answer(body: str) -> httpx.Response:
    return httpx.Response(200, content=body.encode(), headers={"Content-Type": "application/json"})


async def test_a_request_carries_each_parameter_under_its_name_in_the_contract(
    client: AsyncMtsClient, mts: FakeMts
) -> None:
    test = MeterTest(
        request_reference="1200012345678",
        immediate=True,
        meter_type="ELSTERA1700",
        remote_address="07777000000",
        coms_settings="7E1",
        outstation_address="1",
        serial_number="12345678",
        password=SecretStr("AAAA0000"),
        survey_days=10,
        survey_date=date(2019, 12, 1),
    )
    assert await client.test_request(test) == 1
    assert sent(mts) == {
        "requestReference": "1200012345678",
        "immediate": True,
        "meterType": "ELSTERA1700",
        "remoteAddress": "07777000000",
        "comsSettings": "7E1",
        "outstationAddress": "1",
        "serialNumber": "12345678",
        "password": "AAAA0000",
        "surveyDays": 10,
        "surveyDate": "2019-12-01",
    }
    request = mts.requests[-1]
    assert (request.method, str(request.url)) == ("POST", "https://mts.test/MTS/test-request")
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Authorization"] == "Bearer mts-token"


async def test_what_was_not_given_is_not_sent(client: AsyncMtsClient, mts: FakeMts) -> None:
    await client.test_request(TEST)
    assert sent(mts) == {"meterType": "ELSTERA1700", "remoteAddress": "07777000000"}


async def test_each_request_is_a_new_test_unless_the_caller_repeats_its_key(
    client: AsyncMtsClient, mts: FakeMts
) -> None:
    assert await client.test_request(TEST) != await client.test_request(TEST)
    keys = {request.headers["Idempotency-Key"] for request in mts.requests}
    assert len(keys) == 2
    assert await client.test_request(TEST, "mine") == await client.test_request(TEST, "mine")


@pytest.mark.parametrize("key", ["", "k" * 129, "schlüssel", "a\nb"])
async def test_an_idempotency_key_that_does_not_fit_the_header_is_refused(client: AsyncMtsClient, key: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        await client.test_request(TEST, key)


async def test_a_batch_is_an_array_of_requests(client: AsyncMtsClient, mts: FakeMts) -> None:
    batch_id = await client.batch_request([TEST, TEST.model_copy(update={"request_reference": "B"})])
    assert [test.get("requestReference") for test in sent(mts)] == [None, "B"]
    assert mts.requests[-1].headers["Idempotency-Key"]
    batch = await client.batch_status(batch_id)
    assert (batch.batch_id, batch.total_count, batch.completed_count) == (batch_id, 2, 0)
    assert [(test.request_reference, test.outcome) for test in batch.status] == [
        (None, Outcome.PENDING),
        ("B", Outcome.PENDING),
    ]


async def test_cancelling_sends_a_body_with_delete(client: AsyncMtsClient, mts: FakeMts) -> None:
    test_id = await client.test_request(TEST)
    assert await client.test_cancel(test_id) == test_id
    assert mts.requests[-1].method == "DELETE"
    assert sent(mts) == {"testId": test_id}
    with pytest.raises(BadRequest, match=f"testId {test_id} is unknown"):
        await client.test_status(test_id)


async def test_cancelling_a_batch_counts_what_it_removed(client: AsyncMtsClient, mts: FakeMts) -> None:
    batch_id = await client.batch_request([TEST, TEST])
    mts.complete(mts.batches[batch_id][0])
    cancelled = await client.batch_cancel(batch_id)
    assert sent(mts) == {"batchId": batch_id, "deleteCompleted": False}
    assert (cancelled.batch_id, cancelled.cancelled_count) == (batch_id, 1)
    assert (await client.batch_cancel(batch_id, delete_completed=True)).cancelled_count == 1


async def test_an_id_that_comes_as_a_text_is_a_number(client: AsyncMtsClient, mts: FakeMts) -> None:
    mts.scripted.append(answer('{"testId": "1234"}'))
    assert await client.test_cancel(1234) == 1234


STATUS = """{
  "testId": 7, "requestReference": "0001", "meterType": "ELSTERA1700", "remoteAddress": "07777000000",
  "password": "AAAA0000", "surveyDays": 1, "surveyDate": "2019-01-01", "result": "SUCCESS", "resultSummary": "SUCCESS",
  "testRequestTime": "2019-01-02T03:00:00Z", "testStartTime": "2019-01-02T04:00:00", "addedLater": {"a": [1]},
  "meterTime": "2014-10-31T23:33:32 -203s", "statusEvents": ["Lid/terminal cover tamper"],
  "meterProperties": [{"name": "CT\\\\VT ratios", "value": "CT: 600:5 VT: 1:1"}],
  "profileConfiguration": ["kWh Import"],
  "surveyData": [{"name": "kWh Import", "units": "kWh", "readings": [
    {"timestamp": "2019-01-01T00:00:00Z", "value": 0.10},
    {"timestamp": "2019-01-01T00:30:00Z", "value": "645", "status": ["power failure"]}]}],
  %s}"""
VALUES = """[{"name": "Energy", "value": 123456789012345678901234567890.120, "units": "kWh"},
  {"name": "Count", "value": 879, "units": ""}, {"name": "Firmware", "value": "B40", "units": ""}]"""
GROUPS = f'[{{"category": "Energy", "registerValues": {VALUES}}}]'


@pytest.mark.parametrize(
    ("registers", "category"),
    [
        (f'"registers": {GROUPS}, "registerValues": {GROUPS}', "Energy"),
        (f'"registerValues": {GROUPS}', "Energy"),
        (f'"registerValues": {VALUES}', ""),
    ],
    ids=["grouped", "grouped by the table alone", "flat"],
)
async def test_a_status_is_read_in_every_shape_with_exact_values(
    client: AsyncMtsClient, mts: FakeMts, registers: str, category: str
) -> None:
    mts.scripted.append(answer(STATUS % registers))
    status = await client.test_status(7)
    (group,) = status.register_groups
    assert group.category == category
    values = [register.value for register in group.register_values]
    assert [str(value) for value in values] == ["123456789012345678901234567890.120", "879", "B40"]
    assert [type(value) for value in values] == [Decimal, Decimal, str]
    assert status.outcome is Outcome.SUCCESS
    assert status.test_start_time == datetime(2019, 1, 2, 4, tzinfo=UTC)
    assert status.survey_date == date(2019, 1, 1)
    assert status.meter_properties == (models.NamedValue(name="CT\\VT ratios", value="CT: 600:5 VT: 1:1"),)
    assert status.survey_data is not None
    readings = status.survey_data[0].readings
    assert [str(reading.value) for reading in readings] == ["0.10", "645"]
    assert readings[1].status == ("power failure",)


@pytest.mark.parametrize(
    ("summary", "outcome"),
    [
        ("PENDING", Outcome.PENDING),
        ("SUCCESS", Outcome.SUCCESS),
        ("PARTIAL SUCCESS", Outcome.PARTIAL_SUCCESS),
        ("ERROR: no answer", Outcome.ERROR),
        ("ERROR", Outcome.ERROR),
    ],
)
def test_a_summary_says_its_outcome(summary: str, outcome: Outcome) -> None:
    status = models.MeterTestStatus(test_id=1, meter_type="X", remote_address="1", result_summary=summary)
    assert status.outcome is outcome
    assert status.is_completed is (outcome is not Outcome.PENDING)


async def test_the_dialect_is_asked_for_in_the_accept_header(client: AsyncMtsClient, mts: FakeMts) -> None:
    test_id = await client.test_request(TEST)
    await client.test_status(test_id)
    assert mts.requests[-1].headers["Accept"] == "application/json"
    await client.test_status(test_id, Dialect.FLAT)
    assert mts.requests[-1].headers["Accept"] == "application/json; dialect=flat"


async def test_passwords_and_tokens_stay_out_of_reprs(client: AsyncMtsClient, mts: FakeMts) -> None:
    mts.scripted.append(answer(STATUS % f'"registers": {GROUPS}'))
    status = await client.test_status(7)
    asked = MeterTest(meter_type="X", remote_address="1", password=SecretStr("AAAA0000"))
    token = await client.create_token(1)
    shown = repr((status, asked, token, client, await client.list_tokens()))
    assert "AAAA0000" not in shown
    assert token.token.get_secret_value() not in shown
    assert "mts-token" not in shown


async def test_a_search_sends_what_was_given_in_utc(client: AsyncMtsClient, mts: FakeMts) -> None:
    search = Search(
        from_time=datetime(2026, 6, 1, 1, 0, 0, 999, tzinfo=timezone(timedelta(hours=1))),
        to_time=DAY,
        request_reference="R",
        meter_type="ELSTERA1700",
        remote_address="0777",
        status=SearchStatus.COMPLETED,
        limit=0,
        offset=5,
        reverse_order=True,
    )
    page = await client.test_search(search)
    assert dict(mts.requests[-1].url.params) == {
        "fromTime": "2026-06-01T00:00:00Z",
        "toTime": "2026-11-20T00:00:00Z",
        "requestReference": "R",
        "meterType": "ELSTERA1700",
        "remoteAddress": "0777",
        "status": "COMPLETED",
        "limit": "0",
        "offset": "5",
        "reverseOrder": "true",
    }
    assert page.results == ()


def test_a_search_from_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        Search(from_time=datetime(2026, 6, 1))  # noqa: DTZ001


@pytest.mark.parametrize("reverse", [False, True])
async def test_search_all_gives_every_test_once_while_tests_keep_coming(
    client: AsyncMtsClient, mts: FakeMts, reverse: bool
) -> None:
    asked = [await client.test_request(TEST) for _ in range(5)]
    found = []
    async for test in client.search_all(Search(from_time=DAY, limit=2, reverse_order=reverse)):
        found.append(test.test_id)
        if len(found) == 2:
            late = await client.test_request(TEST)
    assert found == (asked[::-1] if reverse else [*asked, late])


async def test_search_all_of_nothing_ends(client: AsyncMtsClient, mts: FakeMts) -> None:
    assert [test async for test in client.search_all(Search(from_time=DAY))] == []
    assert len(mts.requests) == 1


async def test_the_service_describes_itself(client: AsyncMtsClient, mts: FakeMts) -> None:
    service = await client.service_status()
    assert (service.service_version, service.status) == ("1.2.3", "OK")
    assert "Authorization" not in mts.requests[-1].headers
    assert (await client.limits()).max_batch_tests == 3
    types = await client.meter_types()
    assert [(each.meter_type, each.transports, each.supported) for each in types] == [
        ("ELSTERA1700", ("modem", "tcp"), True),
        ("PREMIER", ("modem",), False),
    ]


async def test_an_own_trace_and_anybodys_trace(client: AsyncMtsClient, mts: FakeMts) -> None:
    test_id = await client.test_request(TEST)
    frame = {"time": "2026-11-20T10:00:00.123Z", "direction": "tx", "hex": "2F**0D0A", "note": "sign-on request"}
    mts.traces[test_id] = {
        "testId": test_id,
        "attempts": [
            {"attempt": 1, "startTime": "2026-11-20T10:00:00Z", "endTime": None, "result": "", "frames": [frame]}
        ],
    }
    own = await client.test_trace(test_id)
    assert mts.requests[-1].url.params["testId"] == str(test_id)
    assert await client.admin_test_trace(test_id) == own
    assert mts.requests[-1].url.path == f"/MTS/admin/tests/{test_id}/trace"
    assert mts.requests[-1].headers["Authorization"] == "Bearer admin-token"
    (attempt,) = own.attempts
    assert attempt.frames[0].time == datetime(2026, 11, 20, 10, 0, 0, 123000, tzinfo=UTC)
    assert attempt.frames[0].hex == "2F**0D0A"


async def test_clients_and_tokens_are_made_listed_and_deleted(client: AsyncMtsClient, mts: FakeMts) -> None:
    made = await client.create_client("Billing")
    assert [(known.client_id, known.name) for known in await client.list_clients()] == [(made.client_id, "Billing")]
    token = await client.create_token(made.client_id, scopes=["mts", "admin"], valid_days=7, dialect=Dialect.FLAT)
    assert sent(mts) == {
        "clientId": made.client_id,
        "scopes": ["mts", "admin"],
        "validDays": 7,
        "dialect": "flat",
    }
    assert token.token.get_secret_value() == f"secret-of-{token.token_id}"
    assert [known.token_id for known in await client.list_tokens()] == [token.token_id]
    assert await client.delete_token(token.token_id) == token.token_id
    assert await client.list_tokens() == ()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, BadRequest),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (500, ServerError),
        (502, ServiceUnavailable),
        (503, ServiceUnavailable),
        (405, UnexpectedAnswer),
        (302, UnexpectedAnswer),
    ],
)
async def test_each_status_is_an_error_with_all_details(
    make_client: Any, mts: FakeMts, status: int, expected: type[MtsError]
) -> None:
    mts.scripted.append(httpx.Response(status, json={"details": ["first fault", "second fault"], "more": 1}))
    with pytest.raises(expected, match="first fault; second fault"):
        await make_client(retries=RetryPolicy(tries=1)).test_status(1)


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        ({"details": ["slow down"], "retryAfter": 17}, {"Retry-After": "99"}, 17),
        ({"details": ["slow down"]}, {"Retry-After": "99"}, 99),
        ({"details": ["slow down"], "retryAfter": 0}, {}, 1),
        ({"details": ["slow down"], "retryAfter": True}, {}, 1),
    ],
)
async def test_too_many_calls_says_when_to_come_again(
    make_client: Any, mts: FakeMts, body: Any, headers: dict[str, str], seconds: int
) -> None:
    mts.scripted.append(httpx.Response(429, json=body, headers=headers))
    with pytest.raises(RateLimited) as caught:
        await make_client(retries=RetryPolicy(tries=1)).test_status(1)
    assert caught.value.retry_after == seconds


async def test_details_that_are_a_plain_text_are_one_detail(client: AsyncMtsClient, mts: FakeMts) -> None:
    mts.scripted.append(httpx.Response(400, json={"details": "Remote address is not in a recognised format"}))
    with pytest.raises(BadRequest) as caught:
        await client.test_status(1)
    assert caught.value.details == ("Remote address is not in a recognised format",)


async def test_a_refusal_without_a_readable_body_has_no_details(make_client: Any, mts: FakeMts) -> None:
    mts.scripted.append(httpx.Response(502, content=b"<html>bad gateway"))
    with pytest.raises(ServiceUnavailable, match="ServiceUnavailable") as caught:
        await make_client(retries=RetryPolicy(tries=1)).test_status(1)
    assert caught.value.details == ()


async def test_an_accepted_test_without_its_id_is_no_answer(client: AsyncMtsClient, mts: FakeMts) -> None:
    mts.scripted.append(answer('{"batchId": 1}'))
    with pytest.raises(UnexpectedAnswer, match="testId is missing"):
        await client.test_request(TEST)


@pytest.mark.parametrize(
    "body",
    ["", "<html>", "[]", "{}", '{"testId": 1}', '{"testId": NaN}', '{"testId": 1, "result": 5}', "\xff\xfe"],
)
async def test_an_answer_that_is_not_the_contracts_is_told_apart(
    client: AsyncMtsClient, mts: FakeMts, body: str
) -> None:
    mts.scripted.append(httpx.Response(200, content=body.encode("latin-1")))
    with pytest.raises(UnexpectedAnswer, match="test-status"):
        await client.test_status(1)


async def test_a_fault_in_an_answer_does_not_show_the_password(client: AsyncMtsClient, mts: FakeMts) -> None:
    mts.scripted.append(answer('{"testId": "x", "password": "AAAA0000", "result": ["AAAA0000"]}'))
    with pytest.raises(UnexpectedAnswer) as caught:
        await client.test_status(1)
    assert "AAAA0000" not in f"{caught.value} {caught.value.__cause__}"


async def test_a_call_without_the_token_it_needs_is_not_sent(make_client: Any, mts: FakeMts) -> None:
    with pytest.raises(NotConfigured, match="scope admin"):
        await make_client(admin_token=None).list_tokens()
    with pytest.raises(NotConfigured, match="scope mts"):
        await make_client(token=None).test_status(1)
    assert mts.requests == []
    assert (await make_client(token=None).limits()).window_seconds == 60


@pytest.mark.parametrize("token", ["", "a b", "a\n", "ü"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(NotConfigured) as caught:
        MtsClient("https://mts.test", f"secret{token}" if token else "")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://mts.test", "mts.test", "https://", "https://mts.test:port", ""])
def test_only_an_https_url_is_accepted(url: str) -> None:
    with pytest.raises(NotConfigured, match="URL"):
        MtsClient(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://mts.test", "https://mts.test/MTS/service-status"),
        ("https://mts.test:8443/", "https://mts.test:8443/MTS/service-status"),
        ("https://mts.test/MTS/", "https://mts.test/MTS/service-status"),
        ("https://mts.test/proxied/MTS", "https://mts.test/proxied/MTS/service-status"),
    ],
)
async def test_the_path_of_the_service_may_be_left_out(make_client: Any, mts: FakeMts, url: str, expected: str) -> None:
    mts.scripted.append(httpx.Response(200, json={"serviceVersion": "1.0.0", "status": "OK"}))
    await make_client(url=url).service_status()
    assert str(mts.requests[-1].url) == expected


async def test_waiting_for_a_result_polls_until_it_is_there(client: AsyncMtsClient, mts: FakeMts, clock: Any) -> None:
    test_id = await client.test_request(TEST)
    clock.at_pause = lambda: mts.complete(test_id) if len(clock.pauses) == 3 else None
    seen: list[Outcome] = []
    status = await client.wait_for_result(
        test_id, deadline=60, poll=2, progress=lambda status: seen.append(status.outcome)
    )
    assert status.outcome is Outcome.SUCCESS
    assert clock.pauses == [2, 2, 2]
    assert seen == [Outcome.PENDING] * 3 + [Outcome.SUCCESS]


async def test_waiting_ends_at_its_deadline(client: AsyncMtsClient, clock: Any) -> None:
    test_id = await client.test_request(TEST)
    with pytest.raises(WaitExpired, match="still pending after 5 s"):
        await client.wait_for_result(test_id, deadline=5, poll=2)
    assert clock.pauses == [2, 2, 1]


async def test_waiting_outlasts_a_server_that_is_away(make_client: Any, mts: FakeMts, clock: Any) -> None:
    client = make_client(retries=RetryPolicy(tries=1))
    test_id = await client.test_request(TEST)
    away: list[httpx.Response | httpx.RequestError] = [
        httpx.ConnectError("refused"),
        httpx.Response(503, json={"details": ["no database"]}),
    ]

    def fail_then_complete() -> None:
        if away:
            mts.scripted.append(away.pop(0))
        else:
            mts.complete(test_id, "ERROR: no answer")

    clock.at_pause = fail_then_complete
    assert (await client.wait_for_result(test_id, deadline=60, poll=2)).result_summary == "ERROR: no answer"
    assert len(clock.pauses) == 3


async def test_waiting_for_a_server_that_stays_away_ends_with_its_error(
    make_client: Any, mts: FakeMts, clock: Any
) -> None:
    client = make_client(retries=RetryPolicy(tries=1))
    test_id = await client.test_request(TEST)
    clock.at_pause = lambda: mts.scripted.append(httpx.Response(503, json={"details": ["no database"]}))
    with pytest.raises(ServiceUnavailable, match="no database"):
        await client.wait_for_result(test_id, deadline=5, poll=2)


async def test_waiting_for_a_test_that_is_cancelled_ends_at_once(
    client: AsyncMtsClient, mts: FakeMts, clock: Any
) -> None:
    test_id = await client.test_request(TEST)
    clock.at_pause = lambda: mts.tests.pop(test_id)
    with pytest.raises(BadRequest):
        await client.wait_for_result(test_id, deadline=60, poll=2)
    assert len(clock.pauses) == 1


async def test_waiting_for_a_batch_ends_with_its_last_test(client: AsyncMtsClient, mts: FakeMts, clock: Any) -> None:
    batch_id = await client.batch_request([TEST, TEST])
    left = list(mts.batches[batch_id])
    clock.at_pause = lambda: mts.complete(left.pop())
    seen: list[int] = []
    batch = await client.wait_for_batch(
        batch_id, deadline=60, poll=5, progress=lambda batch: seen.append(batch.completed_count)
    )
    assert batch.is_completed
    assert seen == [0, 1, 2]
