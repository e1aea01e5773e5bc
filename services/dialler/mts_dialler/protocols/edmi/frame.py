"""Frames and packets: their bytes, stuffing, check and addresses (edmi.md, section 1).

A frame is STX, body, check, ETX. What stands between STX and ETX is stuffed, so a bare STX or ETX is always a
delimiter: a reader that meets an STX inside a frame starts again there.
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from dataclasses import dataclass, field

from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError
from mts_dialler.protocols.receive_buffer import ReceiveBuffer

STX, ETX, ESCAPE = b"\x02", b"\x03", b"\x1b"
ATTENTION = STX + ETX
MAX_FRAME = 16 * 1024  # on the wire; the longest answers asked for have some 4 KiB, were every byte of them stuffed
_DLE = 0x10
_STUFFED = re.compile(rb"[\x02\x03\x10\x11\x13]")
_DELIMITER = re.compile(rb"[\x02\x03]")
_ESCAPED = re.compile(rb"\x10(.?)", re.DOTALL)
_ADDRESSED = b"E"
_HEADER = 1 + 4 + 4 + 2


def check_sequence(data: bytes) -> bytes:
    """CRC-16/XMODEM of `data`, high byte first. Covers STX and the body, before stuffing."""
    return crc_hqx(data, 0).to_bytes(2, "big")


def encode(body: bytes) -> bytes:
    """The frame of `body` as it goes on the wire."""
    content = body + check_sequence(STX + body)
    return STX + _STUFFED.sub(lambda found: bytes((_DLE, found[0][0] | 0x40)), content) + ETX


@dataclass(frozen=True, slots=True)
class Packet:
    """The body of an addressed frame. The answer has the addresses the other way round and the same sequence."""

    destination: int
    source: int
    sequence: int
    payload: bytes = field(repr=False)

    def encode(self) -> bytes:
        """The frame as it goes on the wire. Raises `LocalProtocolError` if an address or the sequence does not fit."""
        try:
            header = (
                self.destination.to_bytes(4, "big") + self.source.to_bytes(4, "big") + self.sequence.to_bytes(2, "big")
            )
        except OverflowError:
            raise LocalProtocolError("an address of more than 32 bits or a sequence number of more than 16") from None
        return encode(_ADDRESSED + header + self.payload)


@dataclass(frozen=True, slots=True)
class Plain:
    """The body of a frame without addresses."""

    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Garbled:
    """Bytes that looked like a frame and were none; they are gone."""

    why: str


def decode(content: bytes) -> Packet | Plain:
    """What the bytes between STX and ETX, still stuffed, hold. Raises `RemoteProtocolError`."""
    plain = _ESCAPED.sub(lambda found: bytes(octet & 0xBF for octet in found[1]), content)
    if len(plain) < 3:
        raise RemoteProtocolError("a frame without content")
    body, check = plain[:-2], plain[-2:]
    if check_sequence(STX + body) != check:
        raise RemoteProtocolError("a frame whose check is wrong")
    if not body.startswith(_ADDRESSED) or len(body) < _HEADER:
        return Plain(body)
    destination, source, sequence = (int.from_bytes(body[at:end], "big") for at, end in ((1, 5), (5, 9), (9, 11)))
    return Packet(destination, source, sequence, body[_HEADER:])


class FrameReader:
    """Frames out of a stream that may hold noise before and between them. Keeps at most one frame's bytes."""

    def __init__(self) -> None:
        self._buffer = ReceiveBuffer(MAX_FRAME)
        self._begun = False  # the buffer begins with an STX; before one it stays empty

    def feed(self, data: bytes) -> None:
        self._buffer.append(data)

    @property
    def receiving(self) -> bool:
        """A frame has begun and is not complete."""
        return self._begun

    def clear(self) -> None:
        self._buffer.clear()
        self._begun = False

    def next(self) -> Packet | Plain | Garbled | None:
        """The next frame, or what stood in its place; None while more bytes are needed."""
        while (end := self._frame_end()) is not None:
            content = (self._buffer.take(end + 1) or b"")[1:-1]
            if not content:
                continue  # an attention that comes back as an echo
            try:
                return decode(content)
            except RemoteProtocolError as error:
                return Garbled(str(error))
        try:
            self._buffer.require_room()
        except RemoteProtocolError as error:
            self._begun = False
            return Garbled(str(error))
        return None

    def _frame_end(self) -> int | None:
        """Where the ETX of the frame that the buffer begins with stands, once it is there; noise is dropped."""
        while (delimiter := self._buffer.find(_DELIMITER, 1 if self._begun else 0)) is not None:
            if self._buffer[delimiter] in STX:
                self._buffer.take(delimiter)
                self._begun = True
            elif self._begun:
                self._begun = False
                return delimiter
            else:
                self._buffer.take(delimiter + 1)
        if not self._begun:
            self._buffer.clear()
        return None
