"""What can go wrong on a line, by phase and by whose fault it is.

Raise the leaves only. `failure` is what the scheduler's retry policy decides by; the text is shown to the client as
`ERROR: …`, so it is plain, ends without a full stop and never holds a password or a key.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from mts_common.messages import FailureKind


class DiallerError(Exception):
    """Base of all; refuses direct use."""

    failure: ClassVar[FailureKind]

    def __init__(self, text: str) -> None:
        if not hasattr(type(self), "failure"):
            raise TypeError(f"raise a leaf of {type(self).__name__}")
        super().__init__(text)


class WindowClosed(DiallerError):
    """The call was granted, but it is too late to dial."""

    failure = FailureKind.WINDOW_CLOSED


class AddressForbidden(DiallerError):
    """The address may not be dialled; never repeated."""

    failure = FailureKind.ADDRESS_FORBIDDEN


class NameNotResolved(DiallerError):
    """The host name has no address, or the resolver did not answer."""

    failure = FailureKind.NO_ANSWER


class ConnectRefused(DiallerError):
    """The far end, or a router on the way, answered that it will not connect."""

    failure = FailureKind.NO_ANSWER


class ConnectTimeout(DiallerError):
    """Nobody answered the connect in time."""

    failure = FailureKind.NO_ANSWER


class DialBusy(DiallerError):
    """The number is in another call."""

    failure = FailureKind.BUSY


class DialNoAnswer(DiallerError):
    """The number rang, and nobody took the call."""

    failure = FailureKind.NO_ANSWER


class DialNoCarrier(DiallerError):
    """The number was reached, or was not, but no modem was."""

    failure = FailureKind.NO_CARRIER


class LineDropped(DiallerError):
    """The connection ended while it was needed."""

    failure = FailureKind.DROPPED


class LineFault(DiallerError):
    """Our own end cannot make the call: no sockets left, no dial tone, a mute modem. It costs the test nothing."""

    failure = FailureKind.LINE_FAULT


class MeterSilent(DiallerError):
    """No byte came in the time allowed for it."""

    failure = FailureKind.METER_SILENT


class MeterRefused(DiallerError):
    """The meter answered, and said no."""

    failure = FailureKind.METER_REFUSED


class FrameGarbled(DiallerError):
    """What came is no answer of the protocol, or its check failed, after all repeats."""

    failure = FailureKind.GARBLED


class SilentAtPassword(MeterSilent):
    """The meter, which had spoken before, said nothing to the password: perhaps it refused it."""

    failure = FailureKind.PASSWORD_UNANSWERED


class GarbledAtPassword(FrameGarbled):
    """What the meter said to the password, perhaps a refusal, could not be read."""

    failure = FailureKind.PASSWORD_UNANSWERED


class DroppedAtPassword(LineDropped):
    """The line went away when the meter was given the password: some hang up on a wrong one."""

    failure = FailureKind.PASSWORD_UNANSWERED


_AT_PASSWORD: dict[type[DiallerError], type[DiallerError]] = {
    MeterSilent: SilentAtPassword,
    FrameGarbled: GarbledAtPassword,
    LineDropped: DroppedAtPassword,
}


@contextmanager
def offering_password() -> Iterator[None]:
    """For the question that gives a password and the wait for its answer: what may hide a refusal is told apart."""
    try:
        yield
    except tuple(_AT_PASSWORD) as error:
        leaf = next(leaf for base, leaf in _AT_PASSWORD.items() if isinstance(error, base))
        raise leaf(str(error)) from error


class BadCredentials(DiallerError):
    """The meter refused the password; never repeated, as a repeat may lock the meter."""

    failure = FailureKind.WRONG_PASSWORD


class CallTooLong(DiallerError):
    """The test passed its budget of time or bytes."""

    failure = FailureKind.TOO_LONG


class NotConfigured(DiallerError):
    """The request, or this dialler's settings, cannot be carried out as they stand."""

    failure = FailureKind.CONFIGURATION


class DriverFault(DiallerError):
    """Our own code broke its rules."""

    failure = FailureKind.INTERNAL


def leaves() -> Iterator[type[DiallerError]]:
    """Every error that may be raised."""
    pending = list(DiallerError.__subclasses__())
    while pending:
        error = pending.pop()
        pending += error.__subclasses__()
        if hasattr(error, "failure"):
            yield error
