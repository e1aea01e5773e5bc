"""One port: the meters that share it, and a call to them (multi-drop: only the addressed one speaks)."""

from collections.abc import Callable, Sequence

from mts_metersim.edmi_party import EdmiParty
from mts_metersim.families import Family, family_of
from mts_metersim.hdlc_party import HdlcParty
from mts_metersim.iec_party import IecParty
from mts_metersim.party import Note, Party, Replies, SignedOn
from mts_metersim.unit import Unit
from mts_metersim.wrapper import WrapperParty

_PARTIES: dict[Family, Callable[[Sequence[Unit], SignedOn, Note], Party]] = {
    Family.IEC: IecParty,
    Family.HDLC: HdlcParty,
    Family.WRAPPER: WrapperParty,
    Family.EDMI: EdmiParty,
}


class Call:
    """A sans-IO call to a port: bytes in, (meter, reply) out.

    Where several protocols share the line, each hears every byte; a message that one of them understands ends what
    the others took for the beginning of one of theirs.
    """

    def __init__(self, units: Sequence[Unit], signed_on: SignedOn, note: Note) -> None:
        sharing: dict[Family, list[Unit]] = {}
        for unit in units:
            sharing.setdefault(family_of(unit.meter.meter_type), []).append(unit)
        self._parties = [_PARTIES[family](those, signed_on, note) for family, those in sharing.items()]

    @property
    def patience(self) -> float:
        """Seconds without a byte after which `silence` is due."""
        return min(party.patience for party in self._parties)

    def silence(self) -> bool:
        """The line was quiet for `patience` seconds: an unfinished message or an idle dialogue ends. False = nobody
        was speaking at all."""
        waited = self.patience
        return sum(party.silence(waited) for party in self._parties) > 0

    def receive(self, data: bytes) -> Replies:
        """The replies to whatever messages these bytes complete."""
        if len(self._parties) == 1:
            return self._parties[0].receive(data) or []
        return [reply for byte in data for reply in self._heard(bytes([byte]))]

    def _heard(self, piece: bytes) -> Replies:
        for party in self._parties:
            replies = party.receive(piece)
            if replies is not None:
                for other in self._parties:
                    if other is not party:
                        other.forget()
                return replies
        return []
