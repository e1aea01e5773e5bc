"""One IEC 62056-21 session over a line: deadlines, repeats, parity and echo, for the drivers of this family."""

from __future__ import annotations

from datetime import datetime

from mts_dialler.errors import (
    BadCredentials,
    DiallerError,
    FrameGarbled,
    MeterRefused,
    MeterSilent,
    offering_password,
)
from mts_dialler.line import Line
from mts_dialler.protocols.echo import EchoCanceller
from mts_dialler.protocols.errors import RemoteProtocolError
from mts_dialler.protocols.iec62056_21.connection import Connection, State
from mts_dialler.protocols.iec62056_21.messages import (
    Accept,
    Ack,
    Action,
    Break,
    Command,
    Damaged,
    DataMessage,
    ErrorMessage,
    Event,
    Identification,
    Mode,
    Nak,
    Operand,
    Option,
    PartialBlock,
    Password,
    Repeat,
    Request,
    Select,
    SignOff,
    Truncated,
)
from mts_dialler.protocols.parity import CharacterFormat

ATTEMPTS = 3  # of anything that may be repeated
MAX_BLOCKS = 4096
SHORT_TEXT = 40  # characters that the trace repeats beside the bytes
SLOWEST = "0"  # the baud character of 300 Bd
BAUDS = dict(zip("0123456", (300, 600, 1200, 2400, 4800, 9600, 19200), strict=True))
BAUDS_OF_MODE_B = dict(zip("ABCDEF", (600, 1200, 2400, 4800, 9600, 19200), strict=True))


class Exchange:
    """Asks and waits. Raises leaves of `DiallerError` alone.

    The speed that the meter offers is accepted, and the line changes to it if it can; a meter that then cannot be
    understood is asked once more to stay at the slowest (iec62056-21.md, section 2).
    """

    def __init__(self, line: Line, character_format: CharacterFormat) -> None:
        self.line = line
        self.answered_at = line.now()
        self._connection = Connection()
        self._codec = line.characters(character_format)
        self._echo = EchoCanceller()
        self._watched = b""
        self._watched_at: datetime | None = None
        self._tail = b""

    @property
    def signed_on(self) -> bool:
        """The meter is in a session, as far as it has told."""
        return self._connection.state is not State.SIGNED_OFF

    def watch(self, text: bytes) -> None:
        """From now on note when `text` is first received in each answer."""
        self._watched = text

    @property
    def watched_at(self) -> datetime:
        """When the watched text came in the last answer; if it did not, when that was complete."""
        return self._watched_at or self.answered_at

    async def read_out(self, address: str, list_character: str = "?") -> tuple[Identification, str]:
        """Signs on and takes the list. Raises `MeterRefused` if the meter gives none."""
        identification, event = await self._open(Request(address, list_character), Option.READOUT)
        if isinstance(event, DataMessage):
            return identification, event.text
        raise _unusable("the readout", event)

    async def enter_programming(self, address: str) -> tuple[Identification, str]:
        """Signs on and gives the operand. Raises `MeterRefused` if the meter has no programming mode."""
        identification, event = await self._open(Request(address), Option.PROGRAMMING)
        if isinstance(event, Operand):
            return identification, event.text
        if isinstance(event, DataMessage):
            raise MeterRefused("the meter has no programming mode")
        raise _unusable("programming mode", event)

    async def give_password(self, password: Password) -> None:
        """Raises `BadCredentials` if the meter refuses it. Sent once, whatever comes back or does not."""
        with offering_password():
            await self._send(password, "password")
            event = await self._event("the password")
            if isinstance(event, Nak | ErrorMessage | Break):
                raise BadCredentials("the meter refused the password")
            if not isinstance(event, Ack):
                raise _unusable("the password", event)

    async def ask(self, command: Command, what: str = "") -> Event:
        """The meter's answer. A command that is refused by NAK, lost, damaged or cut short is repeated as it is.

        `what` it asks for, for the reader of the trace.
        """
        failure: DiallerError = MeterSilent(f"no answer to {command.data}")
        note = f"{command.code} {command.data} {what}".rstrip()
        for attempt in range(ATTEMPTS):
            try:
                event = await self._say(command, note)
            except (MeterSilent, FrameGarbled) as error:
                failure = error
            else:
                if not isinstance(event, Nak | Damaged | Truncated):
                    if attempt:
                        await self.settle()  # the answer to an earlier try may still come
                    return event
                failure = _unusable(command.data, event)
            await self.settle()
        raise failure

    async def ask_text(self, command: Command) -> tuple[str, bool]:
        """The whole answer of a command that may come in blocks, and whether it was whole.

        A damaged block is asked for again by NAK, a broken sequence from its start. If the answer breaks off each
        time, the longest beginning is given. The meter's error is given as text in parentheses, as it is sent. Raises
        `MeterRefused` for NAK or a sign-off.
        """
        longest = ""
        failure: DiallerError = MeterSilent(f"no answer to {command.data}")
        for _ in range(ATTEMPTS):
            parts: list[str] = []
            try:
                event = await self._collect(command, parts)
            except (MeterSilent, FrameGarbled) as error:
                failure = error
            else:
                match event:
                    case DataMessage(text):
                        return "".join(parts) + text, True
                    case ErrorMessage(text):
                        return f"({text})", True
                    case Truncated(text):
                        parts.append(text)
                    case Damaged() | Break():
                        raise _unusable(command.data, event)
                failure = _unusable(command.data, event)
            longest = max(longest, "".join(parts), key=len)
            await self.settle()
        if not longest:
            raise failure
        return longest, False

    async def settle(self) -> None:
        """Lets go of what still comes and of what came too late."""
        await self.line.settle()
        self._connection.interrupt()

    async def sign_off(self) -> None:
        """B0, within the budget of a sign-off; a line that has gone is no failure of the test."""
        self.line.begin_sign_off()
        try:
            await self._send(SignOff(), "sign-off")
        except DiallerError as error:
            self.line.note(f"not signed off: {error}")

    async def _open(self, request: Request, option: Option) -> tuple[Identification, Event]:
        """Signs on and selects."""
        failure: DiallerError = MeterSilent("the meter did not answer the selection")
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._break_off()
            identification = await self._sign_on(request)
            if identification.mode is not Mode.C:
                if identification.mode is Mode.B:
                    await self.line.set_speed(BAUDS_OF_MODE_B[identification.baud])
                return identification, await self._repeated(await self._event("the identification"))
            baud = SLOWEST if attempt == 1 else identification.baud
            try:
                return identification, await self._select(Select(option, baud))
            except (MeterSilent, FrameGarbled) as error:
                failure = error
        raise failure

    async def _sign_on(self, request: Request) -> Identification:
        failure: DiallerError = MeterSilent("the meter did not answer the sign-on")
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._break_off()
            await self.line.set_speed(None)
            await self._send(request, "sign-on")
            try:
                event = await self._event("the sign-on")
                while isinstance(event, Break):  # of the session before
                    event = await self._event("the sign-on")
            except (MeterSilent, FrameGarbled) as error:
                failure = error
                continue
            if isinstance(event, Identification):
                return event
            failure = _unusable("the sign-on", event)
        raise failure

    async def _break_off(self) -> None:
        """Out of whatever session the meter may be in."""
        await self._send(SignOff(), "sign-off before another try")
        await self.settle()

    async def _select(self, select: Select) -> Event:
        await self._send(select, f"select option {select.option.value}, baud character {select.baud}")
        await self.line.set_speed(BAUDS[select.baud])
        event = await self._event("the selection")
        if select.option is Option.READOUT:
            return await self._repeated(event)
        if isinstance(event, Damaged | Truncated):
            raise _unusable("the selection", event)
        return event

    async def _collect(self, command: Command, parts: list[str]) -> Event:
        """Sends `command` and accepts its partial blocks into `parts`; the event that is none."""
        event = await self._repeated(await self._say(command, f"{command.code} {command.data}"))
        while isinstance(event, PartialBlock):
            parts.append(event.text)
            if len(parts) > MAX_BLOCKS:
                raise FrameGarbled(f"more than {MAX_BLOCKS} blocks in one answer")
            event = await self._repeated(await self._say(Accept(), "block accepted"))
        return event

    async def _repeated(self, event: Event) -> Event:
        """`event`, or what comes in its place when a damaged one is asked for again."""
        for _ in range(ATTEMPTS - 1):
            if not isinstance(event, Damaged):
                break
            event = await self._say(Repeat(), "repeat")
        return event

    async def _say(self, action: Action, note: str) -> Event:
        await self._send(action, note)
        return await self._event(note)

    async def _send(self, action: Action, note: str) -> None:
        if isinstance(action, Command) and self._connection.state is State.SIGNED_OFF:
            raise MeterRefused("the meter has signed off")
        data = self._connection.send(action)
        self._watched_at, self._tail = None, b""
        self._echo.sent(data)
        await self.line.send(self._codec.encode(data), note)

    async def _event(self, to: str) -> Event:
        """The meter's next message.

        One that does not begin in time is `MeterSilent`, however much noise there is; one that breaks off is
        `Truncated`; what is none, or out of place, is `FrameGarbled`.
        """
        limits = self.line.limits
        begin_by = self.line.monotonic() + limits.reply_seconds
        try:
            while (event := self._connection.next_event()) is None:
                waiting = max(0.0, begin_by - self.line.monotonic())
                self._feed(await self.line.receive(limits.character_seconds if self._connection.receiving else waiting))
        except RemoteProtocolError as error:
            self.line.note(f"not understood: {error}")
            raise FrameGarbled(f"the answer to {to} was not understood: {error}") from error
        except MeterSilent as silence:
            cut = self._connection.interrupt()
            if cut is None:
                raise MeterSilent(f"the meter did not answer {to}") from silence
            event = cut
        self.answered_at = self.line.now()
        self.line.note(_described(event))
        return event

    def _feed(self, data: bytes) -> None:
        characters = self._echo.received(self._codec.decode(data))
        if self._watched and self._watched_at is None:
            self._tail = (self._tail + characters)[-len(characters) - len(self._watched) :]
            if self._watched in self._tail:
                self._watched_at = self.line.now()
        self._connection.feed(characters)


_WORDS: dict[type[Event], str] = {
    Ack: "ACK",
    Break: "the meter signed off",
    Damaged: "wrong block check character",
    DataMessage: "data",
    Nak: "NAK",
    Operand: "operand",
    PartialBlock: "partial block",
    Truncated: "broken off",
}


def _described(event: Event) -> str:
    match event:
        case Identification():
            return f"identification {event}"
        case ErrorMessage(text):
            return f"error {text}"
        case DataMessage(text) if len(text) <= SHORT_TEXT:
            return f"data {text.strip()}"
        case DataMessage(text) | PartialBlock(text) | Truncated(text):
            return f"{_WORDS[type(event)]}, {len(text)} characters"
        case _:
            return _WORDS[type(event)]


def _unusable(what: str, event: Event) -> DiallerError:
    """Why `event` is no answer to `what`."""
    match event:
        case Damaged():
            return FrameGarbled(f"the answer to {what} had a wrong block check character each time")
        case Truncated():
            return FrameGarbled(f"the answer to {what} broke off")
        case Nak():
            return MeterRefused(f"the meter refused {what}")
        case Break():
            return MeterRefused(f"the meter signed off in place of answering {what}")
        case ErrorMessage(text):
            return MeterRefused(f"the meter refused {what}: {text}")
        case _:
            return FrameGarbled(f"{type(event).__name__} is no answer to {what}")
