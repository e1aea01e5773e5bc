"""EDMI command-line frames as the meter sees them (fact sheet edmi, section 1)."""

from binascii import crc_hqx
from dataclasses import dataclass

STX, ETX, DLE = 0x02, 0x03, 0x10
MAX_FRAME = 4096
_STUFFED = {0x02, 0x03, 0x10, 0x11, 0x13}
_ADDRESSED = 0x45
_HEAD = 11


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who an addressed (E) frame is for and from, and its number."""

    destination: int
    source: int
    sequence: int

    def returned(self) -> "Envelope":
        """That of the answer."""
        return Envelope(self.source, self.destination, self.sequence)


@dataclass(frozen=True, slots=True)
class Message:
    """What a host sent: the payload, addressed by an envelope or plain; a bare `02 03` is plain and empty."""

    payload: bytes
    envelope: Envelope | None = None

    def encoded(self, spoil: int = 0) -> bytes:
        """The frame; `spoil` is laid over the check sequence."""
        body = self.payload
        if self.envelope is not None:
            head = self.envelope.destination.to_bytes(4, "big") + self.envelope.source.to_bytes(4, "big")
            body = bytes([_ADDRESSED]) + head + self.envelope.sequence.to_bytes(2, "big") + body
        check = crc_hqx(bytes([STX]) + body, 0) ^ spoil
        return bytes([STX]) + stuffed(body + check.to_bytes(2, "big")) + bytes([ETX])


def stuffed(data: bytes) -> bytes:
    """Each byte that means something on the line as DLE and the byte with bit 6 set."""
    return b"".join(bytes([DLE, byte | 0x40]) if byte in _STUFFED else bytes([byte]) for byte in data)


def _unstuffed(data: bytes) -> bytes:
    plain = bytearray()
    escaped = False
    for byte in data:
        if byte == DLE and not escaped:
            escaped = True
            continue
        plain.append(byte & 0xBF if escaped else byte)
        escaped = False
    return bytes(plain)


class Receiver:
    """Takes bytes in any pieces, gives whole messages. A raw STX always begins a frame anew; frames with a wrong
    check and bytes outside frames (the wake-ups ESC and `/?!`) are dropped."""

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def incomplete(self) -> bool:
        return bool(self._held)

    def clear(self) -> None:
        self._held.clear()

    def feed(self, data: bytes) -> None:
        self._held += data

    def next(self) -> Message | None:
        """The next whole message, None if there is none yet."""
        while (end := self._held.find(ETX)) >= 0:
            start = self._held.rfind(STX, 0, end)
            inside = _unstuffed(bytes(self._held[start + 1 : end])) if start >= 0 else None
            del self._held[: end + 1]
            message = None if inside is None else _message(inside)
            if message is not None:
                return message
        start = self._held.rfind(STX)
        del self._held[: start if start >= 0 and len(self._held) < MAX_FRAME else len(self._held)]
        return None


def _message(inside: bytes) -> Message | None:
    if not inside:
        return Message(b"")
    if len(inside) < 3 or crc_hqx(bytes([STX]) + inside, 0):
        return None
    body = inside[:-2]
    if body[0] != _ADDRESSED:
        return Message(body)
    if len(body) < _HEAD:
        return None
    numbers = (int.from_bytes(body[at:end], "big") for at, end in ((1, 5), (5, 9), (9, 11)))
    return Message(body[_HEAD:], Envelope(*numbers))
