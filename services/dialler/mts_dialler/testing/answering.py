"""A line with a meter at its far end, for tests of drivers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mts_common.messages import Transport
from mts_dialler.errors import LineDropped, MeterSilent
from mts_dialler.protocols.parity import CharacterCodec, CharacterFormat
from mts_dialler.testing import ManualClock

Reply = bytes | Exception


class AnsweringChannel:
    """Hands each message to `answer` and reads its replies; when there are none left, time passes and nobody waits.

    `answer` sees and gives seven-bit characters. `sent` keeps the messages. A reply that is an error is raised.
    """

    transport = Transport.TCP

    def __init__(
        self,
        clock: ManualClock,
        answer: Callable[[bytes], Iterable[Reply]],
        character_format: CharacterFormat = CharacterFormat.SEVEN_EVEN,
    ) -> None:
        self.sent: list[bytes] = []
        self._clock = clock
        self._answer = answer
        self._codec = CharacterCodec(character_format)
        self._replies: list[Reply] = []

    async def read(self, max_bytes: int, seconds: float) -> bytes:
        if not self._replies:
            self._clock.advance(seconds)
            raise MeterSilent("nothing came")
        reply = self._replies.pop(0)
        if isinstance(reply, Exception):
            self._replies.insert(0, LineDropped("the line has gone"))
            raise reply
        if len(reply) > max_bytes:
            self._replies.insert(0, reply[max_bytes:])
        return reply[:max_bytes]

    async def write(self, data: bytes, seconds: float) -> None:
        message = self._codec.decode(data)
        self.sent.append(message)
        for reply in self._answer(message):
            self._replies.append(reply if isinstance(reply, Exception) else self._codec.encode(reply))

    async def close(self) -> None:
        self._replies = [LineDropped("closed")]
