"""What may be sent to a modem. Nothing that a client wrote reaches it but the digits of a number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from mts_dialler.protocols.errors import LocalProtocolError

MAX_COMMAND = 120

_NUMBER = re.compile(r"\+?[0-9]{3,20}")
_PREFIX = re.compile(r"[0-9*#,W]{0,20}")
_COMMAND = re.compile(rf"[ -~]{{0,{MAX_COMMAND}}}")


class Dialling(StrEnum):
    """The letter after ATD."""

    TONE = "T"
    PULSE = "P"
    NETWORK = ""  # GSM: the network takes the number as it is; without `;` it is a data call


@dataclass(frozen=True, slots=True)
class Reset:
    """Back to the stored profile: ATZ."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command without its AT, from the operator's settings or ours: `E0V1`, `+CSQ`."""

    text: str


@dataclass(frozen=True, slots=True)
class Dial:
    """`prefix` is the line's own, e.g. `9,` for an outside line; `number` may begin with `+`."""

    number: str
    prefix: str = ""
    dialling: Dialling = Dialling.TONE


@dataclass(frozen=True, slots=True)
class Abort:
    """Any character ends a dialling modem's try."""


@dataclass(frozen=True, slots=True)
class Escape:
    """`+++`: the caller keeps the line silent for the guard time before and after it (S12)."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """ATH."""


Action = Reset | Command | Dial | Abort | Escape | HangUp


def encode(action: Action) -> bytes:
    """The bytes to send; commands end with CR alone. Raises `LocalProtocolError` for what may not be sent."""
    match action:
        case Reset():
            return b"ATZ\r"
        case Command(text):
            return _command(text)
        case Dial(number, prefix, dialling):
            return _dial(number, prefix, dialling)
        case Abort():
            return b"\r"
        case Escape():
            return b"+++"
        case HangUp():
            return b"ATH\r"


def is_prefix(text: str) -> bool:
    """May `text` stand before a number?"""
    return _PREFIX.fullmatch(text) is not None


def is_command(text: str) -> bool:
    """May `text` be sent after AT?"""
    return _COMMAND.fullmatch(text) is not None


def _command(text: str) -> bytes:
    if not is_command(text):
        raise LocalProtocolError("a command is at most 120 printable characters")
    return b"AT" + text.encode("ascii") + b"\r"


def _dial(number: str, prefix: str, dialling: Dialling) -> bytes:
    if _NUMBER.fullmatch(number) is None:
        raise LocalProtocolError("a number is an optional + and 3 to 20 digits")
    if not is_prefix(prefix):
        raise LocalProtocolError("a dial prefix is at most 20 of 0-9 * # , W")
    return f"ATD{dialling.value}{prefix}{number}\r".encode("ascii")
