"""A line as a test sees it: deadlines, budget, trace."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from mts_common.messages import Transport
from mts_dialler.errors import CallTooLong, LineDropped, MeterSilent
from mts_dialler.line import Line, LineLimits
from mts_dialler.protocols.parity import CharacterFormat
from mts_dialler.testing import ManualClock, OwnScriptedChannel, ScriptedChannel


def line_to(
    *script: bytes | Exception, limits: LineLimits | None = None, clock: ManualClock | None = None
) -> tuple[Line, ScriptedChannel]:
    channel = ScriptedChannel(script)
    return Line(channel, limits, clock or ManualClock()), channel


class SlowChannel(ScriptedChannel):
    """Each read takes `seconds` of the clock, then is silent or gives a byte."""

    def __init__(self, clock: ManualClock, seconds: float, answer: Callable[[], bytes]) -> None:
        super().__init__()
        self._clock = clock
        self._seconds = seconds
        self._answer = answer

    async def read(self, max_bytes: int, seconds: float) -> bytes:
        taken = min(seconds, self._seconds)
        self._clock.advance(taken)
        if taken < self._seconds:
            raise MeterSilent(f"the meter sent nothing for {seconds:g} s")
        return self._answer()


async def test_the_line_s_delay_is_half_of_the_last_round_trip() -> None:
    clock = ManualClock()
    line = Line(SlowChannel(clock, 2.0, lambda: b"x"), clock=clock)
    assert line.delay == timedelta()
    await line.send(b"/?!\r\n")
    await line.receive(5.0)
    await line.receive(5.0)  # of the same answer
    assert line.delay == timedelta(seconds=1)


async def test_what_is_sent_and_received_is_traced() -> None:
    line, channel = line_to(b"/GEC", b"5\r\n")
    await line.send(b"/?!\r\n", "sign-on")
    assert await line.receive(1.0) == b"/GEC"
    assert await line.receive(1.0) == b"5\r\n"
    line.note("identification")
    assert channel.sent == [b"/?!\r\n"]
    frames = [json.loads(each) for each in gzip.decompress(line.trace.render()).splitlines()]
    assert [(frame["dir"], frame["hex"], frame["note"]) for frame in frames] == [
        ("tx", b"/?!\r\n".hex(), "sign-on"),
        ("rx", b"/GEC5\r\n".hex(), "identification"),
    ]


async def test_a_hidden_secret_is_struck_out() -> None:
    line, _ = line_to()
    await line.send(b"(SECRET)")
    line.hide(b"SECRET")
    assert b"534543524554" not in gzip.decompress(line.trace.render())


async def test_an_answer_is_taken_in_chunks_of_4096() -> None:
    line, _ = line_to(bytes(5000))
    assert [len(await line.receive(1.0)), len(await line.receive(1.0))] == [4096, 904]


async def test_silence_and_the_lines_end_are_passed_on() -> None:
    line, _ = line_to(MeterSilent("the meter sent nothing for 1 s"), LineDropped("gone"))
    with pytest.raises(MeterSilent):
        await line.receive(1.0)
    with pytest.raises(LineDropped):
        await line.receive(1.0)


async def test_a_meter_that_trickles_is_ended_by_the_tests_time() -> None:
    clock = ManualClock()
    line = Line(SlowChannel(clock, 1.0, lambda: b"x"), LineLimits(test_seconds=30.5), clock)
    with pytest.raises(CallTooLong, match=r"30\.5 s"):
        for _ in range(100):
            await line.receive(10.0)
    assert clock.monotonic() == 30.5


async def test_silence_that_the_tests_time_cut_short_is_too_long() -> None:
    clock = ManualClock()
    line = Line(SlowChannel(clock, 60.0, lambda: b"x"), LineLimits(test_seconds=5.0), clock)
    with pytest.raises(CallTooLong):
        await line.receive(10.0)


async def test_an_endless_answer_is_ended_by_the_tests_bytes() -> None:
    line, channel = line_to(*[bytes(100)] * 100, limits=LineLimits(test_bytes=1000))
    with pytest.raises(CallTooLong, match="1000 bytes"):
        while True:
            await line.receive(1.0)
    assert len(channel.waits) == 11


async def test_sent_bytes_count_too() -> None:
    line, channel = line_to(limits=LineLimits(test_bytes=10))
    await line.send(bytes(10))
    with pytest.raises(CallTooLong):
        await line.send(b"x")
    assert channel.sent == [bytes(10)]


async def test_the_sign_off_has_a_small_budget_of_its_own() -> None:
    clock = ManualClock()
    limits = LineLimits(test_seconds=30.0, sign_off_seconds=2.0, sign_off_bytes=10)
    line, channel = line_to(b"x", limits=limits, clock=clock)
    clock.advance(31.0)
    with pytest.raises(CallTooLong):
        await line.send(b"data")
    line.begin_sign_off()
    await line.send(b"B0")
    assert channel.sent == [b"B0"]
    await line.receive(10.0)
    assert channel.waits == [2.0]
    with pytest.raises(CallTooLong):
        await line.send(bytes(8))
    clock.advance(2.0)
    line.begin_sign_off()
    with pytest.raises(CallTooLong):
        await line.send(b"B0")


async def test_settling_drops_what_still_comes_until_it_is_quiet() -> None:
    line, channel = line_to(b"old", b"answer", MeterSilent("quiet"), b"new")
    await line.settle()
    assert set(channel.waits) == {line.limits.settle_seconds}
    assert await line.receive(1.0) == b"new"


async def test_settling_on_a_line_that_never_stops_ends() -> None:
    line, _ = line_to(*[bytes(100)] * 100, limits=LineLimits(test_bytes=1000))
    with pytest.raises(CallTooLong):
        await line.settle()


async def test_a_line_knows_how_it_is_reached_and_what_time_it_is() -> None:
    clock = ManualClock()
    line, _ = line_to(clock=clock)
    before = line.monotonic()
    clock.advance(5.0)
    assert line.transport is Transport.TCP
    assert line.now() == clock.now()
    assert line.monotonic() - before == 5.0


async def test_characters_travel_as_the_call_has_it_else_as_is_usual() -> None:
    channel = OwnScriptedChannel()
    line = Line(channel, None, ManualClock())
    assert line.characters(CharacterFormat.SEVEN_EVEN).encode(b"1A") == b"\xb1A"
    channel.character_format = CharacterFormat.SEVEN_ODD
    assert line.characters(CharacterFormat.SEVEN_EVEN).encode(b"1A") == b"1\xc1"
    over_tcp, _ = line_to()
    assert over_tcp.characters(CharacterFormat.EIGHT_NONE).encode(b"1A") == b"1A"


async def test_only_a_line_of_ours_changes_its_speed() -> None:
    channel = OwnScriptedChannel()
    await Line(channel, None, ManualClock()).set_speed(9600)
    await Line(channel, None, ManualClock()).set_speed(None)
    assert channel.speeds == [9600, None]
    over_tcp, _ = line_to()
    await over_tcp.set_speed(9600)
