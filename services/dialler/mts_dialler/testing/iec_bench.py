"""An IEC 62056-21 mode C meter in memory, and one test of it."""

# ruff: noqa: DTZ007 - meters show wall clocks without a zone
from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from mts_dialler.drivers.base import SurveyRange
from mts_dialler.protocols.iec62056_21.framing import block_check
from mts_dialler.testing.answering import Reply
from mts_dialler.testing.reading import Reading

LONDON = ZoneInfo("Europe/London")
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2024, 11, 5, 12, 0, 30, tzinfo=UTC)
PASSWORD = "00004711"
READOUT = (
    "F.F(00000000)\r\nC.1.0(54800102)\r\n0.9.1(120027)\r\n0.9.2(241105)\r\n0.2.0(B40)\r\n"
    "1.8.0(000102.28*kWh)\r\n1.8.1(000100.00*kWh)\r\n32.7.0(230.1*V)\r\n!\r\n"
)
Spoiler = Callable[[bytes, int], list[Reply]]


def framed(content: bytes) -> bytes:
    return content + bytes([block_check(content[1:])])


def data_message(text: str, end: str = "\x03") -> bytes:
    return framed(f"\x02{text}{end}".encode("latin-1"))


def half_hours(request: str) -> str:
    """Rows of half-hours with a new header at each midnight, for a clock in UTC; the value is the hour of the end."""
    start, end = (datetime.strptime(text[1:11], "%y%m%d%H%M") for text in request.split(";")[:2])
    text, stamp = "", start + timedelta(minutes=(-start.minute) % 30)
    fresh = True
    while stamp <= end:
        if fresh or (stamp.hour, stamp.minute) == (0, 30):
            text += f"P.01(0{stamp:%y%m%d%H%M%S})(00000000)(30)(2)(1.5)(kW)(5.5)(kvar)\r\n"
        fresh = False
        text += f"({stamp.hour}.50)(0.02)\r\n"
        stamp += timedelta(minutes=30)
    return text or "P.01(ERROR)"


class Meter:
    """A mode C meter. `spoil` may change each reply, given with its number."""

    def __init__(
        self,
        readout: str = READOUT,
        identification: str = "/LGZ5\\2ZMD4054459.B40",
        profile: Callable[[str], str] = half_hours,
        log: str = "P.98(ERROR)",
        password: str = "",
        refusal: bytes = b"\x15",
        spoil: Spoiler | None = None,
    ) -> None:
        self.passwords = 0
        self.commands: list[str] = []
        self._readout = readout
        self._identification = identification
        self._profile = profile
        self._log = log
        self._password = password
        self._refusal = refusal
        self._spoil = spoil
        self._count = 0
        self._blocks: list[bytes] = []
        self._last = b""

    def __call__(self, message: bytes) -> list[Reply]:
        reply = self._answer(message)
        if not reply:
            return []
        self._count += 1
        return self._spoil(reply, self._count) if self._spoil else [reply]

    def _answer(self, message: bytes) -> bytes:
        match message[:1]:
            case b"/":
                return f"{self._identification}\r\n".encode()
            case b"\x06" if message[3:4] == b"0":
                self._last = data_message(self._readout)
            case b"\x06" if message[3:4] == b"1":
                return framed(b"\x01P0\x02(00000001)\x03")
            case b"\x06":
                self._last = self._blocks.pop(0)
            case b"\x15":
                pass
            case _:
                return self._command(message[1:3].decode(), message[4:-2].decode())
        return self._last

    def _command(self, code: str, data: str) -> bytes:
        self.commands.append(f"{code} {data}" if code != "P1" else code)
        if code == "B0":
            return b""
        if code == "P1":
            self.passwords += 1
            return b"\x06" if data == f"({self._password})" else self._refusal
        text = self._log if data.startswith("P.98") else self._profile(data[5:-1])
        if code == "R6" and text.startswith("P.01(") and not text.startswith("P.01(E"):
            lines = text.splitlines()
            parts = ["\r\n".join(lines[start : start + 8]) for start in range(0, len(lines), 8)]
            self._blocks = [data_message(part, "\x04") for part in parts[:-1]] + [data_message(parts[-1])]
            self._last = self._blocks.pop(0)
        else:
            self._last = data_message(text)
        return self._last


class Test(Reading):
    """One test of an IEC meter."""

    def __init__(self, meter: Callable[[bytes], list[Reply]], **terms: object) -> None:
        super().__init__(meter, NOW, **({"meter_type": "LG_E650_IEC"} | terms))


def days(count: int, start: datetime = datetime(2024, 11, 1, tzinfo=UTC)) -> SurveyRange:
    return SurveyRange(start, start + timedelta(days=count))
