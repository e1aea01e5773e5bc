"""The DLMS/COSEM meters of a line that speak HDLC: each hears every frame and answers those to its address."""

from collections.abc import Sequence

from mts_metersim.dlms_manners import address_of, manner_of
from mts_metersim.dlms_server import application_for
from mts_metersim.hdlc import SNRM, Frame, Receiver, client_of
from mts_metersim.hdlc_link import Apdu, Link, Sizes
from mts_metersim.party import Note, Party, Replies, SignedOn
from mts_metersim.unit import Unit


class HdlcParty(Party):
    """A meter answers in the address form in which it is set up, else not at all; one link per meter."""

    def __init__(self, units: Sequence[Unit], signed_on: SignedOn, note: Note) -> None:
        self._signed_on = signed_on
        self._note = note
        self._receiver = Receiver()
        self._links = {address_of(unit.meter).server.field: (unit, self._link(unit)) for unit in units}

    def _link(self, unit: Unit) -> Link:
        def associate(client: int) -> Apdu | None:
            application = application_for(unit, client, self._note)
            return None if application is None else application.reply

        return Link(_sizes(unit), associate)

    @property
    def unfinished(self) -> bool:
        return self._receiver.incomplete

    @property
    def open_seconds(self) -> float | None:
        waits = [u.meter.options.inactivity_seconds for u, link in self._links.values() if link.connected]
        return min(waits, default=None)

    def forget(self) -> None:
        self._receiver.clear()

    def end(self) -> None:
        for _, link in self._links.values():
            link.disconnect()

    def receive(self, data: bytes) -> Replies | None:
        self._receiver.feed(data)
        replies: Replies | None = None
        while (frame := self._receiver.next()) is not None:
            replies = replies or []
            replies += self._heard(frame)
        return replies

    def _heard(self, frame: Frame) -> Replies:
        unit, link = self._links.get(frame.destination, (None, None))
        if frame.control == SNRM:
            self._signed_on(f"{client_of(frame.source)}/{frame.destination.hex()}", unit)
        if unit is None or link is None:
            return []
        return [(unit, answer.encoded()) for answer in link.receive(frame)]


def _sizes(unit: Unit) -> Sizes:
    manner, options = manner_of(unit.meter), unit.meter.options.dlms
    return Sizes(
        options.transmit or manner.transmit,
        options.receive or manner.receive,
        options.window or manner.window,
        told=not options.bare_ua,
        info_on_disc=manner.info_on_disc,
    )
