"""The IEC 62056-21 driver: passwords, and how it takes every fault of line and meter."""

from __future__ import annotations

import pytest

from mts_common.messages import FailureKind, Section, SectionState
from mts_dialler.errors import (
    BadCredentials,
    CallTooLong,
    DroppedAtPassword,
    FrameGarbled,
    LineDropped,
    MeterSilent,
    SilentAtPassword,
)
from mts_dialler.testing.answering import Reply
from mts_dialler.testing.iec_bench import PASSWORD, READOUT, Meter, Test, data_message, days, framed
from mts_dialler.testing.reading import all_read


async def test_a_password_is_given_once_before_the_first_command_and_is_struck_out_of_the_trace() -> None:
    meter = Meter(password=PASSWORD)
    test = await Test(meter, password=PASSWORD, survey=days(1)).run()
    assert all_read(test)
    assert meter.commands[0] == "P1"
    assert meter.passwords == 1
    assert PASSWORD.encode().hex() not in test.trace()
    assert PASSWORD not in test.trace()


async def test_without_a_password_none_is_given() -> None:
    meter = Meter()
    await Test(meter, survey=days(1)).run()
    assert meter.passwords == 0


@pytest.mark.parametrize("refusal", [b"\x15", framed(b"\x01B0\x03"), data_message("(ERROR02)")])
async def test_a_refused_password_is_never_repeated(refusal: bytes) -> None:
    meter = Meter(password="other", refusal=refusal)
    test = await Test(meter, password=PASSWORD, survey=days(2)).run()
    assert isinstance(test.error, BadCredentials)
    assert meter.passwords == 1
    assert PASSWORD not in str(test.error)
    assert test.states[Section.REGISTERS] is SectionState.READ
    assert test.states[Section.SURVEY] is SectionState.FAILED
    assert test.channel.sent[-1] == b"\x01B0\x03\x71"


async def test_a_password_that_gets_no_answer_is_not_repeated_either() -> None:
    def deaf(reply: bytes, _: int) -> list[Reply]:
        return [] if reply == b"\x06" else [reply]

    meter = Meter(password=PASSWORD, spoil=deaf)
    test = await Test(meter, password=PASSWORD, survey=days(1)).run()
    assert isinstance(test.error, SilentAtPassword)
    assert meter.passwords == 1


async def test_a_line_that_drops_at_the_password_may_hide_a_refusal() -> None:
    def hangs_up(reply: bytes, _: int) -> list[Reply]:
        return [LineDropped("the far end hung up")] if reply == b"\x06" else [reply]

    test = await Test(Meter(password=PASSWORD, spoil=hangs_up), password=PASSWORD, survey=days(1)).run()
    assert isinstance(test.error, DroppedAtPassword)
    assert test.error.failure is FailureKind.PASSWORD_UNANSWERED


async def test_a_silent_meter_is_called_three_times_and_then_signed_off() -> None:
    test = await Test(lambda _: []).run()
    assert isinstance(test.error, MeterSilent)
    assert test.channel.sent.count(b"/?!\r\n") == 3
    assert test.channel.sent[-1] == b"\x01B0\x03\x71"
    assert test.clock.monotonic() < 40


async def test_a_line_that_only_echoes_is_a_silent_meter() -> None:
    test = await Test(lambda message: [message]).run()
    assert isinstance(test.error, MeterSilent)


async def test_an_echoing_line_with_a_meter_behind_it_is_read() -> None:
    meter = Meter()
    test = await Test(lambda message: [message, *meter(message)], survey=days(1)).run()
    assert all_read(test)


async def test_noise_without_end_does_not_keep_a_call_open() -> None:
    test = await Test(lambda _: [b"\x00" * 100] * 50).run()
    assert isinstance(test.error, FrameGarbled)
    assert test.channel.sent.count(b"/?!\r\n") == 3
    assert test.clock.monotonic() < 40


@pytest.mark.parametrize("number", [2, 4, 6])
async def test_a_damaged_block_is_asked_for_again(number: int) -> None:
    def spoils(reply: bytes, count: int) -> list[Reply]:
        return [reply[:-1] + bytes([reply[-1] ^ 1])] if count == number else [reply]

    test = await Test(Meter(spoil=spoils), survey=days(2)).run()
    assert all_read(test)


async def test_a_readout_that_is_damaged_each_time_is_garbled() -> None:
    def spoils(reply: bytes, _: int) -> list[Reply]:
        return [reply[:-1] + bytes([reply[-1] ^ 1])] if reply[:1] == b"\x02" else [reply]

    test = await Test(Meter(spoil=spoils)).run()
    assert isinstance(test.error, FrameGarbled)
    assert test.channel.sent.count(b"\x15") == 2
    assert test.report.registers == []


async def test_a_damaged_partial_block_is_asked_for_again_alone() -> None:
    def spoils(reply: bytes, count: int) -> list[Reply]:
        return [reply[:-1] + bytes([reply[-1] ^ 1])] if count % 3 == 0 and b"\x04" in reply else [reply]

    meter = Meter(spoil=spoils)
    test = await Test(meter, meter_type="EMH_LZQJ", survey=days(1)).run()
    assert all_read(test)
    assert len(test.survey()["kWh Import"].readings) == 48
    assert test.channel.sent.count(b"\x15") >= 1


async def test_a_block_that_is_lost_begins_its_answer_anew() -> None:
    lost: list[int] = []

    def loses(reply: bytes, count: int) -> list[Reply]:
        if b"\x04" in reply and count > 8 and not lost:
            lost.append(count)
            return []
        return [reply]

    test = await Test(Meter(spoil=loses), meter_type="EMH_LZQJ", survey=days(1)).run()
    assert lost
    assert all_read(test)
    assert len(test.survey()["kWh Import"].readings) == 48


async def test_a_meter_that_switches_its_speed_away_is_asked_to_stay() -> None:
    inner = Meter()

    def switches(message: bytes) -> list[Reply]:
        return [] if message == b"\x06050\r\n" else inner(message)

    test = await Test(switches, meter_type="IEC62056_21").run()
    assert all_read(test)
    assert b"\x06000\r\n" in test.channel.sent


async def test_a_meter_that_sends_its_list_in_place_of_programming_mode_has_none() -> None:
    inner = Meter()

    def lists(message: bytes) -> list[Reply]:
        return [data_message(READOUT)] if message == b"\x06051\r\n" else inner(message)

    test = await Test(lists, survey=days(1)).run()
    assert test.sections[Section.SURVEY].error == "the meter has no programming mode"


async def test_a_meter_without_programming_mode_still_gives_its_list() -> None:
    inner = Meter()

    def refuses(message: bytes) -> list[Reply]:
        return [b"\x15"] if message == b"\x06051\r\n" else inner(message)

    test = await Test(refuses, survey=days(1)).run()
    assert test.error is None
    assert test.states[Section.REGISTERS] is SectionState.READ
    assert test.states[Section.SURVEY] is SectionState.FAILED
    assert test.sections[Section.SURVEY].error == "the meter refused programming mode"


async def test_a_meter_that_gives_no_list_may_still_give_its_survey() -> None:
    inner = Meter()

    def refuses(message: bytes) -> list[Reply]:
        return [b"\x15"] if message == b"\x06050\r\n" else inner(message)

    test = await Test(refuses, survey=days(1)).run()
    assert test.states[Section.REGISTERS] is SectionState.FAILED
    assert test.states[Section.SURVEY] is SectionState.READ


async def test_an_endless_reply_ends_by_the_budget() -> None:
    def endless(reply: bytes, _: int) -> list[Reply]:
        return [b"\x02", *[b"1.8.0(1*kWh)\r\n" * 290] * 2000] if reply[:1] == b"\x02" else [reply]

    test = await Test(Meter(spoil=endless)).run()
    assert isinstance(test.error, CallTooLong)
    assert test.channel.sent[-1] == b"\x01B0\x03\x71"


@pytest.mark.parametrize("cut", range(0, 200, 7))
async def test_a_call_cut_anywhere_ends_in_time_with_an_error_of_ours(cut: int) -> None:
    left = [cut]

    def cuts(reply: bytes, _: int) -> list[Reply]:
        part = reply[: left[0]]
        left[0] -= len(part)
        return [part] if part else []

    test = await Test(Meter(spoil=cuts), survey=days(1)).run()
    assert isinstance(test.error, MeterSilent | FrameGarbled)
    assert test.clock.monotonic() < 120
    assert SectionState.READ not in {test.states[Section.SURVEY]}


@pytest.mark.parametrize("chunk", [1, 3, 1000])
async def test_a_line_may_deliver_in_any_pieces(chunk: int) -> None:
    def pieces(reply: bytes, _: int) -> list[Reply]:
        return [reply[start : start + chunk] for start in range(0, len(reply), chunk)]

    test = await Test(Meter(spoil=pieces), survey=days(1)).run()
    assert all_read(test)
