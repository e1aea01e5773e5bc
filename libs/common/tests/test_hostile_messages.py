"""Bodies that nobody sane would send: whatever arrives is read or refused, and kills no consumer."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import tracemalloc
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mts_common import messages, operator_messages, topology
from mts_common.amqp import MAX_BODY_BYTES, unpack
from mts_common.broker import Broker
from mts_common.messages import MalformedMessage, Message, RunWindow, TestCancelled, TestRequested, decode, encode
from mts_common.telemetry import JsonFormatter

GOLDEN = {path.stem: json.loads(path.read_text("utf-8")) for path in (Path(__file__).parent / "golden").glob("*.json")}
KINDS: dict[str, type[Message]] = {
    kind.kind: kind
    for kind in (*vars(messages).values(), *vars(operator_messages).values())
    if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message
}

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["NaN", "-Infinity", "1E999999999", "9" * 5000, "Europe", "Nowhere/Land", "../../etc/passwd"])
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def arrived(body: bytes, encoding: str | None = "gzip") -> AbstractIncomingMessage:
    return cast(AbstractIncomingMessage, SimpleNamespace(body=body, content_encoding=encoding))


def places(value: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every value inside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, each in inside for place in places(each, (*at, key)))]


def put(value: Any, at: tuple[Any, ...], other: object) -> Any:
    """The value with another in that place."""
    if not at:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = put(value[at[0]], at[1:], other)
    return copy


def test_there_is_an_example_of_every_kind() -> None:
    assert GOLDEN.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", sorted(GOLDEN))
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_another_value_in_any_place_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    at = data.draw(st.sampled_from(places(GOLDEN[kind])))
    body = json.dumps(put(GOLDEN[kind], at, data.draw(_JSON))).encode("utf-8", "replace")
    try:
        items = decode(KINDS[kind], body)
    except MalformedMessage:
        return
    assert decode(KINDS[kind], encode(items)) == items


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"v": 1, "items": ' + b"[" * 100_000,
        b'{"v": 1, "items": [{"test_id": ' + b"9" * 100_000 + b', "cancelled_at": "2026-01-01T00:00:00Z"}]}',
        b'{"v": 1, "items": [{"test_id": 1e308, "cancelled_at": "2026-01-01T00:00:00Z"}]}',
        b'{"v": 1, "items": [{"test_id": 1, "cancelled_at": 1e300}]}',
        b'{"v": 1, "items": [{"test_id": 1, "cancelled_at": "0000-00-00T99:99:99Z"}]}',
        b'{"v": 1, "items": {"0": null}}',
        b'\xef\xbb\xbf{"v": 1, "items": []}',
        b'{"v": 1, "items": ["\\ud800"]}',
        b'{"v": 1e0, "items": []} trailing',
    ],
)
def test_huge_numbers_and_depths_are_refused(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode(TestCancelled, body)


@pytest.mark.parametrize("zone", ["Nowhere/Land", "Europe", "../../etc/passwd", "", "a\0b", "x" * 5000, "zone.tab"])
def test_a_zone_that_there_is_not_is_malformed(zone: str) -> None:
    window = {"opens": "22:00", "closes": "06:00", "zone": zone}
    with pytest.raises(ValueError, match="not an IANA time zone"):
        RunWindow.model_validate(window)
    request = put(GOLDEN[TestRequested.kind], ("items", 0, "run_windows"), [window])
    with pytest.raises(MalformedMessage):
        decode(TestRequested, json.dumps(request).encode())


@pytest.mark.parametrize("kind", sorted(GOLDEN))
def test_what_a_malformed_body_held_is_not_repeated(kind: str) -> None:
    for at in places(GOLDEN[kind]):
        body = json.dumps(put(GOLDEN[kind], at, {"S3CR3T": "S3CR3T"})).encode()
        said = ""
        try:
            decode(KINDS[kind], body)
        except MalformedMessage as error:
            said = str(error)
        assert "S3CR3T" not in said, at


@given(st.binary(max_size=200), st.binary(max_size=200), st.integers(0, 60))
@example(b"", b"", 0)
@example(b"x" * 100, b"\xff", 12)
@settings(deadline=None)
def test_any_bytes_that_say_they_are_gzip_are_unpacked_or_refused(body: bytes, garbage: bytes, place: int) -> None:
    packed = gzip.compress(body)
    for spoilt in (garbage, packed[:place], packed[:place] + garbage + packed[place:], packed + garbage):
        with suppress(MalformedMessage):
            unpack(arrived(spoilt))
    assert unpack(arrived(packed)) == body
    assert unpack(arrived(packed, None)) == packed


def test_a_decompression_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = gzip.compress(gzip.compress(b"\0" * MAX_BODY_BYTES) + b"\0" * (8 * MAX_BODY_BYTES), compresslevel=1)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedMessage, match="unpacked"):
            unpack(arrived(bomb))
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_BODY_BYTES
    finally:
        tracemalloc.stop()


HOSTILE = {
    "no gzip": aio_pika.Message(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff", content_encoding="gzip"),
    "gzip cut short": aio_pika.Message(gzip.compress(b"x" * 1000)[:15], content_encoding="gzip"),
    "another encoding": aio_pika.Message(b"\x00", content_encoding="br"),
    "a zone that there is not": aio_pika.Message(b'{"v":1,"items":[{"zone":"Nowhere"}]}'),
    "depth": aio_pika.Message(b"[" * 50_000),
    "nothing": aio_pika.Message(b""),
    "headers of every type": aio_pika.Message(b"{}", headers={"x-delivery-count": "many", "n": [1, {"a": None}]}),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_message_is_put_aside_and_its_neighbour_handled(name: str, amqp_url: str) -> None:
    seen = asyncio.Event()

    async def handle(items: list[TestCancelled]) -> None:
        seen.set()

    async with Broker(amqp_url, "test") as broker, await aio_pika.connect(amqp_url) as connection:
        await broker.check()
        channel = await connection.channel()
        message = HOSTILE[name]
        message.type = TestCancelled.kind
        await channel.default_exchange.publish(message, topology.RESULTS_OUTCOMES.name)
        consuming = asyncio.ensure_future(broker.consume(topology.RESULTS_OUTCOMES, handle))
        try:
            neighbour = json.dumps(GOLDEN[TestCancelled.kind]).encode()
            await channel.default_exchange.publish(
                aio_pika.Message(neighbour, type=TestCancelled.kind), topology.RESULTS_OUTCOMES.name
            )
            async with asyncio.timeout(20):
                await seen.wait()
            assert not consuming.done()
            dead = await channel.get_queue(topology.RESULTS_OUTCOMES.dead)
            async with asyncio.timeout(20):
                while (letter := await dead.get(no_ack=True, fail=False)) is None:
                    await asyncio.sleep(0.05)
            assert letter.type == message.type
            assert await dead.get(fail=False) is None
        finally:
            consuming.cancel()
            with suppress(asyncio.CancelledError):
                await consuming


@given(st.text() | st.sampled_from(["a\nb", "\x1b[2J", "\x7f", "\x9b31m", "\u202e", "\u2028", "\ud800", "\r\n{}"]))
@settings(deadline=None)
def test_a_log_line_is_one_line_of_printable_ascii_whatever_was_said(text: str) -> None:
    error = ValueError(text)
    record = logging.LogRecord(text, logging.ERROR, "", 1, "%s", (text,), (ValueError, error, None))
    record.test_id = text
    line = JsonFormatter("service").format(record)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["message"] == text
