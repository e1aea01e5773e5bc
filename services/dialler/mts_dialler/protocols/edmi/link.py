"""Our end of the line to one meter: a question at a time, and only its own answer is taken (edmi.md, section 1.1).

Frames of other meters on the line, late answers to earlier questions and answers that come twice are passed over: the
sequence number tells them. A repeat has the number of the question it repeats, so whichever answer comes will do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mts_dialler.protocols.edmi.frame import FrameReader, Garbled, Packet, Plain
from mts_dialler.protocols.errors import LocalProtocolError

LAST_SEQUENCE = 0x7FFF
OUR_ADDRESS = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """The meter's answer to the question that is open; there is none now."""

    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Passed:
    """A frame that is no answer to us."""

    why: str


Event = Answer | Passed | Garbled


class Link:
    def __init__(self, meter: int, ours: int = OUR_ADDRESS) -> None:
        """`meter` is the outstation number, which is the serial number. Raises `LocalProtocolError` over 32 bits."""
        if not 0 <= meter < 1 << 32:
            raise LocalProtocolError(f"{meter} is no outstation number")
        self._meter = meter
        self._ours = ours
        self._sequence = 0
        self._open: Packet | None = None
        self._reader = FrameReader()

    @property
    def receiving(self) -> bool:
        """A frame has begun and is not complete."""
        return self._reader.receiving

    def ask(self, payload: bytes) -> bytes:
        """The bytes of a new question; one that was open is given up. Raises `LocalProtocolError` if it is empty."""
        if not payload:
            raise LocalProtocolError("an addressed frame needs a command")
        self._sequence = self._sequence % LAST_SEQUENCE + 1
        self._open = Packet(self._meter, self._ours, self._sequence, payload)
        return self._open.encode()

    def repeat(self) -> bytes:
        """The bytes of the open question once more. Raises `LocalProtocolError` if there is none."""
        if self._open is None:
            raise LocalProtocolError("there is no question to repeat")
        return self._open.encode()

    def interrupt(self) -> None:
        """The rest of a frame that has begun is not waited for."""
        self._reader.clear()

    def receive(self, data: bytes) -> Iterator[Event]:
        """What the received bytes complete."""
        self._reader.feed(data)
        while (found := self._reader.next()) is not None:
            yield found if isinstance(found, Garbled) else self._judge(found)

    def _judge(self, found: Packet | Plain) -> Event:
        if isinstance(found, Plain):
            return Passed("a frame without addresses")
        if (found.destination, found.source) != (self._ours, self._meter):
            return Passed(f"a frame from {found.source} to {found.destination}")
        if self._open is None or found.sequence != self._open.sequence:
            return Passed(f"an answer to an earlier question ({found.sequence})")
        self._open = None
        return Answer(found.payload)
