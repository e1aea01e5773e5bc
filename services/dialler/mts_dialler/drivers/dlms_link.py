"""What carries COSEM APDUs over a line: an HDLC link, or the TCP wrapper. Deadlines and repeats are here.

Both raise leaves of `DiallerError` alone: `MeterSilent`, `FrameGarbled`, `MeterRefused` for a link that the meter does
not open or has closed, and what the line raises.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from mts_dialler.drivers.dlms_types import Address, Carrier
from mts_dialler.errors import FrameGarbled, MeterRefused, MeterSilent, NotConfigured
from mts_dialler.line import Line
from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError
from mts_dialler.protocols.hdlc.frame import client_address, server_address
from mts_dialler.protocols.hdlc.link import (
    Connected,
    Disconnected,
    Event,
    Link,
    NotYet,
    Payload,
    State,
    ToSend,
)
from mts_dialler.protocols.hdlc.reader import Garbled
from mts_dialler.protocols.wrapper import Wrapper

ATTEMPTS = 3  # of anything that may be repeated
BUSY_SECONDS = 60.0  # in which a meter must find its answer
CONNECT_ATTEMPTS = 2
MAX_UNUSABLE = 2 * 7 * 2049  # octets taken without an event among them: two windows of the longest frames
MAX_MESSAGES = 2 * (8 + 0xFFFF)  # octets of the wrapper taken without an answer among them
_NOTHING = "no whole frame for us"
_REQUEST_LLC, _ANSWER_LLC = bytes.fromhex("E6E600"), bytes.fromhex("E6E700")


class ApduLink(Protocol):
    """Carries one question at a time. `repeats` counts what had to be said again, `answered_at` is when it began."""

    answered_at: datetime
    repeats: int

    async def open(self) -> None:
        """Connects, or begins anew after a failure."""
        ...

    async def ask(self, apdu: bytes, note: str) -> bytes:
        """The meter's APDU in answer."""
        ...

    async def close(self) -> None:
        """Disconnects; safe in any state."""
        ...

    def pieces(self, apdu: bytes) -> Iterator[bytes]:
        """`apdu` as it is cut on the wire."""
        ...


def make_link(line: Line, carrier: Carrier, address: Address) -> ApduLink:
    """Raises `NotConfigured` for an address that the carrier has no form for."""
    try:
        if carrier is Carrier.WRAPPER:
            return WrapperLink(line, Wrapper(address.client, address.logical))
        server = server_address(address.logical, address.physical, address.octets)
        return HdlcLink(line, Link(client_address(address.client), server))
    except LocalProtocolError as error:
        raise NotConfigured(f"no such outstation address: {error}") from error


class HdlcLink:
    """HDLC. A meter that says it is busy is asked again until `BUSY_SECONDS` have passed."""

    def __init__(self, line: Line, link: Link) -> None:
        self.answered_at = line.now()
        self.repeats = 0
        self._line = line
        self._link = link
        self._events: deque[Event] = deque()
        self._used = False
        self._fresh = False  # nothing has come since the question

    async def open(self) -> None:
        """SNRM. A meter that does not connect may still hold the link of a call before: DISC, then once more."""
        with contextlib.suppress(MeterSilent, FrameGarbled):
            if await self._connect():
                return
        with contextlib.suppress(MeterSilent, FrameGarbled):
            await self.close()
        if not await self._connect():
            raise MeterRefused("the meter refused to connect (DM)")

    async def _connect(self) -> bool:
        """After a failure late answers may still come: they are let go of first."""
        if self._used:
            await self._line.settle()
        self._used = True
        self._events.clear()
        return isinstance(await self._converse(self._link.connect(), "SNRM", CONNECT_ATTEMPTS), Connected)

    async def ask(self, apdu: bytes, note: str) -> bytes:
        if self._link.state is not State.IDLE:
            raise MeterRefused("the link to the meter is down")
        event = await self._converse(self._link.send(_REQUEST_LLC + apdu), note)
        if not isinstance(event, Payload):
            raise MeterRefused("the meter closed the link")
        if not event.data.startswith(_ANSWER_LLC):
            raise FrameGarbled("an answer without its LLC header")
        return event.data[len(_ANSWER_LLC) :]

    async def close(self) -> None:
        self._events.clear()
        await self._converse(self._link.disconnect(), "DISC", 1)

    def pieces(self, apdu: bytes) -> Iterator[bytes]:
        size = self._link.parameters.send_information
        data = _REQUEST_LLC + apdu
        return (data[at : at + size] for at in range(0, len(data), size))

    async def _converse(self, data: bytes, note: str, attempts: int = ATTEMPTS) -> Connected | Payload | Disconnected:
        """Sends `data`, carries on until the exchange is over. Repeats after silence and noise."""
        begun, tries, progress = self._line.monotonic(), 0, self._link.progress
        self._fresh = True
        await self._line.send(data, note)
        while True:
            try:
                event = await self._next(self._line.limits.reply_seconds)
            except (MeterSilent, FrameGarbled) as failure:
                tries += 1
                if tries == attempts:
                    raise
                self.repeats += 1
                await self._line.send(self._link.repeat(), f"once more: {failure}")
                continue
            if isinstance(event, Connected | Payload | Disconnected):
                return event
            if self._link.progress != progress:
                begun, tries, progress = self._line.monotonic(), 0, self._link.progress
            elif isinstance(event, ToSend) and (tries := tries + 1) > ATTEMPTS:
                raise FrameGarbled("the meter does not go on")
            if isinstance(event, ToSend):
                await self._line.send(event.data, "go on")
            elif self._line.monotonic() - begun > BUSY_SECONDS:
                raise MeterSilent(f"the meter was busy for more than {BUSY_SECONDS:g} s")
            else:
                await self._poll()

    async def _poll(self) -> None:
        """A while after the meter said that it needs one."""
        try:
            self._events.appendleft(await self._next(self._line.limits.settle_seconds))
        except MeterSilent:
            self._fresh = True
            await self._line.send(self._link.poll(), "is it ready?")

    async def _next(self, seconds: float) -> Event:
        """What the meter says next. Noise ends in `FrameGarbled` as soon as it pauses."""
        taken, noise = 0, ""
        while not self._events:
            try:
                data = await self._line.receive(seconds)
            except MeterSilent as silence:
                if taken:
                    raise FrameGarbled(f"the meter's answer was not understood: {noise or _NOTHING}") from silence
                raise
            if self._fresh:
                self.answered_at, self._fresh = self._line.now(), False
            taken += len(data)
            noise = self._take(data) or noise
            seconds = self._line.limits.settle_seconds if noise else self._line.limits.character_seconds
            if taken > MAX_UNUSABLE and not self._events:
                raise FrameGarbled(f"the meter's answer was not understood: {noise or _NOTHING}")
        event = self._events.popleft()
        self._describe(event)
        return event

    def _take(self, data: bytes) -> str:
        """Puts what `data` means into `_events`; why, if part of it was no frame."""
        noise = ""
        try:
            for event in self._link.receive(data):
                if isinstance(event, Garbled):
                    noise = event.why
                else:
                    self._events.append(event)
        except RemoteProtocolError as error:
            raise FrameGarbled(f"the meter broke the link's rules: {error}") from error
        return noise

    def _describe(self, event: Event) -> None:
        match event:
            case Connected(agreed):
                self._line.note(
                    f"UA: {agreed.send_information} octets to the meter, {agreed.receive_information} from it, "
                    f"windows {agreed.send_window} and {agreed.receive_window}"
                )
            case Disconnected(asked):
                self._line.note("disconnected" if asked else "DM: the meter is disconnected")
            case NotYet():
                self._line.note("the meter needs time")
            case ToSend():
                self._line.note("a part")
            case _:
                pass  # whoever asked tells what the answer means


class WrapperLink:
    """The TCP wrapper. TCP loses nothing, so nothing is repeated."""

    def __init__(self, line: Line, wrapper: Wrapper) -> None:
        self.answered_at = line.now()
        self.repeats = 0
        self._line = line
        self._wrapper = wrapper
        self._used = False

    async def open(self) -> None:
        """There is nothing to connect; lets go of answers that came too late."""
        if self._used:
            await self._line.settle()
        self._used = True

    async def ask(self, apdu: bytes, note: str) -> bytes:
        self._wrapper.clear()
        await self._line.send(self._wrapper.encode(apdu), note)
        taken, seconds = 0, self._line.limits.reply_seconds
        while True:
            try:
                data = await self._line.receive(seconds)
            except MeterSilent as silence:
                if taken:
                    raise FrameGarbled("the meter's answer broke off") from silence
                raise
            if not taken:
                self.answered_at = self._line.now()
            taken += len(data)
            answer = self._take(data)
            if answer is not None:
                return answer
            if taken > MAX_MESSAGES:
                raise FrameGarbled("the meter's answer does not end")
            seconds = self._line.limits.character_seconds

    def _take(self, data: bytes) -> bytes | None:
        """The first answer in `data`; one question has one, others are not looked at."""
        try:
            return next(self._wrapper.receive(data), None)
        except RemoteProtocolError as error:
            raise FrameGarbled(f"the meter's answer was not understood: {error}") from error

    async def close(self) -> None:
        """Hanging up closes a wrapper."""

    def pieces(self, apdu: bytes) -> Iterator[bytes]:
        return iter((apdu,))
