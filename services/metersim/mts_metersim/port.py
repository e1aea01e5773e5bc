"""One port: the meters that share it, and a call to them (multi-drop: only the addressed one speaks)."""

from collections.abc import Callable, Sequence

from mts_metersim.a1700 import A1700Dialogue
from mts_metersim.dialogue import Dialogue, Note, Stage
from mts_metersim.iec import Receiver, SignOn
from mts_metersim.iec_meter import IecDialogue
from mts_metersim.unit import Unit

CHARACTER_SECONDS = 3.0
IDLE_SECONDS = 600.0

SignedOn = Callable[[str, Unit | None], None]


def dialogue_with(unit: Unit, note: Note) -> Dialogue:
    return A1700Dialogue(unit, note) if unit.meter.meter_type == "ELSTERA1700" else IecDialogue(unit, note)


class Call:
    """A sans-IO call to a port: bytes in, (meter, reply) out.

    An empty address is answered by the first meter; device addresses compare as text, those of an A1700 as numbers.
    In programming mode a sign-on is not understood: B0 or inactivity comes first.
    """

    def __init__(self, units: Sequence[Unit], signed_on: SignedOn, note: Note) -> None:
        self._units = units
        self._signed_on = signed_on
        self._note = note
        self._receiver = Receiver()
        self._dialogue: Dialogue | None = None

    @property
    def patience(self) -> float:
        """Seconds without a byte after which `silence` is due."""
        if self._receiver.incomplete:
            return CHARACTER_SECONDS
        return IDLE_SECONDS if self._dialogue is None else self._dialogue.patience

    def silence(self) -> bool:
        """The line was quiet: an unfinished message or an idle dialogue ends. False = nobody was speaking at all."""
        if self._receiver.incomplete:
            self._receiver.clear()
            return True
        in_dialogue = self._dialogue is not None
        self._end()
        return in_dialogue

    def receive(self, data: bytes) -> list[tuple[Unit, bytes]]:
        """The replies to whatever messages these bytes complete."""
        self._receiver.feed(data)
        replies = []
        while (message := self._receiver.next()) is not None:
            if self._dialogue is None or (
                isinstance(message, SignOn) and self._dialogue.stage is not Stage.PROGRAMMING
            ):
                reply = self._addressed(message.address) if isinstance(message, SignOn) else b""
            else:
                reply = self._dialogue.reply(message)
            if self._dialogue is not None:
                replies.append((self._dialogue.unit, reply))
                self._receiver.expects_option = self._dialogue.stage is Stage.IDENTIFIED
                if self._dialogue.stage is Stage.OVER:
                    self._end()
        return replies

    def _addressed(self, address: str) -> bytes:
        unit = next((unit for unit in self._units if _answers(unit, address)), None)
        self._signed_on(address, unit)
        self._end()
        if unit is None:
            return b""
        self._dialogue = dialogue_with(unit, self._note)
        return self._dialogue.identification()

    def _end(self) -> None:
        self._dialogue = None
        self._receiver.expects_option = False


def _answers(unit: Unit, address: str) -> bool:
    own = unit.meter.outstation_address
    if address in ("", own):
        return True
    numbers = address.isdecimal() and own.isdecimal() and unit.meter.meter_type == "ELSTERA1700"
    return numbers and int(address) == int(own)
