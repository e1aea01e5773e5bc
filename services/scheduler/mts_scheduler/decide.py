"""What follows from the end of an attempt: the final word on the test, or another try, and when.

Pure: `decide` is told where the test stands and how the attempt ended, and returns the decision. Which failures are
repeated: modems.md 3.2 (retry classes) and mts-domain.md A5 for the line; a wrong password never, because a repeat
can lock the meter out; one that got no answer, which may have been a refusal, is offered twice at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from mts_common.messages import FailureKind, Outcome, Section, SectionState

Sections = Mapping[Section, SectionState]

_WORTH = {state: worth for worth, state in enumerate(SectionState)}


class Repeat(Enum):
    """Whether a failure is followed by another try."""

    AGAIN = "again"
    POINTLESS = "pointless"  # it would end the same way
    FORBIDDEN = "forbidden"  # it would do harm


@dataclass(frozen=True, slots=True)
class Policy:
    """`text` is what the client reads if the dialler gave no detail. `most_tries`: of all tries of the test, where
    these are fewer than usual."""

    text: str
    repeat: Repeat = Repeat.AGAIN
    costs_try: bool = True
    most_tries: int | None = None


POLICIES: Mapping[FailureKind, Policy] = {
    FailureKind.BUSY: Policy("the line is busy"),
    FailureKind.NO_ANSWER: Policy("no answer"),
    FailureKind.NO_CARRIER: Policy("no carrier"),
    FailureKind.DROPPED: Policy("the line was dropped"),
    FailureKind.METER_SILENT: Policy("the meter does not answer"),
    FailureKind.METER_REFUSED: Policy("the meter refused"),
    FailureKind.GARBLED: Policy("the meter's answers are garbled"),
    FailureKind.TOO_LONG: Policy("the call took too long"),
    FailureKind.WRONG_PASSWORD: Policy("wrong password", Repeat.FORBIDDEN),
    FailureKind.PASSWORD_UNANSWERED: Policy("the meter did not answer the password", most_tries=2),
    FailureKind.WRONG_METER: Policy("another meter answered", Repeat.POINTLESS),
    FailureKind.ADDRESS_FORBIDDEN: Policy("the address may not be dialled", Repeat.FORBIDDEN),
    FailureKind.CONFIGURATION: Policy("the request cannot be carried out", Repeat.POINTLESS),
    FailureKind.LINE_FAULT: Policy("no line was in order", costs_try=False),
    FailureKind.WINDOW_CLOSED: Policy("the run window was closing", costs_try=False),
    FailureKind.DIALLER_LOST: Policy("the dialler was lost in the call"),
    FailureKind.INTERNAL: Policy("internal fault"),
}


@dataclass(frozen=True, slots=True)
class Rules:
    """How often and after what pause a test is tried again; `max_costless` ends cost it nothing, further ones a try."""

    max_tries: int
    pause_seconds: float
    pauses: Mapping[FailureKind, float] = field(default_factory=dict)
    max_costless: int = 10

    def pause(self, failure: FailureKind) -> float:
        """Seconds from a failure to the next try."""
        return self.pauses.get(failure, self.pause_seconds)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a test has used up, and the best state in which each section was ever read."""

    tries: int = 0
    costless: int = 0
    sections: Sections = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """How an attempt ended."""

    outcome: Outcome
    failure: FailureKind | None = None
    detail: str = ""
    sections: Sections = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HoldAgain:
    """The test is tried again after the pause."""

    standing: Standing
    failure: FailureKind
    pause_seconds: float


@dataclass(frozen=True, slots=True)
class Final:
    """The test is over."""

    standing: Standing
    outcome: Outcome
    failure: FailureKind | None
    detail: str


def decide(standing: Standing, end: AttemptEnd, rules: Rules) -> HoldAgain | Final:
    """What follows when a test that stood so has had an attempt that ended so."""
    failure = end.failure
    if failure is None and end.outcome is Outcome.ERROR:
        failure = FailureKind.INTERNAL
    standing = replace(standing, sections=merged(standing.sections, end.sections))
    if _is_success(standing.sections, end.outcome, failure):
        return Final(_with_try(standing), Outcome.SUCCESS, None, "")
    if failure is None:
        return _end(_with_try(standing), None, end.detail)
    policy = POLICIES[failure]
    standing = _charged(standing, policy, rules)
    most_tries = min(rules.max_tries, policy.most_tries or rules.max_tries)
    if policy.repeat is not Repeat.AGAIN or standing.tries >= most_tries:
        return _end(standing, failure, end.detail or policy.text)
    return HoldAgain(standing, failure, rules.pause(failure))


def give_up(standing: Standing, detail: str) -> Final:
    """The end of a test that is not tried any more, for a reason of ours."""
    return _end(standing, None, detail)


def merged(before: Sections, now: Sections) -> Sections:
    """Each section in the better of the states in which the two have it."""
    return {
        section: max((states[section] for states in (before, now) if section in states), key=_WORTH.__getitem__)
        for section in Section
        if section in before or section in now
    }


def _is_success(sections: Sections, outcome: Outcome, failure: FailureKind | None) -> bool:
    """All that was asked for has been read, over all attempts, and from the right meter."""
    if outcome is Outcome.SUCCESS:
        return True
    all_read = bool(sections) and all(state is SectionState.READ for state in sections.values())
    return all_read and failure is not FailureKind.WRONG_METER


def _charged(standing: Standing, policy: Policy, rules: Rules) -> Standing:
    if policy.costs_try or standing.costless >= rules.max_costless:
        return _with_try(standing)
    return replace(standing, costless=standing.costless + 1)


def _with_try(standing: Standing) -> Standing:
    return replace(standing, tries=standing.tries + 1)


def _end(standing: Standing, failure: FailureKind | None, detail: str) -> Final:
    anything = any(state is not SectionState.FAILED for state in standing.sections.values())
    return Final(standing, Outcome.PARTIAL if anything else Outcome.ERROR, failure, detail)
