"""One call as the addressed meter lives it, from identification to sign-off; the parts all makers share."""

from abc import ABC, abstractmethod
from enum import Enum, auto

from mts_metersim.fleet import FaultKind
from mts_metersim.iec import ACK, NAK, Bare, Command, Damaged, Message, Option, command
from mts_metersim.party import Note
from mts_metersim.unit import Unit

ACCEPTED = bytes([ACK])
REFUSED = bytes([NAK])
SIGN_OFF = command("B0")


class Stage(Enum):
    IDENTIFIED = auto()
    READOUT = auto()
    PROGRAMMING = auto()
    OVER = auto()


class Dialogue(ABC):
    """A sans-IO meter: messages in, reply bytes (7-bit) out. `note(what was asked, password was wrong)` is the log's.

    After `Stage.OVER` the meter waits for a sign-on again. Inactivity of `patience` seconds ends the dialogue, as
    does B0 (IEC 62056-21 fact sheet, sections 3 to 5).
    """

    def __init__(self, unit: Unit, note: Note) -> None:
        self.unit = unit
        self.stage = Stage.IDENTIFIED
        self._note = note
        self._last = b""

    @property
    def patience(self) -> float:
        options = self.unit.meter.options
        return options.ack_seconds if self.stage is Stage.IDENTIFIED else options.inactivity_seconds

    @abstractmethod
    def identification(self) -> bytes:
        """The identification line, CR LF included."""

    @abstractmethod
    def _begin(self, option: Option) -> bytes:
        """The reply to the option select; sets the stage."""

    @abstractmethod
    def _execute(self, asked: Command) -> bytes:
        """The reply to a command other than B0 in programming mode."""

    def reply(self, message: Message) -> bytes:
        """What the meter answers; b"" where it keeps quiet."""
        if self.stage is Stage.IDENTIFIED:
            return self._chosen(message)
        if isinstance(message, Command):
            return self._keep(self._commanded(message))
        if isinstance(message, Damaged):
            return REFUSED
        if isinstance(message, Bare):
            return self._acknowledged(message)
        return b""

    def _chosen(self, message: Message) -> bytes:
        if isinstance(message, Option):
            self._note(f"option {message.protocol}{message.rate}{message.mode}", False)
            return self._keep(self._begin(message))
        if isinstance(message, Command) and message.code == "B0":
            self.stage = Stage.OVER
        return self.identification() if message == Bare(NAK) else b""

    def _commanded(self, asked: Command) -> bytes:
        if asked.code == "B0":
            self._note("B0", False)
            self.stage = Stage.OVER
            return b""
        if self.stage is not Stage.PROGRAMMING:
            return b""
        if not asked.code.startswith("P"):
            self._note(f"{asked.code} {asked.dataset}", False)
        return self._execute(asked)

    def _acknowledged(self, message: Bare) -> bytes:
        if message.byte == NAK:
            return self._last
        if self.stage is Stage.READOUT:
            self.stage = Stage.OVER
        return b""

    def _keep(self, reply: bytes) -> bytes:
        self._last = reply
        return reply

    def _judged(self, code: str, right: bool) -> bool:
        """Logs a password given, and lets the fault refuses_password have its way."""
        accepted = right and self.unit.meter.fault(FaultKind.REFUSES_PASSWORD) is None
        self._note(f"{code} ({'right' if accepted else 'wrong'})", not accepted)
        return accepted

    def _refusal(self, usual: str, error: bytes) -> bytes:
        """The answer to a wrong password: "nak", "b0" (the meter signs off) or "error"."""
        manner = self.unit.meter.options.refusal or usual
        if manner == "b0":
            self.stage = Stage.OVER
            return SIGN_OFF
        return REFUSED if manner == "nak" else error
