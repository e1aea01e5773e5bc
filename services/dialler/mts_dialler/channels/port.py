"""A serial port of ours, wherever it is plugged in: what a modem, or a meter itself, is wired to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from mts_dialler.protocols.parity import CharacterFormat

_FRAMING = re.compile(r"([78])([NEOMS])([12])")

_CARRIED: dict[str, CharacterFormat] = {
    "E": CharacterFormat.SEVEN_EVEN,
    "O": CharacterFormat.SEVEN_ODD,
    "M": CharacterFormat.SEVEN_MARK,
    "N": CharacterFormat.SEVEN_MARK,  # the bit in the place of a parity bit is the first of two stop bits
    "S": CharacterFormat.SEVEN_SPACE,
}


@dataclass(frozen=True, slots=True)
class Framing:
    """How a character is sent: data bits, parity (N, E, O, M, S), stop bits. `str` gives the form `7E1`."""

    data_bits: int = 8
    parity: str = "N"
    stop_bits: int = 1

    @classmethod
    def parse(cls, text: str) -> Framing:
        """From `7E1`. Raises ValueError."""
        found = _FRAMING.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no framing such as 7E1")
        return cls(int(found[1]), found[2], int(found[3]))

    def __str__(self) -> str:
        return f"{self.data_bits}{self.parity}{self.stop_bits}"

    def in_software(self) -> CharacterFormat | None:
        """How an 8N1 line carries such characters (modems.md, section 4); None: it cannot."""
        if self.data_bits == 8:
            return CharacterFormat.EIGHT_NONE if self.parity == "N" else None
        return _CARRIED[self.parity]


EIGHT_NONE_ONE = Framing()


class Port(Protocol):
    """An open serial port. One reader and one writer at a time; it is locked for this process as long as it is open."""

    @property
    def carrier(self) -> bool | None:
        """Is DCD on? None where the port cannot tell."""
        ...

    async def read(self, max_bytes: int, seconds: float) -> bytes:
        """As `Channel.read`; `LineDropped` means that the port itself has gone."""
        ...

    async def write(self, data: bytes, seconds: float) -> None:
        """As `Channel.write`."""
        ...

    async def drop_dtr(self, seconds: float) -> bool:
        """DTR off for so long, then on again; False: there is no DTR. Raises `LineDropped`."""
        ...

    async def set_format(self, baud: int, framing: Framing) -> None:
        """Once all that was written has been sent; ignored where the port is fixed. Raises `LineDropped`."""
        ...

    async def close(self) -> None:
        """As `Channel.close`."""
        ...
