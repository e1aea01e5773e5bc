"""The state of one session with a meter, as the host sees it.

What may live here: the two tables, and the two rules that do not fit them: (1) which state a `Select` leads to depends
on its option; (2) a meter of mode A or B sends its data right after its identification, so there is nothing to select.
"""

from __future__ import annotations

from enum import Enum

from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError
from mts_dialler.protocols.iec62056_21.framing import MessageReader, encode
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


class State(Enum):
    SIGNED_OFF = "signed off"
    SIGNING_ON = "signing on"
    IDENTIFIED = "identified"
    READING_OUT = "reading out"
    READ_OUT = "read out"
    ENTERING = "entering programming mode"
    PROGRAMMING = "in programming mode"
    AUTHENTICATING = "giving the password"
    COMMANDED = "waiting for an answer"
    BLOCK_HELD = "holding a partial block"


_ANYWHERE: dict[type[Action], State] = {Request: State.SIGNING_ON, SignOff: State.SIGNED_OFF}

HOST: dict[State, dict[type[Action], State]] = {
    State.SIGNED_OFF: _ANYWHERE,
    State.SIGNING_ON: _ANYWHERE,
    State.IDENTIFIED: _ANYWHERE | {Select: State.READING_OUT},
    State.READING_OUT: _ANYWHERE | {Repeat: State.READING_OUT},
    State.READ_OUT: _ANYWHERE | {Repeat: State.READING_OUT},
    State.ENTERING: _ANYWHERE,
    State.PROGRAMMING: _ANYWHERE | {Password: State.AUTHENTICATING, Command: State.COMMANDED},
    State.AUTHENTICATING: _ANYWHERE,
    State.COMMANDED: _ANYWHERE | {Command: State.COMMANDED, Repeat: State.COMMANDED},
    State.BLOCK_HELD: _ANYWHERE | {Accept: State.COMMANDED, Repeat: State.COMMANDED},
}

METER: dict[State, dict[type[Event], State]] = {
    State.SIGNED_OFF: {Break: State.SIGNED_OFF},
    State.SIGNING_ON: {Identification: State.IDENTIFIED, Break: State.SIGNING_ON, Nak: State.SIGNING_ON},
    State.IDENTIFIED: {Identification: State.IDENTIFIED},
    State.READING_OUT: {
        DataMessage: State.READ_OUT,
        ErrorMessage: State.READ_OUT,
        Damaged: State.READING_OUT,
        Truncated: State.READING_OUT,
        Nak: State.SIGNED_OFF,
        Break: State.SIGNED_OFF,
    },
    State.READ_OUT: {Break: State.SIGNED_OFF},
    State.ENTERING: {
        Operand: State.PROGRAMMING,
        DataMessage: State.READ_OUT,  # a meter without programming mode sends its readout
        ErrorMessage: State.SIGNED_OFF,
        Damaged: State.ENTERING,
        Truncated: State.ENTERING,
        Nak: State.SIGNED_OFF,
        Break: State.SIGNED_OFF,
    },
    State.PROGRAMMING: {Break: State.SIGNED_OFF},
    State.AUTHENTICATING: {
        Ack: State.PROGRAMMING,
        Nak: State.PROGRAMMING,
        ErrorMessage: State.PROGRAMMING,
        Break: State.SIGNED_OFF,
    },
    State.COMMANDED: {
        DataMessage: State.PROGRAMMING,
        PartialBlock: State.BLOCK_HELD,
        ErrorMessage: State.PROGRAMMING,
        Ack: State.PROGRAMMING,
        Nak: State.PROGRAMMING,
        Damaged: State.COMMANDED,
        Truncated: State.COMMANDED,
        Break: State.SIGNED_OFF,
    },
    State.BLOCK_HELD: {Break: State.SIGNED_OFF},
}


class Connection:
    """The host's end. Works on seven-bit characters; parity and echo are taken off before."""

    def __init__(self) -> None:
        self.state = State.SIGNED_OFF
        self._reader = MessageReader()

    def send(self, action: Action) -> bytes:
        """The bytes of `action`. Raises `LocalProtocolError` if it is not allowed now; then nothing has changed."""
        target = HOST[self.state].get(type(action))
        if target is None:
            raise LocalProtocolError(f"{type(action).__name__} is not allowed while {self.state.value}")
        data = encode(action)
        if isinstance(action, Select) and action.option is Option.PROGRAMMING:
            target = State.ENTERING
        self.state = target
        return data

    def feed(self, data: bytes) -> None:
        """Takes received characters; follow with `next_event` until it gives None."""
        self._reader.feed(data)

    def next_event(self) -> Event | None:
        """The meter's next message, None while it is incomplete.

        Raises `RemoteProtocolError` if it is malformed or not allowed now; it is then consumed, the state unchanged.
        """
        event = self._reader.next()
        return None if event is None else self._step(event)

    @property
    def receiving(self) -> bool:
        """A message has begun and is not complete."""
        return self._reader.receiving

    def interrupt(self) -> Truncated | None:
        """Ends the wait for the rest of a message: what came of it, None if nothing did."""
        return self._reader.interrupt()

    def _step(self, event: Event) -> Event:
        target = METER[self.state].get(type(event))
        if target is None:
            raise RemoteProtocolError(f"{type(event).__name__} is not expected while {self.state.value}")
        if isinstance(event, Identification) and event.mode is not Mode.C:
            target = State.READING_OUT
        self.state = target
        return event
