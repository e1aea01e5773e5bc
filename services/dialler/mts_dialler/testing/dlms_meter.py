"""A DLMS meter for tests of the driver: its attributes are given as encoded values, its habits as fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mts_dialler.drivers.dlms_cipher import Suite0
from mts_dialler.protocols.cosem import values
from mts_dialler.protocols.cosem.values import Reader, encode_length
from mts_dialler.protocols.hdlc.frame import Frame, Kind
from mts_dialler.protocols.hdlc.reader import FrameReader

Key = tuple[int, str, int]
"""Class, `A.B.C.D.E` and attribute."""
Select = Callable[[Key, bytes], bytes | int]
"""What a selection gives: an encoded value, or a data-access-result."""

TITLE = b"MTR\x00\x00\x00\x00\x07"
CHALLENGE = b"meter's challenge"
_PLAIN_REQUESTS = {0x21: 0x28, 0xC8: 0xCC, 0xCB: 0xCF}
NOT_SELECTABLE = 12


@dataclass
class Keys:
    """Of HLS-GMAC; `counter` is the least that the meter takes from a client."""

    encryption: bytes
    authentication: bytes
    counter: int = 0
    own_counter: int = 0


@dataclass
class ScriptedMeter:
    """Its application: one APDU in, one out. `bases` makes it one of short names.

    `refuse` may answer an APDU in the meter's place. `conversation` keeps the plain APDUs it was sent.
    """

    attributes: dict[Key, bytes]
    password: bytes = b""
    keys: Keys | None = None
    conformance: int = 0x001215
    max_pdu: int = 1024
    block: int = 0
    bases: dict[tuple[int, str], int] = field(default_factory=dict)
    select: Select = lambda _key, _selector: NOT_SELECTABLE
    refuse: Callable[[bytes], bytes | None] = lambda _apdu: None
    refusal: int = 13
    conversation: list[bytes] = field(default_factory=list)
    associated: bool = False
    _rest: bytes = b""
    _number: int = 0
    _challenge: bytes = b""

    def answer(self, apdu: bytes) -> bytes:
        plain = self._open(apdu)
        self.conversation.append(plain)
        given = self.refuse(plain)
        if given is None:
            given = self._serve(plain)
        return self._seal(given, apdu[0])

    def _serve(self, apdu: bytes) -> bytes:
        match apdu[0]:
            case 0x60:
                return self._associate(apdu)
            case 0x62:
                self.associated = False
                return bytes.fromhex("6303800100")
            case 0xC0 | 0x05 | 0xC3 if not self.associated and apdu[0] != 0xC3:
                return bytes.fromhex("D80102")
            case 0xC0:
                return self._get(apdu)
            case 0x05:
                return self._read(apdu)
            case 0xC3:
                return self._prove(apdu)
        raise AssertionError(f"APDU {apdu.hex()}")

    # --- association

    def _associate(self, apdu: bytes) -> bytes:
        public = b"\x8b" not in apdu
        hls = self.keys is not None and not public
        good = True if public and self.keys else self.password in apdu if self.password else True
        if hls:
            self._challenge = apdu[apdu.index(b"\xac") + 4 :][: apdu[apdu.index(b"\xac") + 3]]
        self.associated = good and not hls
        result, diagnostic = (0, 14 if hls else 0) if good else (1, self.refusal)
        context = b"\x03" if hls else b"\x02" if self.bases else b"\x01"
        parts = bytes.fromhex("A1090607608574050801") + context
        parts += bytes((0xA2, 3, 2, 1, result, 0xA3, 5, 0xA1, 3, 2, 1, diagnostic))
        initiate = b"\x08\x00\x06\x5f\x1f\x04\x00" + self.conformance.to_bytes(3, "big")
        initiate += self.max_pdu.to_bytes(2, "big") + (b"\xfa\x00" if self.bases else b"\x00\x07")
        if hls:
            parts += bytes((0xA4, 10, 4, 8)) + TITLE
            parts += bytes((0xAA, len(CHALLENGE) + 2, 0x80, len(CHALLENGE))) + CHALLENGE
            initiate = self._protect(initiate, 0x28)
        if good:
            parts += bytes((0xBE, len(initiate) + 2, 4, len(initiate))) + initiate
        return bytes((0x61, len(parts))) + parts

    def _prove(self, apdu: bytes) -> bytes:
        assert self.keys is not None
        proof = apdu[-17:]
        gmac = Suite0(self.keys.encryption)
        nonce = b"MTS\x00\x00\x00\x00\x01" + proof[1:5]
        good = gmac.open(nonce, proof[5:], proof[:1] + self.keys.authentication + CHALLENGE) is not None
        self.associated = good
        if not good:
            return bytes((0xC7, 1, apdu[2], 3, 0))
        own = b"\x10" + self._own_counter()
        own += gmac.seal(TITLE + own[1:], b"", b"\x10" + self.keys.authentication + self._challenge)
        return bytes((0xC7, 1, apdu[2], 0, 1, 0)) + values.octet_string(own)

    # --- ciphering

    def _open(self, apdu: bytes) -> bytes:
        if self.keys is None or apdu[0] not in _PLAIN_REQUESTS:
            return apdu
        reader = Reader(apdu, 1)
        sealed = reader.take(reader.length())
        counter = int.from_bytes(sealed[1:5], "big")
        assert counter >= self.keys.counter, "an invocation counter that the meter has seen"
        self.keys.counter = counter + 1
        nonce = b"MTS\x00\x00\x00\x00\x01" + sealed[1:5]
        plain = Suite0(self.keys.encryption).open(nonce, sealed[5:], sealed[:1] + self.keys.authentication)
        return b"\xff" if plain is None else plain

    def _seal(self, answer: bytes, request: int) -> bytes:
        tag = _PLAIN_REQUESTS.get(request)
        return answer if self.keys is None or tag is None or answer[0] == 0xD8 else self._protect(answer, tag)

    def _protect(self, plain: bytes, tag: int) -> bytes:
        assert self.keys is not None
        counter = self._own_counter()
        sealed = Suite0(self.keys.encryption).seal(TITLE + counter, plain, b"\x30" + self.keys.authentication)
        body = b"\x30" + counter + sealed
        return bytes((tag,)) + encode_length(len(body)) + body

    def _own_counter(self) -> bytes:
        assert self.keys is not None
        self.keys.own_counter += 1
        return self.keys.own_counter.to_bytes(4, "big")

    # --- services

    def _get(self, apdu: bytes) -> bytes:
        kind, invoke, reader = apdu[1], apdu[2], Reader(apdu, 3)
        if kind == 2:
            return self._next_block(invoke)
        if kind == 3:
            results = [self._result(*self._named(reader)) for _ in range(reader.octet())]
            body = bytes((len(results),)) + b"".join(results)
            return self._in_blocks(body, invoke) or bytes((0xC4, 3, invoke)) + body
        result = self._result(*self._named(reader))
        blocks = self._in_blocks(result[1:], invoke) if result[0] == 0 else b""
        return blocks or bytes((0xC4, 1, invoke)) + result

    @staticmethod
    def _named(reader: Reader) -> tuple[Key, bytes]:
        class_id, obis, number = reader.number(2), reader.take(6), reader.octet()
        selector = b""
        if reader.octet():
            start = reader.at
            reader.octet()
            reader.value()
            selector = reader._data[start : reader.at]
        return (class_id, ".".join(map(str, obis[:5])), number), selector

    def _result(self, key: Key, selector: bytes) -> bytes:
        if selector:
            found: bytes | int = self.select(key, selector)
        else:
            found = self.attributes.get(key, 4)
        return bytes((1, found)) if isinstance(found, int) else b"\x00" + found

    def _in_blocks(self, data: bytes, invoke: int) -> bytes:
        if not self.block or len(data) <= self.block:
            return b""
        self._rest, self._number = data, 0
        return self._next_block(invoke)

    def _next_block(self, invoke: int) -> bytes:
        part, self._rest = self._rest[: self.block], self._rest[self.block :]
        self._number += 1
        head = bytes((0xC4, 2, invoke, not self._rest)) + self._number.to_bytes(4, "big")
        return head + b"\x00" + encode_length(len(part)) + part

    def _read(self, apdu: bytes) -> bytes:
        reader = Reader(apdu, 1)
        count = reader.octet()
        results = [self._read_one(reader) for _ in range(count)]
        return bytes((0x0C, count)) + b"".join(results)

    def _read_one(self, reader: Reader) -> bytes:
        kind, name = reader.octet(), reader.number(2)
        if name == 0xFA08:
            return b"\x00" + self._object_list()
        selector = b""
        if kind == 4:
            start = reader.at
            reader.octet()
            reader.value()
            selector = reader._data[start : reader.at]
        for (class_id, obis), base in self.bases.items():
            if base <= name < base + 0x60:
                return self._result((class_id, obis, (name - base) // 8 + 1), selector)
        return b"\x01\x04"

    def _object_list(self) -> bytes:
        entries = []
        for (class_id, obis), base in self.bases.items():
            name = bytes((*map(int, obis.split(".")), 255))
            parts = [b"\x10" + base.to_bytes(2, "big"), values.unsigned16(class_id), values.unsigned8(0)]
            entries.append(values.structure([*parts, values.octet_string(name)]))
        return values.array(entries)


class HdlcEnd:
    """The meter's end of HDLC: `size` octets in a frame, `window` frames at once; `busy` RRs before each answer.

    `lose` says which of its answers (counted from 0) are lost; `frames` keeps what it was sent.
    """

    def __init__(
        self,
        meter: ScriptedMeter,
        client: bytes,
        server: bytes,
        *,
        size: int = 128,
        window: int = 1,
        busy: int = 0,
        lose: frozenset[int] = frozenset(),
        before_first: bytes = b"",
    ) -> None:
        self.frames: list[Frame] = []
        self._meter = meter
        self._clients = {client, bytes((16 << 1 | 1,))}
        self._client, self._server = client, server
        self._size, self._window, self._busy, self._lose = size, window, busy, lose
        self._before_first = before_first
        self._reader = FrameReader()
        self._turn = 0
        self._reset()

    def _reset(self) -> None:
        self._received = 0
        self._sent = 0
        self._question = b""
        self._segments: list[bytes] = []
        self._unacknowledged: list[Frame] = []
        self._waits = 0

    def answer(self, data: bytes) -> Iterator[bytes]:
        self._reader.feed(data)
        while (frame := self._reader.next()) is not None:
            if not isinstance(frame, Frame) or frame.destination != self._server or frame.source not in self._clients:
                continue
            self.frames.append(frame)
            self._client = frame.source
            answer = b"".join(each.encode() for each in self._handle(frame))
            if answer:
                self._turn += 1
                noise, self._before_first = self._before_first, b""
                yield noise + (b"" if self._turn - 1 in self._lose else answer)

    def _handle(self, frame: Frame) -> Iterator[Frame]:
        if frame.kind is Kind.SNRM:
            self._reset()
            size = self._size.to_bytes(2, "big")
            window = self._window.to_bytes(4, "big")
            parts = b"\x05\x02" + size + b"\x06\x02" + size + b"\x07\x04" + window + b"\x08\x04" + window
            yield self._frame(Kind.UA, bytes((0x81, 0x80, len(parts))) + parts)
        elif frame.kind is Kind.DISC:
            self._meter.associated = False
            yield self._frame(Kind.UA)
        elif frame.kind is Kind.I:
            yield from self._information(frame)
        elif frame.kind is Kind.RR:
            yield from self._speak(frame.receive)

    def _frame(self, kind: Kind, information: bytes = b"") -> Frame:
        return Frame(self._client, self._server, kind, receive=self._received, information=information)

    def _information(self, frame: Frame) -> Iterator[Frame]:
        assert len(frame.information) <= self._size, "a frame longer than the meter takes"
        if frame.send == self._received:
            self._received = (self._received + 1) % 8
            self._question += frame.information
            if not frame.segmented:
                answer = b"\xe6\xe7\x00" + self._meter.answer(self._question.removeprefix(b"\xe6\xe6\x00"))
                self._question = b""
                self._waits = self._busy
                self._segments = [answer[at : at + self._size] for at in range(0, len(answer), self._size)]
        if frame.poll:
            yield from self._speak(frame.receive)

    def _speak(self, expected: int) -> Iterator[Frame]:
        if self._waits:
            self._waits -= 1
            yield self._frame(Kind.RR)
            return
        held = self._unacknowledged
        self._unacknowledged = [each for each in held if (expected - each.send - 1) % 8 >= self._window]
        while self._segments and len(self._unacknowledged) < self._window:
            piece = self._segments.pop(0)
            more = bool(self._segments)
            self._unacknowledged.append(
                Frame(self._client, self._server, Kind.I, False, self._sent, 0, more, piece),
            )
            self._sent = (self._sent + 1) % 8
        if not self._unacknowledged:
            yield self._frame(Kind.RR)
        for place, each in enumerate(self._unacknowledged, 1):
            last = place == len(self._unacknowledged)
            yield Frame(
                self._client, self._server, Kind.I, last, each.send, self._received, each.segmented, each.information
            )


class WrapperEnd:
    """The meter's end of the TCP wrapper."""

    def __init__(self, meter: ScriptedMeter) -> None:
        self._meter = meter
        self._held = b""

    def answer(self, data: bytes) -> Iterator[bytes]:
        self._held += data
        while len(self._held) >= 8 and len(self._held) >= (end := 8 + int.from_bytes(self._held[6:8], "big")):
            client, server, apdu = self._held[2:4], self._held[4:6], self._held[8:end]
            self._held = self._held[end:]
            answer = self._meter.answer(apdu)
            yield b"\x00\x01" + server + client + len(answer).to_bytes(2, "big") + answer
