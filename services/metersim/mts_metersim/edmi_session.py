"""An EDMI meter's side of a call: login, logout, refusals (fact sheet edmi, section 2)."""

from abc import ABC, abstractmethod

from mts_metersim.edmi_codes import Can, CanCode
from mts_metersim.fleet import FaultKind
from mts_metersim.party import Note
from mts_metersim.unit import Unit

ACK, CAN = b"\x06", 0x18


class EdmiSession(ABC):
    """One meter's side: command payloads in, answer payloads out."""

    def __init__(self, unit: Unit, note: Note) -> None:
        self.unit = unit
        self.logged_in = False
        self._note = note

    @abstractmethod
    def execute(self, command: bytes) -> bytes:
        """The answer to a command other than login and logout. Raises Can."""

    def reply(self, command: bytes) -> bytes:
        try:
            return self._answer(command)
        except Can as refused:
            return bytes([CAN, refused.code])

    def _answer(self, command: bytes) -> bytes:
        if not command:
            raise Can(CanCode.WRONG_LENGTH)
        if command[:1] == b"L":
            return self._login(command[1:])
        if not self.logged_in:
            raise Can(CanCode.NOT_LOGGED_IN)
        self._note(f"{command[:1].decode('latin-1')} {command[1:16].hex().upper()}".strip(), False)
        if command == b"X":
            self.logged_in = False
            return ACK
        if self.unit.late_answers < self.unit.meter.options.edmi.not_ready:
            self.unit.late_answers += 1
            raise Can(CanCode.NOT_READY)
        return self.execute(command)

    def _login(self, credentials: bytes) -> bytes:
        """`USER,PASSWORD` and a NUL; a meter without a password takes any."""
        expected = self.unit.meter.password
        right = not expected or credentials == expected.encode("ascii") + b"\0"
        self.logged_in = right and self.unit.meter.fault(FaultKind.REFUSES_PASSWORD) is None
        self._note(f"Password L ({'right' if self.logged_in else 'wrong'})", not self.logged_in)
        if self.logged_in:
            return ACK
        if self.unit.meter.options.edmi.bare_refusal:
            return bytes([CAN])
        raise Can(CanCode.ACCESS_DENIED)
