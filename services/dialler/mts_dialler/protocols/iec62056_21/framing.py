"""Messages to bytes and bytes to messages (iec62056-21.md, sections 2 and 3).

Messages are found by position: the check character may have any value, those of control characters included.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import reduce
from operator import xor

from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError
from mts_dialler.protocols.iec62056_21.data_sets import is_bare, refusal
from mts_dialler.protocols.iec62056_21.messages import (
    Accept,
    Ack,
    Action,
    Break,
    Command,
    Damaged,
    DataMessage,
    ErrorMessage,
    Event,
    Identification,
    Nak,
    Operand,
    PartialBlock,
    Password,
    Repeat,
    Request,
    Select,
    SignOff,
    Truncated,
)
from mts_dialler.protocols.receive_buffer import ReceiveBuffer

SOH, STX, ETX, EOT, ACK, NAK = b"\x01", b"\x02", b"\x03", b"\x04", b"\x06", b"\x15"

MAX_MESSAGE = 128 * 1024  # a day of 14 channels every 5 minutes is 50 KiB
MAX_IDENTIFICATION = 80
MAX_NOISE = 4096  # characters that belong to no message, in a row

_TEXT = re.compile(r"[\x20-\x7e]*")
_ADDRESS = re.compile(r"[^/!]{0,32}")
_LINE_END = re.compile(rb"\n")
_BOUNDARY = re.compile(rb"[\x01-\x04]")  # SOH, STX, ETX, EOT
_START = re.compile(rb"[/?\x01\x02\x06\x15]")
_IDENTIFICATION = re.compile(r"/([A-Za-z0-9]{3})([\x20-\x7e])((?:\\[\x20-\x7e])*)([\x20-\x7e]*)")


def block_check(covered: bytes) -> int:
    """BCC of the bytes after the first SOH or STX up to and including ETX or EOT; the parity bit does not count."""
    return reduce(xor, covered, 0) & 0x7F


def encode(action: Action) -> bytes:
    """`action` in seven-bit characters. Raises `LocalProtocolError` for what cannot be sent."""
    match action:
        case Request(address, list_character):
            if not _ADDRESS.fullmatch(address):
                raise LocalProtocolError("an address has up to 32 characters, none of them / or !")
            return _characters(f"/{list_character}{address}!") + b"\r\n"
        case Select(option, baud):
            return ACK + _characters(f"0{baud}{option.value}") + b"\r\n"
        case Password(method, text):
            return _command(method, f"({text})")
        case Command(code, data):
            return _command(code, data)
        case Accept():
            return ACK
        case Repeat():
            return NAK
        case SignOff():
            return _checked(SOH + b"B0" + ETX)


def _command(code: str, data: str) -> bytes:
    return _checked(SOH + _characters(code) + STX + _characters(data) + ETX)


def _checked(message: bytes) -> bytes:
    return message + bytes([block_check(message[1:])])


def _characters(text: str) -> bytes:
    if not _TEXT.fullmatch(text):
        raise LocalProtocolError("only printable ASCII characters can be sent")
    return text.encode("ascii")


def parse_identification(line: str) -> Identification:
    """`line` without its line end. Raises `RemoteProtocolError` if it is none.

    Backslash pairs may be there or not, and several may follow one another; what comes after them is kept whole.
    """
    found = _IDENTIFICATION.fullmatch(line)
    if found is None:
        raise RemoteProtocolError(f"not an identification: {line!r}")
    maker, baud, escapes, text = found.groups()
    return Identification(maker, baud, escapes[1::2], text)


class MessageReader:
    """Finds messages in received characters. Characters between messages are noise, and dropped."""

    def __init__(self) -> None:
        self._buffer = ReceiveBuffer(MAX_MESSAGE)
        self._noise = 0
        self._readers: dict[int, Callable[[], Event | None]] = {
            ord("/"): self._identification,
            SOH[0]: self._command,
            STX[0]: self._block,
            ACK[0]: self._single,
            NAK[0]: self._single,
            ord("?"): self._single,
        }

    def feed(self, data: bytes) -> None:
        self._buffer.append(data)

    def next(self) -> Event | None:
        """The next message, None while it is incomplete. Raises `RemoteProtocolError`; what was wrong is consumed."""
        self._drop_noise()
        if not self._buffer:
            return None
        event = self._readers[self._buffer[0]]()
        if event is None:
            self._buffer.require_room()
        return event

    @property
    def receiving(self) -> bool:
        """A message has begun and is not complete."""
        return len(self._buffer) > 0

    def interrupt(self) -> Truncated | None:
        """To be called when nothing more comes: what there is of an unfinished message, which is dropped."""
        rest = self._buffer.clear()
        return Truncated(_text(rest[1:])) if rest else None

    def _drop_noise(self) -> None:
        if self._buffer and self._buffer[0] in self._readers:
            self._noise = 0
            return
        start = self._buffer.find(_START, 0)
        dropped = self._buffer.take(len(self._buffer) if start is None else start) or b""
        self._noise = self._noise + len(dropped) if start is None else 0
        if self._noise > MAX_NOISE:
            self._noise = 0
            raise RemoteProtocolError("noise on the line")

    def _identification(self) -> Event | None:
        end = self._buffer.find(_LINE_END, 0)
        if end is None and len(self._buffer) <= MAX_IDENTIFICATION:
            return None
        if end is None or end > MAX_IDENTIFICATION:
            self._buffer.take(1)
            raise RemoteProtocolError("an identification without an end")
        line = self._buffer.take(end + 1) or b""
        return parse_identification(_text(line).rstrip("\r\n"))

    def _block(self) -> Event | None:
        end = self._buffer.find(_BOUNDARY, 1)
        if end is None:
            return None
        if self._buffer[end] in SOH + STX:
            return Truncated(_text((self._buffer.take(end) or b"")[1:]))
        message = self._buffer.take(end + 2)
        if message is None:
            return None
        if block_check(message[1:-1]) != message[-1] & 0x7F:
            return Damaged()
        text = _text(message[1:-2])
        if message[-2:-1] == EOT:
            return PartialBlock(text)
        error = refusal(text) if is_bare(text) else ""
        return ErrorMessage(error) if error else DataMessage(text)

    def _command(self) -> Event | None:
        """SOH, two characters, then ETX or STX ... ETX; the inner STX is covered by the check."""
        head = self._buffer.peek(4)
        if head is None:
            return None
        if head[3] not in STX + ETX:
            self._buffer.take(1)
            raise RemoteProtocolError("a command without STX or ETX")
        end = 3 if head[3] in ETX else self._buffer.find(_BOUNDARY, 4)
        if end is None:
            return None
        if self._buffer[end] not in ETX:
            self._buffer.take(end)
            raise RemoteProtocolError("a command that does not end")
        message = self._buffer.take(end + 2)
        if message is None:
            return None
        if block_check(message[1:-1]) != message[-1] & 0x7F:
            return Damaged()
        return self._understand(_text(message[1:3]), _text(message[4:-2]))

    @staticmethod
    def _understand(code: str, data: str) -> Event:
        if code == "P0":
            return Operand(data.strip().removeprefix("(").removesuffix(")"))
        if code in {"B0", "B1"}:
            return Break()
        raise RemoteProtocolError(f"the meter sent a command: {code!r}")

    def _single(self) -> Event | None:
        return Ack() if self._buffer.take(1) == ACK else Nak()


def _text(data: bytes) -> str:
    return data.decode("latin-1")
