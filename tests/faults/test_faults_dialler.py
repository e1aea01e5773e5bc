"""The dialler is killed at each step of a call, stopped for longer than its lease, and told to end in a call."""

from __future__ import annotations

import signal

import pytest
from fault_harness.checker import Checker
from fault_harness.system import MAX_TRIES, System, until
from fault_harness.workload import Workload


@pytest.mark.parametrize(
    ("step", "dials", "attempts"),
    [
        pytest.param("dialler.granted", 1, 2, id="granted, not dialled"),
        pytest.param("dialler.ringing", 1, 2, id="ringing"),
        pytest.param("dialler.received", 2, 2, id="in the middle of a block"),
        pytest.param("dialler.reported", 2, 2, id="reported, its end not told"),
        pytest.param("dialler.finished", 1, 1, id="its end told, the end of its call not"),
    ],
)
def test_a_test_survives_a_dialler_killed_at_any_step(
    system: System, workload: Workload, checker: Checker, step: str, dials: int, attempts: int
) -> None:
    meter = system.meter(place=1)
    before = len(system.calls_of(meter))
    system.failpoints.arm(step)
    order = workload.order(meter)
    system.until_killed(step, "dialler")
    checker.verify(workload)
    (job,) = system.query("SELECT attempt, tries FROM scheduler.job WHERE test_id = $1", order.answer)
    assert (job["attempt"], len(system.calls_of(meter)) - before) == (attempts, dials)


def test_a_test_that_kills_every_dialler_ends_as_an_error_and_its_neighbours_end_well(
    system: System, workload: Workload, checker: Checker
) -> None:
    together = [meter for meter in system.stack.fleet.ready() if meter["outstationAddress"]][:3]
    next_id = int(system.value("SELECT last_value FROM gateway.test_id")) + 2
    system.failpoints.arm(f"dialler.reading.{next_id}", f"kill {MAX_TRIES}")
    system.stack.services.kill("dialler")
    orders = [workload.order(meter) for meter in together]
    killer = orders[1].answer
    assert killer == next_id
    dialler = system.stack.services.process("dialler")

    def killed_to_the_end() -> bool:
        if not dialler.running:
            dialler.start()
        return bool(system.query("SELECT FROM scheduler.job WHERE test_id = $1 AND state = 'done'", killer))

    until(killed_to_the_end, "the test is given up", 90.0)
    checker.expect(killer, "ERROR")
    checker.verify(workload)
    assert system.value("SELECT failure FROM scheduler.job WHERE test_id = $1", killer) == "dialler_lost"


def test_a_dialler_stopped_for_longer_than_its_lease_hangs_up_and_changes_nothing(
    system: System, workload: Workload, checker: Checker
) -> None:
    meter = system.meter("latency")
    lost = lost_calls(system)
    order = workload.order_under_way(meter)
    dialler = system.stack.services.process("dialler")
    dialler.send(signal.SIGSTOP)
    try:
        assert not system.stack.services.alive("dialler")
        until(lambda: lost_calls(system) > lost, "the scheduler counts the call as lost")
    finally:
        dialler.send(signal.SIGCONT)
    checker.verify(workload)
    (job,) = system.query("SELECT attempt, reported FROM scheduler.job WHERE test_id = $1", order.answer)
    assert job["reported"] == job["attempt"] == 2
    assert system.value("SELECT count(*) FROM results.attempt WHERE test_id = $1", order.answer) == 1


def test_a_dialler_told_to_end_finishes_its_call(system: System, workload: Workload, checker: Checker) -> None:
    system.stack.services.stop("dialler")
    dialler = system.another("dialler", MTS_DRAIN_SECONDS="60")
    order = workload.order_under_way(system.meter("latency"))
    dialler.send(signal.SIGTERM)
    until(lambda: not dialler.running, "the dialler has ended", 60.0)
    assert dialler.exit_code == 0
    done = "SELECT FROM scheduler.job WHERE test_id = $1 AND state = 'done' AND attempt = 1"
    until(lambda: system.query(done, order.answer), "the test is over")
    checker.verify(workload)


def test_a_dialler_told_to_end_gives_back_a_call_that_takes_too_long(
    system: System, workload: Workload, checker: Checker
) -> None:
    meter = system.meter("latency", 1)
    order = workload.order_under_way(meter, surveyDays=1)
    system.stack.services.stop("dialler")
    (job,) = system.query("SELECT state, attempt, tries FROM scheduler.job WHERE test_id = $1", order.answer)
    assert (job["state"], job["attempt"], job["tries"]) == ("held", 1, 0)
    checker.verify(workload)


def lost_calls(system: System) -> int:
    return int(system.value("SELECT count(*) FROM scheduler.call WHERE ending = 'lost'"))
