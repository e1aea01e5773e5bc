"""HDLC frames of IEC 62056-46 as the meter sees them (fact sheet dlms-cosem, section 2)."""

from dataclasses import dataclass

FLAG = 0x7E
SNRM, UA, DISC, DM = 0x93, 0x73, 0x53, 0x1F
RR, REJ = 0x11, 0x19
RNR = 0x05  # without its poll bit
POLL = 0x10
_SEGMENTED = 0x08
_GOOD = 0x0F47


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame with right check sequences; `destination` and `source` are address fields as they stand on the line."""

    destination: bytes
    source: bytes
    control: int
    info: bytes = b""
    segmented: bool = False

    @property
    def is_information(self) -> bool:
        return not self.control & 1

    @property
    def polls(self) -> bool:
        return bool(self.control & POLL)

    def encoded(self) -> bytes:
        """The frame with its flags."""
        head = self.destination + self.source + bytes([self.control])
        length = 2 + len(head) + 2 + (len(self.info) + 2 if self.info else 0)
        head = bytes([0xA0 | (_SEGMENTED if self.segmented else 0) | length >> 8, length & 0xFF]) + head
        if self.info:
            head += check_sequence(head) + self.info
        return bytes([FLAG]) + head + check_sequence(head) + bytes([FLAG])


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A meter's HDLC address: upper (logical device) and lower part (physical; None in the one-octet form)."""

    logical: int
    physical: int | None
    octets: int

    @property
    def field(self) -> bytes:
        """The address field: seven bits per octet, the last octet's bit 0 set."""
        if self.physical is None:
            return _septets(self.logical, 1, last=True)
        half = self.octets // 2
        return _septets(self.logical, half, last=False) + _septets(self.physical, half, last=True)


def client_of(field: bytes) -> int:
    """The client's number (SAP) of a one-octet address field."""
    return field[0] >> 1


def check_sequence(data: bytes) -> bytes:
    """HCS or FCS: CRC-16/X-25, low octet first."""
    return (_remainder(data) ^ 0xFFFF).to_bytes(2, "little")


def _septets(value: int, count: int, *, last: bool) -> bytes:
    septets = [value >> 7 * (count - 1 - index) & 0x7F for index in range(count)]
    field = bytearray(septet << 1 for septet in septets)
    field[-1] |= last
    return bytes(field)


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_TABLE = _crc_table()


def _remainder(data: bytes) -> int:
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


def _is_sound(data: bytes) -> bool:
    return _remainder(data) ^ 0xFFFF == _GOOD


class Receiver:
    """Takes bytes in any pieces, gives whole frames. The length alone tells where a frame ends (no byte stuffing); a
    closing flag may open the next frame; noise and frames with a wrong check are dropped."""

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def incomplete(self) -> bool:
        return len(self._held) > 1

    def clear(self) -> None:
        self._held.clear()

    def feed(self, data: bytes) -> None:
        self._held += data

    def next(self) -> Frame | None:
        """The next whole frame, None if there is none yet."""
        while self._to_flag():
            if len(self._held) < 3:
                return None
            length = (self._held[1] & 0x07) << 8 | self._held[2]
            if self._held[1] & 0xF0 != 0xA0 or length < 7:
                del self._held[0]
                continue
            if len(self._held) < length + 2:
                return None
            frame = _parsed(bytes(self._held[1 : length + 1])) if self._held[length + 1] == FLAG else None
            del self._held[: length + 1 if frame else 1]
            if frame is not None:
                return frame
        return None

    def _to_flag(self) -> bool:
        """Drops all before the last of the flags that may open a frame."""
        start = self._held.find(FLAG)
        if start < 0:
            self._held.clear()
            return False
        while start + 1 < len(self._held) and self._held[start + 1] == FLAG:
            start += 1
        del self._held[:start]
        return True


def _parsed(body: bytes) -> Frame | None:
    """A frame without its flags; None where a check sequence is wrong or the address never ends."""
    if not _is_sound(body):
        return None
    destination = _address(body, 2)
    source = _address(body, 2 + len(destination))
    control_at = 2 + len(destination) + len(source)
    if not destination or not source or control_at + 3 > len(body):
        return None
    segmented = bool(body[0] & _SEGMENTED)
    control = body[control_at]
    head = body[: control_at + 3]
    if len(head) == len(body):
        return Frame(destination, source, control, b"", segmented)
    if not _is_sound(head):
        return None
    return Frame(destination, source, control, body[len(head) : -2], segmented)


def _address(body: bytes, at: int) -> bytes:
    """The address field that begins there: one, two or four octets; b"" if it does not end."""
    for size in (1, 2, 4):
        field = body[at : at + size]
        if len(field) == size and field[-1] & 1 and not any(octet & 1 for octet in field[:-1]):
            return field
    return b""
