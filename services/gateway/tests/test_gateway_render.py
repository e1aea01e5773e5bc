"""Rendering and unpacking without a server."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from mts_gateway.render import choose_dialect, show_time, to_json
from mts_gateway.wire_trace import show_trace

AT = datetime(2026, 11, 19, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("accepts", "dialect"),
    [
        ([], "grouped"),
        (["application/json; dialect=flat"], "flat"),
        (["APPLICATION/JSON;Dialect=FLAT"], "flat"),
        (['application/json; dialect="flat"'], "flat"),
        (["text/html, application/json; q=0.9; dialect=flat, */*"], "flat"),
        (["text/html", "application/json;dialect=flat"], "flat"),
        (["text/html; dialect=flat"], "grouped"),
        (["application/json; dialect=other"], "grouped"),
        (["application/json; dialect"], "grouped"),
        (["=;=,;;,"], "grouped"),
    ],
)
def test_the_accept_header_chooses_the_dialect(accepts: list[str], dialect: str) -> None:
    assert choose_dialect(accepts, "grouped") == dialect


def test_times_are_utc_to_the_second() -> None:
    assert show_time(datetime(2026, 7, 1, 0, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))) == (
        "2026-06-30T23:00:00Z"
    )
    assert show_time(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize("text", ["0.10", "12345678901234567890.123456789", "-0.000", "1E+3", "7"])
def test_a_decimal_keeps_its_digits(text: str) -> None:
    assert to_json({"value": Decimal(text)}) == b'{"value":' + text.encode() + b"}"


def trace(frames: bytes, most: int = 10_000) -> list[dict[str, str]]:
    row = {"attempt": 1, "started_at": AT, "ended_at": AT, "outcome": "partial", "detail": "", "frames": frames}
    shown = json.loads(to_json(show_trace(7, [row, row], most=most)))
    assert [attempt["result"] for attempt in shown["attempts"]] == ["PARTIAL SUCCESS"] * 2
    assert shown["testId"] == 7
    frames_of: list[dict[str, str]] = shown["attempts"][0]["frames"]
    return frames_of


def lines(count: int) -> bytes:
    line = {"at": "2026-11-19T23:00:01.5Z", "dir": "rx", "hex": "00" * 10, "note": ""}
    return b"".join(json.dumps(line | {"note": str(place)}).encode() + b"\n" for place in range(count))


def test_a_trace_is_shown_frame_by_frame() -> None:
    frames = trace(gzip.compress(lines(3)))
    assert [frame["note"] for frame in frames] == ["0", "1", "2"]
    assert frames[0]["time"] == "2026-11-19T23:00:01.500Z"
    assert len(trace(gzip.compress(lines(3).rstrip()))) == 3


def test_a_trace_names_the_trace_of_its_request() -> None:
    assert show_trace(7, [], f"00-{'a' * 32}-{'b' * 16}-01") == {"testId": 7, "traceId": "a" * 32, "attempts": []}
    assert show_trace(7, []) == {"testId": 7, "attempts": []}


@pytest.mark.parametrize(
    "packed", [gzip.compress(lines(1000)), gzip.compress(lines(50))[:-40], b"no gzip", b"\x1f\x8b"]
)
def test_a_trace_too_large_or_broken_ends_with_a_note(packed: bytes) -> None:
    assert trace(packed)[-1]["note"] == "the rest of the trace cannot be shown"


def test_the_bound_holds_over_all_attempts() -> None:
    row = {"attempt": 1, "started_at": AT, "ended_at": AT, "outcome": "error", "detail": "x", "frames": b""}
    rows = [row | {"frames": gzip.compress(lines(100))}] * 3
    shown = json.loads(to_json(show_trace(7, rows, most=len(lines(100)))))
    assert [len(attempt["frames"]) for attempt in shown["attempts"]] == [100, 1, 1]


def test_a_decompression_bomb_is_cut() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    assert len(trace(bomb)) == 1
