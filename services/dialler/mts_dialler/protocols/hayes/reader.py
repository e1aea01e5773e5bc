"""Bytes of a modem in command state as lines."""

from __future__ import annotations

import re

from mts_dialler.protocols.errors import RemoteProtocolError
from mts_dialler.protocols.receive_buffer import ReceiveBuffer

MAX_LINE = 512

_END = re.compile(rb"[\r\n]")
_LF = 0x0A


class LineReader:
    """A line ends at CR or LF, whatever S3, S4 and V are set to; empty ones are passed over, endless ones dropped."""

    def __init__(self) -> None:
        self._buffer = ReceiveBuffer(MAX_LINE)
        self._overlong = False

    def feed(self, data: bytes) -> None:
        self._buffer.append(data)

    def next(self) -> str | None:
        """The next line, blanks around it taken off; what is no ASCII stands as U+FFFD. None while it is incomplete."""
        while (end := self._buffer.find(_END, 0)) is not None:
            line = (self._buffer.take(end + 1) or b"").decode("ascii", "replace").strip()
            overlong, self._overlong = self._overlong, False
            if line and not overlong:
                return line
        try:
            self._buffer.require_room()
        except RemoteProtocolError:
            self._overlong = True
        return None

    def clear(self) -> bytes:
        """All bytes after the last line; they are no longer here."""
        self._overlong = False
        return self._buffer.clear()
