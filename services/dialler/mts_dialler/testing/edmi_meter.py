"""A scripted EDMI meter, for tests of the drivers."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mts_dialler.protocols.edmi.frame import ATTENTION, FrameReader, Packet, encode
from mts_dialler.testing.answering import Reply

ACK = b"\x06"
UNKNOWN, NOT_FOUND, DENIED, NOT_READY, NOT_LOGGED_IN = 2, 3, 4, 7, 9
MULTIPLE = b"\x00\x00\xff\xf1"


def refusal(code: int) -> bytes:
    return bytes((0x18, code))


def single(value: float) -> bytes:
    return struct.pack(">f", value)


def text(value: str) -> bytes:
    return value.encode() + b"\x00"


def long(value: int) -> bytes:
    return value.to_bytes(4, "big", signed=True)


def word(value: int) -> bytes:
    return value.to_bytes(2, "big")


@dataclass
class ScriptedMeter:
    """`registers`: values in their external form, a number = refused with that code; `infos`: type, unit and name.

    `files`: for each log of an Atlas, or file of a Genius, the number of the first record and the records. `trouble`
    takes the number of a request (from 1) and the reply that is due, and gives what comes in its place. `asked` holds
    the payloads, repeats too.
    """

    serial: int
    credentials: str
    registers: dict[int, bytes | int]
    infos: dict[int, bytes | int] = field(default_factory=dict)
    files: dict[int, tuple[int, list[bytes]]] = field(default_factory=dict)
    wide: bool = False
    reads_many: bool = True
    answers_attention: bool = True
    trouble: Callable[[int, bytes], list[Reply]] = lambda _number, reply: [reply]
    most_records: int = 1000
    asked: list[bytes] = field(default_factory=list)
    logged_in: bool = False
    attentions: int = 0
    _reader: FrameReader = field(default_factory=FrameReader)

    def receive(self, data: bytes) -> Iterator[Reply]:
        if data.endswith(ATTENTION):
            self.attentions += 1
            if self.answers_attention:
                yield encode(ACK)
            return
        self._reader.feed(data)
        packet = self._reader.next()
        if isinstance(packet, Packet) and packet.destination == self.serial:
            self.asked.append(packet.payload)
            answer = Packet(packet.source, self.serial, packet.sequence, self.answer(packet.payload))
            yield from self.trouble(len(self.asked), answer.encode())

    def answer(self, payload: bytes) -> bytes:
        command, rest = payload[:1], payload[1:]
        if command == b"L":
            self.logged_in = rest == self.credentials.encode() + b"\x00"
            return ACK if self.logged_in else refusal(DENIED)
        if not self.logged_in:
            return refusal(NOT_LOGGED_IN)
        if command == b"X":
            self.logged_in = False
            return ACK
        if command == b"F":
            return self._file(payload)
        if command == b"M" and rest.startswith(MULTIPLE) and len(rest) > 4:
            return payload[:5] + self._many(rest[4:]) if self.reads_many else refusal(UNKNOWN)
        return self._register(payload)

    def _register(self, payload: bytes) -> bytes:
        if payload[:1] not in ((b"M", b"O") if self.wide else (b"R", b"I")):
            return refusal(UNKNOWN)
        number = int.from_bytes(payload[1:], "big")
        found = (self.registers if payload[:1] in b"RM" else self.infos).get(number, NOT_FOUND)
        return refusal(found) if isinstance(found, int) else payload + found

    def _many(self, numbers: bytes) -> bytes:
        data = b""
        for at in range(0, len(numbers), 4):
            found = self.registers.get(int.from_bytes(numbers[at : at + 4], "big"), NOT_FOUND)
            if isinstance(found, int):
                return data + bytes((found,))
            data += b"\x00" + found
        return data

    def _file(self, payload: bytes) -> bytes:
        if payload[1:2] in b"IRS":
            return self._genius_file(payload)
        first, records = self.files.get(payload[1] - 0x30, (0, []))
        start = max(first, int.from_bytes(payload[3:7], "big"))
        part = records[start - first :][: min(int.from_bytes(payload[7:9], "big"), self.most_records)]
        return payload[:3] + start.to_bytes(4, "big") + word(len(part)) + b"".join(part)

    def _genius_file(self, payload: bytes) -> bytes:
        file = int.from_bytes(payload[2:6], "big")
        if file not in self.files:
            return refusal(NOT_FOUND)
        first, records = self.files[file]
        head = payload[:6]
        if payload[1:2] == b"I":
            return head + long(first) + long(len(records)) + word(len(records[0]) if records else 0) + b"\x01file\x00"
        if payload[1:2] == b"S":
            return refusal(UNKNOWN)
        start = max(first, int.from_bytes(payload[6:10], "big"))
        part = records[start - first :][: min(int.from_bytes(payload[10:12], "big"), self.most_records)]
        return head + long(start) + word(len(part)) + payload[12:16] + b"".join(part)
