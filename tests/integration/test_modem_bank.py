"""Eight modems through the whole platform: lines in use, and meters of several protocols behind one number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from mts_metersim.modem_plan import ModemSpec, Plan, Subscriber
from mts_metersim.preset_bank import SHARED_NUMBER, bank
from mts_metersim.preset_families import sound
from mts_stack.fixtures import fresh_database, fresh_vhost
from mts_stack.modems import Bank
from mts_stack.servers import Servers
from mts_stack.testing import StackUnderTest

LINES = 8
CALLS = 3 * LINES
SECONDS = 100.0


def eight_lines() -> Bank:
    """Eight landlines, a number for each call of them, and the number that several protocols share."""
    plan, meters = bank()
    alone = [sound(800 + place, "LG_E650_IEC", "lls") for place in range(CALLS)]
    numbers = {
        f"01632961{place:03d}": Subscriber(meter=meter.serial_number, seconds=0.3) for place, meter in enumerate(alone)
    }
    numbers[SHARED_NUMBER] = plan.numbers[SHARED_NUMBER]
    sharing = [meter for meter in meters if meter.line]
    modems = tuple(ModemSpec(f"line-{place}") for place in range(1, LINES + 1))
    return Plan(modems, numbers), [*alone, *sharing]


@pytest.fixture(scope="module")
def stack(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackUnderTest]:
    with (
        fresh_database(servers) as database,
        fresh_vhost(servers) as management,
        StackUnderTest(tmp_path_factory.mktemp("bank"), servers, database, management, [], {}, eight_lines()) as stack,
    ):
        yield stack


def batch(stack: StackUnderTest, *tests: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The outcome of each test."""
    answer = stack.http.post("/batch-request", json=[{"immediate": True, **test} for test in tests])
    rows = stack.http.get("/batch-status", params={"batchId": answer.json()["batchId"]}).json()["status"]
    return [stack.outcome(row["testId"], SECONDS) for row in rows]


def sharing(stack: StackUnderTest) -> dict[str, dict[str, Any]]:
    """The meters behind the shared number by their types."""
    meters = [meter for meter in stack.modems.meters if meter["remoteAddress"] == SHARED_NUMBER]
    assert {meter["meterType"] for meter in meters} == {"EDMIATLAS", "LG_E650_IEC", "DLMS"}
    return {meter["meterType"]: meter for meter in meters}


def dials(stack: StackUnderTest, number: str) -> int:
    return sum(call["event"] == "dial" and call["number"] == number for call in stack.modems.calls())


@pytest.mark.timeout(200)
def test_a_dialler_with_eight_lines_keeps_all_of_them_busy(stack: StackUnderTest) -> None:
    alone = [meter for meter in stack.modems.meters if meter["remoteAddress"] != SHARED_NUMBER]
    assert len(alone) == CALLS
    assert Counter(status["result"] for status in batch(stack, *alone)) == {"SUCCESS": CALLS}
    busy: dict[str, bool] = {}
    most, carried = 0, Counter[str]()
    for call in stack.modems.calls():
        if call["event"] in ("dial", "hang_up"):
            busy[call["modem"]] = call["event"] == "dial"
            carried[call["modem"]] += busy[call["modem"]]
            most = max(most, sum(busy.values()))
    assert most == LINES
    assert carried.total() == CALLS
    assert min(carried.values()) >= CALLS // LINES // 2, carried


@pytest.mark.timeout(200)
def test_meters_of_three_protocols_behind_one_number_are_read_in_one_call(stack: StackUnderTest) -> None:
    meters, before = sharing(stack), dials(stack, SHARED_NUMBER)
    outcomes = batch(stack, *({**meter, "surveyDays": 1} for meter in meters.values()))
    assert [outcome["result"] for outcome in outcomes] == ["SUCCESS"] * len(meters)
    for outcome, meter in zip(outcomes, meters.values(), strict=True):
        assert outcome["serialNumber"] == meter["serialNumber"]
        assert {len(channel["readings"]) for channel in outcome["surveyData"]} == {48}
    assert dials(stack, SHARED_NUMBER) == before + 1


@pytest.mark.timeout(200)
@pytest.mark.parametrize(
    ("failing", "result"),
    [
        ("EDMIATLAS", "ERROR: the meter refused the user or the password"),
        ("LG_E650_IEC", "PARTIAL SUCCESS"),  # its list needs no password
        ("DLMS", "ERROR: the meter refused the association"),
    ],
)
def test_one_meters_failure_leaves_the_data_of_the_others_of_its_call_intact(
    stack: StackUnderTest, failing: str, result: str
) -> None:
    meters, before = sharing(stack), dials(stack, SHARED_NUMBER)
    user, comma, secret = meters[failing]["password"].rpartition(",")
    meters[failing] = {**meters[failing], "password": f"{user}{comma}{secret[::-1]}"}
    outcomes = dict(zip(meters, batch(stack, *meters.values()), strict=True))
    assert outcomes.pop(failing)["result"].startswith(result)
    for meter_type, outcome in outcomes.items():
        assert outcome["result"] == "SUCCESS", meter_type
        assert outcome["serialNumber"] == meters[meter_type]["serialNumber"]
        assert any(group["registerValues"] for group in outcome["registers"])
    assert dials(stack, SHARED_NUMBER) == before + 1
