"""Opening and closing an association: AARQ, AARE, RLRQ, RLRE (fact sheet dlms-cosem, section 3)."""

from dataclasses import dataclass, replace
from enum import IntEnum

from mts_metersim.axdr import Malformed, Parser

AARQ, AARE, RLRQ, RLRE = 0x60, 0x61, 0x62, 0x63
RELEASED = bytes([RLRE, 3, 0x80, 1, 0])
LOGICAL_NAMES, SHORT_NAMES, LOGICAL_NAMES_CIPHERED = 1, 2, 3
NO_SECURITY, LOW_LEVEL, GMAC = 0, 1, 5
_CONTEXT = bytes.fromhex("60857405 0801")
_MECHANISM = bytes.fromhex("60857405 0802")
_DLMS_VERSION = 6
MIN_PDU = 12


class Diagnostic(IntEnum):
    """Why an association is refused; REQUIRED with acceptance means that the client must now prove itself."""

    NONE = 0
    NO_REASON = 1
    CONTEXT = 2
    MECHANISM = 11
    FAILURE = 13
    REQUIRED = 14


@dataclass(frozen=True, slots=True)
class Proposal:
    """An AARQ: `secret` is the LLS secret or the client's challenge; `user` the user information as it stands."""

    context: int = 0
    mechanism: int = NO_SECURITY
    secret: bytes = b""
    title: bytes = b""
    user: bytes = b""


@dataclass(frozen=True, slots=True)
class Initiate:
    """What a client proposes: `pdu` 0 = it takes any length; `short_tag`: conformance came as 5F 04."""

    version: int
    conformance: int
    pdu: int
    short_tag: bool


def proposal(apdu: bytes) -> Proposal:
    """Raises Malformed."""
    parser = Parser(apdu[1:])
    inside = Parser(parser.sized())
    found = Proposal()
    while inside.rest:
        found = _with_item(found, inside.number(1), inside.sized())
    if not found.context:
        raise Malformed("no application context")
    return found


def _with_item(found: Proposal, tag: int, content: bytes) -> Proposal:
    if tag == 0xA1:
        return replace(found, context=_last_arc(content[2:], _CONTEXT))
    if tag == 0x8B:
        return replace(found, mechanism=_last_arc(content, _MECHANISM))
    if tag == 0xAC:
        return replace(found, secret=content[2:])
    if tag == 0xA6:
        return replace(found, title=content[2:])
    if tag == 0xBE:
        return replace(found, user=content[2:] if content[1:2] < b"\x80" else content[3:])
    return found


def _last_arc(name: bytes, root: bytes) -> int:
    return name[-1] if name[:-1] == root else 0xFF


def initiate(user: bytes) -> Initiate:
    """A plain InitiateRequest. Raises Malformed."""
    parser = Parser(user)
    if parser.number(1) != 0x01:
        raise Malformed("no InitiateRequest")
    if parser.number(1):
        parser.sized()  # a dedicated key
    if parser.number(1):
        parser.number(1)  # whether an answer is wanted
    if parser.number(1):
        parser.number(1)  # quality of service
    version = parser.number(1)
    short_tag = parser.take(2) == b"\x5f\x04"
    if not short_tag and parser.number(1) != 4:
        raise Malformed("no conformance block")
    return Initiate(version, parser.number(4), parser.number(2), short_tag)


def initiate_fault(wanted: Initiate) -> bytes | None:
    """The service error for a version or an APDU length that no meter takes."""
    if wanted.version < _DLMS_VERSION:
        return b"\x0e\x01\x06\x01"
    return b"\x0e\x01\x06\x03" if 0 < wanted.pdu < MIN_PDU else None


def initiate_response(wanted: Initiate, conformance: int, pdu: int, base_name: int) -> bytes:
    """What the meter grants, the conformance under the same tag as in the request."""
    tag = b"\x5f\x04" if wanted.short_tag else b"\x5f\x1f\x04"
    granted = (wanted.conformance & conformance).to_bytes(4, "big")
    return b"\x08\x00" + bytes([_DLMS_VERSION]) + tag + granted + pdu.to_bytes(2, "big") + base_name.to_bytes(2, "big")


def response(
    context: int,
    diagnostic: Diagnostic,
    user: bytes = b"",
    accepted: bool = True,
    challenge: bytes = b"",
    title: bytes = b"",
) -> bytes:
    """An AARE; with a challenge the client has to prove itself by GMAC."""
    items = _item(0xA1, _item(0x06, _CONTEXT + bytes([context])))
    items += _item(0xA2, bytes([0x02, 1, 0 if accepted else 1]))
    items += _item(0xA3, _item(0xA1, bytes([0x02, 1, diagnostic])))
    if challenge:
        items += _item(0xA4, _item(0x04, title)) + b"\x88\x02\x07\x80" + _item(0x89, _MECHANISM + bytes([GMAC]))
        items += _item(0xAA, _item(0x80, challenge))
    if user:
        items += _item(0xBE, _item(0x04, user))
    return _item(AARE, items)


def _item(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content
