"""The DLMS/COSEM meters of a port that speak the TCP wrapper (fact sheet dlms-cosem, section 2)."""

from collections.abc import Sequence

from mts_metersim.dlms_manners import address_of
from mts_metersim.dlms_server import Application, application_for
from mts_metersim.party import Note, Party, Replies, SignedOn
from mts_metersim.unit import Unit

VERSION = b"\x00\x01"
HEAD = 8


def wrapped(source: int, destination: int, apdu: bytes) -> bytes:
    """An APDU between two wPorts."""
    return VERSION + b"".join(part.to_bytes(2, "big") for part in (source, destination, len(apdu))) + apdu


class WrapperParty(Party):
    """Meters are told apart by their wPort, which is the logical device; each client has an association of its own."""

    def __init__(self, units: Sequence[Unit], signed_on: SignedOn, note: Note) -> None:
        self._units = {address_of(unit.meter).server.logical: unit for unit in units}
        self._signed_on = signed_on
        self._note = note
        self._held = bytearray()
        self._applications: dict[tuple[int, int], Application] = {}

    @property
    def unfinished(self) -> bool:
        return bool(self._held)

    @property
    def open_seconds(self) -> float | None:
        waits = [self._units[port].meter.options.inactivity_seconds for _, port in self._applications]
        return min(waits, default=None)

    def forget(self) -> None:
        self._held.clear()

    def end(self) -> None:
        self._applications.clear()

    def receive(self, data: bytes) -> Replies | None:
        self._held += data
        replies: Replies | None = None
        while (message := self._next()) is not None:
            replies = replies or []
            replies += self._heard(*message)
        return replies

    def _next(self) -> tuple[int, int, bytes] | None:
        """Client, server and APDU of the next whole message; bytes that begin none are dropped."""
        while self._held and self._held[:2] != VERSION[: len(self._held)]:
            del self._held[0]
        if len(self._held) < HEAD:
            return None
        client, server, size = (int.from_bytes(self._held[at : at + 2], "big") for at in (2, 4, 6))
        if len(self._held) < HEAD + size:
            return None
        apdu = bytes(self._held[HEAD : HEAD + size])
        del self._held[: HEAD + size]
        return client, server, apdu

    def _heard(self, client: int, server: int, apdu: bytes) -> Replies:
        unit = self._units.get(server)
        if (client, server) not in self._applications:
            self._signed_on(f"{client}/{server}", unit)
            application = None if unit is None else application_for(unit, client, self._note)
            if application is None:
                return []
            self._applications[client, server] = application
        answer = self._applications[client, server].reply(apdu)
        return [(self._units[server], wrapped(server, client, answer))] if answer else []
