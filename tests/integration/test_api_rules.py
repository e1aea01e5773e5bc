"""Rules of the MTS API that only the whole platform can show (docs/mts-api-rules.md)."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import httpx
import pytest
import simplejson

from mts_metersim.fleet import ClockSpec, Fault, FaultKind, Meter
from mts_metersim.load import reading
from mts_metersim.presets import fleet
from mts_stack.fixtures import fresh_database, fresh_vhost
from mts_stack.processes import wait_until
from mts_stack.servers import Servers
from mts_stack.settings import run_window
from mts_stack.testing import StackUnderTest

PAUSE = 4.0
HALF_HOUR = timedelta(minutes=30)
TIME = "%Y-%m-%dT%H:%M:%SZ"
FAST_CLOCK, SLOW_CLOCK = 125, -203

A1700, LG, EMH, GENERAL, MT174 = range(5)
SHARED = range(5, 9)
DROPS, FAST, SLOW, ENERGY, TOTAL = range(9, 14)


def meters() -> list[Meter]:
    healthy = fleet("healthy", 9)
    special = [replace(meter, line="") for meter in fleet("healthy", 20)[15:20]]
    a1700, lg, emh, general, _ = special
    return [
        *healthy,
        replace(a1700, outstation_address="", faults=(Fault(FaultKind.DROPS_LINE, 300, once=True),)),
        replace(lg, outstation_address="", clock=ClockSpec(offset_seconds=FAST_CLOCK)),
        replace(emh, outstation_address="", clock=ClockSpec(offset_seconds=SLOW_CLOCK)),
        replace(general, outstation_address="", options=replace(general.options, profile="energy")),
        replace(
            general,
            serial_number="15399999",
            outstation_address="",
            options=replace(general.options, profile="cumulative"),
        ),
    ]


@pytest.fixture(scope="module")
def stack(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackUnderTest]:
    settings = {
        "MTS_RETRY_PAUSE_SECONDS": str(PAUSE),
        "MTS_RUN_WINDOWS": run_window(datetime.now(UTC) + timedelta(hours=12), timedelta(hours=1)),
        "MTS_ALLOW_NETWORKS": "127.0.0.0/8,::1/128",
    }
    directory = tmp_path_factory.mktemp("rules")
    with (
        fresh_database(servers) as database,
        fresh_vhost(servers) as management,
        StackUnderTest(directory, servers, database, management, meters(), settings) as stack,
    ):
        yield stack


def everything(stack: StackUnderTest) -> list[dict[str, Any]]:
    """All meters, in the order of `meters`."""
    names = ("meterType", "remoteAddress", "outstationAddress", "serialNumber", "password")
    return [{name: meter[name] for name in names} for meter in stack.fleet.ready()]


def run(stack: StackUnderTest, index: int, **fields: Any) -> dict[str, Any]:
    """Test a meter at once; its status, numbers exact."""
    test_id = stack.request(everything(stack)[index], **fields)
    stack.outcome(test_id)
    return exact_status(stack, test_id)


def exact_status(stack: StackUnderTest, test_id: int) -> dict[str, Any]:
    answer = stack.http.get("/test-status", params={"testId": test_id})
    status: dict[str, Any] = simplejson.loads(answer.text, use_decimal=True)
    return status


def moment(text: str) -> datetime:
    return datetime.strptime(text, TIME).replace(tzinfo=UTC)


def sign_ons(stack: StackUnderTest, serial: str) -> list[dict[str, Any]]:
    return [call for call in stack.fleet.calls() if call["event"] == "sign_on" and call["serial"] == serial]


def attempts(stack: StackUnderTest, test_id: int) -> list[dict[str, Any]]:
    answer = stack.http.get("/test-trace", params={"testId": test_id})
    found: list[dict[str, Any]] = answer.json()["attempts"]
    return found


@contextmanager
def client_with_window(stack: StackUnderTest, opens: datetime) -> Iterator[httpx.Client]:
    """A client of its own whose overnight tests run in an hour from `opens`."""
    windows = simplejson.loads(run_window(opens, timedelta(hours=1)))
    client = stack.admin.post("/admin/clients", json={"name": "night", "runWindows": windows}).json()
    token = stack.admin.post("/admin/tokens", json={"clientId": client["clientId"], "scopes": ["mts"]}).json()
    with stack.api_client(token["token"]) as http:
        yield http


def test_an_overnight_test_runs_in_its_window_only(stack: StackUnderTest) -> None:
    opens = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=8)
    overnight, at_once = everything(stack)[SHARED[0]], everything(stack)[MT174]
    with client_with_window(stack, opens) as http:
        night = http.post("/test-request", json=overnight).json()["testId"]
        day = http.post("/test-request", json={**at_once, "immediate": True}).json()["testId"]

        def result(test_id: int) -> str:
            return str(http.get("/test-status", params={"testId": test_id}).json()["result"])

        assert wait_until(lambda: result(day) == "SUCCESS", 30)
        while datetime.now(UTC) < opens - timedelta(seconds=1):
            assert result(night) == "PENDING"
            time.sleep(0.2)
        assert wait_until(lambda: result(night) == "SUCCESS", 30)
        status = http.get("/test-status", params={"testId": night}).json()
    assert status["testStartTime"] >= opens.strftime(TIME)
    assert all(call["at"][:19] >= opens.strftime(TIME)[:19] for call in sign_ons(stack, overnight["serialNumber"]))


def test_spellings_of_one_address_are_never_called_at_once(stack: StackUnderTest) -> None:
    meter = everything(stack)[MT174]
    port = meter["remoteAddress"].rpartition(":")[2]
    spellings = [f"localhost:{port}", f"LOCALHOST:{port}", f"LocalHost.:{port}"] * 4
    test_ids = [stack.request(meter, remoteAddress=address) for address in spellings]
    assert {stack.outcome(test_id)["result"] for test_id in test_ids} == {"SUCCESS"}
    assert [call for call in stack.fleet.calls() if call["event"] == "busy"] == []


@pytest.mark.parametrize("address", ["10.0.0.1:4059", "[::2]:4059", "169.254.169.254:80", "[::ffff:10.0.0.1]:4059"])
def test_an_address_off_the_allow_list_is_an_error(stack: StackUnderTest, address: str) -> None:
    test_id = stack.request(everything(stack)[A1700], remoteAddress=address)
    assert stack.outcome(test_id)["result"].startswith("ERROR: ")
    [attempt] = attempts(stack, test_id)
    assert all(frame["direction"] == "--" for frame in attempt["frames"])


def test_a_survey_is_its_utc_days_cut_at_now(stack: StackUnderTest) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    two_days = [(today - timedelta(days=2) + number * HALF_HOUR).strftime(TIME) for number in range(96)]
    dated = run(stack, A1700, surveyDays=2, surveyDate=f"{today - timedelta(days=2):%Y-%m-%d}")
    undated = run(stack, A1700, surveyDays=2)
    assert dated["surveyDate"] == f"{today - timedelta(days=2):%Y-%m-%d}"
    assert "surveyDate" not in undated
    for status in (dated, undated):
        for channel in status["surveyData"]:
            assert [each["timestamp"] for each in channel["readings"]] == two_days
    cut = run(stack, A1700, surveyDays=3, surveyDate=f"{today - timedelta(days=1):%Y-%m-%d}")
    asked = moment(cut["testStartTime"])
    stamps = [each["timestamp"] for each in cut["surveyData"][0]["readings"]]
    ended = [today - timedelta(days=1) + number * HALF_HOUR for number in range(144)]
    assert stamps == [start.strftime(TIME) for start in ended if start + HALF_HOUR <= asked]


def test_times_span_all_attempts(stack: StackUnderTest) -> None:
    test_id = stack.request(everything(stack)[DROPS])
    status = stack.outcome(test_id)
    assert status["result"] == "SUCCESS"
    first, last = attempts(stack, test_id)
    assert status["testStartTime"] == first["startTime"]
    assert status["testEndTime"] == last["endTime"]
    assert (
        status["testStartTime"] < status["connectionStartTime"] <= status["connectionEndTime"] <= status["testEndTime"]
    )
    assert status["testRequestTime"] <= status["testStartTime"]


def test_tests_of_a_shared_call_show_its_times(stack: StackUnderTest) -> None:
    tests = [{**everything(stack)[index], "immediate": True} for index in SHARED]
    batch = stack.http.post("/batch-request", json=tests).json()["batchId"]

    def statuses() -> list[dict[str, Any]]:
        summary = stack.http.get("/batch-status", params={"batchId": batch}).json()
        return [stack.status(test["testId"]) for test in summary["status"]]

    assert wait_until(lambda: all("connectionEndTime" in status for status in statuses()), 60)
    done = statuses()
    assert [status["result"] for status in done] == ["SUCCESS"] * len(SHARED)
    for name in ("testStartTime", "connectionStartTime", "connectionEndTime"):
        assert len({status[name] for status in done}) == 1, name
    assert all(status["testEndTime"] >= status["connectionEndTime"] for status in done)


def test_the_serial_number_is_the_meters_whole_identity(stack: StackUnderTest) -> None:
    for index in (A1700, LG, EMH, GENERAL, MT174):
        asked = everything(stack)[index]
        assert run(stack, index, serialNumber="")["serialNumber"] == asked["serialNumber"]


def test_a_mismatch_names_both_numbers_and_reads_the_rest(stack: StackUnderTest) -> None:
    status = run(stack, A1700, serialNumber="K99X99999")
    assert status["result"] == "PARTIAL SUCCESS"
    assert status["serialNumber"].startswith("ERROR: ")
    assert "K99X99999" in status["serialNumber"]
    assert everything(stack)[A1700]["serialNumber"] in status["serialNumber"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d [+-]\d+s", status["meterTime"])
    assert status["registers"][0]["category"] == "Energy"


def test_the_meter_time_shows_how_far_the_clock_is_off(stack: StackUnderTest) -> None:
    for index, ahead in ((FAST, FAST_CLOCK), (SLOW, SLOW_CLOCK), (GENERAL, 0)):
        status = run(stack, index)
        match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d) ([+-]\d+)s", status["meterTime"])
        assert match, status["meterTime"]
        assert abs(int(match[2]) - ahead) <= 3
        assert abs((moment(f"{match[1]}Z") - moment(status["testEndTime"])).total_seconds() - ahead) <= 30


def test_survey_channels_have_one_name_each_and_hold_energy(stack: StackUnderTest) -> None:
    first = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
    simulated = meters()
    for index in (A1700, LG, EMH, GENERAL, ENERGY):
        [imported] = [c for c in run(stack, index, surveyDays=2)["surveyData"] if c["name"] == "kWh Import"]
        expected = [reading(simulated[index], "import", first + number * HALF_HOUR) for number in range(96)]
        assert imported["units"] == "kWh"
        assert [each["value"] for each in imported["readings"]] == expected
    names = {channel["name"] for channel in run(stack, LG, surveyDays=1)["surveyData"]}
    assert names == {"kWh Import", "kWh Export", "kvarh Q1", "kvarh Q2", "kvarh Q3", "kvarh Q4"}
    [total] = [c for c in run(stack, TOTAL, surveyDays=2)["surveyData"] if c["name"] == "kWh Import (total)"]
    values: list[Decimal] = [each["value"] for each in total["readings"]]
    starts = [first + number * HALF_HOUR for number in range(1, 96)]
    assert [after - before for before, after in pairwise(values)] == [
        reading(simulated[TOTAL], "import", start) for start in starts
    ]


def test_a_cancelled_test_is_never_dialled(stack: StackUnderTest) -> None:
    opens = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)
    cancelled, kept = everything(stack)[SHARED[1]], everything(stack)[SHARED[2]]
    before = len(sign_ons(stack, cancelled["serialNumber"]))
    with client_with_window(stack, opens) as http:
        gone, other = (http.post("/test-request", json=meter).json()["testId"] for meter in (cancelled, kept))
        assert http.request("DELETE", "/test-cancel", json={"testId": gone}).json() == {"testId": gone}
        answer = http.get("/test-status", params={"testId": gone})
        assert (answer.status_code, answer.json()) == (400, {"details": [f"testId {gone} was cancelled"]})
        found = http.get("/test-search", params={"fromTime": (opens - timedelta(minutes=5)).strftime(TIME)}).json()
        assert gone not in [row["testId"] for row in found["results"]]
        assert wait_until(lambda: http.get("/test-status", params={"testId": other}).json()["result"] == "SUCCESS", 40)
    assert len(sign_ons(stack, cancelled["serialNumber"])) == before


def test_a_test_between_two_attempts_can_be_cancelled(stack: StackUnderTest) -> None:
    with hanging_up() as (address, calls):
        test_id = stack.request(everything(stack)[A1700], remoteAddress=address)
        assert wait_until(lambda: "testEndTime" in stack.status(test_id), 30)
        assert stack.http.request("DELETE", "/test-cancel", json={"testId": test_id}).status_code == 200
        assert stack.http.get("/test-status", params={"testId": test_id}).status_code == 400
        assert not wait_until(lambda: len(calls) > 1, 2 * PAUSE)


@contextmanager
def hanging_up() -> Iterator[tuple[str, list[float]]]:
    """A port that hangs up on whoever calls, and when it was called."""
    calls: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        ended = threading.Event()

        def answer() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                calls.append(time.monotonic())
                connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}", calls
        finally:
            ended.set()
            thread.join()


def test_deleted_tests_are_gone_from_search_and_status(stack: StackUnderTest) -> None:
    start = datetime.now(UTC) - timedelta(minutes=5)
    tests = [{**everything(stack)[MT174], "immediate": True, "requestReference": "to be deleted"}]
    batch = stack.http.post("/batch-request", json=tests).json()["batchId"]
    [test] = stack.http.get("/batch-status", params={"batchId": batch}).json()["status"]
    stack.outcome(test["testId"])
    body = {"batchId": batch, "deleteCompleted": True}
    assert stack.http.request("DELETE", "/batch-cancel", json=body).json() == {"batchId": batch, "cancelledCount": 1}
    assert stack.http.get("/test-status", params={"testId": test["testId"]}).status_code == 400
    search = {"fromTime": start.strftime(TIME), "requestReference": "to be deleted"}
    assert stack.http.get("/test-search", params=search).json()["totalResultCount"] == 0
    emptied = stack.http.get("/batch-status", params={"batchId": batch}).json()
    assert emptied == {"batchId": batch, "totalCount": 0, "completedCount": 0, "status": []}
    assert stack.http.request("DELETE", "/batch-cancel", json=body).json() == {"batchId": batch, "cancelledCount": 0}


def test_search_finds_every_accepted_test_with_its_outcome(stack: StackUnderTest) -> None:
    start = datetime.now(UTC) - timedelta(minutes=5)
    meter = {**everything(stack)[MT174], "immediate": True, "requestReference": "to be found"}
    single = stack.http.post("/test-request", json=meter).json()["testId"]
    later = stack.http.post("/test-request", json={**meter, "immediate": False}).json()["testId"]
    batch = stack.http.post("/batch-request", json=[meter, meter]).json()["batchId"]

    def search(status: str) -> list[dict[str, Any]]:
        query = {"fromTime": start.strftime(TIME), "requestReference": "to be found", "status": status}
        rows: list[dict[str, Any]] = stack.http.get("/test-search", params=query).json()["results"]
        return rows

    assert wait_until(lambda: len(search("COMPLETED")) == 3, 60)
    rows = search("ALL")
    assert [row["testId"] for row in rows] == sorted(row["testId"] for row in rows)
    assert [row.get("batchId") for row in rows] == [None, None, batch, batch]
    by_id = {row["testId"]: row for row in rows}
    assert by_id[single]["resultSummary"] == "SUCCESS"
    assert by_id[single]["receivedTimestamp"] <= by_id[single]["completedTimestamp"]
    assert by_id[later]["resultSummary"] == "PENDING"
    assert "completedTimestamp" not in by_id[later]
    assert [row["testId"] for row in search("PENDING")] == [later]


def test_what_an_earlier_attempt_read_is_kept(start_stack: Any) -> None:
    [meter] = fleet("healthy", 1)
    broken = replace(meter, faults=(Fault(FaultKind.DROPS_LINE, 6000),))
    alone: StackUnderTest = start_stack([broken], MTS_RETRY_PAUSE_SECONDS="3")
    test_id = alone.request(alone.fleet.ready()[0], surveyDays=10)
    assert wait_until(lambda: "testEndTime" in alone.status(test_id), 60)
    alone.fleet.stop()
    try:
        status = alone.outcome(test_id)
        assert status["result"] == "PARTIAL SUCCESS"
        assert status["serialNumber"] == meter.serial_number
        assert status["registers"][0]["category"] == "Energy"
        first, *others = attempts(alone, test_id)
        assert first["result"] == "PARTIAL SUCCESS"
        assert [attempt["result"][:6] for attempt in others] == ["ERROR:"] * 2
    finally:
        alone.fleet.start()
