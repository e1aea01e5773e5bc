"""A scripted A1700, for tests of the drivers."""

# ruff: noqa: DTZ001 - meters show wall clocks without a zone
from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from mts_dialler.protocols.elster.security import answer
from mts_dialler.protocols.iec62056_21.framing import block_check
from mts_dialler.testing.answering import Reply

NOW = datetime(2024, 11, 5, 12, 0, 30, tzinfo=UTC)
SEED = "FD2BA0E29731D230"
PASSWORD = "ABCDEFGH"
PLAIN = "/GEC5090100140400@000"
EXTENDED = "/GEC5090100260200@000"
OPEN = {"795", "798"}

Spoiler = Callable[[bytes, int], list[Reply]]


def framed(content: bytes) -> bytes:
    return content + bytes([block_check(content[1:])])


def bcd(value: int, octets: int) -> bytes:
    """Least octet first."""
    return bytes.fromhex(f"{value:0{2 * octets}d}")[::-1]


def seconds(wall: datetime) -> bytes:
    return struct.pack("<I", int(wall.replace(tzinfo=UTC).timestamp()))


def clock(wall: datetime) -> bytes:
    day, month = int(f"{wall.day}", 16) | (wall.year % 4) << 6, int(f"{wall.month}", 16) | wall.weekday() << 5
    return bytes.fromhex(f"{wall:%S%M%H}") + bytes([day, month, 0]) + bytes.fromhex(f"{wall:%y}")


def day(wall: datetime, mask: int = 0x0081) -> bytes:
    return b"\xe4" + seconds(wall) + struct.pack(">HB", mask, 0x09)


def record(*milliwatts: int, status: int = 0) -> bytes:
    return bytes([status]) + b"".join(bytes.fromhex(f"{value:05d}3") for value in milliwatts)


def maximum(at: datetime | None, source: int, milliwatts: int) -> bytes:
    return (seconds(at) if at else bytes(4)) + bytes([source]) + bcd(milliwatts, 7)


def identities(wall: datetime = datetime(2024, 11, 5, 12, 0, 20)) -> dict[str, bytes]:
    return {
        "507": b"".join(bcd(value, 8) for value in (3514400, 198800, 1086800, 0, 0, 0, 44, 7, 0, 0)),
        "508": bcd(1000000, 8) + bcd(2500001, 8) + bytes(8 * 14),
        "510": maximum(datetime(2024, 7, 1, 13, 30), 1, 12345000)
        + maximum(datetime(2024, 11, 1, 8, 0), 1, 22345000)
        + maximum(None, 0, 0)
        + maximum(datetime(2024, 11, 1, 9, 0), 1, 5000000)
        + maximum(None, 1, 0) * 2
        + bytes(12 * 18),
        "551": struct.pack(">HH", 0, 0),
        "614": bytes.fromhex("00001100001100"),
        "616": bytes.fromhex("000006000005"),
        "667": bytes([1, 1]) + bytes(14),
        "693": struct.pack("<H", 48) + seconds(datetime(2024, 7, 15, 8, 25, 55)) + bytes(8) + bytes([3, 0, 0]),
        "694": bytes(14),
        "695": struct.pack("<H", 1) + seconds(datetime(2024, 1, 15, 8, 0)) + bytes(8),
        "724": bytes.fromhex("00010000"),
        "777": bytes.fromhex("0081"),
        "778": b"\x01",
        "795": b"TARIFF-1--------",
        "798": b"K04M01234-------",
        "861": clock(wall),
        "878": bytes.fromhex("303001"),
    }


INSTANTANEOUS = {0x1A: "00000000052500", 0x1B: "00000002301000", 0x0C: "81000000123400", 0x08: "00000000500000"}


class Meter:
    """An A1700, or an A1140 if it is given such values. `profile` is the load profile by days, oldest first.

    `takes_ranges`: days may be asked for by identity 554 as well.
    """

    def __init__(
        self,
        identification: str = PLAIN,
        values: dict[str, bytes] | None = None,
        profile: list[tuple[datetime, bytes]] | None = None,
        password: str = PASSWORD,
        refusal: bytes = b"\x15",
        spoil: Spoiler | None = None,
        takes_ranges: bool = False,
    ) -> None:
        self.asked: list[str] = []
        self.answers = 0
        self.values = identities() if values is None else values
        self.locked = True
        self._identification = identification
        self._profile = profile or []
        self._password = password
        self._refusal = refusal
        self._spoil = spoil
        self._takes_ranges = takes_ranges
        self._stream = b""
        self._polls = 0
        self._count = 0

    def __call__(self, message: bytes) -> list[Reply]:
        reply = self._answer(message)
        if not reply:
            return []
        self._count += 1
        return self._spoil(reply, self._count) if self._spoil else [reply]

    def _answer(self, message: bytes) -> bytes:
        if message[:1] == b"/":
            return f"{self._identification}\r\n".encode()
        if message[:1] == b"\x06":
            return framed(f"\x01P0\x02({SEED})\x03".encode())
        code, data = message[1:3].decode(), message[4:-2].decode()
        self.asked.append(f"{code} {data}" if code != "P2" else code)
        if code == "B0":
            return b""
        if code == "P2":
            self.answers += 1
            self.locked = data != f"({answer(self._password, SEED)})"
            return self._refusal if self.locked else b"\x06"
        text = self._identity(code, data[:3], data[3:])
        return b"\x06" if text == "" else framed(f"\x02({text})\x03".encode())

    def _identity(self, code: str, identity: str, rest: str) -> str:
        if self.locked and identity not in OPEN:
            return "ERR5"
        if code == "W1":
            if identity == "554" and not self._takes_ranges:
                return "ERR2"
            self._write(identity, bytes.fromhex(rest[4:-1]))
            return ""
        packet, size = int(rest[:3], 16), int(rest[4:6], 16)
        start = (packet - 1) * 64
        if identity == "550":
            return self._stream[start : start + size].ljust(size, b"\xff").hex().upper()
        if identity == "605":
            self._polls -= 1
            return bytes(code | (0x80 if self._polls <= 0 else 0) for code in self.values["605"]).hex()
        data = self.values.get(identity)
        return "ERR2" if data is None else data[start : start + size].hex().upper()

    def _write(self, identity: str, data: bytes) -> None:
        if identity == "551":
            first = NOW.date() - timedelta(days=int.from_bytes(data, "little") - 1)
            self._select(octets for start, octets in self._profile if start.date() >= first)
        elif identity == "554":
            first_second, last_second = struct.unpack("<II", data)
            stamps = [(struct.unpack("<I", seconds(start))[0], octets) for start, octets in self._profile]
            self._select(octets for at, octets in stamps if first_second <= at < last_second)
        elif identity == "605":
            self.values["605"] = data
            self.values["606"] = b"".join(bytes.fromhex(INSTANTANEOUS.get(code, "00" + "FF" * 6)) for code in data)
            self._polls = 3

    def _select(self, days: Iterable[bytes]) -> None:
        self._stream = b"".join(days)
        self.values["551"] = struct.pack(">HH", -(-len(self._stream) // 64), 0)
