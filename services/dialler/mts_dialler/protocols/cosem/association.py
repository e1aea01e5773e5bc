"""Opening and closing an application association by ACSE: AARQ, AARE, RLRQ, RLRE (IEC 62056-53, 6.2 and Annex A)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from mts_dialler.protocols.cosem.values import encode_length
from mts_dialler.protocols.errors import RemoteProtocolError

AARQ, AARE, RLRQ = 0x60, 0x61, 0x62

_DLMS_UA = bytes.fromhex("6085740508")  # joint-iso-ccitt(2) country(16) 756 identified-organisation(5) DLMS-UA(8)
_CONTEXT, _MECHANISM = 1, 2


class Context(IntEnum):
    """The application context: how attributes are named, and whether APDUs are ciphered."""

    LOGICAL_NAMES = 1
    SHORT_NAMES = 2
    LOGICAL_NAMES_CIPHERED = 3
    SHORT_NAMES_CIPHERED = 4


class Mechanism(IntEnum):
    """How the client shows who it is."""

    NONE = 0
    LLS = 1
    HLS_GMAC = 5


class Conformance(IntFlag):
    """Services, by bit of the conformance block."""

    GENERAL_PROTECTION = 0x400000
    GENERAL_BLOCK_TRANSFER = 0x200000
    READ = 0x100000
    BLOCK_GET = 0x001000
    MULTIPLE_REFERENCES = 0x000200
    PARAMETERIZED_ACCESS = 0x000020
    GET = 0x000010
    SET = 0x000008
    SELECTIVE_ACCESS = 0x000004
    ACTION = 0x000001


class Refusal(IntEnum):
    """The diagnostic of a refused association (service user)."""

    NO_REASON = 1
    CONTEXT_NOT_SUPPORTED = 2
    CALLING_TITLE_NOT_RECOGNISED = 3
    MECHANISM_NOT_RECOGNISED = 11
    MECHANISM_REQUIRED = 12
    AUTHENTICATION_FAILED = 13
    AUTHENTICATION_REQUIRED = 14


LOGICAL_NAME_SERVICES = (
    Conformance.BLOCK_GET
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.GET
    | Conformance.SELECTIVE_ACCESS
    | Conformance.ACTION
)
SHORT_NAME_SERVICES = (
    Conformance.READ | Conformance.BLOCK_GET | Conformance.MULTIPLE_REFERENCES | Conformance.PARAMETERIZED_ACCESS
)


@dataclass(frozen=True, slots=True)
class Request:
    """What a client proposes. `secret`: LLS password, or our challenge for HLS; `max_pdu` 0 = no limit of ours."""

    context: Context
    mechanism: Mechanism = Mechanism.NONE
    secret: bytes = b""
    title: bytes = b""
    max_pdu: int = 0xFFFF
    conformance: Conformance = LOGICAL_NAME_SERVICES

    def initiate(self) -> bytes:
        """The xDLMS InitiateRequest, which a ciphered context seals before it goes into `encode`."""
        conformance = int(self.conformance).to_bytes(3, "big")
        return bytes.fromhex("01000000065F1F0400") + conformance + self.max_pdu.to_bytes(2, "big")

    def encode(self, user_information: bytes | None = None) -> bytes:
        """The AARQ; `user_information` stands for `initiate()` where that is sealed."""
        parts = _tlv(0xA1, _tlv(0x06, _object_id(_CONTEXT, self.context)))
        if self.title:
            parts += _tlv(0xA6, _tlv(0x04, self.title))
        if self.mechanism is not Mechanism.NONE:
            parts += _tlv(0x8A, b"\x07\x80")
            parts += _tlv(0x8B, _object_id(_MECHANISM, self.mechanism))
            parts += _tlv(0xAC, _tlv(0x80, self.secret))
        parts += _tlv(0xBE, _tlv(0x04, self.initiate() if user_information is None else user_information))
        return _tlv(AARQ, parts)


@dataclass(frozen=True, slots=True)
class Initiated:
    """The meter's InitiateResponse: what it serves and the longest APDU it takes."""

    conformance: Conformance
    max_pdu: int


@dataclass(frozen=True, slots=True)
class Response:
    """An AARE. `user_information` is an InitiateResponse, perhaps sealed, or a service error; b"" where it has none."""

    accepted: bool
    diagnostic: int
    user_information: bytes = b""
    title: bytes = b""
    challenge: bytes = b""

    @property
    def wants_hls(self) -> bool:
        """Accepted so far, and the four-pass authentication goes on."""
        return self.accepted and self.diagnostic == Refusal.AUTHENTICATION_REQUIRED

    @property
    def bad_credentials(self) -> bool:
        """Refused for who we said we are."""
        return not self.accepted and self.diagnostic in {
            Refusal.AUTHENTICATION_FAILED,
            Refusal.AUTHENTICATION_REQUIRED,
            Refusal.MECHANISM_NOT_RECOGNISED,
            Refusal.MECHANISM_REQUIRED,
        }


def decode_response(data: bytes) -> Response:
    """An AARE. Raises `RemoteProtocolError`."""
    parts = dict(_parts(_open(data, AARE)))
    result = parts.get(0xA2)
    if result is None:
        raise RemoteProtocolError("an AARE without a result")
    diagnostic = dict(_parts(parts.get(0xA3, b"")))
    source = next(iter(diagnostic.values()), b"")
    return Response(
        accepted=_number(result) == 0,
        diagnostic=_number(source) if source else 0,
        user_information=_inner(parts.get(0xBE, b"")),
        title=_inner(parts.get(0xA4, b"")),
        challenge=_inner(parts.get(0xAA, b"")),
    )


def decode_initiate(data: bytes) -> Initiated:
    """An InitiateResponse in the clear. Raises `RemoteProtocolError`.

    Old short-name meters tag the conformance block 5F 04 00 instead of 5F 1F 04 00; both are taken.
    """
    if not data or data[0] != 0x08:
        raise RemoteProtocolError("the association's answer holds no InitiateResponse")
    start = data.find(b"\x5f")
    if start < 0:
        raise RemoteProtocolError("an InitiateResponse without conformance")
    block = data[start + 1 :].removeprefix(b"\x1f")
    if len(block) < 7 or block[:2] != b"\x04\x00":
        raise RemoteProtocolError("an InitiateResponse whose conformance is cut")
    return Initiated(Conformance(int.from_bytes(block[2:5], "big")), int.from_bytes(block[5:7], "big"))


def release(user_information: bytes = b"") -> bytes:
    """RLRQ, reason normal; ciphered associations repeat their sealed InitiateRequest in it."""
    return _tlv(RLRQ, _tlv(0x80, b"\x00") + (_tlv(0xBE, _tlv(0x04, user_information)) if user_information else b""))


def _object_id(arc: int, number: int) -> bytes:
    return _DLMS_UA + bytes((arc, number))


def _tlv(tag: int, value: bytes) -> bytes:
    return bytes((tag,)) + encode_length(len(value)) + value


def _open(data: bytes, tag: int) -> bytes:
    """The contents of the APDU; octets after it are ignored (an L+G E650 counts one too few where it sends 5F 1F)."""
    found = next(_parts(data), None)
    if found is None or found[0] != tag:
        raise RemoteProtocolError(f"the answer to an association is not an APDU {tag:02X}")
    return found[1]


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The BER elements of `data`."""
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            raise RemoteProtocolError("an association's answer is cut")
        tag, length, start = data[at], data[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, start = int.from_bytes(data[start : start + count], "big"), start + count
        if start + length > len(data):
            raise RemoteProtocolError("an association's answer is cut")
        yield tag, data[start : start + length]
        at = start + length


def _inner(data: bytes) -> bytes:
    """The value of the one element in `data`, b"" if there is none."""
    return next((value for _, value in _parts(data)), b"")


def _number(data: bytes) -> int:
    """An INTEGER element's value."""
    return int.from_bytes(_inner(data), "big")
