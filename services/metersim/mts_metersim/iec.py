"""IEC 62056-21 frames as the meter sees them: what arrives, told apart by position, and what is sent."""

from dataclasses import dataclass
from functools import reduce

SOH, STX, ETX, EOT, ACK, NAK = 0x01, 0x02, 0x03, 0x04, 0x06, 0x15
CRLF = b"\r\n"
MAX_FRAME = 512
MAX_SIGN_ON = 64


@dataclass(frozen=True, slots=True)
class SignOn:
    """`/?address!`."""

    address: str


@dataclass(frozen=True, slots=True)
class Option:
    """`ACK V Z Y CR LF`: what the host chose after the identification."""

    protocol: str
    rate: str
    mode: str


@dataclass(frozen=True, slots=True)
class Command:
    """`SOH C D STX dataset ETX BCC`, its block check right; `code` is C and D, `dataset` "" for B0."""

    code: str
    dataset: str


@dataclass(frozen=True, slots=True)
class Bare:
    """ACK or NAK alone."""

    byte: int


@dataclass(frozen=True, slots=True)
class Damaged:
    """A command whose block check is wrong, or that never ended."""


Message = SignOn | Option | Command | Bare | Damaged


def bcc(data: bytes) -> int:
    """XOR of 7-bit values; `data` is all that follows the first SOH or STX, the ETX or EOT included."""
    return reduce(lambda check, byte: check ^ (byte & 0x7F), data, 0)


def block(text: str, end: int = ETX) -> bytes:
    """`STX text ETX BCC`; `end` EOT for a partial block."""
    body = text.encode("ascii") + bytes([end])
    return bytes([STX]) + body + bytes([bcc(body)])


def command(code: str, dataset: str | None = None) -> bytes:
    """`SOH code STX dataset ETX BCC`; without a dataset (B0) no STX."""
    body = code.encode("ascii") + (b"" if dataset is None else bytes([STX]) + dataset.encode("ascii")) + bytes([ETX])
    return bytes([SOH]) + body + bytes([bcc(body)])


def even_parity(data: bytes) -> bytes:
    """Seven-bit characters with the even parity bit in bit 7, as they leave a 7E1 line on an 8N1 one."""
    return data.translate(_EVEN)


def plain(data: bytes) -> bytes:
    """Bytes off the line with the parity bit, right, wrong or absent, masked."""
    return data.translate(_SEVEN)


_SEVEN = bytes(byte & 0x7F for byte in range(256))
_EVEN = bytes((byte & 0x7F) | ((byte & 0x7F).bit_count() % 2 << 7) for byte in range(256))


class Receiver:
    """Takes bytes in any pieces, gives whole messages.

    An ACK begins an option select only where one is expected (after an identification), else it stands alone; the
    block check is the one byte after ETX whatever its value. Bytes that begin nothing (wake-up
    NULs, noise) are dropped.
    """

    def __init__(self) -> None:
        self.expects_option = False
        self._held = bytearray()

    @property
    def incomplete(self) -> bool:
        return bool(self._held)

    def clear(self) -> None:
        self._held.clear()

    def feed(self, data: bytes) -> None:
        self._held += plain(data)

    def next(self) -> Message | None:
        """The next whole message, None if there is none yet."""
        while self._held:
            first = self._held[0]
            if first == 0x2F:
                taken, message = self._sign_on()
            elif first == ACK and self.expects_option:
                taken, message = self._option()
            elif first in (ACK, NAK):
                taken, message = 1, Bare(first)
            elif first == SOH:
                taken, message = self._command()
            else:
                taken, message = 1, None
            if taken == 0:
                return None
            del self._held[:taken]
            if message is not None:
                return message
        return None

    def _sign_on(self) -> tuple[int, Message | None]:
        end = self._held.find(CRLF, 0, MAX_SIGN_ON)
        if end < 0:
            return (MAX_SIGN_ON, None) if len(self._held) >= MAX_SIGN_ON else (0, None)
        line = self._held[:end].decode("ascii")
        if not (line.startswith("/?") and line.endswith("!")):
            return end + 2, None
        return end + 2, SignOn(line[2:-1])

    def _option(self) -> tuple[int, Message | None]:
        if len(self._held) < 6:
            return 0, None
        if self._held[4:6] != CRLF:
            return 1, None
        return 6, Option(*self._held[1:4].decode("ascii"))

    def _command(self) -> tuple[int, Message | None]:
        end = self._held.find(ETX, 3, MAX_FRAME)
        if end < 0:
            return (MAX_FRAME, Damaged()) if len(self._held) >= MAX_FRAME else (0, None)
        if len(self._held) < end + 2:
            return 0, None
        body = bytes(self._held[1 : end + 1])
        dataset = body[3:-1] if body[2] == STX else body[2:-1]
        if bcc(body) != self._held[end + 1] or (dataset and body[2] != STX):
            return end + 2, Damaged()
        return end + 2, Command(body[:2].decode("ascii"), dataset.decode("ascii"))
