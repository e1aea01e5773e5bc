"""The HDLC link of one meter: connecting, windows, segments, repetition (fact sheet dlms-cosem, section 2)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from mts_metersim.axdr import Malformed, Parser
from mts_metersim.hdlc import DISC, DM, POLL, REJ, RNR, RR, SNRM, UA, Frame, client_of

LLC_REQUEST = b"\xe6\xe6\x00"
LLC_ANSWER = b"\xe6\xe7\x00"
MAX_REQUEST = 4096
_COMMAND = ~POLL & 0xFF

Apdu = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Longest information field and window, each way as the meter sees it. `told` = a UA carries them."""

    transmit: int
    receive: int
    window: int = 1
    told: bool = True
    info_on_disc: bool = False


class Link:
    """Frames in, frames out. `associate(client)` gives the application that answers a client's APDUs, None where the
    meter does not know the client, which then gets a DM."""

    def __init__(self, sizes: Sizes, associate: Callable[[int], Apdu | None]) -> None:
        self._own = sizes
        self._associate = associate
        self._apdu: Apdu | None = None
        self._client = b""
        self._reset(sizes)

    @property
    def connected(self) -> bool:
        return self._apdu is not None

    def disconnect(self) -> None:
        self._apdu = None

    def receive(self, frame: Frame) -> list[Frame]:
        """What the meter sends in answer, possibly nothing."""
        command = frame.control & _COMMAND
        if command == SNRM & _COMMAND:
            return self._connect(frame)
        if frame.is_information or frame.control & 0x03 == 0x01 or command == DISC & _COMMAND:
            if self._apdu is None or frame.source != self._client:
                return [_answer(frame, DM)]
            return self._connected(frame, command)
        return []

    def _connected(self, frame: Frame, command: int) -> list[Frame]:
        if command == DISC & _COMMAND:
            self.disconnect()
            return [_answer(frame, UA, self._parameters() if self._own.info_on_disc else b"")]
        if frame.is_information:
            return self._information(frame)
        self._acknowledged(frame.control >> 5)
        if frame.control & 0x0F == RNR:
            return [self._supervisory(frame, RR)]
        return self._pending(frame) if frame.polls else []

    def _connect(self, frame: Frame) -> list[Frame]:
        self._apdu = self._associate(client_of(frame.source))
        if self._apdu is None:
            return [_answer(frame, DM)]
        self._client = frame.source
        self._reset(_limited(self._own, frame.info))
        return [_answer(frame, UA, self._parameters())]

    def _reset(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self._expected = 0
        self._next = 0
        self._request = b""
        self._waiting: list[bytes] = []
        self._sent: list[tuple[int, bytes, bool]] = []

    def _parameters(self) -> bytes:
        if not self._sizes.told:
            return b""
        items = b"".join(
            bytes([code]) + _sized(value, 1 if value < 0x100 else 2)
            for code, value in ((5, self._sizes.transmit), (6, self._sizes.receive))
        )
        items += b"".join(bytes([code]) + _sized(value, 4) for code, value in ((7, self._sizes.window), (8, 1)))
        return b"\x81\x80" + _sized_octets(items)

    def _information(self, frame: Frame) -> list[Frame]:
        """A frame of a request: the one expected is taken, the last one once more fetches its answer again."""
        number = frame.control >> 1 & 7
        self._acknowledged(frame.control >> 5)
        if number != self._expected:
            repeated = number == (self._expected - 1) % 8
            return self._pending(frame) if repeated else [self._supervisory(frame, REJ)]
        if len(frame.info) > self._sizes.receive or len(self._request) > MAX_REQUEST:
            return []
        self._expected = (self._expected + 1) % 8
        self._request += frame.info
        if frame.segmented:
            return [self._supervisory(frame, RR)] if frame.polls else []
        self._answer_request()
        return self._pending(frame)

    def _answer_request(self) -> None:
        request, self._request = self._request, b""
        self._waiting, self._sent = [], []
        if self._apdu is None or not request.startswith(LLC_REQUEST):
            return
        answer = self._apdu(request[len(LLC_REQUEST) :])
        if answer:
            size = self._sizes.transmit
            whole = LLC_ANSWER + answer
            self._waiting = [whole[at : at + size] for at in range(0, len(whole), size)]

    def _acknowledged(self, expected_by_client: int) -> None:
        numbers = [number for number, _, _ in self._sent] + [self._next]
        if expected_by_client in numbers:
            del self._sent[: numbers.index(expected_by_client)]

    def _pending(self, frame: Frame) -> list[Frame]:
        """What the client has not got: first again what it did not acknowledge, else the next window, else RR."""
        if not self._sent:
            for _ in range(min(self._sizes.window, len(self._waiting))):
                info = self._waiting.pop(0)
                self._sent.append((self._next, info, bool(self._waiting)))
                self._next = (self._next + 1) % 8
        if not self._sent:
            return [self._supervisory(frame, RR)]
        last = len(self._sent) - 1
        return [
            _answer(frame, self._expected << 5 | number << 1 | (POLL if index == last else 0), info, segmented)
            for index, (number, info, segmented) in enumerate(self._sent)
        ]

    def _supervisory(self, frame: Frame, kind: int) -> Frame:
        return _answer(frame, self._expected << 5 | kind)


def _answer(frame: Frame, control: int, info: bytes = b"", segmented: bool = False) -> Frame:
    """A frame back to the sender, under the address by which the meter was called."""
    return Frame(frame.source, frame.destination, control, info, segmented)


def _limited(own: Sizes, info: bytes) -> Sizes:
    """The meter's own sizes, but never longer or more frames than the client's SNRM says it takes. A client that says
    nothing takes the meter's (as the captured IDIS meter has it, not the standard)."""
    limits = {6: own.transmit, 8: own.window}
    try:
        parser = Parser(info[3:])
        while parser.rest:
            code, value = parser.number(1), int.from_bytes(parser.sized(), "big")
            limits[code] = max(min(limits.get(code, value), value), 1)
    except Malformed:
        return own
    return replace(own, transmit=limits[6], window=limits[8])


def _sized(value: int, size: int) -> bytes:
    return _sized_octets(value.to_bytes(size, "big"))


def _sized_octets(octets: bytes) -> bytes:
    return bytes([len(octets)]) + octets
