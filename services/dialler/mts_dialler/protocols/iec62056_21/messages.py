"""What the host may send (actions) and what a meter sends (events). Section numbers are those of iec62056-21.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Option(StrEnum):
    """What the host selects after the identification (section 2, Y)."""

    READOUT = "0"
    PROGRAMMING = "1"


class Mode(StrEnum):
    """Who sets the speed, told by the identification's baud character (section 2, Z)."""

    A = "A"  # never switches; sends its data at once
    B = "B"  # the meter switches by itself and sends its data at once
    C = "C"  # the host selects


# --- actions


@dataclass(frozen=True, slots=True)
class Request:
    """Sign-on. An empty `address` calls whoever is there; a `list_character` other than `?` asks for another list."""

    address: str = ""
    list_character: str = "?"


@dataclass(frozen=True, slots=True)
class Select:
    """Acknowledges the identification; `baud` is the character of the speed the host accepts."""

    option: Option
    baud: str


@dataclass(frozen=True, slots=True)
class Password:
    """`method` P1 (plain) or P2 (answer to the operand)."""

    method: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Command:
    """`code` such as R1, R5, W1; `data` is the data set, e.g. `1.8.0()`."""

    code: str
    data: str


@dataclass(frozen=True, slots=True)
class Accept:
    """The partial block was good: send the next."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """The block was bad: send it again."""


@dataclass(frozen=True, slots=True)
class SignOff:
    """B0."""


Action = Request | Select | Password | Command | Accept | Repeat | SignOff


# --- events


@dataclass(frozen=True, slots=True)
class Identification:
    """`maker` is the FLAG id as sent; `escapes` the characters after each backslash; `text` the rest.

    `fast`: a lower-case third letter, the meter may answer within 20 ms.
    """

    maker: str
    baud: str
    escapes: str
    text: str

    @property
    def fast(self) -> bool:
        return self.maker[2].islower()

    @property
    def mode(self) -> Mode:
        if self.baud in "0123456":
            return Mode.C
        return Mode.B if self.baud in "ABCDEF" else Mode.A

    def __str__(self) -> str:
        return f"/{self.maker}{self.baud}" + "".join(f"\\{escape}" for escape in self.escapes) + self.text


@dataclass(frozen=True, slots=True)
class Operand:
    """P0: the meter is in programming mode; `text` is its seed, serial number or a constant."""

    text: str


@dataclass(frozen=True, slots=True)
class DataMessage:
    """A readout, an answer, or the last of its blocks."""

    text: str


@dataclass(frozen=True, slots=True)
class PartialBlock:
    """More follows when this one is accepted."""

    text: str


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """The meter says no; `text` without the parentheses, e.g. `ERR5`."""

    text: str


@dataclass(frozen=True, slots=True)
class Ack:
    """The meter has done it."""


@dataclass(frozen=True, slots=True)
class Nak:
    """The meter will not, or did not understand."""


@dataclass(frozen=True, slots=True)
class Break:
    """B0 from the meter: it has signed off."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """A whole message whose check character is wrong; its content is not to be used."""


@dataclass(frozen=True, slots=True)
class Truncated:
    """A message that another one, or silence, cut short: it has no check. `text` is what came of its content."""

    text: str


Event = Identification | Operand | DataMessage | PartialBlock | ErrorMessage | Ack | Nak | Break | Damaged | Truncated
