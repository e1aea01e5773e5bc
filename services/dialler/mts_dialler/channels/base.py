"""The interface of a connected line."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from mts_common.messages import NameValue, Transport
from mts_dialler.protocols.parity import CharacterFormat


class Channel(Protocol):
    """Bytes to and from the far end. One reader and one writer at a time."""

    @property
    def transport(self) -> Transport: ...

    async def read(self, max_bytes: int, seconds: float) -> bytes:
        """1 to `max_bytes` bytes, as soon as there are any.

        Raises `MeterSilent` if none came within `seconds`, `LineDropped` if none can come any more.
        """
        ...

    async def write(self, data: bytes, seconds: float) -> None:
        """Hands all of `data` over to the line.

        Raises `LineDropped`, also if the line does not take it within `seconds`.
        """
        ...

    async def close(self) -> None:
        """Hangs up; returns soon and raises nothing, whatever the line's state; may be repeated."""
        ...


@runtime_checkable
class OwnChannel(Channel, Protocol):
    """A channel over a line that this dialler has to itself, and so knows more of.

    Where the line's own port goes away in a call, `LineFault` is raised in place of `LineDropped`.
    """

    @property
    def facts(self) -> tuple[NameValue, ...]:
        """What the line is like in this call, to stand among the meter's properties: signal strength."""
        ...

    @property
    def character_format(self) -> CharacterFormat | None:
        """How characters must travel in octets for this call; None: as is usual for the meter type."""
        ...

    async def set_speed(self, baud: int | None) -> None:
        """From the next byte on, once all that was written has been sent; None = the speed for a sign-on.

        Does nothing where the speed is fixed, as it is behind every modem. Raises `LineDropped`.
        """
        ...
