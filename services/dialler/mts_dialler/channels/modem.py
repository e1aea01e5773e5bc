"""A line with a modem: made ready, dialled, hung up (modems.md, sections 3 to 3.3)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import Final

from mts_common import metrics
from mts_common.vocabulary import about
from mts_dialler.channels.modem_channel import CHUNK, ModemChannel
from mts_dialler.channels.own import OpenPort, framing_of, open_port
from mts_dialler.channels.port import Framing, Port
from mts_dialler.clock import Clock, SystemClock
from mts_dialler.errors import (
    DialBusy,
    DiallerError,
    DialNoAnswer,
    DialNoCarrier,
    LineDropped,
    LineFault,
    MeterSilent,
    NotConfigured,
)
from mts_dialler.lines_file import HangUp, LineKind, LineSettings
from mts_dialler.protocols.errors import LocalProtocolError
from mts_dialler.protocols.hayes import facts
from mts_dialler.protocols.hayes.commands import Abort, Action, Command, Dial, Dialling, Escape, Reset
from mts_dialler.protocols.hayes.commands import HangUp as HangUpCommand
from mts_dialler.protocols.hayes.modem import Modem, State, Step
from mts_dialler.protocols.hayes.results import Answer, Result

HANG_UP_SECONDS: Final = 45.0
WRITE_SECONDS: Final = 5.0
REGISTRATION_POLL_SECONDS: Final = 1.0
RESETS: Final = 2  # the first may find a modem that has not woken up, or has to find the speed
_KEPT_LINES = 20
_STALE_CHUNKS = 64

_FAILURES: Mapping[Result, tuple[type[DiallerError], str]] = {
    Result.BUSY: (DialBusy, "the number is busy"),
    Result.NO_ANSWER: (DialNoAnswer, "the number did not answer"),
    Result.NO_CARRIER: (DialNoCarrier, "no connection with the meter's modem"),
    Result.CALL_BARRED: (NotConfigured, "the network bars calls to this number"),
    Result.ERROR: (NotConfigured, "the modem refused to dial the number"),
    Result.NO_DIAL_TONE: (LineFault, "there is no dial tone"),
    Result.NO_SERVICE: (LineFault, "the network gives no service"),
    Result.DELAYED: (LineFault, "the modem puts off redialling the number"),
    Result.BLACKLISTED: (LineFault, "the modem will not redial the number yet"),
}

_log = logging.getLogger(__name__)


class ModemLine:
    """`OwnLine` with a modem. It holds its device, locked, from its first use until `close` or a fault."""

    def __init__(self, settings: LineSettings, clock: Clock | None = None, open_port: OpenPort = open_port) -> None:
        self.settings = settings
        self.signal: facts.Signal | None = None
        self.rest_seconds = 0.0
        self._clock = clock or SystemClock()
        self._open_port = open_port
        self._modem = Modem()
        self._port: Port | None = None

    async def check(self) -> None:
        await self._make_ready(Framing())

    async def call(self, number: str, coms_settings: str | None) -> ModemChannel:
        self.rest_seconds = self.settings.pause_seconds
        framing, character_format = framing_of(self.settings, coms_settings)
        await self._make_ready(framing)
        try:
            with self._faults():
                answer = await self._dial(number)
                if answer.result is not Result.CONNECT:
                    raise await self._refusal(answer)
                channel = ModemChannel(self, self.port, self._modem, answer, character_format)
                await channel.settle(self.settings.settle_seconds)
        except LineFault:
            await self._fail()
            raise
        except BaseException:
            await self.hang_up()
            raise
        return channel

    async def hang_up(self) -> None:
        """Ends whatever call there may be; where that cannot be made sure, lets go of the device."""
        if self._port is None:
            return
        try:
            async with asyncio.timeout(HANG_UP_SECONDS):
                with self._faults():
                    await self._make_idle()
        except (LineFault, TimeoutError) as error:
            _log.warning("line %s did not hang up: %s", self.settings.name, error, extra=about("line-not-hung-up"))
            await self._fail()

    async def close(self) -> None:
        self._modem.step(Step.DROPPED)
        await self._close_port()

    @property
    def fit(self) -> bool:
        return not self._is(State.FAULTY)

    @property
    def port(self) -> Port:
        """Raises `LineFault` while it is not open."""
        if self._port is None:
            raise LineFault(f"line {self.settings.name}: the device is not open")
        return self._port

    def _is(self, *states: State) -> bool:
        return self._modem.state in states

    # --- faults

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Of our own line: its errors in here name the line, and are its fault, not the meter's."""
        try:
            yield
        except MeterSilent as error:
            raise LineFault(f"line {self.settings.name}: the modem does not answer") from error
        except (LineDropped, LineFault) as error:
            raise LineFault(f"line {self.settings.name}: {error}") from error

    async def _fail(self) -> None:
        self._modem.step(Step.FAILED)
        await self._close_port()

    async def _close_port(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            await port.close()

    # --- making it ready

    async def _make_ready(self, framing: Framing) -> None:
        try:
            with self._faults():
                if self._port is None:
                    self._port = await self._open_port(self.settings, self.settings.baud, framing)
                await self.port.set_format(self.settings.baud, framing)
                await self._make_idle()
                await asyncio.sleep(self.settings.reset_pause_seconds)
                await self._set_up()
                if self.settings.kind is LineKind.GSM:
                    await self._find_network()
                self._modem.step(Step.READY)
        except LineFault:
            await self._fail()
            raise
        except BaseException:
            await self.close()
            raise

    async def _make_idle(self) -> None:
        """Out of whatever the modem is doing, be it a call that nobody here knows of, and reset."""
        if self._is(State.DIALLING):
            with contextlib.suppress(MeterSilent):
                await self._ask(Abort())
        if not self._is(State.CONNECTED) and await self._reset():
            return
        for way in self.settings.hang_up:
            if await (self._let_dtr_go() if way is HangUp.DTR else self._escape()) and await self._reset():
                return
        raise MeterSilent("no answer to ATZ")

    async def _reset(self) -> bool:
        for _ in range(RESETS):
            with contextlib.suppress(MeterSilent):
                answer, _ = await self._ask(Reset())
                return answer.result is Result.OK
        return False

    async def _let_dtr_go(self) -> bool:
        if not await self.port.drop_dtr(self.settings.dtr_seconds):
            return False
        self._modem.step(Step.DROPPED)
        return True

    async def _escape(self) -> bool:
        """`+++` between two silences, then ATH."""
        if not self._is(State.CONNECTED, State.RESETTING):
            return False
        await asyncio.sleep(self.settings.guard_seconds)
        with contextlib.suppress(MeterSilent):
            await self._ask(Escape(), self.settings.guard_seconds + self.settings.command_seconds)
        if self._is(State.ESCAPING):
            with contextlib.suppress(MeterSilent):
                await self._ask(HangUpCommand())
        return True

    async def _set_up(self) -> None:
        settings = self.settings
        gives_up = f"S7={int(settings.dial_seconds) - 5}"
        guard = f"S12={round(settings.guard_seconds * 50)}"
        await self._order("E0V1", *settings.init)
        for wish in ("S0=0", "X4", "&C1", "&D2", gives_up, guard):
            await self._wish(wish)
        if settings.kind is LineKind.GSM and settings.bearer:
            await self._wish(f"+CBST={settings.bearer}")

    async def _order(self, *commands: str) -> None:
        """What the modem must do. Raises `LineFault`; an operator's command is not repeated, as it may hold a PIN."""
        for command in commands:
            answer, _ = await self._ask(Command(command))
            if answer.result is not Result.OK:
                raise LineFault(f"the modem refuses an initialisation command: {answer}")

    async def _wish(self, command: str) -> None:
        """What some modems have not got, and can do without."""
        answer, _ = await self._ask(Command(command))
        if answer.result is not Result.OK:
            _log.info("line %s refuses AT%s: %s", self.settings.name, command, answer, extra=about("line-refuses"))

    # --- GSM

    async def _find_network(self) -> None:
        answer, lines = await self._ask(Command("+CPIN?"))
        sim = next(filter(None, map(facts.parse_sim, lines)), "READY")
        if answer.result is Result.NO_SERVICE or sim != "READY":
            raise LineFault(f"the SIM is not ready: {answer.text or sim}")
        await self._register()
        _, lines = await self._ask(Command("+CSQ"))
        self.signal = next(filter(None, map(facts.parse_signal, lines)), None)
        if self.signal is not None:
            metrics.LINE_SIGNAL.set(self.signal.dbm, {"mts.line": self.settings.name})

    async def _register(self) -> None:
        """Raises `LineFault` if the terminal does not register; one that cannot tell is taken at its word later."""
        until = self._clock.monotonic() + self.settings.registration_seconds
        while True:
            _, lines = await self._ask(Command("+CREG?"))
            found = next(filter(None, map(facts.parse_registration, lines)), None)
            if found is None or found.usable:
                return
            if self._clock.monotonic() >= until:
                raise LineFault(f"the terminal is {found.value}")
            await asyncio.sleep(REGISTRATION_POLL_SECONDS)

    # --- dialling

    async def _dial(self, number: str) -> Answer:
        settings = self.settings
        if settings.kind is LineKind.GSM:
            dialling = Dialling.NETWORK
        else:
            number = number.replace("+", settings.international_prefix, 1)
            dialling = Dialling.PULSE if settings.pulse else Dialling.TONE
        try:
            answer, _ = await self._ask(Dial(number, settings.dial_prefix, dialling), settings.dial_seconds)
        except LocalProtocolError as error:
            raise NotConfigured(f"the number cannot be dialled: {error}") from error
        except MeterSilent as error:  # a modem that then answers at least this is well
            await self._ask(Abort())
            raise DialNoAnswer(f"no connection in {settings.dial_seconds:g} s") from error
        return answer

    async def _refusal(self, answer: Answer) -> DiallerError:
        """Why there is no call, with what the network says of it."""
        error, text = _FAILURES[answer.result]
        cause = await self._cause() if self.settings.kind is LineKind.GSM else None
        if said := ", ".join(filter(None, (answer.text, cause))):
            text = f"{text} ({said})"
        if answer.result in (Result.DELAYED, Result.BLACKLISTED):
            self.rest_seconds = self.settings.delayed_rest_seconds
        return error(text)

    async def _cause(self) -> str | None:
        with contextlib.suppress(MeterSilent):
            _, lines = await self._ask(Command("+CEER"))
            return next(filter(None, map(facts.parse_cause, lines)), None)
        return None

    # --- command and answer

    async def _ask(self, action: Action, seconds: float | None = None) -> tuple[Answer, list[str]]:
        """The modem's answer, and the lines before it. Raises `MeterSilent` if there is none in time."""
        await self._drop_stale()
        await asyncio.sleep(self.settings.command_pause_seconds)
        await self.port.write(self._modem.send(action), WRITE_SECONDS)
        until = self._clock.monotonic() + (seconds or self.settings.command_seconds)
        lines: list[str] = []
        while True:
            while (event := self._modem.next_event()) is not None:
                if isinstance(event, Answer):
                    return event, lines
                lines = [*lines, event.text][-_KEPT_LINES:]
            left = until - self._clock.monotonic()
            if left <= 0:
                raise MeterSilent("no answer from the modem")
            self._modem.feed(await self.port.read(CHUNK, left))

    async def _drop_stale(self) -> None:
        """What came unasked: the end of an earlier answer, the noise of a call that has ended."""
        with contextlib.suppress(MeterSilent):
            for _ in range(_STALE_CHUNKS):
                self._modem.feed(await self.port.read(CHUNK, 0))
                self._modem.payload()
                while self._modem.next_event() is not None:
                    pass
