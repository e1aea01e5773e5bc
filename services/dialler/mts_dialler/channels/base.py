"""The interface of a connected line."""

from __future__ import annotations

from typing import Protocol

from mts_common.messages import Transport


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
