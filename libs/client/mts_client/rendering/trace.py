"""A wire trace as a hex dump: time, direction, bytes, their characters, and what they mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC

from rich.text import Text

from mts_client.models import TraceAttempt, TraceFrame, WireTrace
from mts_client.rendering.layout import time_text, visible

_BYTES_PER_LINE = 16
_STRUCK_OUT = "**"
_DIRECTION_STYLES = {"tx": "cyan", "rx": "green"}


def trace(wire_trace: WireTrace, link: str | None = None) -> Text:
    """All attempts of a test; times are UTC, struck-out bytes show as `**`.

    `link` is where the tracing system shows what else became of it.
    """
    text = Text.assemble((f"Test {wire_trace.test_id}\n", "bold"))
    if link is not None:
        text.append(f"{visible(link)}\n")
    if not wire_trace.attempts:
        text.append("no attempt yet\n")
    for attempt in wire_trace.attempts:
        text.append_text(_attempt(attempt))
    return text


def _attempt(attempt: TraceAttempt) -> Text:
    span = " to ".join(time_text(time) for time in (attempt.start_time, attempt.end_time) if time)
    heading = "  ".join(part for part in (f"Attempt {attempt.attempt}", span, visible(attempt.result)) if part)
    text = Text.assemble((f"\n{heading}\n", "bold"))
    for frame in attempt.frames:
        text.append("".join(_lines(frame)), style=_DIRECTION_STYLES.get(frame.direction, "dim"))
    return text


def _lines(frame: TraceFrame) -> Iterator[str]:
    """The first line carries time, direction and note; the rest of a long frame follows below its bytes."""
    moment = "" if frame.time is None else frame.time.astimezone(UTC).strftime("%H:%M:%S.%f")[:-3]
    lead = f"{moment:12}  {visible(frame.direction):2}  "
    note = visible(frame.note)
    if not frame.hex:
        yield f"{lead}{note}\n"
        return
    pairs = [frame.hex[at : at + 2] for at in range(0, len(frame.hex), 2)]
    characters = _characters(pairs)
    for at in range(0, len(pairs), _BYTES_PER_LINE):
        part = slice(at, at + _BYTES_PER_LINE)
        hex_text = visible(" ".join(pairs[part])).ljust(_BYTES_PER_LINE * 3 - 1)
        yield f"{lead}{hex_text}  {characters[part].ljust(_BYTES_PER_LINE)}  {note}".rstrip() + "\n"
        lead, note = " " * len(lead), ""


def _characters(pairs: Sequence[str]) -> str:
    """One character per byte: a dot for what does not print, a star for what is struck out.

    Where every byte has even parity and some have the eighth bit, the line runs 7E1 with the parity in software, and
    the characters are those of the low seven bits.
    """
    values = [_value(pair) for pair in pairs]
    known = [value for value in values if value is not None]
    parity = any(value & 0x80 for value in known) and all(value.bit_count() % 2 == 0 for value in known)
    return "".join("*" if value is None else _character(value & 0x7F if parity else value) for value in values)


def _value(pair: str) -> int | None:
    if pair == _STRUCK_OUT:
        return None
    try:
        return int(pair, 16)
    except ValueError:
        return 0


def _character(value: int) -> str:
    return chr(value) if 0x20 <= value < 0x7F else "."
