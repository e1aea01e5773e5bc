"""Asking the services for operators. A service that does not answer in time leaves it unknown what was done (503)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mts_common.messages import Message
from mts_common.operator_messages import (
    ChangeJobs,
    ChangeJobsReply,
    LiftQuarantine,
    LiftQuarantineReply,
    ListDeadLetters,
    ListDeadLettersReply,
    ListJobs,
    ListJobsReply,
    ListLines,
    ListLinesReply,
    RequeueDeadLetters,
    RequeueDeadLettersReply,
)
from mts_common.requests import NoReply, Requester
from mts_common.topology import JOB_CHANGES, JOB_LISTS, LINE_LISTS, QUARANTINE_LIFTS, RequestQueue
from mts_gateway import refusals

ANSWER_SECONDS = 5.0
REQUEUE_SECONDS = 15.0  # the service waits for the broker's confirm

Reply = TypeVar("Reply", bound=Message)


class Letters(Protocol):
    """The dead letters of one service."""

    async def list(self, asked: ListDeadLetters) -> ListDeadLettersReply:
        """What was asked for. May raise `Refused`."""

    async def requeue(self, ids: Sequence[int]) -> tuple[int, ...]:
        """Put dead letters back; those that were. May raise `Refused`."""


@dataclass(frozen=True, slots=True)
class Scheduler:
    """The scheduler, asked over the broker. Every method raises `Refused` (503) where there is no answer."""

    requester: Requester

    async def list_jobs(self, asked: ListJobs) -> ListJobsReply:
        """The tests that wait."""
        return await _ask(self.requester, JOB_LISTS, asked, ListJobsReply)

    async def change_jobs(self, change: ChangeJobs) -> ChangeJobsReply:
        """Hold or release tests."""
        return await _ask(self.requester, JOB_CHANGES, change, ChangeJobsReply)

    async def list_lines(self) -> ListLinesReply:
        """Diallers, calls and quarantined addresses."""
        return await _ask(self.requester, LINE_LISTS, ListLines(), ListLinesReply)

    async def lift_quarantine(self, lift: LiftQuarantine) -> LiftQuarantineReply:
        """Call an address again."""
        return await _ask(self.requester, QUARANTINE_LIFTS, lift, LiftQuarantineReply)


@dataclass(frozen=True, slots=True)
class RemoteLetters:
    """The dead letters of another service, asked for over the broker. Raises `Refused` (503) without an answer."""

    requester: Requester
    lists: RequestQueue
    requeues: RequestQueue

    async def list(self, asked: ListDeadLetters) -> ListDeadLettersReply:
        """What was asked for."""
        return await _ask(self.requester, self.lists, asked, ListDeadLettersReply)

    async def requeue(self, ids: Sequence[int]) -> tuple[int, ...]:
        """Put dead letters back; those that were."""
        asked = RequeueDeadLetters(ids=tuple(ids))
        reply = await _ask(self.requester, self.requeues, asked, RequeueDeadLettersReply, REQUEUE_SECONDS)
        return reply.requeued


async def _ask(
    requester: Requester, queue: RequestQueue, asked: Message, model: type[Reply], seconds: float = ANSWER_SECONDS
) -> Reply:
    try:
        return await requester.ask(queue, asked, model, seconds)
    except NoReply as error:
        service = queue.name.partition(".")[0]
        raise refusals.unavailable(f"{service} did not answer: whether anything was done is not known") from error
