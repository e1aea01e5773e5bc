"""One EDMI session over a line: attention, login, commands with their repeats, logout."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from mts_common.messages import FailureKind
from mts_dialler.errors import (
    BadCredentials,
    DiallerError,
    FrameGarbled,
    MeterRefused,
    MeterSilent,
    NotConfigured,
    offering_password,
)
from mts_dialler.line import Line
from mts_dialler.protocols.edmi.commands import Ask, Block, Info, Login, Logout, Read, ReadMany
from mts_dialler.protocols.edmi.frame import ATTENTION, ESCAPE, Garbled
from mts_dialler.protocols.edmi.link import Answer, Link, Passed
from mts_dialler.protocols.edmi.refusals import (
    ACCESS_DENIED,
    NOT_FOUND,
    CommandRefused,
    DataNotReady,
    LoginRefused,
    NotLoggedIn,
    explain,
)
from mts_dialler.protocols.edmi.registers import CLOCK
from mts_dialler.protocols.edmi.values import Value, decode
from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError

LOGIN_ATTEMPTS = 2  # of one login
ATTEMPTS = 3  # of a question that is not answered, or whose answer is damaged
NOT_READY_TRIES = 10
LOGINS = 3  # in one session, which ends by itself when the meter hears nothing for some time
MOST_AT_ONCE = 14  # registers, as in the longest block that has been seen on a wire
ATTENTION_SECONDS = 3.0
_IEC_SIGN_ON = b"/?!\r\n"  # wakes a port that is in IEC 62056-21 mode

Result_co = TypeVar("Result_co", covariant=True)
Result = TypeVar("Result")


class Command(Protocol[Result_co]):
    def encode(self) -> bytes: ...

    def parse(self, payload: bytes) -> Result_co: ...


class CommandFailed(MeterRefused):
    """One command could not be carried out; the session goes on. `code`: the meter's, None if it gave none."""

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code

    @property
    def absent(self) -> bool:
        """The meter has no such register."""
        return self.code == NOT_FOUND

    @property
    def kind(self) -> FailureKind:
        """What these credentials do not open, another attempt with them does not open either."""
        return FailureKind.CONFIGURATION if self.code == ACCESS_DENIED else self.failure


@dataclass(slots=True)
class Readings:
    """Of several registers: the values of those that could be read, and why others could not (absent ones apart).

    `read_at`: when each answer arrived.
    """

    values: dict[int, Value] = field(default_factory=dict)
    read_at: dict[int, datetime] = field(default_factory=dict)
    failures: list[CommandFailed] = field(default_factory=list)


class EdmiSession:
    """Asks and waits. Raises leaves of `DiallerError` alone.

    `wide`: the meter is of the family whose register numbers have four bytes.
    """

    def __init__(self, line: Line, outstation: str, *, wide: bool) -> None:
        """Raises `NotConfigured` if `outstation` is no serial number."""
        try:
            self._link = Link(int(outstation) if outstation.isascii() and outstation.isdecimal() else -1)
        except LocalProtocolError:
            raise NotConfigured("the outstation address of an EDMI meter is its serial number, in digits") from None
        self.line = line
        self.answered_at = line.now()
        self._wide = wide
        self._login: Login | None = None  # once it was accepted
        self._logins = 0
        self._spoken = False  # the meter has answered the attention
        self._reads_many: bool | None = None  # None: not tried yet

    # --- the session

    async def open(self, credentials: str) -> None:
        """Raises `BadCredentials` if the meter refuses them. Then they are not given again."""
        self.line.hide(credentials.encode("latin-1", "replace"))
        login = Login(credentials)
        try:
            login.encode()
        except LocalProtocolError as error:
            raise NotConfigured(str(error)) from error
        await self._attention()
        if await self._log_in(login):
            self._login = login

    async def sign_off(self) -> None:
        """Logs out within the budget of a sign-off; a meter or line that has gone is no failure of the test."""
        self.line.begin_sign_off()
        try:
            logout = Logout()
            logout.parse(await self._exchange(self._link.ask(logout.encode()), "logout"))
            self.line.note("logged out")
        except (DiallerError, RemoteProtocolError) as error:
            self.line.note(f"not logged out: {error}")

    async def _attention(self) -> None:
        """Some meters do not answer it: then the login shows whether anyone is there."""
        for data in (ATTENTION, ESCAPE + ATTENTION):
            try:
                await self.line.send(data, "attention")
                answer = await self.line.receive(min(ATTENTION_SECONDS, self.line.limits.reply_seconds))
            except MeterSilent:
                continue
            self._spoken = True
            for event in self._link.receive(answer):
                self.line.note("ACK" if isinstance(event, Passed) else "not understood")
            return
        await self.line.send(_IEC_SIGN_ON, "sign-on of IEC 62056-21, in case the port waits for one")
        await self._settle()

    async def _log_in(self, login: Login) -> bool:
        """Was the login accepted by an answer that could be read?"""
        self._logins += 1
        with offering_password() if self._spoken else nullcontext():
            payload = await self._offered(login)
        if payload is None:
            return False
        try:
            login.parse(payload)
        except LoginRefused as refused:
            self.line.note(f"refused: {refused}")
            raise BadCredentials("the meter refused the user or the password") from refused
        except RemoteProtocolError as error:
            self.line.note(f"refused: {error}")
            raise MeterRefused(f"the meter refused the login: {error}") from error
        self.line.note("logged in")
        return True

    async def _offered(self, login: Login) -> bytes | None:
        """The answer to the login; None if it cannot be read, but a register shows that the meter lets us in.

        It is repeated on silence alone: an answer that cannot be read may have been a refusal.
        """
        data = self._link.ask(login.encode())
        for attempt in range(1, LOGIN_ATTEMPTS + 1):
            try:
                return await self._exchange(data, "login")
            except FrameGarbled:
                await self._settle()
                await self._knock()
                return None
            except MeterSilent:
                if attempt == LOGIN_ATTEMPTS:
                    raise
            await self._settle()
        return None

    async def _knock(self) -> None:
        """Raises `FrameGarbled` if the meter does not show its clock."""
        command = Read(CLOCK, self._wide)
        try:
            command.parse(await self._repeated(command.encode(), "clock, to see whether the login was accepted"))
        except CommandRefused as refused:
            self.line.note(f"refused: {refused}")
            raise FrameGarbled(f"the answer to the login could not be read, and then: {refused}") from refused
        except RemoteProtocolError as error:
            raise FrameGarbled(f"the answer to the login could not be read, and then: {error}") from error
        self.line.note("logged in")

    # --- commands

    async def ask(self, command: Command[Result], what: str) -> Result:
        """The answer, parsed. `what` names the command. Raises `CommandFailed` if the meter refuses it."""
        for _ in range(NOT_READY_TRIES):
            try:
                return command.parse(await self._repeated(command.encode(), what))
            except DataNotReady as refused:
                self.line.note(f"refused: {refused}")
                await self._settle()
            except NotLoggedIn as refused:
                self.line.note(f"refused: {refused}")
                await self._log_in_again(what)
            except CommandRefused as refused:
                self.line.note(f"refused: {refused}")
                raise CommandFailed(f"{what}: refused: {refused}", refused.code) from refused
            except RemoteProtocolError as error:
                self.line.note(f"not understood: {error}")
                raise CommandFailed(f"{what}: not understood: {error}") from error
        raise CommandFailed(f"{what}: the meter never had the data ready")

    async def read(self, register: int, letter: str) -> Value:
        """A register of that type. Raises `CommandFailed`."""
        data = await self.ask(Read(register, self._wide), f"register {register:04X}")
        value = self._decoded(register, letter, data)
        self.line.note(f"{register:04X} = {_shown(value)}")
        return value

    async def info(self, register: int) -> Info:
        """What the meter says of a register. Raises `CommandFailed`."""
        info = await self.ask(Ask(register, self._wide), f"type and unit of register {register:04X}")
        self.line.note(f"type {info.type}, unit {info.unit}, {info.name}")
        return info

    async def read_many(self, registers: Sequence[tuple[int, str]], found: Readings | None = None) -> Readings:
        """(number, type letter) each. In blocks if the meter has them, else one by one.

        `found` is filled as the values come, so that they are not lost if the line breaks.
        """
        found = found or Readings()
        await self._read_all(registers, found, run=False)
        return found

    async def read_run(self, registers: Sequence[tuple[int, str]], found: Readings) -> None:
        """As `read_many`, but only up to the first register that the meter has not got."""
        await self._read_all(registers, found, run=True)

    async def _read_all(self, registers: Sequence[tuple[int, str]], found: Readings, *, run: bool) -> None:
        """Of a block the values before the first error are used; behind that register a new block begins."""
        while registers:
            block = registers[:MOST_AT_ONCE]
            step, singles = len(block), block
            if len(block) > 1 and (answer := await self._read_block(block, found)) is not None:
                done, absent = len(answer.values), answer.error == NOT_FOUND
                if absent and run:
                    return
                singles = () if absent else block[done : done + 1]
                step = min(done + 1, step)
            for register, letter in singles:
                if not await self._read_single(register, letter, found) and run:
                    return
            registers = registers[step:]

    async def _read_single(self, register: int, letter: str, found: Readings) -> bool:
        """Has the meter got it?"""
        try:
            found.values[register] = await self.read(register, letter)
            found.read_at[register] = self.answered_at
        except CommandFailed as failure:
            if failure.absent:
                return False
            found.failures.append(failure)
        return True

    async def _read_block(self, block: Sequence[tuple[int, str]], found: Readings) -> Block | None:
        """None if nothing of the answer can be used. A meter that has no such command is not asked again."""
        if self._reads_many is False:
            return None
        what = f"{len(block)} registers from {block[0][0]:04X}"
        command = ReadMany(block)
        try:
            attempts = 1 if self._reads_many is None else ATTEMPTS
            answer = command.parse(await self._repeated(command.encode(), what, attempts))
            pairs = zip(block, answer.values, strict=False)
            values = {register: self._decoded(register, letter, data) for (register, letter), data in pairs}
        except FrameGarbled:
            return None
        except (MeterSilent, RemoteProtocolError, CommandFailed) as error:
            self.line.note(f"no block: {error}")
            self._reads_many = self._reads_many or False
            return None
        shown = [f"{register:04X} = {_shown(value)}" for register, value in values.items()]
        refused = [] if answer.error is None else [f"{block[len(values)][0]:04X} refused: {explain(answer.error)}"]
        self.line.note(", ".join(shown + refused))
        self._reads_many = True
        found.values |= values
        found.read_at |= dict.fromkeys(values, self.answered_at)
        return answer

    def _decoded(self, register: int, letter: str, data: bytes) -> Value:
        try:
            return decode(letter, data)
        except RemoteProtocolError as error:
            self.line.note(f"not understood: {error}")
            raise CommandFailed(f"register {register:04X}: not understood: {error}") from error

    async def _log_in_again(self, what: str) -> None:
        """The session ended by itself. The credentials are those that were accepted before."""
        if self._login is None or self._logins >= LOGINS:
            raise CommandFailed(f"{what}: the meter ended the session each time")
        await self._log_in(self._login)

    # --- frames

    async def _repeated(self, payload: bytes, what: str, attempts: int = ATTEMPTS) -> bytes:
        """The answer to a question that does no harm if it is asked again."""
        data = self._link.ask(payload)
        for attempt in range(1, attempts + 1):
            try:
                return await self._exchange(data, what)
            except (MeterSilent, FrameGarbled):
                if attempt == attempts:
                    raise
            await self._settle()
            data = self._link.repeat()
        raise MeterSilent(f"the meter did not answer: {what}")

    async def _settle(self) -> None:
        await self.line.settle()
        self._link.interrupt()

    async def _exchange(self, data: bytes, what: str) -> bytes:
        """Raises `MeterSilent` if no answer begins in time, `FrameGarbled` if it is damaged or breaks off."""
        await self.line.send(data, what)
        limits = self.line.limits
        begin_by = self.line.monotonic() + limits.reply_seconds
        while True:
            waiting = limits.character_seconds if self._link.receiving else max(0.0, begin_by - self.line.monotonic())
            try:
                received = await self.line.receive(waiting)
            except MeterSilent as silence:
                if not self._link.receiving:
                    raise MeterSilent(f"the meter did not answer: {what}") from silence
                self._link.interrupt()
                raise FrameGarbled(f"the answer broke off: {what}") from silence
            if (payload := self._answer(received, what)) is not None:
                return payload

    def _answer(self, received: bytes, what: str) -> bytes | None:
        """The answer, if `received` completes it."""
        garbled = ""
        for event in self._link.receive(received):
            match event:
                case Answer(payload):
                    self.answered_at = self.line.now()
                    return payload
                case Passed(why):
                    self.line.note(f"passed over: {why}")
                case Garbled(why):
                    garbled = why
        if garbled:
            self.line.note(f"not understood: {garbled}")
            raise FrameGarbled(f"the answer was not understood: {what}: {garbled}")
        return None


def _shown(value: Value) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
