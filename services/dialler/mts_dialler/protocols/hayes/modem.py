"""The state of one line of the bank, as the host sees it.

What may live here: the two tables, and the three rules that do not fit them: (1) while connected, bytes are the meter's
and no lines; (2) an echo of the last command is no answer; (3) a modem that has answered in words means words: a line
of digits is then information (`ATI`), else it may be a result code of a modem in V0.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from mts_dialler.protocols.errors import LocalProtocolError
from mts_dialler.protocols.hayes.commands import Abort, Action, Command, Dial, Escape, HangUp, Reset, encode
from mts_dialler.protocols.hayes.reader import LineReader
from mts_dialler.protocols.hayes.results import NUMERIC, Answer, Event, Information, Result, textual


class State(Enum):
    DOWN = "down"
    RESETTING = "resetting"
    IDLE = "idle"
    DIALLING = "dialling"
    CONNECTED = "connected"
    ESCAPING = "escaping"
    HANGING_UP = "hanging up"
    FAULTY = "faulty"


class Step(Enum):
    """What happens to a line beside commands and answers."""

    READY = "it has passed its checks"
    CARRIER_LOST = "the far end has gone"
    DROPPED = "DTR was dropped, or the device closed"
    FAILED = "it does not do what it must"


_ANYWHERE: Mapping[type[Action] | Step, State] = {Step.DROPPED: State.DOWN, Step.FAILED: State.FAULTY}

HOST: Mapping[State, Mapping[type[Action] | Step, State]] = {
    State.DOWN: {**_ANYWHERE, Reset: State.RESETTING},
    State.RESETTING: {
        **_ANYWHERE,
        Reset: State.RESETTING,
        Command: State.RESETTING,
        Escape: State.ESCAPING,  # a modem that does not answer may be in a call that nobody knows of
        Step.READY: State.IDLE,
    },
    State.IDLE: {
        **_ANYWHERE,
        Reset: State.RESETTING,
        Command: State.IDLE,
        Dial: State.DIALLING,
        HangUp: State.HANGING_UP,
    },
    State.DIALLING: {**_ANYWHERE, Abort: State.HANGING_UP},
    State.CONNECTED: {**_ANYWHERE, Escape: State.ESCAPING, Step.CARRIER_LOST: State.IDLE},
    State.ESCAPING: {**_ANYWHERE, HangUp: State.HANGING_UP},
    State.HANGING_UP: {**_ANYWHERE, HangUp: State.HANGING_UP, Reset: State.RESETTING},
    State.FAULTY: {**_ANYWHERE, Reset: State.RESETTING},
}

_COMMANDED = {Result.OK, Result.ERROR, Result.NO_SERVICE}
_CALL_ENDED = dict.fromkeys(set(Result) - {Result.OK, Result.RING, Result.CONNECT}, State.IDLE)

MODEM: Mapping[State, Mapping[Result, State]] = {
    State.DOWN: {},
    State.RESETTING: dict.fromkeys(_COMMANDED, State.RESETTING),
    State.IDLE: dict.fromkeys(_COMMANDED, State.IDLE),
    State.DIALLING: {**_CALL_ENDED, Result.CONNECT: State.CONNECTED},
    State.CONNECTED: {},
    State.ESCAPING: {Result.OK: State.ESCAPING, Result.ERROR: State.ESCAPING, Result.NO_CARRIER: State.IDLE},
    State.HANGING_UP: {**_CALL_ENDED, Result.OK: State.IDLE, Result.CONNECT: State.CONNECTED},
    State.FAULTY: {},
}
"""A result that a state does not list came too early, too late or unasked: it is handed on as `Information`."""


class Modem:
    """The host's end. Whatever a modem sends, nothing is raised; what it keeps unread is bounded."""

    def __init__(self) -> None:
        self.state = State.DOWN
        self._reader = LineReader()
        self._echo = ""
        self._numeric: bool | None = None  # None: not known yet
        self._payload = b""
        self._line_feed_due = False

    def send(self, action: Action) -> bytes:
        """The bytes of `action`. Raises `LocalProtocolError` if it is not allowed now; then nothing has changed."""
        target = self._target(type(action), type(action).__name__)
        data = encode(action)
        self.state = target
        self._echo = data.decode("ascii").strip()
        if isinstance(action, Reset):
            self._reader.clear()
            self._numeric = None
        return data

    def step(self, step: Step) -> None:
        """Raises `LocalProtocolError` if that cannot happen now."""
        self.state = self._target(step, step.name)
        if step is not Step.READY:
            self._reader.clear()
            self._payload = b""
            self._line_feed_due = False

    def _target(self, what: type[Action] | Step, name: str) -> State:
        target = HOST[self.state].get(what)
        if target is None:
            raise LocalProtocolError(f"{name} is not allowed while a line is {self.state.value}")
        return target

    def feed(self, data: bytes) -> None:
        """Takes received bytes; follow with `next_event` until it gives None, and while connected with `payload`."""
        if self.state is State.CONNECTED:
            self._payload += data
        else:
            self._reader.feed(data)

    def next_event(self) -> Event | None:
        """The modem's next line, None while it is incomplete or the line is connected."""
        while self.state is not State.CONNECTED and (line := self._reader.next()) is not None:
            if line != self._echo:
                return self._event(line)
        return None

    def payload(self) -> bytes:
        """What the far end has sent since the last time. The LF that ends the CONNECT line is not part of it."""
        data, self._payload = self._payload, b""
        if data and self._line_feed_due:
            self._line_feed_due = False
            return data.removeprefix(b"\n")
        return data

    def _event(self, line: str) -> Event:
        answer = textual(line)
        if answer is not None:
            self._numeric = False
        elif self._numeric is not False and (answer := NUMERIC.get(line)):
            self._numeric = True
        if answer is None:
            return Information(line)
        return self._judged(answer, line)

    def _judged(self, answer: Answer, line: str) -> Event:
        target = MODEM[self.state].get(answer.result)
        if target is None:
            return Information(line)
        self.state = target
        if target is State.CONNECTED:
            self._payload = self._reader.clear()
            self._line_feed_due = not self._numeric
        return answer
