"""The commands of a session: what is sent, and how its answer is read (edmi.md, sections 2 and 3).

Each command has `encode`, the payload that asks, and `parse`, which takes the payload that answers and raises
`CommandRefused` (or a kind of it) for CAN, `RemoteProtocolError` for what is no answer to this command.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mts_dialler.protocols.edmi.refusals import ACCESS_DENIED, CommandRefused, LoginRefused, refusal
from mts_dialler.protocols.edmi.values import measured
from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError

ACK, CAN = 0x06, 0x18
_MULTIPLE = b"M\x00\x00\xff\xf1"


def content(payload: bytes, head: bytes) -> bytes:
    """What follows `head`, which an answer repeats from its question."""
    if payload[:1] == bytes((CAN,)):
        raise refusal(payload[1] if len(payload) > 1 else None)
    if not payload.startswith(head):
        raise RemoteProtocolError(f"an answer that begins with {payload[: len(head)].hex()}, not {head.hex()}")
    return payload[len(head) :]


def _acknowledged(payload: bytes) -> None:
    if content(payload, bytes((ACK,))):
        raise RemoteProtocolError("more than an acknowledgement")


@dataclass(frozen=True, slots=True)
class Login:
    """`credentials` is `USER,PASSWORD`, sent as it is."""

    credentials: str = field(repr=False)

    def encode(self) -> bytes:
        """Raises `LocalProtocolError` for what has no bytes in ISO 8859-1, or holds NUL."""
        try:
            text = self.credentials.encode("latin-1")
        except UnicodeEncodeError:
            raise LocalProtocolError("the credentials hold a character that the protocol has not got") from None
        if b"\x00" in text:
            raise LocalProtocolError("the credentials hold NUL")
        return b"L" + text + b"\x00"

    def parse(self, payload: bytes) -> None:
        """Raises `LoginRefused` for access denied, and for CAN without a code."""
        try:
            _acknowledged(payload)
        except CommandRefused as refused:
            if refused.code in {None, ACCESS_DENIED}:
                raise LoginRefused(refused.code) from refused
            raise


@dataclass(frozen=True, slots=True)
class Logout:
    def encode(self) -> bytes:
        return b"X"

    def parse(self, payload: bytes) -> None:
        _acknowledged(payload)


def _number(register: int, octets: int) -> bytes:
    try:
        return register.to_bytes(octets, "big")
    except OverflowError:
        raise LocalProtocolError(f"no such register: {register:X}") from None


@dataclass(frozen=True, slots=True)
class Read:
    """A register's value in its external form. `wide`: a register number of four bytes (Genius)."""

    register: int
    wide: bool

    def encode(self) -> bytes:
        return b"M" + _number(self.register, 4) if self.wide else b"R" + _number(self.register, 2)

    def parse(self, payload: bytes) -> bytes:
        return content(payload, self.encode())


@dataclass(frozen=True, slots=True)
class Info:
    """What a meter says of a register: the letters of its type and unit, and its name."""

    type: str
    unit: str
    name: str


@dataclass(frozen=True, slots=True)
class Ask:
    """The register's `Info`."""

    register: int
    wide: bool

    def encode(self) -> bytes:
        return b"O" + _number(self.register, 4) if self.wide else b"I" + _number(self.register, 2)

    def parse(self, payload: bytes) -> Info:
        found = content(payload, self.encode())
        if len(found) < 2:
            raise RemoteProtocolError("an answer without type and unit")
        name = found[2:].partition(b"\x00")[0].decode("latin-1").strip()
        return Info(chr(found[0]), chr(found[1]), name)


@dataclass(frozen=True, slots=True)
class Block:
    """The answer to `ReadMany`: the values up to the first error, and that error's code (None = there was none).

    Whether a value follows an error is not known, so nothing behind one is used (section 3).
    """

    values: tuple[bytes, ...]
    error: int | None = None


@dataclass(frozen=True, slots=True)
class ReadMany:
    """Several registers in one command. `registers` are (number, type letter), for the types tell the lengths."""

    registers: Sequence[tuple[int, str]]

    def encode(self) -> bytes:
        """Raises `LocalProtocolError` if there are none."""
        if not self.registers:
            raise LocalProtocolError("no registers to read")
        return _MULTIPLE + b"".join(_number(register, 4) for register, _ in self.registers)

    def parse(self, payload: bytes) -> Block:
        rest = content(payload, _MULTIPLE)
        values: list[bytes] = []
        for _, letter in self.registers:
            if not rest:
                raise RemoteProtocolError("an answer with fewer values than registers")
            if rest[0]:
                return Block(tuple(values), rest[0])
            length = measured(letter, rest[1:])
            values.append(rest[1 : 1 + length])
            rest = rest[1 + length :]
        if rest:
            raise RemoteProtocolError("an answer with more than the values")
        return Block(tuple(values))


@dataclass(frozen=True, slots=True)
class Records:
    """Part of a file: `count` records from number `start`, as the meter gave them."""

    start: int
    count: int
    data: bytes = field(repr=False)

    def judge(self, start: int, count: int, size: int) -> None:
        """Raises `RemoteProtocolError` unless these can be an answer to the question for `count` from `start`."""
        if len(self.data) != self.count * size:
            raise RemoteProtocolError(f"{self.count} records of {size} bytes in {len(self.data)} bytes")
        if self.start < start or self.count > count:
            raise RemoteProtocolError(f"{self.count} records from {self.start}, asked for {count} from {start}")


@dataclass(frozen=True, slots=True)
class ReadRecords:
    """Records of an Atlas file: log 0 and 1 are the load surveys, 2 to 6 the event logs (sections 5.1 and 5.3).

    What comes back may begin later and hold fewer than was asked for.
    """

    log: int
    start: int
    count: int
    size: int

    def encode(self) -> bytes:
        """Raises `LocalProtocolError`."""
        if not 0 <= self.log <= 9 or self.size < 1 or not 0 <= self.start < 1 << 32 or not 1 <= self.count < 1 << 16:
            raise LocalProtocolError(f"no such records: log {self.log}, {self.count} from {self.start}")
        return self._head() + self.start.to_bytes(4, "big") + self.count.to_bytes(2, "big")

    def _head(self) -> bytes:
        return bytes((ord("F"), 0x30 + self.log, 0))

    def parse(self, payload: bytes) -> Records:
        found = content(payload, self._head())
        if len(found) < 6:
            raise RemoteProtocolError("an answer without start and count")
        records = Records(int.from_bytes(found[:4], "big"), int.from_bytes(found[4:6], "big"), found[6:])
        records.judge(self.start, self.count, self.size)
        return records
