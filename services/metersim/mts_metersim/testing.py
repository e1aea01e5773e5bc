"""For tests: hosts that speak to a `Call` without a socket and check every frame, and a far end on a real one."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from mts_metersim import edmi
from mts_metersim.axdr import Parser, Value, length
from mts_metersim.edmi import Envelope, Message
from mts_metersim.hdlc import RR, SNRM, Frame, Receiver, ServerAddress
from mts_metersim.hdlc_link import LLC_ANSWER, LLC_REQUEST
from mts_metersim.port import Call
from mts_metersim.unit import Unit

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PUBLIC_AARQ = bytes.fromhex("601D A109060760857405080101 BE10040E 01000000065F1F0400001E1DFFFF")


class Asked:
    """What a call noted, as the log would have it."""

    def __init__(self) -> None:
        self.signed_on: list[tuple[str, str | None]] = []
        self.noted: list[tuple[str, bool]] = []

    def sign_on(self, address: str, unit: Unit | None) -> None:
        self.signed_on.append((address, None if unit is None else unit.meter.serial_number))

    def note(self, what: str, wrong: bool) -> None:
        self.noted.append((what, wrong))


@asynccontextmanager
async def far_end(talk: Talk) -> AsyncIterator[int]:
    """Does `talk` with each caller of a port of loopback, then hangs up; yields the port. Nothing of it is left behind:
    on leaving, callers that still talk are cut off."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        listener.setblocking(False)
        async with asyncio.TaskGroup() as group:

            def answer() -> None:
                wire, _ = listener.accept()
                task = group.create_task(_converse(talk, wire))
                task.add_done_callback(lambda _: wire.close())  # also of one that was cancelled before it began
                tasks.add(task)

            loop.add_reader(listener, answer)
            try:
                yield listener.getsockname()[1]
            finally:
                loop.remove_reader(listener)
                for task in tasks:
                    task.cancel()


async def _converse(talk: Talk, wire: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=wire)
    try:
        await talk(reader, writer)
        writer.close()
        await writer.wait_closed()
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


def call_to(units: Sequence[Unit], asked: Asked | None = None) -> Call:
    heard = asked or Asked()
    return Call(units, heard.sign_on, heard.note)


def answered(call: Call, data: bytes) -> bytes:
    """Everything that the meters of a line say to these bytes."""
    return b"".join(reply for _, reply in call.receive(data))


def _must(right: bool, what: object = "the meter broke the protocol") -> None:
    if not right:
        raise AssertionError(what)


class HdlcHost:
    """A client of one meter over HDLC: `ask` sends an APDU, segmented to the meter's size, and gives the answer."""

    def __init__(self, call: Call, client: int, server: ServerAddress, snrm_info: bytes = b"") -> None:
        self._call = call
        self._client = bytes([client << 1 | 1])
        self._server = server.field
        self.sent = 0
        self.got = 0
        self.longest = 0
        self.frames = 0
        self.parameters = self.command(SNRM, snrm_info)[0]
        self._limit = _parameter(self.parameters.info, 6) or 128

    def command(self, control: int, info: bytes = b"", segmented: bool = False) -> list[Frame]:
        """One frame to the meter, its frames back."""
        receiver = Receiver()
        receiver.feed(answered(self._call, Frame(self._server, self._client, control, info, segmented).encoded()))
        return list(iter(receiver.next, None))

    def ask(self, apdu: bytes) -> bytes:
        whole = LLC_REQUEST + apdu
        parts = [whole[at : at + self._limit] for at in range(0, len(whole), self._limit)]
        for part in parts[:-1]:
            (ready,) = self._information(part, segmented=True)
            _must(ready.control & 0x0F == 0x01)
        frames = self._information(parts[-1], segmented=False)
        answer = b""
        while True:
            answer += self._taken(frames)
            if not frames[-1].segmented:
                _must(answer.startswith(LLC_ANSWER))
                return answer[len(LLC_ANSWER) :]
            frames = self.command(self.got << 5 | RR)

    def _information(self, part: bytes, segmented: bool) -> list[Frame]:
        control = self.got << 5 | 0x10 | self.sent << 1
        self.sent = (self.sent + 1) % 8
        return self.command(control, part, segmented)

    def _taken(self, frames: list[Frame]) -> bytes:
        for frame in frames:
            _must(frame.is_information)
            _must(frame.control >> 1 & 7 == self.got)
            _must(frame.polls is (frame is frames[-1]))
            self.got = (self.got + 1) % 8
            self.frames += 1
            self.longest = max(self.longest, len(frame.info))
        return b"".join(frame.info for frame in frames)


def _parameter(info: bytes, wanted: int) -> int | None:
    parser = Parser(info[3:])
    while parser.rest:
        code, value = parser.number(1), parser.sized()
        if code == wanted:
            return int.from_bytes(value, "big")
    return None


def value_of(data: bytes) -> Value:
    """A value that is all there is."""
    parser = Parser(data)
    found = parser.value()
    _must(not parser.rest)
    return found


def get_request(class_id: int, name: bytes, attribute: int, selection: bytes = b"") -> bytes:
    """`selection`: selector and parameters."""
    target = class_id.to_bytes(2, "big") + name + bytes([attribute])
    return b"\xc0\x01\xc1" + target + (b"\x01" + selection if selection else b"\x00")


def attribute_of(host: HdlcHost, request: bytes) -> bytes:
    """The data of a GET, put together from its blocks. Raises AssertionError where it is refused."""
    answer = Parser(host.ask(request))
    _must(answer.number(1) == 0xC4)
    kind = answer.number(1)
    _must(answer.number(1) == request[2])
    if kind == 1:
        _must(answer.number(1) == 0, answer.rest)
        return answer.rest
    data, number = b"", 0
    while True:
        last, number = answer.number(1), number + 1
        _must(answer.number(4) == number)
        _must(answer.number(1) == 0, answer.rest)
        data += answer.sized()
        _must(not answer.rest)
        if last:
            return data
        answer = Parser(host.ask(b"\xc0\x02\xc1" + number.to_bytes(4, "big")))
        answer.take(3)


def low_level_aarq(secret: str, conformance: int = 0x1C1E3D, pdu: int = 0xFFFF, context: int = 1) -> bytes:
    """An AARQ with an LLS secret."""
    plain = secret.encode("ascii")
    items = bytes.fromhex("A109060760857405 0801") + bytes([context]) + bytes.fromhex("8A0207808B0760857405080201")
    items += bytes([0xAC, len(plain) + 2, 0x80, len(plain)]) + plain
    user = bytes.fromhex("01000000065F1F0400") + conformance.to_bytes(3, "big") + pdu.to_bytes(2, "big")
    items += bytes([0xBE, len(user) + 2, 0x04, len(user)]) + user
    return b"\x60" + length(len(items)) + items


class EdmiHost:
    """A client of one EDMI meter by E-frames, or by plain ones where `serial` is None."""

    def __init__(self, call: Call, serial: int | None, source: int = 1) -> None:
        self._call = call
        self._serial = serial
        self._source = source
        self._sequence = 0

    def ask(self, payload: bytes) -> bytes:
        """The payload of the one answer."""
        (answer,) = self.answers(payload)
        return answer

    def answers(self, payload: bytes) -> list[bytes]:
        """The payloads of all answers, each with the addresses turned round and the same number."""
        self._sequence += 1
        there = None if self._serial is None else Envelope(self._serial, self._source, self._sequence)
        receiver = edmi.Receiver()
        receiver.feed(answered(self._call, Message(payload, there).encoded()))
        messages = list(iter(receiver.next, None))
        back = None if there is None else there.returned()
        _must(all(message.envelope == back for message in messages))
        return [message.payload for message in messages]
