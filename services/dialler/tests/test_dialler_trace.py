"""The wire trace, and that no secret stands in it."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_dialler.trace import Secrets, Trace

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PASSWORD = b"00000001"


def even_parity(data: bytes) -> bytes:
    return bytes(octet | (octet.bit_count() % 2) << 7 for octet in data)


def shown(trace: Trace) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(trace.render()).splitlines()]


def secret_trace(max_bytes: int = 10_000) -> Trace:
    secrets = Secrets()
    secrets.add(PASSWORD)
    return Trace(secrets, max_bytes)


def test_frames_are_shown_with_time_direction_bytes_and_meaning() -> None:
    trace = Trace(Secrets())
    trace.event(AT, "connected")
    trace.sent(AT, b"/?!\r\n", "sign-on")
    trace.received(AT, b"/GEC")
    trace.note(AT, "identification")
    assert shown(trace) == [
        {"at": "2026-03-02T12:00:00.000+00:00", "dir": "--", "hex": "", "note": "connected"},
        {"at": "2026-03-02T12:00:00.000+00:00", "dir": "tx", "hex": "2f3f210d0a", "note": "sign-on"},
        {"at": "2026-03-02T12:00:00.000+00:00", "dir": "rx", "hex": "2f474543", "note": "identification"},
    ]


def test_chunks_received_make_one_frame_until_the_next_send_or_note() -> None:
    trace = Trace(Secrets())
    trace.received(AT, b"a")
    trace.received(AT, b"b")
    trace.sent(AT, b"c")
    trace.received(AT, b"d")
    trace.note(AT, "first")
    trace.received(AT, b"e")
    assert [(frame["dir"], frame["hex"]) for frame in shown(trace)] == [
        ("rx", "6162"),
        ("tx", "63"),
        ("rx", "64"),
        ("rx", "65"),
    ]


def test_a_second_note_stands_by_itself() -> None:
    trace = Trace(Secrets())
    trace.sent(AT, b"c", "sign-on")
    trace.note(AT, "repeated")
    assert [frame["note"] for frame in shown(trace)] == ["sign-on", "repeated"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x01P1\x02(00000001)\x03",
        even_parity(b"\x01P1\x02(00000001)\x03"),
        bytes(octet | 0x80 for octet in b"(00000001)"),
    ],
)
def test_a_secret_is_struck_out_with_its_length_and_its_check_characters_whatever_its_parity(data: bytes) -> None:
    trace = secret_trace()
    trace.sent(AT, data)
    trace.received(AT, data)
    before = bytes(octet & 0x7F for octet in data).index(PASSWORD)
    for frame in shown(trace):
        assert frame["hex"] == data[:before].hex() + "**"


def test_a_secret_that_is_split_over_frames_is_struck_out() -> None:
    trace = secret_trace()
    trace.received(AT, b"(0000")
    trace.sent(AT, b"xyz")
    trace.received(AT, b"0001)")
    assert [frame["hex"] for frame in shown(trace)] == ["28**", "78797a", "**"]


def test_a_secret_named_after_it_passed_is_struck_out() -> None:
    secrets = Secrets()
    trace = Trace(secrets)
    trace.sent(AT, b"(ABCDEFGH)")
    secrets.add(b"ABCDEFGH")
    assert shown(trace)[0]["hex"] == "28**"


def test_a_note_with_characters_that_cannot_be_stored_is_shown_without_them() -> None:
    trace = Trace(Secrets())
    trace.sent(AT, b"", "meter said \x00\ud800\n")
    assert shown(trace)[0]["note"] == "meter said \ufffd\ufffd\ufffd"


def test_a_secret_is_struck_out_of_notes_and_events_as_text_and_as_digits() -> None:
    trace = secret_trace()
    trace.sent(AT, b"", "P1 (00000001)")
    trace.event(AT, "meter said 3030303030303031")
    assert [frame["note"] for frame in shown(trace)] == ["P1 (**)", "meter said **"]


def test_an_empty_secret_hides_nothing() -> None:
    secrets = Secrets()
    secrets.add(b"")
    assert secrets.strike_hex(b"abc") == "616263"
    assert secrets.strike_text("abc") == "abc"


def test_secrets_do_not_show_themselves() -> None:
    secrets = Secrets()
    secrets.add(PASSWORD)
    assert "0000" not in repr(secrets)


def test_a_long_trace_is_cut_and_says_so_and_still_tells_the_end() -> None:
    trace = secret_trace(max_bytes=1000)
    for _ in range(100):
        trace.sent(AT, bytes(50))
        trace.received(AT, bytes(50))
    trace.event(AT, "hung up")
    frames = shown(trace)
    assert sum(len(frame["hex"]) // 2 for frame in frames) <= 1000
    assert [frame["note"] for frame in frames if frame["note"]] == ["trace truncated", "hung up"]


def test_one_long_answer_is_cut_at_the_cap() -> None:
    trace = secret_trace(max_bytes=1000)
    for _ in range(100):
        trace.received(AT, bytes(100))
    frames = shown(trace)
    assert 900 < len(frames[0]["hex"]) // 2 <= 1000
    assert frames[1]["note"] == "trace truncated"
    assert len(frames) == 2


def test_events_and_notes_alone_cannot_fill_the_memory() -> None:
    trace = Trace(Secrets(), max_bytes=1000)
    for _ in range(1000):
        trace.event(AT, "x" * 50)
        trace.note(AT, "y" * 50)
    assert len(shown(trace)) < 100


@given(
    st.lists(st.tuples(st.booleans(), st.binary(max_size=20)), max_size=30),
    st.binary(min_size=1, max_size=6),
    st.integers(min_value=0, max_value=2000),
)
def test_every_frame_keeps_its_length_and_no_secret_is_left(
    frames: list[tuple[bool, bytes]], secret: bytes, max_bytes: int
) -> None:
    secrets = Secrets()
    secrets.add(secret)
    trace = Trace(secrets, max_bytes)
    for is_sent, data in frames:
        (trace.sent if is_sent else trace.received)(AT, data)
    for direction in ("tx", "rx"):
        digits = "".join(frame["hex"] for frame in shown(trace) if frame["dir"] == direction)
        runs = [bytes.fromhex(run) for run in digits.split("**")]
        assert not any(secret in run for run in runs)
