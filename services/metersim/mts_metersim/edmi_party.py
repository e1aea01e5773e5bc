"""The EDMI meters of a line: each hears every frame and answers those to its serial number (fact sheet edmi, 1, 2)."""

from collections.abc import Sequence

from mts_metersim.edmi import Message, Receiver
from mts_metersim.edmi_atlas import AtlasSession
from mts_metersim.edmi_genius import GeniusSession
from mts_metersim.edmi_session import ACK, EdmiSession
from mts_metersim.party import Note, Party, Replies, SignedOn
from mts_metersim.places import edmi_number
from mts_metersim.unit import Unit

_SESSIONS: dict[str, type[EdmiSession]] = {"EDMIATLAS": AtlasSession, "EDMIGENIUS": GeniusSession}
_LOGIN = b"L"


class EdmiParty(Party):
    """Addressed frames go to the meter of that serial number; plain ones, and the bare `02 03`, to the first meter."""

    def __init__(self, units: Sequence[Unit], signed_on: SignedOn, note: Note) -> None:
        self._signed_on = signed_on
        self._receiver = Receiver()
        self._sessions = {edmi_number(unit.meter): _SESSIONS[unit.meter.meter_type](unit, note) for unit in units}

    @property
    def unfinished(self) -> bool:
        return self._receiver.incomplete

    @property
    def open_seconds(self) -> float | None:
        waits = [s.unit.meter.options.inactivity_seconds for s in self._sessions.values() if s.logged_in]
        return min(waits, default=None)

    def forget(self) -> None:
        self._receiver.clear()

    def end(self) -> None:
        for session in self._sessions.values():
            session.logged_in = False

    def receive(self, data: bytes) -> Replies | None:
        self._receiver.feed(data)
        replies: Replies | None = None
        while (message := self._receiver.next()) is not None:
            replies = replies or []
            replies += self._heard(message)
        return replies

    def _heard(self, message: Message) -> Replies:
        envelope = message.envelope
        session = next(iter(self._sessions.values())) if envelope is None else self._sessions.get(envelope.destination)
        if message.payload[:1] == _LOGIN:
            address = "" if envelope is None else str(envelope.destination)
            self._signed_on(address, None if session is None else session.unit)
        if session is None:
            return []
        attention = envelope is None and not message.payload
        payload = ACK if attention else session.reply(message.payload)
        reply = Message(payload, None if envelope is None else envelope.returned()).encoded()
        return [(session.unit, reply * (2 if session.unit.meter.options.edmi.duplicates else 1))]
