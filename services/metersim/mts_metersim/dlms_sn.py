"""The service of short name referencing: READ, with and without selection (fact sheet dlms-cosem, section 3)."""

from mts_metersim import axdr
from mts_metersim.axdr import Parser
from mts_metersim.dlms_manners import MULTIPLE, PARAMETERIZED
from mts_metersim.dlms_objects import ASSOCIATION_SN, AccessRefused, CosemObject, Objects, Refusal, Selection, obis
from mts_metersim.party import Note

READ_REQUEST, READ_RESPONSE = 0x05, 0x0C
NO_CONTEXT = b"\x0e\x05\x02\x01"
UNSUPPORTED = b"\x0e\x05\x03\x02"
ASSOCIATION_BASE = 0xFA00
_FIRST_BASE, _STEP, _HALF = 0x1000, 0x80, 0x40
# The base names of the captured E650.
_KNOWN_BASES = {
    obis("0.0.42.0.0"): 0xFD00,
    obis("1.0.0.2.0"): 0xFF00,
    obis("0.0.96.1.0"): 0x5A80,
    obis("1.0.0.2.1"): 0x3840,
    obis("0.0.128.0.0"): 0xC1C0,
}


class ShortNames:
    """One association's requests and answers; attribute n of an object is at its base name + 8(n - 1).

    Such a meter has no block transfer: an answer longer than the client takes is refused.
    """

    def __init__(self, objects: Objects, conformance: int, limit: int, public: bool, note: Note) -> None:
        self._conformance = conformance
        self._limit = limit
        self._public = public
        self._note = note
        self._by_base = _based(objects)

    def reply(self, apdu: bytes) -> bytes:
        """Raises Malformed."""
        parser = Parser(apdu)
        if parser.number(1) != READ_REQUEST:
            return UNSUPPORTED
        count = parser.length()
        if count > 1 and not self._conformance & MULTIPLE:
            return UNSUPPORTED
        head = bytes([READ_RESPONSE]) + axdr.length(count)
        answer = head + b"".join(self._result(parser) for _ in range(count))
        return answer if len(answer) <= self._limit else head + bytes([1, Refusal.OTHER]) * count

    def _result(self, parser: Parser) -> bytes:
        kind, name = parser.number(1), parser.number(2)
        selection = Selection(parser.number(1), parser.value()) if kind == 0x04 else None
        self._note(f"READ {name:04X}{'' if selection is None else f' by {selection.selector}'}", False)
        try:
            if kind not in (0x02, 0x04) or (selection is not None and not self._conformance & PARAMETERIZED):
                raise AccessRefused(Refusal.SCOPE)
            return b"\x00" + self._read(name, selection)
        except AccessRefused as refused:
            return bytes([1, refused.refusal])

    def _read(self, name: int, selection: Selection | None) -> bytes:
        base = name - name % _HALF if name - name % _HALF in self._by_base else name - name % _STEP
        found = self._by_base.get(base)
        if found is None or name % 8:
            raise AccessRefused(Refusal.UNDEFINED)
        if self._public and not found.public:
            raise AccessRefused(Refusal.DENIED)
        return found.read((name - base) // 8 + 1, selection)


def _based(objects: Objects) -> dict[int, CosemObject]:
    """The objects by base name, the association itself with the list of them all."""
    found: dict[int, CosemObject] = {}

    def listed() -> bytes:
        return axdr.array(
            axdr.structure(
                axdr.signed(base - (0x10000 if base & 0x8000 else 0), 2),
                axdr.unsigned(held.class_id, 2),
                axdr.unsigned(held.version, 1),
                axdr.octets(held.name),
            )
            for base, held in found.items()
        )

    found[ASSOCIATION_BASE] = CosemObject(ASSOCIATION_SN, obis("0.0.40.0.0"), {2: listed}, version=2, public=True)
    for place, held in enumerate(objects):
        found[_KNOWN_BASES.get(held.name, _FIRST_BASE + _STEP * place)] = held
    return found
