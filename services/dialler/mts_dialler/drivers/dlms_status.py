"""What a DLMS meter says of its own health, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mts_dialler.drivers.dlms_types import QUIET_STATUS, MeterProfile
from mts_dialler.protocols.cosem.date_time import ClockStatus, DateTime
from mts_dialler.protocols.cosem.services import Answer
from mts_dialler.protocols.cosem.values import BitString

_CLOCK_WORDS = {ClockStatus.INVALID: "clock invalid", ClockStatus.DOUBTFUL: "clock doubtful"}


def clock_words(clock: DateTime) -> Iterator[str]:
    """Why the meter doubts its clock."""
    return (word.capitalize() for status, word in _CLOCK_WORDS.items() if status in clock.status)


def status_events(errors: Answer, status: Answer, profile: MeterProfile) -> Iterator[str]:
    """The error register, if it is not zero, and the status bits that mean anything out of the ordinary."""
    bits, digits = _bits(errors)
    if bits:
        words = [word for bit, word in profile.error_bits.items() if bits >> bit & 1]
        yield f"Error register {bits:0{digits}X}" + (f": {', '.join(words)}" if words else "")
    for word in status_words(status, profile.status_words):
        yield word[:1].upper() + word[1:]


def suspect_words(status: Answer, stamp: DateTime, words: Mapping[int, str]) -> tuple[str, ...]:
    """Why a row of a load profile is suspect: by its status, and by that of its time."""
    stamped = [word for flag, word in _CLOCK_WORDS.items() if flag in stamp.status]
    return tuple(dict.fromkeys([*status_words(status, words), *stamped]))


def status_words(status: Answer, words: Mapping[int, str]) -> list[str]:
    """The words of the bits set; those without a word together as a number."""
    bits, _ = _bits(status)
    found = [word for bit, word in words.items() if bits & bit]
    unknown = bits & ~QUIET_STATUS & ~sum(words)
    return [*found, f"status {unknown:02X}"] if unknown else found


def _bits(answer: Answer) -> tuple[int, int]:
    """`answer` as a number, and how many hexadecimal digits it is shown with."""
    match answer:
        case bool():
            return int(answer), 2
        case int():
            return max(answer, 0), 8 if answer > 0xFFFF else 4 if answer > 0xFF else 2
        case bytes():
            return int.from_bytes(answer, "big"), 2 * len(answer)
        case BitString(bits):
            return int(bits[::-1] or "0", 2), (len(bits) + 3) // 4
        case _:
            return 0, 2
