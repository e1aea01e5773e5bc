"""The IEC 62056-21 meters of a line: only the addressed one speaks."""

from collections.abc import Sequence

from mts_metersim.a1140 import A1140Dialogue
from mts_metersim.a1700 import A1700Dialogue
from mts_metersim.dialogue import Dialogue, Stage
from mts_metersim.families import ELSTER_TYPES
from mts_metersim.iec import Command, Message, Option, Receiver, SignOn
from mts_metersim.iec_meter import IecDialogue
from mts_metersim.party import Note, Party, Replies, SignedOn
from mts_metersim.unit import Unit


def dialogue_with(unit: Unit, note: Note) -> Dialogue:
    if unit.meter.meter_type == "ELSTERA1140":
        return A1140Dialogue(unit, note)
    return A1700Dialogue(unit, note) if unit.meter.meter_type == "ELSTERA1700" else IecDialogue(unit, note)


class IecParty(Party):
    """An empty address is answered by the first meter; device addresses compare as text, Elster's as numbers.

    In programming mode a sign-on is not understood: B0 or inactivity comes first.
    """

    def __init__(self, units: Sequence[Unit], signed_on: SignedOn, note: Note) -> None:
        self._units = units
        self._signed_on = signed_on
        self._note = note
        self._receiver = Receiver()
        self._dialogue: Dialogue | None = None

    @property
    def unfinished(self) -> bool:
        return self._receiver.incomplete

    @property
    def open_seconds(self) -> float | None:
        return None if self._dialogue is None else self._dialogue.patience

    def forget(self) -> None:
        self._receiver.clear()

    def end(self) -> None:
        self._dialogue = None
        self._receiver.expects_option = False

    def receive(self, data: bytes) -> Replies | None:
        """A stray ACK or a damaged command to which nobody answers may well be part of another protocol's message."""
        self._receiver.feed(data)
        understood = False
        replies: Replies = []
        while (message := self._receiver.next()) is not None:
            reply = self._answer(message)
            understood |= bool(reply) or isinstance(message, SignOn | Option | Command)
            if self._dialogue is not None:
                replies.append((self._dialogue.unit, reply))
                self._receiver.expects_option = self._dialogue.stage is Stage.IDENTIFIED
                if self._dialogue.stage is Stage.OVER:
                    self.end()
        return replies if understood else None

    def _answer(self, message: Message) -> bytes:
        if isinstance(message, SignOn) and (self._dialogue is None or self._dialogue.stage is not Stage.PROGRAMMING):
            return self._addressed(message.address)
        return b"" if self._dialogue is None else self._dialogue.reply(message)

    def _addressed(self, address: str) -> bytes:
        unit = next((unit for unit in self._units if _answers(unit, address)), None)
        self._signed_on(address, unit)
        self.end()
        if unit is None:
            return b""
        self._dialogue = dialogue_with(unit, self._note)
        return self._dialogue.identification()


def _answers(unit: Unit, address: str) -> bool:
    own = unit.meter.outstation_address
    if address in ("", own):
        return True
    numbers = address.isdecimal() and own.isdecimal() and unit.meter.meter_type in ELSTER_TYPES
    return numbers and int(address) == int(own)
