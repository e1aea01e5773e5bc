"""Numbers that cannot be reached, and lines that fail: no dial tone, a mute modem, a device that is pulled out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from fault_harness.bank import Bank
from fault_harness.checker import Checker
from fault_harness.shared import Shared
from fault_harness.system import MAX_TRIES, System, until
from fault_harness.workload import Order, Workload

from mts_metersim.modem_plan import Outcome, Subscriber
from mts_stack.servers import Servers

LINES = ("m1", "m2")
PAUSES = {"busy": 0.5, "no_answer": 1.0, "no_carrier": 0.3}
SETTINGS = {
    "MTS_MODEM_REPLY_SECONDS": "2",
    "MTS_MODEM_CHARACTER_SECONDS": "1",
    "MTS_MODEM_SETTLE_SECONDS": "0.1",
    "MTS_MODEM_TEST_SECONDS": "30",
    "MTS_RETRY_PAUSES": json.dumps(PAUSES),
}


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    with Bank(LINES, tmp_path_factory.mktemp("bank") / "modems") as bank:
        yield bank


@pytest.fixture(scope="module")
def shared(servers: Servers, bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """Systems whose dialler has the bank's lines besides its TCP lines."""
    settings = {**SETTINGS, "MTS_LINES_FILE": str(bank.lines_file)}
    with Shared(lambda directory: System(servers, directory, settings=settings), tmp_path_factory) as shared:
        yield shared


def test_a_number_that_cannot_be_reached_has_its_tries_each_after_the_pause_of_its_failure(
    system: System, workload: Workload, checker: Checker, bank: Bank
) -> None:
    ends = {
        "busy": (Outcome.BUSY, "ERROR: the number is busy"),
        "no_answer": (Outcome.NO_ANSWER, "ERROR: the number did not answer"),
        "no_carrier": (Outcome.NO_CARRIER, "ERROR: no connection with the meter's modem"),
    }
    orders = {}
    for place, (failure, (outcome, text)) in enumerate(ends.items()):
        number = f"0207946000{place}"
        bank.numbers[number] = Subscriber(outcome)
        orders[failure] = workload.order({**system.meter(place=place), "remoteAddress": number})
        checker.expect(orders[failure].answer, text)
    checker.verify(workload)
    for failure, order in orders.items():
        job = job_of(system, order)
        assert (job["failure"], job["tries"], job["costless"]) == (failure, MAX_TRIES, 0)
        assert len(bank.dials(order.tests[0]["remoteAddress"])) == MAX_TRIES
        begun = [row["started_at"] for row in system.query(CALLS, f"+44{order.tests[0]['remoteAddress'][1:]}")]
        pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(begun)]
        assert min(pauses) >= PAUSES[failure]


def test_a_line_without_a_dial_tone_costs_the_test_nothing(
    system: System, workload: Workload, checker: Checker, bank: Bank
) -> None:
    meter = reached_by(system, bank, "02079460010", system.meter())
    answers = bank.numbers[meter["remoteAddress"]]
    bank.numbers[meter["remoteAddress"]] = Subscriber(Outcome.NO_DIAL_TONE)
    order = workload.order(meter)
    until(lambda: job_of(system, order)["costless"] >= 1, "a line has found no dial tone")
    bank.numbers[meter["remoteAddress"]] = answers
    checker.verify(workload)
    job = job_of(system, order)
    assert (job["tries"], job["attempt"]) == (1, job["costless"] + 1)


def test_a_mute_modem_is_out_of_service_until_it_answers_and_costs_the_test_nothing(
    system: System, workload: Workload, checker: Checker, bank: Bank
) -> None:
    meter = reached_by(system, bank, "02079460020", system.meter(place=1))
    fit = times_fit_again(system)
    bank.mute(*LINES)
    order = workload.order(meter)
    until(lambda: job_of(system, order)["costless"] == len(LINES), "each line has failed once")
    bank.mute("m2", mute=False)
    checker.verify(workload)
    job = job_of(system, order)
    assert (job["tries"], job["costless"]) == (1, len(LINES))
    assert [dial["modem"] for dial in bank.dials(meter["remoteAddress"])] == ["m2"]
    bank.mute("m1", mute=False)
    until(lambda: times_fit_again(system) == [times + 1 for times in fit], "both lines are back in service")


def test_a_modem_that_vanishes_in_a_call_costs_the_test_nothing_and_is_used_again_when_it_is_back(
    system: System, workload: Workload, checker: Checker, bank: Bank
) -> None:
    slow = system.meter("latency")
    meter = reached_by(system, bank, "02079460030", slow)
    fit = sum(times_fit_again(system))
    order = workload.order_under_way(slow, dialled_as=meter)
    (dial,) = bank.dials(meter["remoteAddress"])
    bank.vanish(dial["modem"])
    checker.verify(workload)
    job = job_of(system, order)
    assert (job["tries"], job["costless"]) == (1, 1)
    used = [dial["modem"] for dial in bank.dials(meter["remoteAddress"])]
    assert sorted(used) == sorted(LINES)
    bank.appear(dial["modem"])
    until(lambda: sum(times_fit_again(system)) == fit + 1, "the line is back in service")


CALLS = "SELECT started_at FROM scheduler.call WHERE canonical_address = $1 ORDER BY started_at"


def reached_by(system: System, bank: Bank, number: str, meter: dict[str, Any]) -> dict[str, Any]:
    """The meter, behind a telephone number."""
    bank.numbers[number] = Subscriber(to=meter["remoteAddress"])
    system.dialled_as[meter["remoteAddress"]] = f"+44{number[1:]}"
    return {**meter, "remoteAddress": number}


def job_of(system: System, order: Order) -> Any:
    """Its row, once the scheduler has it."""
    statement = "SELECT * FROM scheduler.job WHERE test_id = $1"
    until(lambda: system.query(statement, order.answer), "the scheduler has the test")
    return system.query(statement, order.answer)[0]


def times_fit_again(system: System) -> list[int]:
    """How often each line has come back into service."""
    log = system.stack.services.process("dialler").log.read_text("utf-8")
    return [log.count(f"line {name} is fit again") for name in LINES]
