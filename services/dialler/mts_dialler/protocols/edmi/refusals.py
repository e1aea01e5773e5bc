"""The meter's no: CAN and its code (edmi.md, section 2)."""

from __future__ import annotations

from mts_dialler.protocols.errors import RemoteProtocolError

NOT_FOUND, ACCESS_DENIED, NOT_READY, NOT_LOGGED_IN = 3, 4, 7, 9

_WORDS = {
    1: "cannot write",
    2: "unimplemented operation",
    NOT_FOUND: "register not found",
    ACCESS_DENIED: "access denied",
    5: "wrong length",
    6: "bad type or internal error",
    NOT_READY: "data not ready",
    8: "out of range",
    NOT_LOGGED_IN: "not logged in",
}


class CommandRefused(RemoteProtocolError):
    """The meter refused a command for good; `code` is None where it gave no reason."""

    def __init__(self, code: int | None) -> None:
        super().__init__(explain(code))
        self.code = code


class DataNotReady(CommandRefused):
    """The command is good, but not now: worth another try."""


class NotLoggedIn(CommandRefused):
    """The session has ended, or never began."""


class LoginRefused(CommandRefused):
    """The meter does not know that user and password."""


_TYPES: dict[int | None, type[CommandRefused]] = {NOT_READY: DataNotReady, NOT_LOGGED_IN: NotLoggedIn}


def explain(code: int | None) -> str:
    if code is None:
        return "no reason given"
    return _WORDS.get(code, f"code {code}")


def refusal(code: int | None) -> CommandRefused:
    """The error of that code."""
    return _TYPES.get(code, CommandRefused)(code)
