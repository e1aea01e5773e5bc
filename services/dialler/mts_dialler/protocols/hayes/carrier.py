"""NO CARRIER among a meter's bytes: the only sign of a dropped line where the modem's DCD is not wired.

A meter may send these letters too, so they count only as a line of their own with nothing after it; how long nothing
must come is the caller's to decide (modems.md, section 3.3).
"""

from __future__ import annotations

_SIGN = b"\r\nNO CARRIER\r\n"


class CarrierWatch:
    def __init__(self) -> None:
        self._tail = b""

    def received(self, data: bytes) -> None:
        self._tail = (self._tail + data[-len(_SIGN) :])[-len(_SIGN) :]

    @property
    def suspects(self) -> bool:
        """The last thing that came is the modem's line; if nothing follows it, the far end has gone."""
        return self._tail == _SIGN
