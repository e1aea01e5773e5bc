"""The wire trace of one attempt: each frame with its direction and time, secrets struck out.

Rendered as gzip of JSON lines `{"at": ISO time, "dir": "tx" | "rx" | "--", "hex": "…", "note": "…"}`: what we sent,
what we received, and events of the call (without bytes). A frame that holds a secret ends with it, as `**`.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mts_dialler.text import printable

MAX_TRACE_BYTES = 256 * 1024
_FRAME_COST = 64  # a rendered line's time, direction and punctuation
_EVENT_RESERVE = 4096  # events are still told when the frames have used up the trace

_SEVEN_BITS = bytes(octet & 0x7F for octet in range(256))


class Direction(StrEnum):
    SENT = "tx"
    RECEIVED = "rx"
    EVENT = "--"


@dataclass(slots=True)
class _Frame:
    at: datetime
    direction: Direction
    data: bytearray = field(default_factory=bytearray)
    note: str = ""


class Secrets:
    """Byte strings that must not be seen. Found with any parity bit, and in texts also as hexadecimal digits."""

    def __init__(self) -> None:
        self._secrets: set[bytes] = set()

    def __repr__(self) -> str:
        return f"Secrets({len(self._secrets)})"

    def add(self, secret: bytes) -> None:
        if secret:
            self._secrets.add(secret)

    def strike_hex(self, data: bytes) -> str:
        """`data` in hexadecimal digits, each byte of a secret as `**`."""
        digits = bytearray(data.hex(), "ascii")
        plain = data.translate(_SEVEN_BITS)
        for secret in self._secrets:
            wanted = secret.translate(_SEVEN_BITS)
            found = plain.find(wanted)
            while found >= 0:
                digits[2 * found : 2 * (found + len(wanted))] = b"**" * len(wanted)
                found = plain.find(wanted, found + 1)
        return digits.decode("ascii")

    def strike_text(self, text: str) -> str:
        """`text` with each secret as `**`."""
        forms = {form for secret in self._secrets for form in _text_forms(secret)}
        for form in sorted(forms, key=len, reverse=True):
            text = text.replace(form, "**")
        return text


def _cut(digits: str) -> str:
    """A frame up to its first secret: the length of the rest, and the check characters at its end, would tell of it."""
    plain, mark, _ = digits.partition("**")
    return plain + mark


def _text_forms(secret: bytes) -> tuple[str, ...]:
    digits = secret.hex()
    return secret.decode("utf-8", "replace"), secret.decode("latin-1"), digits, digits.upper()


class Trace:
    """Collects the frames of one attempt, up to `max_bytes`; what comes after is left out, and said so."""

    def __init__(self, secrets: Secrets, max_bytes: int = MAX_TRACE_BYTES) -> None:
        self._secrets = secrets
        self._room = max_bytes
        self._frames: list[_Frame] = []
        self._open = False  # may the last frame still grow?
        self._truncated = False

    def sent(self, at: datetime, data: bytes, note: str = "") -> None:
        self._add(at, Direction.SENT, data, note)
        self._open = False

    def received(self, at: datetime, data: bytes) -> None:
        """Chunks that follow each other without a `sent` or a `note` between them make one frame."""
        if self._open and not self._truncated:
            taken = data[: max(self._room, 0)]
            self._frames[-1].data += taken
            self._room -= len(taken)
            if len(taken) < len(data):
                self._truncate(at)
            return
        self._add(at, Direction.RECEIVED, data, "")
        self._open = True

    def note(self, at: datetime, text: str) -> None:
        """What the last frame means; ends that frame."""
        self._open = False
        if self._truncated:
            return
        if self._frames and not self._frames[-1].note and self._frames[-1].direction is not Direction.EVENT:
            self._frames[-1].note = text
            self._room -= len(text)
        else:
            self._add(at, Direction.EVENT, b"", text)

    def event(self, at: datetime, text: str) -> None:
        """Something that happened to the call, without bytes."""
        self._open = False
        if self._room > -_EVENT_RESERVE:
            self._frames.append(_Frame(at, Direction.EVENT, note=text))
            self._room -= _FRAME_COST + len(text)

    def _add(self, at: datetime, direction: Direction, data: bytes, note: str) -> None:
        if self._truncated:
            return
        self._room -= _FRAME_COST + len(note)
        if self._room < len(data):
            self._truncate(at)
            return
        self._frames.append(_Frame(at, direction, bytearray(data), note))
        self._room -= len(data)

    def _truncate(self, at: datetime) -> None:
        self._truncated = True
        self._open = False
        self._frames.append(_Frame(at, Direction.EVENT, note="trace truncated"))
        self._room = min(self._room, 0)

    def render(self) -> bytes:
        """The trace as it is stored. Secrets are looked for across the frames of each direction."""
        digits = {
            direction: self._secrets.strike_hex(
                b"".join(frame.data for frame in self._frames if frame.direction is direction)
            )
            for direction in (Direction.SENT, Direction.RECEIVED)
        }
        taken = dict.fromkeys(digits, 0)
        lines: list[str] = []
        for frame in self._frames:
            shown = ""
            if frame.direction in digits:
                start = taken[frame.direction]
                taken[frame.direction] = end = start + 2 * len(frame.data)
                shown = _cut(digits[frame.direction][start:end])
            lines.append(
                json.dumps(
                    {
                        "at": frame.at.isoformat(timespec="milliseconds"),
                        "dir": frame.direction.value,
                        "hex": shown,
                        "note": printable(self._secrets.strike_text(frame.note)),
                    },
                    ensure_ascii=False,
                )
            )
        return gzip.compress("\n".join(lines).encode(), mtime=0)
