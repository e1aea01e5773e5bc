"""The asks of diallers that hold free lines: parked until there is work, or until they have waited long enough."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from mts_common import database
from mts_common.messages import CallGrant, CallWant, Transport
from mts_common.pulse import Pulse, Pulses

POLL_SECONDS = 0.2
CLAIM_SECONDS = 180.0  # more than the statements of one claim can take together
MAX_WAIT_SECONDS = 30.0

Claim = Callable[[CallWant], Awaitable[CallGrant | None]]

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Ask:
    want: CallWant
    until: float
    answer: asyncio.Future[CallGrant]
    new: bool = True


class Asks:
    """Answers `call.want`. How many can be parked is bounded by the broker's prefetch (`requests.MAX_PARKED`).

    One task, `run`, makes all claims and gives all answers, so that no ask is answered "nothing" while a claim for it
    is under way. If a claim fails, its ask gets no answer: the dialler asks again by the same nonce.
    """

    def __init__(self, claim: Claim, pulses: Pulses | None = None) -> None:
        self._claim = claim
        self._pulses = pulses or Pulses()
        self._parked: dict[tuple[Transport, str], deque[_Ask]] = {}
        self._bell = asyncio.Event()

    def wake(self) -> None:
        """There may be work: look at once."""
        self._bell.set()

    async def serve(self, wants: list[CallWant]) -> list[CallGrant]:
        """A grant for each ask, in order; as soon as one has calls, the others of the same message wait no longer."""
        asks = [self._park(want) for want in wants]
        answers = [ask.answer for ask in asks]
        self.wake()
        try:
            await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
            for ask in asks:
                ask.until = 0.0
            self.wake()
            return [await answer for answer in answers]
        finally:
            for answer in answers:
                answer.cancel()

    def _park(self, want: CallWant) -> _Ask:
        loop = asyncio.get_running_loop()
        ask = _Ask(want, loop.time() + min(want.wait_seconds, MAX_WAIT_SECONDS), loop.create_future())
        self._parked.setdefault((want.transport, want.number_filter), deque()).append(ask)
        return ask

    async def run(self) -> None:
        """Hand out work until cancelled: when woken, and by a poll, since other schedulers make work too."""
        with self._pulses.part("asks") as pulse:
            while True:
                self._bell.clear()
                for key, queue in list(self._parked.items()):
                    await self._hand_out(queue, pulse)
                    if not queue:
                        del self._parked[key]
                pulse.within(POLL_SECONDS + CLAIM_SECONDS)
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._bell.wait()

    async def _hand_out(self, queue: deque[_Ask], pulse: Pulse) -> None:
        """Claim for asks of one kind in turn, until there is nothing for one, which then comes last the next time.

        A new ask and one that has waited long enough are always claimed for, as they may have been granted already.
        """
        exhausted = False
        for ask in list(queue):
            over = ask.until <= asyncio.get_running_loop().time()
            if exhausted and not (ask.new or over) and not ask.answer.done():
                continue
            pulse.within(CLAIM_SECONDS)
            if await self._settle(ask, over):
                queue.remove(ask)
            else:
                exhausted = True
        queue.rotate(-1)

    async def _settle(self, ask: _Ask, over: bool) -> bool:
        """Whether the ask is answered, or nobody waits for it any more."""
        if ask.answer.done():
            return True
        ask.new = False
        try:
            grant = await self._claim(ask.want)
        except database.UNAVAILABLE as error:
            _log.warning("no claim for %s: %s", ask.want.dialler, type(error).__name__)
            if not ask.answer.done():
                ask.answer.set_exception(error)
            return True
        if grant is None and not over:
            return False
        if not ask.answer.done():
            ask.answer.set_result(grant or CallGrant(nonce=ask.want.nonce, calls=()))
        return True
