"""Two-wire adapters send back what they are given (iec62056-21.md, section 1)."""

from __future__ import annotations


class EchoCanceller:
    """Finds out by itself whether the line echoes, and takes echoes out.

    No meter answers a message with that same message, so the first message sent tells: if it comes back, the line
    echoes, and each later message is expected back as well.
    """

    def __init__(self) -> None:
        self._expected = b""
        self._matched = 0
        self._echoes: bool | None = None

    def sent(self, data: bytes) -> None:
        self._expected = b"" if self._echoes is False else data
        self._matched = 0

    def received(self, data: bytes) -> bytes:
        """`data` without the echo. A beginning of an echo is held back until it is clear what it is."""
        if not self._expected:
            return data
        wanted = self._expected[self._matched :]
        head = data[: len(wanted)]
        if not wanted.startswith(head):
            held = self._expected[: self._matched]
            self._expected = b""
            if self._echoes is None:
                self._echoes = False
            return held + data
        self._matched += len(head)
        if self._matched < len(self._expected):
            return b""
        self._expected = b""
        self._echoes = True
        return data[len(head) :]
