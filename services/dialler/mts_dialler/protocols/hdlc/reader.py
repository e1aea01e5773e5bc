"""Frames out of a stream of octets that may hold noise before, between and inside them."""

from __future__ import annotations

from dataclasses import dataclass

from mts_dialler.protocols.errors import RemoteProtocolError
from mts_dialler.protocols.hdlc.frame import FLAG, Frame, decode

_SHORTEST = 7  # format, two addresses of one octet, control, check sequence


@dataclass(frozen=True, slots=True)
class Garbled:
    """Octets that looked like a frame and were none; they are gone."""

    why: str


class FrameReader:
    """Keeps at most one frame's octets beside what was fed last."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        self._data += data

    def clear(self) -> None:
        self._data.clear()

    def next(self) -> Frame | Garbled | None:
        """The next whole frame, or what stood in its place; None while more octets are needed."""
        self._skip_to_flag()
        if len(self._data) < 3:
            return None
        length = (self._data[1] & 0x07) << 8 | self._data[2]
        if self._data[1] & 0xF0 != 0xA0 or length < _SHORTEST:
            del self._data[0]
            return Garbled("not the beginning of a frame")
        if len(self._data) < length + 2:
            return None
        octets, closing = bytes(self._data[1 : length + 1]), self._data[length + 1]
        if closing != FLAG:
            del self._data[0]
            return Garbled("a frame of another length than it says")
        del self._data[: length + 1]  # the closing flag may open the next frame
        try:
            return decode(octets)
        except RemoteProtocolError as error:
            return Garbled(str(error))

    def _skip_to_flag(self) -> None:
        start = self._data.find(FLAG)
        if start < 0:
            self._data.clear()
            return
        while start + 1 < len(self._data) and self._data[start + 1] == FLAG:
            start += 1
        del self._data[:start]
