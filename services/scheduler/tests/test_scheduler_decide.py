"""The table of what follows from the end of an attempt."""

from __future__ import annotations

import pytest

from mts_common.messages import FailureKind, Outcome, Section, SectionState
from mts_scheduler.decide import (
    POLICIES,
    AttemptEnd,
    Final,
    HoldAgain,
    Repeat,
    Rules,
    Standing,
    decide,
    give_up,
    merged,
)

READ, PARTIAL, FAILED = SectionState.READ, SectionState.PARTIAL, SectionState.FAILED
RULES = Rules(max_tries=3, pause_seconds=30, pauses={FailureKind.BUSY: 60})

AGAIN = {
    FailureKind.BUSY,
    FailureKind.NO_ANSWER,
    FailureKind.NO_CARRIER,
    FailureKind.DROPPED,
    FailureKind.METER_SILENT,
    FailureKind.METER_REFUSED,
    FailureKind.GARBLED,
    FailureKind.TOO_LONG,
    FailureKind.DIALLER_LOST,
    FailureKind.INTERNAL,
}
AT_ONCE_FINAL = {
    FailureKind.WRONG_PASSWORD,
    FailureKind.WRONG_METER,
    FailureKind.ADDRESS_FORBIDDEN,
    FailureKind.CONFIGURATION,
}
ONCE_MORE = {FailureKind.PASSWORD_UNANSWERED}
COSTLESS = {FailureKind.LINE_FAULT, FailureKind.WINDOW_CLOSED}


def failed(failure: FailureKind | None, **sections: SectionState) -> AttemptEnd:
    read = {Section(name): state for name, state in sections.items()}
    outcome = Outcome.PARTIAL if any(state is not FAILED for state in read.values()) else Outcome.ERROR
    return AttemptEnd(outcome, failure, f"detail of {failure}", read)


def test_every_kind_of_failure_has_a_policy_that_is_tested() -> None:
    assert set(POLICIES) == set(FailureKind) == AGAIN | ONCE_MORE | AT_ONCE_FINAL | COSTLESS


@pytest.mark.parametrize("failure", sorted(AGAIN))
def test_a_failure_that_may_pass_is_tried_again_until_the_tries_are_used_up(failure: FailureKind) -> None:
    pause = 60 if failure is FailureKind.BUSY else 30
    first = decide(Standing(), failed(failure), RULES)
    assert first == HoldAgain(Standing(tries=1), failure, pause)
    second = decide(first.standing, failed(failure), RULES)
    assert second == HoldAgain(Standing(tries=2), failure, pause)
    assert decide(second.standing, failed(failure), RULES) == Final(
        Standing(tries=3), Outcome.ERROR, failure, f"detail of {failure}"
    )


@pytest.mark.parametrize("failure", sorted(ONCE_MORE))
def test_a_password_that_got_no_answer_is_offered_once_more_and_not_again(failure: FailureKind) -> None:
    first = decide(Standing(), failed(failure), RULES)
    assert first == HoldAgain(Standing(tries=1), failure, 30)
    assert decide(first.standing, failed(failure), RULES) == Final(
        Standing(tries=2), Outcome.ERROR, failure, f"detail of {failure}"
    )
    assert isinstance(decide(Standing(), failed(failure), Rules(max_tries=1, pause_seconds=30)), Final)


@pytest.mark.parametrize("failure", sorted(AT_ONCE_FINAL))
def test_a_failure_that_a_repeat_cannot_mend_is_final_at_once(failure: FailureKind) -> None:
    assert decide(Standing(), failed(failure), RULES) == Final(
        Standing(tries=1), Outcome.ERROR, failure, f"detail of {failure}"
    )


def test_a_wrong_password_and_a_forbidden_address_are_never_repeated_whatever_asks_for_it() -> None:
    forbidden = {failure for failure, policy in POLICIES.items() if policy.repeat is Repeat.FORBIDDEN}
    assert forbidden == {FailureKind.WRONG_PASSWORD, FailureKind.ADDRESS_FORBIDDEN}


@pytest.mark.parametrize("failure", sorted(COSTLESS))
def test_a_fault_of_ours_costs_no_try_ten_times(failure: FailureKind) -> None:
    standing = Standing(tries=2)
    for costless in range(1, 11):
        decision = decide(standing, failed(failure), RULES)
        assert decision == HoldAgain(Standing(tries=2, costless=costless), failure, 30)
        standing = decision.standing
    assert isinstance(decide(standing, failed(failure), RULES), Final)


def test_a_success_is_final() -> None:
    end = AttemptEnd(Outcome.SUCCESS, sections={Section.CLOCK: READ})
    assert decide(Standing(tries=1), end, RULES) == Final(
        Standing(tries=2, sections={Section.CLOCK: READ}), Outcome.SUCCESS, None, ""
    )


def test_a_partial_read_by_a_broken_call_is_repeated_and_what_was_read_is_kept() -> None:
    decision = decide(Standing(), failed(FailureKind.DROPPED, clock=READ, survey=PARTIAL), RULES)
    assert isinstance(decision, HoldAgain)
    assert decision.standing.sections == {Section.CLOCK: READ, Section.SURVEY: PARTIAL}


def test_attempts_that_together_read_everything_make_a_success() -> None:
    before = Standing(tries=1, sections={Section.CLOCK: READ, Section.SURVEY: FAILED})
    decision = decide(before, failed(FailureKind.DROPPED, clock=FAILED, survey=READ), RULES)
    assert isinstance(decision, Final)
    assert (decision.outcome, decision.failure) == (Outcome.SUCCESS, None)


def test_a_test_that_read_something_in_any_attempt_ends_partial() -> None:
    before = Standing(tries=2, sections={Section.CLOCK: PARTIAL, Section.SURVEY: FAILED})
    decision = decide(before, failed(FailureKind.NO_ANSWER), RULES)
    assert isinstance(decision, Final)
    assert (decision.outcome, decision.detail) == (Outcome.PARTIAL, "detail of no_answer")


def test_a_mismatch_of_the_serial_number_is_final_even_if_everything_was_read() -> None:
    decision = decide(Standing(), failed(FailureKind.WRONG_METER, serial_number=READ, clock=READ), RULES)
    assert isinstance(decision, Final)
    assert (decision.outcome, decision.failure) == (Outcome.PARTIAL, FailureKind.WRONG_METER)


def test_a_partial_read_of_an_unbroken_call_is_final() -> None:
    decision = decide(Standing(), failed(None, clock=READ, survey=FAILED), RULES)
    assert isinstance(decision, Final)
    assert decision.outcome is Outcome.PARTIAL


def test_an_error_without_a_kind_counts_as_a_fault_of_ours() -> None:
    decision = decide(Standing(), failed(None), RULES)
    assert isinstance(decision, HoldAgain)
    assert decision.failure is FailureKind.INTERNAL


def test_a_failure_without_a_detail_is_told_in_the_policys_words() -> None:
    decision = decide(Standing(), AttemptEnd(Outcome.ERROR, FailureKind.WRONG_PASSWORD), RULES)
    assert isinstance(decision, Final)
    assert decision.detail == "wrong password"


def test_a_test_that_is_given_up_keeps_what_it_has() -> None:
    standing = Standing(tries=1, sections={Section.CLOCK: READ})
    assert give_up(standing, "why") == Final(standing, Outcome.PARTIAL, None, "why")
    assert give_up(Standing(), "why").outcome is Outcome.ERROR


def test_merging_keeps_the_better_state_of_each_section() -> None:
    before = {Section.CLOCK: READ, Section.SURVEY: PARTIAL}
    now = {Section.CLOCK: FAILED, Section.SURVEY: READ, Section.REGISTERS: FAILED}
    assert merged(before, now) == {Section.CLOCK: READ, Section.REGISTERS: FAILED, Section.SURVEY: READ}
    assert merged(before, now) == merged(now, before)
