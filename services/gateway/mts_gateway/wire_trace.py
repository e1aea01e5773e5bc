"""The wire traces of a test's attempts, unpacked for showing. Format: results_v1.wire_trace, gzip of JSON lines."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from mts_gateway.render import Row, show_time

MAX_BYTES = 32 * 1024**2  # of unpacked trace in one answer

_OUTCOMES = {"success": "SUCCESS", "partial": "PARTIAL SUCCESS"}


def show_trace(
    test_id: int, rows: Sequence[Row], traceparent: str | None = None, most: int = MAX_BYTES
) -> dict[str, object]:
    """The answer to test-trace, which names the trace of the request (`traceparent`, W3C) if there is one.

    `rows` are of the statement `trace`; `most` bytes are unpacked of all of them.
    """
    attempts = []
    for row in rows:
        text, whole = _unpack(row["frames"] or b"", most)
        most -= len(text)
        attempts.append(_show_attempt(row, text, whole))
    named = {} if traceparent is None else {"traceId": traceparent.split("-")[1]}
    return {"testId": test_id, **named, "attempts": attempts}


def _show_attempt(row: Row, text: bytes, whole: bool) -> dict[str, object]:
    return {
        "attempt": row["attempt"],
        "startTime": show_time(row["started_at"]),
        "endTime": show_time(row["ended_at"]),
        "result": _OUTCOMES.get(row["outcome"]) or f"ERROR: {row['detail']}",
        "frames": list(_frames(text, whole)),
    }


def _frames(text: bytes, whole: bool) -> Iterator[dict[str, str]]:
    """Frames in their order; a trace that is broken off ends with a note that says so."""
    lines = text.split(b"\n")
    broken_off = lines.pop()
    for line in [*lines, broken_off] if whole and broken_off else lines:
        frame = json.loads(line)
        yield {
            "time": _show_instant(frame["at"]),
            "direction": frame["dir"],
            "hex": frame["hex"],
            "note": frame["note"],
        }
    if not whole:
        yield {"time": "", "direction": "--", "hex": "", "note": "the rest of the trace cannot be shown"}


def _unpack(packed: bytes, most: int) -> tuple[bytes, bool]:
    """Up to `most` bytes of the trace, and whether that is all of it."""
    if not packed:
        return b"", True
    if most <= 0:
        return b"", False
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        return unpacker.decompress(packed, most), unpacker.eof
    except zlib.error:
        return b"", False


def _show_instant(text: str) -> str:
    """A frame's time to the millisecond: frames of one second must stay in order."""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
