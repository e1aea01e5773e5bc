"""Telling how calls ended, until the broker has confirmed it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from mts_common import failpoints
from mts_common.amqp import Backoff
from mts_common.messages import AttemptFinished, AttemptReport, AttemptReportPart, CallFinished, encode
from mts_common.publisher import PublishFailed
from mts_common.vocabulary import about
from mts_dialler.attempt import Told
from mts_dialler.clock import Clock

MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_ENDS = 200

_log = logging.getLogger(__name__)


class Publisher(Protocol):
    async def publish_body(self, kind: str, body: bytes) -> None:
        """Returns when the broker has it. Raises `PublishFailed`."""
        ...


@dataclass(frozen=True, slots=True)
class _End:
    message: AttemptFinished | CallFinished
    told: asyncio.Future[None]


class Teller:
    """Waits for as long as the broker is away; what waits is bounded, as its lines stay taken.

    Ends of attempts and calls that come while others are being published travel together in the next message.
    """

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock
        self._ends = {kind: asyncio.Queue[_End]() for kind in (AttemptFinished.kind, CallFinished.kind)}

    async def run(self) -> None:
        """Publishes the ends; to be run beside whatever tells."""
        async with asyncio.TaskGroup() as group:
            for kind, ends in self._ends.items():
                group.create_task(self._publish_ends(kind, ends), name=f"tell {kind}")

    async def tell_attempt(self, told: Told) -> None:
        """The report first: whoever hears that an attempt is over can rely on its report."""
        for kind, body in report_bodies(told.report):
            await self._publish(kind, body)
        failpoints.reach("dialler.reported")
        await self.tell_end(told.finished)

    async def tell_end(self, message: AttemptFinished | CallFinished) -> None:
        """Returns when the broker has it."""
        end = _End(message, asyncio.get_running_loop().create_future())
        self._ends[message.kind].put_nowait(end)
        await end.told

    async def _publish_ends(self, kind: str, ends: asyncio.Queue[_End]) -> None:
        while True:
            batch = [await ends.get()]
            while len(batch) < MAX_ENDS and not ends.empty():
                batch.append(ends.get_nowait())
            await self._publish(kind, encode([end.message for end in batch]))
            for end in batch:
                if not end.told.done():  # whoever told it may have been cancelled
                    end.told.set_result(None)

    async def _publish(self, kind: str, body: bytes) -> None:
        backoff = Backoff(sleep=self._clock.sleep)
        while True:
            try:
                await self._publisher.publish_body(kind, body)
            except PublishFailed as failure:
                _log.warning("%s is told again: %s", kind, failure, extra=about("tell-again"))
                await backoff.wait()
            else:
                return


def report_bodies(report: AttemptReport, max_bytes: int = MAX_BODY_BYTES) -> Iterator[tuple[str, bytes]]:
    """The messages, by kind and body, that carry `report`: itself, or its slices where it is over `max_bytes`."""
    body = encode([report])
    if len(body) <= max_bytes:
        yield report.kind, body
        return
    size = max_bytes * 3 // 4 - 1024  # base64 makes four bytes of three
    parts = -(-len(body) // size)
    for part in range(parts):
        piece = AttemptReportPart(
            test_id=report.test_id,
            attempt=report.attempt,
            part=part,
            parts=parts,
            body=body[part * size : (part + 1) * size],
        )
        yield piece.kind, encode([piece])
