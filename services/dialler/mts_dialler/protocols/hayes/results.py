"""What a modem says: result codes as text (V1) and as numbers (V0), whole lines only (modems.md, section 3.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Result(Enum):
    """What a result code means; the value is for people."""

    OK = "OK"
    CONNECT = "connected"
    RING = "the line rings"
    NO_CARRIER = "no carrier"
    ERROR = "error"
    NO_DIAL_TONE = "no dial tone"
    BUSY = "busy"
    NO_ANSWER = "no answer"
    DELAYED = "redial delayed"
    BLACKLISTED = "number blacklisted by the modem"
    CALL_BARRED = "call barred"
    NO_SERVICE = "no service"  # the terminal's own trouble with its SIM or its network


@dataclass(frozen=True, slots=True)
class Answer:
    """A result code. `text` is what it says beyond its name, e.g. `9600/RLP`, or the reason of an error."""

    result: Result
    text: str = ""

    @property
    def speed(self) -> int | None:
        """Of a CONNECT that states one: bit/s."""
        digits = re.match(r"[0-9]{1,7}", self.text)
        return int(digits[0]) if digits and self.result is Result.CONNECT else None

    def __str__(self) -> str:
        return f"{self.result.value}: {self.text}" if self.text else self.result.value


@dataclass(frozen=True, slots=True)
class Information:
    """Any other line: the answer to a query, how a call progresses (`CARRIER 9600`, `+CR: REL ASYNC`), or noise."""

    text: str


Event = Answer | Information

NUMERIC: Mapping[str, Answer] = {
    "0": Answer(Result.OK),
    "1": Answer(Result.CONNECT),
    "2": Answer(Result.RING),
    "3": Answer(Result.NO_CARRIER),
    "4": Answer(Result.ERROR),
    "5": Answer(Result.CONNECT, "1200"),
    "6": Answer(Result.NO_DIAL_TONE),
    "7": Answer(Result.BUSY),
    "8": Answer(Result.NO_ANSWER),
    "10": Answer(Result.CONNECT, "2400"),
    "24": Answer(Result.DELAYED),
    "32": Answer(Result.BLACKLISTED),
}

_TEXT: Mapping[str, Result] = {
    "OK": Result.OK,
    "RING": Result.RING,
    "NO CARRIER": Result.NO_CARRIER,
    "ERROR": Result.ERROR,
    "NO DIALTONE": Result.NO_DIAL_TONE,
    "NO DIAL TONE": Result.NO_DIAL_TONE,
    "BUSY": Result.BUSY,
    "NO ANSWER": Result.NO_ANSWER,
    "DELAYED": Result.DELAYED,
    "BLACKLISTED": Result.BLACKLISTED,
    "CALL BARRED": Result.CALL_BARRED,
}

_CONNECT = re.compile(r"CONNECT(?:[ /](.*))?")
_EQUIPMENT_ERROR = re.compile(r"\+CM[ES] ERROR: ?(.*)")

# 3GPP TS 27.007, 9.2: what a GSM terminal gives as the number of a +CME ERROR.
_EQUIPMENT_ERRORS: Mapping[str, Answer] = {
    "3": Answer(Result.ERROR, "operation not allowed"),
    "4": Answer(Result.ERROR, "operation not supported"),
    "10": Answer(Result.NO_SERVICE, "SIM not inserted"),
    "11": Answer(Result.NO_SERVICE, "SIM PIN required"),
    "12": Answer(Result.NO_SERVICE, "SIM PUK required"),
    "13": Answer(Result.NO_SERVICE, "SIM failure"),
    "14": Answer(Result.NO_SERVICE, "SIM busy"),
    "15": Answer(Result.NO_SERVICE, "SIM wrong"),
    "30": Answer(Result.NO_SERVICE, "no network service"),
    "31": Answer(Result.NO_SERVICE, "network time-out"),
    "32": Answer(Result.NO_SERVICE, "emergency calls only"),
}


def textual(line: str) -> Answer | None:
    """The result code that `line` is as a whole, in words; None if it is none."""
    if result := _TEXT.get(line):
        return Answer(result)
    if connected := _CONNECT.fullmatch(line):
        return Answer(Result.CONNECT, (connected[1] or "").strip())
    if failed := _EQUIPMENT_ERROR.fullmatch(line):
        return _EQUIPMENT_ERRORS.get(failed[1], Answer(Result.ERROR, failed[1]))
    return None
