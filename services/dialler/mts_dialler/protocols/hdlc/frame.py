"""Frames of format type 3 (IEC 62056-46, clause 6.4): their bytes, checks and addresses.

A frame is found by its length field; 7E may stand anywhere inside, there is no stuffing. One flag may close a frame
and open the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError

FLAG = 0x7E
MAX_LENGTH = 2047
_FORMAT = 0xA000
_SEGMENTED = 0x0800
_FIXED = 2 + 1 + 2  # format, control, one check sequence

_TABLE: list[int] = []
for _octet in range(256):
    _remainder = _octet
    for _ in range(8):
        _remainder = (_remainder >> 1) ^ 0x8408 if _remainder & 1 else _remainder >> 1
    _TABLE.append(_remainder)


def check_sequence(data: bytes) -> bytes:
    """CRC-16/X-25 of `data`, low octet first (ISO/IEC 13239, 4.2.5)."""
    crc = 0xFFFF
    for octet in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ octet) & 0xFF]
    return (crc ^ 0xFFFF).to_bytes(2, "little")


class Kind(IntEnum):
    """A frame's kind: its control field without sequence numbers and poll bit (clause 6.4.3)."""

    I = 0x00  # noqa: E741
    RR = 0x01
    RNR = 0x05
    REJ = 0x09
    UI = 0x03
    DM = 0x0F
    DISC = 0x43
    UA = 0x63
    SNRM = 0x83
    FRMR = 0x87


_POLL = 0x10
_SUPERVISORY = (Kind.RR, Kind.RNR, Kind.REJ)


@dataclass(frozen=True, slots=True)
class Frame:
    """`send` and `receive` are the sequence numbers N(S) and N(R), 0 where the kind has none."""

    destination: bytes
    source: bytes
    kind: Kind
    poll: bool = True
    send: int = 0
    receive: int = 0
    segmented: bool = False
    information: bytes = b""

    def encode(self) -> bytes:
        """The bytes on the wire, with both flags. Raises `LocalProtocolError` if they would be too many."""
        body = self.destination + self.source + bytes((_control(self),))
        length = 2 + len(body) + 2 + (len(self.information) + 2 if self.information else 0)
        if length > MAX_LENGTH:
            raise LocalProtocolError(f"a frame of {length} octets")
        head = (_FORMAT | (_SEGMENTED if self.segmented else 0) | length).to_bytes(2, "big") + body
        data = head + check_sequence(head)
        if self.information:
            data += self.information
            data += check_sequence(data)
        return bytes((FLAG, *data, FLAG))


def _control(frame: Frame) -> int:
    control = int(frame.kind) | (_POLL if frame.poll else 0)
    if frame.kind is Kind.I:
        return control | frame.send << 1 | frame.receive << 5
    if frame.kind in _SUPERVISORY:
        return control | frame.receive << 5
    return control


def decode(data: bytes) -> Frame:
    """The frame whose octets between the flags are `data`. Raises `RemoteProtocolError`."""
    if len(data) < _FIXED + 2 or data[0] & 0xF0 != 0xA0:
        raise RemoteProtocolError("not a frame of format type 3")
    if check_sequence(data[:-2]) != data[-2:]:
        raise RemoteProtocolError("a frame whose check sequence is wrong")
    destination, source_at = _address(data, 2)
    source, control_at = _address(data, source_at)
    header_end = control_at + 1
    if header_end + 2 > len(data):
        raise RemoteProtocolError("a frame without a control field")
    information = b""
    if header_end + 2 < len(data):
        if check_sequence(data[:header_end]) != data[header_end : header_end + 2]:
            raise RemoteProtocolError("a frame whose header check sequence is wrong")
        information = data[header_end + 2 : -2]
    return _read_control(data[control_at], destination, source, bool(data[0] & 0x08), information)


def _address(data: bytes, start: int) -> tuple[bytes, int]:
    for end in range(start + 1, min(start + 4, len(data)) + 1):
        if data[end - 1] & 1:
            return data[start:end], end
    raise RemoteProtocolError("an address that does not end")


def _read_control(control: int, destination: bytes, source: bytes, segmented: bool, information: bytes) -> Frame:
    poll = bool(control & _POLL)
    if control & 0x01 == 0:
        kind, send, receive = Kind.I, control >> 1 & 7, control >> 5
    elif control & 0x03 == 0x01:
        kind, send, receive = _known(control & 0x0F), 0, control >> 5
    else:
        kind, send, receive = _known(control & ~_POLL), 0, 0
    return Frame(destination, source, kind, poll, send, receive, segmented, information)


def _known(control: int) -> Kind:
    try:
        return Kind(control)
    except ValueError:
        raise RemoteProtocolError(f"an unknown control field {control:02X}") from None


def client_address(client: int) -> bytes:
    """One octet (clause 6.4.2.3). Raises `LocalProtocolError` if `client` does not fit."""
    return _octets(client, 1)


def server_address(logical: int, physical: int | None = None, octets: int | None = None) -> bytes:
    """The server's upper and lower address in 1, 2 or 4 octets; the fewest that hold them if `octets` is None.

    A meter answers the length it is configured for only (dlms-cosem.md, section 2).
    """
    if octets is None:
        short = 1 if physical is None else 2
        octets = short if max(logical, physical or 0) < 0x80 else 4
    if octets == 1:
        if physical is not None:
            raise LocalProtocolError("an address of one octet has no physical part")
        return _octets(logical, 1)
    half = octets // 2
    return _octets(logical, half, last=False) + _octets(physical or 0, half)


def _octets(number: int, count: int, *, last: bool = True) -> bytes:
    if count not in {1, 2} or not 0 <= number < 1 << 7 * count:
        raise LocalProtocolError(f"{number} does not fit an address part of {count} octets")
    parts = [(number >> 7 * place & 0x7F) << 1 for place in reversed(range(count))]
    return bytes((*parts[:-1], parts[-1] | last))
