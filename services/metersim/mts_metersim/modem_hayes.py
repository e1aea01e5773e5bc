"""A Hayes modem without I/O: what the host sends in, what goes to the host and to the line out (fact sheet modems)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

MAX_COMMAND = 256
CR = 13

FACTORY_REGISTERS = {0: 0, 2: 43, 3: 13, 4: 10, 5: 8, 7: 60, 12: 50}
FACTORY_FLAGS = {"E": 1, "V": 1, "Q": 0, "X": 4, "&C": 1, "&D": 2}

_NUMBERS = {
    "OK": 0,
    "CONNECT": 1,
    "RING": 2,
    "NO CARRIER": 3,
    "ERROR": 4,
    "CONNECT 1200": 5,
    "NO DIALTONE": 6,
    "BUSY": 7,
    "NO ANSWER": 8,
    "CONNECT 2400": 10,
    "DELAYED": 24,
    "BLACKLISTED": 32,
}
_HEARS_BUSY = (3, 4)
_HEARS_DIAL_TONE = (2, 4)

_PART = re.compile(
    r"D(?P<dial>.*)|S(?P<register>[0-9]{1,3})(?:=(?P<value>[0-9]{1,3})|(?P<ask>\?))"
    r"|(?P<extended>\+[A-Z]+)(?P<arguments>[^;]*);?|(?P<flag>&?[A-Z])(?P<number>[0-9]?)"
)
_DIALLED = re.compile(r"[TP]?([0-9+*#,W]+)")


class Mode(Enum):
    COMMAND = "command"
    DIALLING = "dialling"
    ONLINE = "online"
    ESCAPED = "escaped"  # online, and taking commands


@dataclass(frozen=True, slots=True)
class ToHost:
    data: bytes


@dataclass(frozen=True, slots=True)
class ToLine:
    data: bytes


@dataclass(frozen=True, slots=True)
class Dials:
    number: str


@dataclass(frozen=True, slots=True)
class HangsUp:
    pass


Deed = ToHost | ToLine | Dials | HangsUp


@dataclass(frozen=True, slots=True)
class Radio:
    """What a GSM terminal says of its network: `signal` 0..31 or 99, `registration` as +CREG gives it."""

    signal: int = 18
    registration: int = 1
    sim: str = "READY"


@dataclass(slots=True)
class Settings:
    """What the host can set; ATZ and AT&F bring back the factory's."""

    registers: dict[int, int] = field(default_factory=lambda: dict(FACTORY_REGISTERS))
    flags: dict[str, int] = field(default_factory=lambda: dict(FACTORY_FLAGS))


class HayesModem:
    """One modem. `radio` None = PSTN, which knows none of the GSM commands; `refuses` names commands it does not know.

    Times are seconds of one monotonic clock.
    """

    def __init__(self, radio: Radio | None = None, refuses: tuple[str, ...] = ()) -> None:
        self.mode = Mode.COMMAND
        self.settings = Settings()
        self.cause = ""  # of the last call's end, for +CEER
        self.radio = radio
        self._refuses = refuses
        self._typed = bytearray()
        self._heard_at = 0.0
        self._pluses = 0

    @property
    def wait_seconds(self) -> int:
        """S7: how long a dialled number may take to connect."""
        return self.settings.registers[7]

    # --- from the host

    def receive(self, data: bytes, now: float) -> list[Deed]:
        """Bytes from the host."""
        deeds: list[Deed] = []
        while data:
            if self.mode is Mode.ONLINE:
                self._count_pluses(data, now)
                deeds.append(ToLine(data))
                break
            if self.mode is Mode.DIALLING:
                deeds += self._interrupted(data)
                break
            data = self._type(data, deeds)
        return deeds

    def _interrupted(self, data: bytes) -> Iterator[Deed]:
        """Any character but the LF behind the dial command ends the try."""
        if data.strip(b"\n"):
            yield HangsUp()
            yield from self.call_ended("NO CARRIER")

    def _type(self, data: bytes, deeds: list[Deed]) -> bytes:
        """Takes one command, or what there is of it; the bytes behind it."""
        end = data.find(CR)
        taken = data if end < 0 else data[: end + 1]
        if self.settings.flags["E"]:
            deeds.append(ToHost(taken))
        self._typed += taken
        if end < 0:
            del self._typed[MAX_COMMAND:]
            return b""
        line, self._typed = self._typed.decode("latin-1").strip("\r\n \x00"), bytearray()
        deeds += self._command(line)
        return data[end + 1 :]

    # --- commands

    def _command(self, line: str) -> Iterator[Deed]:
        if line[:2].upper() != "AT":
            return
        body = line[2:].replace(" ", "").upper()
        while body:
            part = _PART.match(body)
            if part is None:
                yield self.says("ERROR")
                return
            body = body[part.end() :]
            if part["dial"] is not None:
                yield from self._dial(part["dial"])
                return
            if part[0] in ("H", "H0", "Z", "Z0") and self.mode is Mode.ESCAPED:
                self.mode = Mode.COMMAND
                yield HangsUp()
            answers = self._simple(part)
            if answers is None:
                yield self.says("ERROR")
                return
            yield from map(self._informs, answers)
        yield self.says("OK")

    def _dial(self, rest: str) -> Iterator[Deed]:
        dialled = _DIALLED.fullmatch(rest)
        if dialled is None or self.mode is not Mode.COMMAND:
            yield self.says("ERROR")
            return
        self.mode = Mode.DIALLING
        yield Dials(dialled[1])

    def _simple(self, part: re.Match[str]) -> list[str] | None:
        """The lines that answer a part of a command; None = it is refused."""
        if part["register"]:
            return self._register(int(part["register"]), part["value"])
        if part["extended"]:
            return self._extended(part["extended"], part["arguments"])
        flag, number = part["flag"], int(part["number"] or 0)
        if flag in self._refuses:
            return None
        if flag in ("Z", "&F"):
            self.settings = Settings()
        elif flag == "I":
            return ["metersim modem"]
        elif flag in self.settings.flags:
            self.settings.flags[flag] = number
        return []

    def _register(self, number: int, value: str | None) -> list[str]:
        if value is None:
            return [f"{self.settings.registers.get(number, 0):03}"]
        self.settings.registers[number] = int(value)
        return []

    def _extended(self, name: str, arguments: str) -> list[str] | None:
        if name in self._refuses or (self.radio is None and name in _GSM):
            return None
        if self.radio is not None and arguments in ("", "?"):
            known = {
                "+CSQ": f"+CSQ: {self.radio.signal},99",
                "+CREG": f"+CREG: 0,{self.radio.registration}",
                "+CPIN": f"+CPIN: {self.radio.sim}",
                "+CBST": "+CBST: 7,0,1",
                "+CEER": f"+CEER: {self.cause}",
            }
            return [known[name]] if name in known else []
        return [] if arguments.startswith("=") else None

    # --- from the line

    def connected(self, text: str, now: float) -> list[Deed]:
        """The far end has answered; `text` follows CONNECT, e.g. 9600/RLP."""
        self.mode = Mode.ONLINE
        self._heard_at, self._pluses = now, 0
        return [self.says(f"CONNECT {text}".strip() if self.settings.flags["X"] else "CONNECT")]

    def call_ended(self, result: str, cause: str = "") -> list[Deed]:
        """A try, or a call, is over; `result` is said as far as the X level lets the modem tell."""
        self.mode = Mode.COMMAND
        self.cause = cause
        level = self.settings.flags["X"]
        unheard = (result == "BUSY" and level not in _HEARS_BUSY) or (
            result == "NO DIALTONE" and level not in _HEARS_DIAL_TONE
        )
        return [self.says("NO CARRIER" if unheard else result)]

    def dtr_dropped(self) -> list[Deed]:
        """The host has let go of the line: with &D2 the call ends."""
        if self.mode is Mode.COMMAND or not self.settings.flags["&D"]:
            return []
        return [HangsUp(), *self.call_ended("NO CARRIER")]

    # --- the escape

    def _count_pluses(self, data: bytes, now: float) -> None:
        """`+++` counts if the guard time of S12 passed before it; S2 above 127 means that there is no escape."""
        fresh = now - self._heard_at >= self._guard
        self._heard_at = now
        escape = self.settings.registers[2]
        if escape > 127 or data.strip(bytes([escape])):
            self._pluses = 0
        elif fresh or self._pluses:
            self._pluses = len(data) + (0 if fresh else self._pluses)

    @property
    def _guard(self) -> float:
        return self.settings.registers[12] / 50

    def tick(self, now: float) -> list[Deed]:
        """To be called every few milliseconds: the guard time after `+++` may have passed."""
        if self.mode is not Mode.ONLINE or self._pluses != 3 or now - self._heard_at < self._guard:
            return []
        self._pluses = 0
        self.mode = Mode.ESCAPED
        return [self.says("OK")]

    # --- to the host

    def says(self, result: str) -> ToHost:
        """A result code in the form that V asks for."""
        if self.settings.flags["Q"]:
            return ToHost(b"")
        if self.settings.flags["V"]:
            return ToHost(f"\r\n{result}\r\n".encode("latin-1"))
        number = _NUMBERS.get(result, 1 if result.startswith("CONNECT") else 4)
        return ToHost(f"{number}\r".encode("ascii"))

    def _informs(self, text: str) -> ToHost:
        return ToHost((f"\r\n{text}\r\n" if self.settings.flags["V"] else f"{text}\r\n").encode("latin-1"))


_GSM = frozenset({"+CSQ", "+CREG", "+CPIN", "+CBST", "+CEER"})
