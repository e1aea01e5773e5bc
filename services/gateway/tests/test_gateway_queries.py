"""What may be asked with the queries and the cancels."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from mts_gateway.fields import MAX_ID, MalformedQuery
from mts_gateway.queries import Search, body_batch_cancel, body_test_id, query_batch_id, query_search, query_test_id
from mts_gateway.settings import Limits
from mts_gateway.strict_json import parse

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LIMITS = Limits(
    calls_per_window=600,
    window_seconds=60,
    max_batch_tests=10,
    max_survey_days=100,
    max_search_days=366,
    max_search_limit=1000,
    default_search_limit=100,
    max_body_bytes=1024,
)
FROM = {"fromTime": "2026-11-01T00:00:00Z"}


def search(**given: Any) -> Search:
    faults: list[str] = []
    found = query_search(urlencode(FROM | given).encode(), LIMITS, NOW, faults)
    assert faults == []
    assert found is not None
    return found


def refused(**given: Any) -> list[str]:
    faults: list[str] = []
    assert query_search(urlencode(given).encode(), LIMITS, NOW, faults) is None
    return faults


@pytest.mark.parametrize(
    "query", [b"testId=1234", b"testid=1234", b"TESTID=01234", b"x=1&testId=1234&y", b"&testId=1234"]
)
def test_an_id_is_read_under_any_case_of_its_name(query: bytes) -> None:
    faults: list[str] = []
    assert query_test_id(query, faults) == 1234
    assert faults == []


@pytest.mark.parametrize(
    "text", ["0", "-1", "1.0", "1e3", "abc", " 1", "1 ", "+1", "0x1", "٣", str(MAX_ID + 1), "9" * 1000]
)
def test_an_id_must_be_a_positive_whole_number_of_64_bits(text: str) -> None:
    for read, name in ((query_test_id, "testId"), (query_batch_id, "batchId")):
        faults: list[str] = []
        assert read(urlencode({name: text}).encode(), faults) is None
        assert faults == [f"{name} must be a whole number from 1 to {MAX_ID}"]


def test_the_largest_id_is_taken() -> None:
    assert query_batch_id(f"batchId={MAX_ID}".encode(), []) == MAX_ID


@pytest.mark.parametrize("query", [b"", b"testId=", b"other=1"])
def test_a_missing_id_is_refused(query: bytes) -> None:
    faults: list[str] = []
    assert query_test_id(query, faults) is None
    assert faults == ["testId is required"]


def test_an_id_given_twice_is_refused() -> None:
    faults: list[str] = []
    query_test_id(b"testId=1&testid=1", faults)
    assert faults == ["testId is given more than once"]


@pytest.mark.parametrize("query", [b"testId=%ff", b"%c3%28=1", b"&".join([b"a=1"] * 101)])
def test_a_query_that_cannot_be_decoded_is_refused(query: bytes) -> None:
    with pytest.raises(MalformedQuery):
        query_test_id(query, [])


@pytest.mark.parametrize("value", [1234, "1234", 1234.0])
def test_a_command_takes_an_id_as_integer_or_numeric_string(value: object) -> None:
    assert body_test_id(parse(json.dumps({"TestID": value}).encode()), []) == 1234


@pytest.mark.parametrize("value", [0, -5, 1.5, True, "12.0", "x", [], {}, MAX_ID + 1])
def test_a_command_refuses_any_other_id(value: object) -> None:
    faults: list[str] = []
    assert body_test_id(parse(json.dumps({"testId": value}).encode()), faults) is None
    assert faults == [f"testId must be a whole number from 1 to {MAX_ID}"]


def test_a_command_that_is_no_object_is_refused() -> None:
    faults: list[str] = []
    assert body_test_id([], faults) is None
    assert body_batch_cancel(7, faults) is None
    assert faults == ["the body must be a JSON object"] * 2


def test_batch_cancel_takes_its_flag() -> None:
    assert body_batch_cancel(parse(b'{"batchId": 5}'), []) == (5, False)
    assert body_batch_cancel(parse(b'{"batchid": "5", "DELETECOMPLETED": true}'), []) == (5, True)
    faults: list[str] = []
    body_batch_cancel(parse(b'{"deleteCompleted": "true"}'), faults)
    assert faults == ["batchId is required", "deleteCompleted must be true or false"]


def test_a_search_has_its_defaults() -> None:
    assert search() == Search(
        from_time=datetime(2026, 11, 1, tzinfo=UTC),
        to_time=None,
        request_reference=None,
        meter_type=None,
        remote_address=None,
        status="ALL",
        limit=100,
        offset=0,
        reverse=False,
    )


def test_a_search_takes_every_parameter() -> None:
    found = search(
        toTime="2026-11-02T00:00:00Z",
        requestReference="a b",
        meterType="elstera1700",
        remoteAddress="%_",
        status="PENDING",
        limit="0",
        offset="7",
        reverseOrder="TRUE",
    )
    assert found == Search(
        from_time=datetime(2026, 11, 1, tzinfo=UTC),
        to_time=datetime(2026, 11, 2, tzinfo=UTC),
        request_reference="a b",
        meter_type="ELSTERA1700",
        remote_address="%_",
        status="PENDING",
        limit=0,
        offset=7,
        reverse=True,
    )


def test_a_search_for_a_type_that_does_not_exist_is_no_fault() -> None:
    assert search(meterType="ELSTER").meter_type == "ELSTER"


@pytest.mark.parametrize(
    "wrong", ["2026-11-01", "2026-11-01T00:00:00", "2026-11-01T00:00:00+00:00", "2026-02-30T00:00:00Z"]
)
@pytest.mark.parametrize("name", ["fromTime", "toTime"])
def test_a_time_must_be_utc_in_the_documents_form(name: str, wrong: str) -> None:
    assert refused(**FROM | {name: wrong})[0] == f"{name} must be a UTC time in the form YYYY-MM-DDTHH:mm:ssZ"


def test_from_time_is_required() -> None:
    assert refused() == ["fromTime is required"]


def test_a_range_must_run_forward_and_fit_the_limit() -> None:
    assert refused(**FROM, toTime="2026-10-31T23:59:59Z") == ["toTime must not be before fromTime (absent = now)"]
    assert search(toTime="2026-11-01T00:00:00Z").to_time == datetime(2026, 11, 1, tzinfo=UTC)
    over = ["toTime is more than the limit of 366 days after fromTime (absent = now)"]
    assert refused(fromTime="2025-11-19T11:59:59Z") == over
    assert search(fromTime="2025-11-19T12:00:00Z").to_time is None


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("limit", "1001", "limit is over the limit of 1000"),
        ("limit", "-1", "limit must be a whole number from 0 to 1000"),
        ("limit", "ten", "limit must be a whole number from 0 to 1000"),
        ("offset", "-1", f"offset must be a whole number from 0 to {MAX_ID}"),
        ("offset", str(MAX_ID + 1), f"offset is over the limit of {MAX_ID}"),
        ("status", "DONE", "status must be one of ALL, COMPLETED, PENDING"),
        ("reverseOrder", "yes", "reverseOrder must be true or false"),
        ("requestReference", "x" * 101, "requestReference must not be longer than 100 characters"),
        ("remoteAddress", "\x00", "remoteAddress holds a NUL or an unpaired surrogate"),
    ],
)
def test_a_bad_search_parameter_is_refused(name: str, value: str, fault: str) -> None:
    assert refused(**FROM | {name: value}) == [fault]


def test_all_faults_of_a_search_come_at_once() -> None:
    assert len(refused(toTime="x", status="x", limit="x", offset="x", reverseOrder="x")) == 6
