"""Bytes received and not yet understood."""

from __future__ import annotations

import re

from mts_dialler.protocols.errors import RemoteProtocolError


class ReceiveBuffer:
    """Hands out what is complete, never looks at a byte twice, and caps what may stay incomplete.

    `cap` bounds the bytes that may wait for the rest of one message; see `require_room`.
    """

    def __init__(self, cap: int) -> None:
        self._data = bytearray()
        self._cap = cap
        self._searched = 0  # `find` of one pattern has seen the bytes before this

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> int:
        return self._data[index]

    def append(self, data: bytes) -> None:
        self._data += data

    def find(self, pattern: re.Pattern[bytes], start: int) -> int | None:
        """Index of the first match of the one-byte `pattern` at `start` or later. Search on with the same pattern."""
        found = pattern.search(self._data, max(start, self._searched))
        if found is None:
            self._searched = len(self._data)
            return None
        self._searched = found.start()
        return found.start()

    def take(self, count: int) -> bytes | None:
        """The first `count` bytes, or None while there are fewer."""
        if len(self._data) < count:
            return None
        taken = bytes(self._data[:count])
        del self._data[:count]
        self._searched = 0
        return taken

    def peek(self, count: int) -> bytes | None:
        """As `take`, but they stay."""
        return bytes(self._data[:count]) if len(self._data) >= count else None

    def require_room(self) -> None:
        """To be called when a message is incomplete: past the cap, drops all and raises `RemoteProtocolError`."""
        if len(self._data) > self._cap:
            self.clear()
            raise RemoteProtocolError(f"a message is longer than {self._cap} bytes")

    def clear(self) -> bytes:
        """Empties the buffer; what was in it."""
        dropped = bytes(self._data)
        self._data.clear()
        self._searched = 0
        return dropped
