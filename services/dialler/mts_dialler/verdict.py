"""How an attempt ended, decided from what was read and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from mts_common.messages import FailureKind, Outcome, Section, SectionResult, SectionState
from mts_dialler.drivers.base import ReportBuilder
from mts_dialler.errors import DiallerError

MAX_DETAIL = 300
_UNTOLD = "the driver did not say whether this was read"


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: Outcome
    failure: FailureKind | None
    detail: str
    sections: Mapping[Section, SectionResult]


def judge(wanted: Set[Section], report: ReportBuilder, serial_number: str, error: DiallerError | None) -> Verdict:
    """All of `wanted` read = success, some or part of it = partial, nothing = error.

    `serial_number` is the one asked for, "" = any. Where several things went wrong, what ended the reading is the
    failure, then the wrong meter, then the first section that the driver could not read.
    """
    sections = report.sections(wanted, str(error) if error else _UNTOLD)
    mismatch = _mismatch(serial_number, report.serial_number)
    if mismatch:
        sections[Section.SERIAL_NUMBER] = SectionResult(state=SectionState.FAILED, error=mismatch)
    states = {sections[section].state for section in wanted}
    if states == {SectionState.READ}:
        return Verdict(Outcome.SUCCESS, None, "", sections)
    outcome = Outcome.ERROR if states <= {SectionState.FAILED} else Outcome.PARTIAL
    if error is not None:
        return Verdict(outcome, error.failure, str(error), sections)
    if mismatch:
        return Verdict(outcome, FailureKind.WRONG_METER, mismatch, sections)
    detail = next((result.error for result in sections.values() if result.error), _UNTOLD)
    return Verdict(outcome, report.failure or FailureKind.INTERNAL, detail, sections)


def _mismatch(wanted: str, found: str | None) -> str:
    """What to say of another meter than the one asked for; "" = it is the one."""
    if not wanted.strip() or found is None or wanted.strip().casefold() == found.strip().casefold():
        return ""
    return f"the meter's serial number is {found.strip()}, not {wanted.strip()}"
