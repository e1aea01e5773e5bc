"""Asks the scheduler for calls, carries them out, tells how they ended, and keeps the lease.

Each call is a task. It ends in one of three ways: by itself (told in full); cut because the scheduler no longer counts
it as ours (what ended before is told, the rest is dropped); or cut by a shutdown or a lease that ran out (what ended
before is told, the rest is given back, which is no news to a scheduler that has taken it back already).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol, TypeVar
from uuid import UUID, uuid4

from mts_common import failpoints, metrics, topology
from mts_common.amqp import Backoff
from mts_common.messages import (
    CallFinished,
    CallGrant,
    CallReleased,
    CallReleasedReply,
    CallWant,
    DiallerAlive,
    DiallerLease,
    FailureKind,
    GrantedCall,
    Message,
    Transport,
)
from mts_common.pulse import Pulses
from mts_common.requests import NoReply
from mts_common.topology import RequestQueue
from mts_common.vocabulary import Action, about
from mts_dialler.attempt import Equipment, Told
from mts_dialler.dial import Dial
from mts_dialler.ledger import Lease
from mts_dialler.lines import Lines
from mts_dialler.session import run_call
from mts_dialler.telling import Teller

LATE_SECONDS = 15.0  # after which a renewal of the lease is overdue

Reply = TypeVar("Reply", bound=Message)

_log = logging.getLogger(__name__)


class Asker(Protocol):
    async def ask(self, queue: RequestQueue, item: Message, reply_model: type[Reply], timeout: float) -> Reply:  # noqa: ASYNC109
        """The answer, within `timeout` seconds. Raises `NoReply`."""
        ...


class LeaseNotHeld(Exception):
    """The scheduler has not answered for so long that this dialler may not dial."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How the worker goes about it; times in seconds."""

    calls_per_ask: int = 32
    want_seconds: float = 5.0  # the scheduler's longest wait for work
    reply_seconds: float = 5.0  # its time for everything else
    alive_seconds: float = 10.0
    drain_seconds: float = 60.0
    give_back_seconds: float = 10.0


class _Cut(Enum):
    """Why a call was ended from here."""

    LOST = auto()
    GIVEN_BACK = auto()

    @property
    def action(self) -> Action:
        """What the log says of it."""
        return "call-lost" if self is _Cut.LOST else "call-given-back"


class _Held:
    """A call that is carried out here."""

    def __init__(self, session: asyncio.Task[CallFinished]) -> None:
        self.session = session
        self.cut: _Cut | None = None

    def hang_up(self, cut: _Cut) -> bool:
        """Ends the call, if it neither has ended by itself nor was cut before."""
        if self.cut or self.session.done():
            return False
        self.cut = cut
        self.session.cancel()
        return True


class Worker:
    """One dialler process's work on one kind of transport. Lines that may not dial the same numbers ask apart."""

    def __init__(
        self,
        equipment: Equipment,
        lines: Sequence[Lines],
        transport: Transport,
        asker: Asker,
        teller: Teller,
        pace: Pace,
        pulses: Pulses | None = None,
    ) -> None:
        self._equipment = equipment
        self._clock = equipment.clock
        self._lines = lines
        self._transport = transport
        self._asker = asker
        self._teller = teller
        self._pace = pace
        self._pulses = pulses or Pulses()
        self._lease = Lease()
        self._calls: dict[UUID, _Held | None] = {}  # None: not started, or only to be given back
        self._tasks: set[asyncio.Task[None]] = set()
        self._change = asyncio.Event()  # set, and replaced, whenever something that is waited for may have changed
        self._draining = asyncio.Event()

    @property
    def holds_lease(self) -> bool:
        return self._lease.left(self._clock.monotonic()) > 0

    async def check(self) -> None:
        """Raises `LeaseNotHeld` while no calls can be taken."""
        if not self.holds_lease:
            raise LeaseNotHeld

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set, then drains and returns; all lines are down then."""
        with metrics.LINES.shown_by(self._line_levels), metrics.ACTIVE_CALLS.shown_by(self._call_levels):
            await self._work(stop)

    async def _work(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            tending = [
                group.create_task(self._stay_alive(), name="alive"),
                group.create_task(self._watch_lease(), name="watch lease"),
                group.create_task(self._teller.run(), name="tell"),
            ]
            asking = [
                group.create_task(self._take_calls(group, lines), name=f"take calls {number}")
                for number, lines in enumerate(self._lines, 1)
            ]
            await stop.wait()
            await self._drain(asking)
            for task in [*tending, *asking, *self._tasks]:
                task.cancel()

    # --- the lease

    async def _stay_alive(self) -> None:
        backoff = Backoff(last=self._pace.alive_seconds, sleep=self._clock.sleep)
        with self._pulses.part(f"{self._transport} lease") as pulse:
            while True:
                pulse.within(self._pace.alive_seconds + self._pace.reply_seconds + LATE_SECONDS)
                if await self._renew_lease():
                    backoff.reset()
                    await self._clock.sleep(self._pace.alive_seconds)
                else:
                    await backoff.wait()

    async def _renew_lease(self) -> bool:
        """Whether the scheduler has answered."""
        asked_at = self._clock.monotonic()
        alive = DiallerAlive(
            dialler=self._equipment.dialler,
            transport=self._transport,
            lines=sum(lines.total for lines in self._lines),
            calls=tuple(self._calls),
        )
        try:
            lease = await self._asker.ask(topology.DIALLER_ALIVES, alive, DiallerLease, self._pace.reply_seconds)
        except NoReply as error:
            _log.warning("no answer to alive: %s", error, extra=about("alive-unanswered"))
            return False
        self._hang_up_if_lapsed()
        self._lease.renew(asked_at, lease.lease_seconds)
        self._hang_up(lease.lost, _Cut.LOST)
        self._notify()
        return True

    async def _watch_lease(self) -> None:
        while True:
            await self._until(lambda: self.holds_lease)
            while left := self._lease.left(self._clock.monotonic()):
                await self._clock.sleep(left)
            self._hang_up_if_lapsed()

    def _hang_up_if_lapsed(self) -> None:
        if not self.holds_lease:
            self._hang_up(self._calls, _Cut.GIVEN_BACK)

    def _hang_up(self, call_ids: Iterable[UUID], cut: _Cut) -> None:
        for call_id in call_ids:
            if (held := self._calls.get(call_id)) and held.hang_up(cut):
                _log.warning("hanging up", extra=about(cut.action, call_id=str(call_id)))

    # --- taking calls

    async def _take_calls(self, group: asyncio.TaskGroup, lines: Lines) -> None:
        await _either(lines.start(), self._draining.wait())
        while not self._draining.is_set():
            await self._until(lambda: self._draining.is_set() or (self.holds_lease and lines.free > 0))
            if self._draining.is_set():
                return
            grant, asked_at = await self._ask_for_calls(lines)
            for call in grant.calls:
                if call.call_id not in self._calls:
                    self._start(group, call, lines, asked_at)

    async def _ask_for_calls(self, lines: Lines) -> tuple[CallGrant, float]:
        """Asks the same question until it is answered: a grant whose answer was lost is not lost.

        With the time at which the answered question was asked: the grant was ours then or later, and a run window's
        rest is counted from there, as the answer may have been long on its way.
        """
        want = CallWant(
            dialler=self._equipment.dialler,
            nonce=uuid4(),
            transport=self._transport,
            free_lines=min(lines.free, self._pace.calls_per_ask),
            number_filter=lines.number_filter,
            wait_seconds=self._pace.want_seconds,
        )
        backoff = Backoff(sleep=self._clock.sleep)
        while True:
            asked_at = self._clock.monotonic()
            try:
                patience = want.wait_seconds + self._pace.reply_seconds
                return await self._asker.ask(topology.CALL_WANTS, want, CallGrant, patience), asked_at
            except NoReply as error:
                _log.warning("no answer to call.want: %s", error, extra=about("want-unanswered"))
                await backoff.wait()
            if self._draining.is_set():
                want = want.model_copy(update={"wait_seconds": 0.0})  # no new work, only what was granted already

    def _start(self, group: asyncio.TaskGroup, call: GrantedCall, lines: Lines, asked_at: float) -> None:
        """Takes a call on; one that came too late for that is given back undone."""
        self._calls[call.call_id] = None
        ours = self._lease.covers(asked_at, self._clock.monotonic())
        dial = lines.take() if ours and not self._draining.is_set() else None
        if dial is None:
            task = group.create_task(self._return(call), name=f"give back {call.call_id}")
        else:
            window_ends = None if call.seconds_left is None else asked_at + call.seconds_left
            task = group.create_task(self._carry_out(call, lines, dial, window_ends), name=f"call {call.call_id}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._notify()

    # --- one call

    async def _return(self, call: GrantedCall) -> None:
        await self._release(call)
        del self._calls[call.call_id]

    async def _carry_out(self, call: GrantedCall, lines: Lines, dial: Dial, window_ends: float | None) -> None:
        """The call, and all that is told of it; then its line is free."""
        failpoints.reach("dialler.granted")
        told: asyncio.Queue[Told | None] = asyncio.Queue()  # at most the call's tests
        failures: set[FailureKind | None] = set()

        def tell(each: Told) -> None:
            failures.add(each.report.failure)
            told.put_nowait(each)

        async with asyncio.TaskGroup() as group:
            telling = group.create_task(self._tell_attempts(told), name="tell attempts")
            session = group.create_task(run_call(self._equipment, dial, call, tell, window_ends), name="session")
            held = self._calls[call.call_id] = _Held(session)
            await asyncio.wait([session])
            told.put_nowait(None)
            await telling
        if not session.cancelled():
            failpoints.reach("dialler.finished")
            await self._teller.tell_end(session.result())
        elif held.cut is _Cut.GIVEN_BACK:
            await self._release(call)
        del self._calls[call.call_id]
        await _either(lines.rest(fault=FailureKind.LINE_FAULT in failures), self._draining.wait())
        lines.give_back()
        self._notify()

    async def _tell_attempts(self, told: asyncio.Queue[Told | None]) -> None:
        while each := await told.get():
            await self._teller.tell_attempt(each)

    async def _release(self, call: GrantedCall) -> None:
        released = CallReleased(dialler=self._equipment.dialler, call_id=call.call_id)
        backoff = Backoff(sleep=self._clock.sleep)
        while True:
            try:
                await self._asker.ask(topology.CALL_RELEASES, released, CallReleasedReply, self._pace.reply_seconds)
            except NoReply as error:
                _log.warning("no answer to call.released: %s", error, extra=about("release-unanswered"))
                await backoff.wait()
            else:
                return

    # --- the end

    async def _drain(self, asking: list[asyncio.Task[None]]) -> None:
        """Lets calls end by themselves for a while, then gives them back, then gives up."""
        _log.info("draining %d calls", len(self._calls), extra=about("drain"))
        self._draining.set()
        self._notify()
        if await self._idle(asking, self._pace.drain_seconds):
            return
        self._hang_up(self._calls, _Cut.GIVEN_BACK)
        if not await self._idle(asking, self._pace.give_back_seconds):
            _log.error("%d calls could not be told of", len(self._calls), extra=about("drain-incomplete"))

    async def _idle(self, asking: list[asyncio.Task[None]], seconds: float) -> bool:
        """Within `seconds`: are the last asks answered, and is every call over?"""

        async def wait() -> None:
            await asyncio.wait(asking)
            await self._until(lambda: not self._tasks)

        await _either(wait(), self._clock.sleep(seconds))
        return all(task.done() for task in asking) and not self._tasks

    # --- waiting

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._change.wait()

    def _notify(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    # --- measuring

    def _line_levels(self) -> Iterator[tuple[float, dict[metrics.Transport | metrics.State, str]]]:
        """What is neither free nor in a call rests, or has not passed its first check."""
        free, busy = sum(lines.free for lines in self._lines), len(self._calls)
        resting = sum(lines.total for lines in self._lines) - free - busy
        for state, count in (("free", free), ("busy", busy), ("resting", max(0, resting))):
            yield count, {"mts.transport": self._transport, "mts.state": state}

    def _call_levels(self) -> Iterator[tuple[float, dict[metrics.Transport, str]]]:
        yield len(self._calls), {"mts.transport": self._transport}


async def _either(*waits: Coroutine[Any, Any, object]) -> None:
    """Returns when the first of `waits` does; the others are cancelled."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(wait, name="either") for wait in waits]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
