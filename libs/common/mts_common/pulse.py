"""Signs of life: each part of a process says when it will be heard of next, and one that breaks its word is stuck.

What a part waits for is bounded everywhere, and a server that is away is tried again and again: so a part that is not
heard of in time hangs in our own code, and only a new process helps.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mts_common.vocabulary import about

LOOK_SECONDS = 1.0
LOOKS = 30

_log = logging.getLogger(__name__)


class PartStuck(Exception):
    """A part of the process has not been heard of for so long that the process ends."""


class Pulses:
    """The parts of one process that are heard of."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._numbers = itertools.count()
        self._due: dict[tuple[str, int], float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[Pulse]:
        """A part, for as long as it runs; it may share its name with others."""
        key = (name, next(self._numbers))
        try:
            yield Pulse(lambda seconds: self._due.__setitem__(key, self._clock() + seconds))
        finally:
            self._due.pop(key, None)

    def stuck(self) -> list[str]:
        """The names of the parts that should have been heard of by now."""
        now = self._clock()
        return sorted({name for (name, _), due in self._due.items() if due < now})

    async def watch(self) -> None:
        """Raises `PartStuck` once the same part was stuck at so many looks in a row.

        Looks are counted, not time: a process that was itself stopped for a while is not stuck when it goes on.
        """
        looks: dict[str, int] = {}
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            looks = {name: looks.get(name, 0) + 1 for name in self.stuck()}
            for name, count in looks.items():
                if count == 1:
                    _log.error("%s has not been heard of in time", name, extra=about("part-late"))
                if count >= LOOKS:
                    raise PartStuck(name)


class Pulse:
    """One part's signs of life."""

    def __init__(self, beat: Callable[[float], None]) -> None:
        self._beat = beat

    def within(self, seconds: float) -> None:
        """The part will be heard of again before so much time is over."""
        self._beat(seconds)
