"""The client's end of an HDLC link in normal response mode (IEC 62056-46, clause 6.4).

Sans-IO: `connect`, `send`, `disconnect`, `poll` and `repeat` return the octets to write; `receive` takes octets that
came and returns what they mean, `ToSend` among it. The client speaks, then waits; whoever drives it keeps the time, and
calls `repeat` when an answer is overdue or garbled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError
from mts_dialler.protocols.hdlc.frame import Frame, Kind
from mts_dialler.protocols.hdlc.reader import FrameReader, Garbled

DEFAULT_INFORMATION = 128
DEFAULT_WINDOW = 1
MAX_INFORMATION = 2030  # a frame's 2047 octets less the longest addresses and both check sequences
_MODULUS = 8


class State(Enum):
    """Of the link. Each step's allowed states stand in `_ALLOWED`."""

    DISCONNECTED = auto()
    CONNECTING = auto()  # SNRM is out
    IDLE = auto()  # connected, the word is ours
    SENDING = auto()  # segments of ours wait to be sent or acknowledged
    WAITING = auto()  # all was sent, the word is the meter's
    DISCONNECTING = auto()  # DISC is out


class Step(Enum):
    CONNECT = "connect"
    SEND = "send"
    DISCONNECT = "disconnect"
    POLL = "poll"
    REPEAT = "repeat"


_ALLOWED: dict[Step, frozenset[State]] = {
    Step.CONNECT: frozenset(State),
    Step.SEND: frozenset({State.IDLE}),
    Step.DISCONNECT: frozenset(State),
    Step.POLL: frozenset({State.SENDING, State.WAITING}),
    Step.REPEAT: frozenset({State.CONNECTING, State.SENDING, State.WAITING, State.DISCONNECTING}),
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """What one direction may carry: octets of information in a frame, and frames before an acknowledgement is due."""

    send_information: int = DEFAULT_INFORMATION
    receive_information: int = DEFAULT_INFORMATION
    send_window: int = DEFAULT_WINDOW
    receive_window: int = DEFAULT_WINDOW


@dataclass(frozen=True, slots=True)
class Connected:
    """The link is up, with the meter's parameters in our view."""

    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Payload:
    """A whole message of the meter's, its segments joined."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ToSend:
    """Write this now."""

    data: bytes


@dataclass(frozen=True, slots=True)
class NotYet:
    """The meter has our message and needs time; `poll` in a while."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The link is down: as asked, or because the meter says that it is."""

    asked: bool


Event = Connected | Payload | ToSend | NotYet | Disconnected | Garbled


class Link:
    """One link from `client` to `server` (encoded addresses), proposing `wanted`.

    `max_payload` bounds a joined message; a longer one raises `RemoteProtocolError`.
    """

    def __init__(
        self, client: bytes, server: bytes, wanted: Parameters | None = None, max_payload: int = 1 << 20
    ) -> None:
        self._client = client
        self._server = server
        self._wanted = wanted or Parameters(MAX_INFORMATION, MAX_INFORMATION, 7, 7)
        self._max_payload = max_payload
        self._reader = FrameReader()
        self.state = State.DISCONNECTED
        self.parameters = Parameters()
        self.progress = 0  # frames that either side has taken from the other
        self._reset()

    def _reset(self) -> None:
        self._next_send = 0  # V(S)
        self._next_receive = 0  # V(R)
        self._unsent: list[bytes] = []
        self._unacknowledged: list[Frame] = []
        self._received = bytearray()

    def connect(self) -> bytes:
        """SNRM; also after an error, to begin anew."""
        self._allow(Step.CONNECT)
        self._reader.clear()
        self._reset()
        self.parameters = Parameters()
        self.state = State.CONNECTING
        return self._unnumbered(Kind.SNRM, _encode_parameters(self._wanted))

    def send(self, data: bytes) -> bytes:
        """A message, in as many segments as the meter's frames need; the first of them to be written now."""
        self._allow(Step.SEND)
        size = self.parameters.send_information
        self._unsent = [data[start : start + size] for start in range(0, len(data), size)]
        self._received.clear()
        self.state = State.SENDING
        return self._send_window()

    def disconnect(self) -> bytes:
        """DISC; safe at any time."""
        self._allow(Step.DISCONNECT)
        self._reader.clear()
        self.state = State.DISCONNECTING
        return self._unnumbered(Kind.DISC)

    def poll(self) -> bytes:
        """RR, to ask for an answer that is still being made."""
        self._allow(Step.POLL)
        return self._ready()

    def repeat(self) -> bytes:
        """What to send when an answer is overdue or garbled: fetches a lost answer again, repeats a lost question."""
        self._allow(Step.REPEAT)
        self._reader.clear()
        if self.state is State.CONNECTING:
            return self._unnumbered(Kind.SNRM, _encode_parameters(self._wanted))
        if self.state is State.DISCONNECTING:
            return self._unnumbered(Kind.DISC)
        return self._ready()

    def receive(self, data: bytes) -> Iterator[Event]:
        """What `data` completes. Raises `RemoteProtocolError` when the protocol is broken; the link is useless then."""
        self._reader.feed(data)
        while (frame := self._reader.next()) is not None:
            if isinstance(frame, Garbled):
                yield frame
            elif frame.destination == self._client and frame.source == self._server:
                yield from self._handle(frame)

    def _handle(self, frame: Frame) -> Iterator[Event]:
        if self.state is State.CONNECTING:
            yield from self._connecting(frame)
        elif self.state is State.DISCONNECTING:
            if frame.kind in {Kind.UA, Kind.DM}:
                self.state = State.DISCONNECTED
                yield Disconnected(asked=True)
        elif frame.kind is Kind.DM:
            self.state = State.DISCONNECTED
            yield Disconnected(asked=False)
        elif frame.kind is Kind.FRMR:
            raise RemoteProtocolError("the meter rejected a frame (FRMR)")
        elif self.state in {State.SENDING, State.WAITING}:
            yield from self._exchange(frame)

    def _connecting(self, frame: Frame) -> Iterator[Event]:
        if frame.kind is Kind.UA:
            self.parameters = _agreed(self._wanted, frame.information)
            self.state = State.IDLE
            yield Connected(self.parameters)
        elif frame.kind is Kind.DM:
            self.state = State.DISCONNECTED
            yield Disconnected(asked=False)

    def _exchange(self, frame: Frame) -> Iterator[Event]:
        if frame.kind is Kind.I:
            yield from self._information(frame)
        elif frame.kind in {Kind.RR, Kind.RNR, Kind.REJ}:
            self._acknowledge(frame.receive)
            if not frame.poll:
                return
            if frame.kind is Kind.RNR:
                yield NotYet()
            elif self._unacknowledged or self._unsent:
                yield ToSend(self._send_window())
            else:
                self.state = State.WAITING
                yield NotYet()

    def _information(self, frame: Frame) -> Iterator[Event]:
        self._acknowledge(frame.receive)
        if frame.send != self._next_receive:
            if frame.poll:  # a frame before it was lost, or this one is a repeat: ask for the one that is due
                yield ToSend(self._ready())
            return
        self._next_receive = (self._next_receive + 1) % _MODULUS
        self.progress += 1
        self._received += frame.information
        if len(self._received) > self._max_payload:
            raise RemoteProtocolError(f"a message is longer than {self._max_payload} octets")
        if frame.segmented:
            self.state = State.WAITING
            if frame.poll:
                yield ToSend(self._ready())
            return
        self.state = State.IDLE
        self._unsent.clear()
        self._unacknowledged.clear()  # an answer says that the question arrived
        payload = bytes(self._received)
        self._received.clear()
        yield Payload(payload)

    def _acknowledge(self, receive: int) -> None:
        """The meter has every frame before N(R) = `receive`; an N(R) that means none of ours changes nothing."""
        for count, frame in enumerate(self._unacknowledged, 1):
            if (frame.send + 1) % _MODULUS == receive:
                del self._unacknowledged[:count]
                self.progress += count
                break
        if not self._unacknowledged and not self._unsent:
            self.state = State.WAITING

    def _send_window(self) -> bytes:
        """Frames the meter lacks, then new ones, as many as the window holds; the last asks for an answer."""
        while self._unsent and len(self._unacknowledged) < self.parameters.send_window:
            information = self._unsent.pop(0)
            self._unacknowledged.append(
                Frame(
                    self._server,
                    self._client,
                    Kind.I,
                    poll=False,
                    send=self._next_send,
                    segmented=bool(self._unsent),
                    information=information,
                )
            )
            self._next_send = (self._next_send + 1) % _MODULUS
        last = len(self._unacknowledged) - 1
        return b"".join(
            _with(frame, poll=place == last, receive=self._next_receive).encode()
            for place, frame in enumerate(self._unacknowledged)
        )

    def _ready(self) -> bytes:
        return Frame(self._server, self._client, Kind.RR, receive=self._next_receive).encode()

    def _unnumbered(self, kind: Kind, information: bytes = b"") -> bytes:
        return Frame(self._server, self._client, kind, information=information).encode()

    def _allow(self, step: Step) -> None:
        if self.state not in _ALLOWED[step]:
            raise LocalProtocolError(f"{step.value} is not possible while {self.state.name.lower()}")


def _with(frame: Frame, *, poll: bool, receive: int) -> Frame:
    return Frame(
        frame.destination, frame.source, frame.kind, poll, frame.send, receive, frame.segmented, frame.information
    )


# Parameter negotiation (clause 6.4.4.4.3.2): 81 80 length, then tag, length, value; each from its sender's view.
_SEND_INFORMATION, _RECEIVE_INFORMATION, _SEND_WINDOW, _RECEIVE_WINDOW = 0x05, 0x06, 0x07, 0x08


def _encode_parameters(wanted: Parameters) -> bytes:
    parts = b"".join(
        (
            _parameter(_SEND_INFORMATION, wanted.send_information),
            _parameter(_RECEIVE_INFORMATION, wanted.receive_information),
            _parameter(_SEND_WINDOW, wanted.send_window, 4),
            _parameter(_RECEIVE_WINDOW, wanted.receive_window, 4),
        )
    )
    return bytes((0x81, 0x80, len(parts))) + parts


def _parameter(tag: int, number: int, octets: int | None = None) -> bytes:
    value = number.to_bytes(octets or (1 if number < 0x100 else 2), "big")
    return bytes((tag, len(value))) + value


def _agreed(wanted: Parameters, information: bytes) -> Parameters:
    """What holds after a UA: never more than either side offered; the defaults where it names nothing."""
    offered = dict(_offered(information))
    return Parameters(
        send_information=min(wanted.send_information, offered.get(_RECEIVE_INFORMATION, DEFAULT_INFORMATION)),
        receive_information=min(wanted.receive_information, offered.get(_SEND_INFORMATION, DEFAULT_INFORMATION)),
        send_window=min(wanted.send_window, offered.get(_RECEIVE_WINDOW, DEFAULT_WINDOW)),
        receive_window=min(wanted.receive_window, offered.get(_SEND_WINDOW, DEFAULT_WINDOW)),
    )


def _offered(information: bytes) -> Iterator[tuple[int, int]]:
    if information[:2] != b"\x81\x80":
        return
    at = 3
    while at + 2 <= len(information):
        tag, length = information[at], information[at + 1]
        value = int.from_bytes(information[at + 2 : at + 2 + length], "big")
        if value:  # a size or window of nothing could never be used
            yield tag, value
        at += 2 + length
