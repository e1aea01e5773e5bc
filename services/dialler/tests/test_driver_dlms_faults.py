"""The DLMS driver: how it takes every fault of line and meter."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mts_common.messages import FailureKind, Section, SectionState
from mts_dialler.drivers import dlms_types
from mts_dialler.drivers.dlms_types import MeterProfile
from mts_dialler.errors import CallTooLong, DiallerError, FrameGarbled, LineDropped, MeterRefused, MeterSilent
from mts_dialler.line import LineLimits
from mts_dialler.protocols.hdlc.frame import Frame, Kind, client_address, server_address
from mts_dialler.testing.answering import Reply
from mts_dialler.testing.dlms_bench import (
    AK,
    ALL_READ,
    EK,
    GMAC,
    PASSWORD,
    Bench,
    by_range,
    half_hours,
    refused,
    small_meter,
    survey,
    surveyed,
    u32,
    whole,
)
from mts_dialler.testing.dlms_meter import Key, Keys


async def test_every_lost_answer_is_fetched_again() -> None:
    expected = await Bench(small_meter()).read(survey=survey())
    for lost in range(1, 30):
        bench = Bench(small_meter(), lose=frozenset({lost}))
        data = await bench.read(survey=survey())
        assert (data.registers, data.survey) == (
            tuple(each.model_copy(update={"read_at": data.registers[0].read_at}) for each in expected.registers),
            expected.survey,
        )


async def test_every_damaged_answer_is_asked_for_again() -> None:
    for damaged in range(1, 20):
        bench = Bench(
            small_meter(),
            spoil=lambda answer, turn, at=damaged: [answer[:9] + b"\x55" + answer[10:] if turn == at else answer],  # type: ignore[misc]
        )
        await bench.read(survey=survey())
        assert bench.states() == ALL_READ


async def test_a_connect_that_is_garbled_twice_is_tried_anew() -> None:
    bench = Bench(
        small_meter(), spoil=lambda answer, turn: [answer[:9] + b"\x55" + answer[10:] if turn < 2 else answer]
    )
    await bench.read()
    assert [frame.kind for frame in bench.frames()][:4] == [Kind.SNRM, Kind.SNRM, Kind.DISC, Kind.SNRM]
    assert bench.states()[Section.REGISTERS] is SectionState.READ


async def test_noise_before_the_meter_s_first_word_is_passed_over() -> None:
    bench = Bench(small_meter(), before_first=b"\r\nCONNECT 9600\r\n\x00~")
    await bench.read()
    assert bench.states()[Section.REGISTERS] is SectionState.READ


async def test_a_busy_meter_is_polled_and_in_the_end_given_up() -> None:
    bench = Bench(small_meter(), busy=3)
    await bench.read()
    assert bench.states()[Section.REGISTERS] is SectionState.READ
    assert "busy" in await refused(Bench(small_meter(), busy=10_000), MeterSilent)


async def test_a_silent_meter_ends_in_time_and_is_signed_off() -> None:
    bench = Bench(small_meter(), spoil=lambda _answer, _turn: [])
    assert await refused(bench, MeterSilent) == "nothing came"
    assert bench.clock.monotonic() < 60
    assert bench.frames()[-1].kind is Kind.DISC


async def test_a_meter_that_refuses_to_connect_is_asked_to_disconnect_first() -> None:
    refusals = iter((Kind.DM, Kind.DM))

    def spoil(answer: bytes, turn: int) -> list[Reply]:
        kind = next(refusals, None) if turn == 0 else None
        dm = Frame(client_address(1), server_address(1), Kind.DM).encode()
        return [answer if kind is None else dm]

    bench = Bench(small_meter(), spoil=spoil)
    await bench.read()
    assert [frame.kind for frame in bench.frames()][:3] == [Kind.SNRM, Kind.DISC, Kind.SNRM]
    always = Bench(small_meter(), spoil=lambda _a, _t: [Frame(client_address(1), server_address(1), Kind.DM).encode()])
    assert await refused(always, MeterRefused) == "the meter refused to connect (DM)"


@pytest.mark.parametrize("keys", [None, Keys(EK, AK)])
async def test_a_link_that_the_meter_forgets_is_opened_again(keys: Keys | None) -> None:
    meter = small_meter(keys=keys)
    meter.attributes[1, "0.0.43.1.0", 2] = u32(0)

    def spoil(answer: bytes, turn: int) -> list[Reply]:
        dm = Frame(client_address(1), server_address(1), Kind.DM).encode()
        return [dm if turn in ({12, 16} if keys else {5, 10}) else answer]

    bench = Bench(meter, spoil=spoil)
    data = await bench.read(survey=survey(), password=GMAC if keys else PASSWORD)
    assert bench.states() == ALL_READ
    assert surveyed(data) == {"kWh Import (total)": whole()}
    assert len([frame for frame in bench.frames() if frame.kind is Kind.SNRM]) == (4 if keys else 3)


async def test_what_was_read_before_the_line_dropped_is_kept() -> None:
    dropped = Bench(
        small_meter(), spoil=lambda answer, turn: [LineDropped("gone")] if turn == 40 else [answer], size=60
    )
    with pytest.raises(LineDropped):
        await dropped.read(survey=survey(2))
    assert dropped.report.data().serial_number == "12345678"
    assert dropped.states()[Section.REGISTERS] is SectionState.READ


async def test_a_survey_that_breaks_off_says_what_is_missing() -> None:
    asked: list[bytes] = []

    def select(key: Key, selector: bytes) -> bytes | int:
        asked.append(selector)
        return by_range(half_hours())(key, selector)

    meter = small_meter(select=select)
    bench = Bench(meter, spoil=lambda answer, _: [] if len(asked) > 1 else [answer])
    await refused(bench, MeterSilent, survey=survey(2))
    assert bench.error(Section.SURVEY) == "nothing came: not read: 2026-03-02T00:00:00Z to 2026-03-02T12:00:00Z"
    assert surveyed(bench.report.data()) == {"kWh Import (total)": whole()}
    assert bench.report.failure is FailureKind.METER_SILENT


@pytest.mark.parametrize("profile", [dlms_types.GENERAL, dlms_types.WRAPPED])
async def test_babble_and_endless_answers_end_as_errors(profile: MeterProfile) -> None:
    babbling = Bench(small_meter(), profile, spoil=lambda _a, _t: [b"\x55" * 4096] * 100)
    await refused(babbling, FrameGarbled)
    endless = Bench(
        small_meter(refuse=lambda apdu: forever(apdu) if apdu[0] == 0xC0 else None),
        profile,
        limits=LineLimits(test_bytes=200_000),
    )
    await refused(endless, CallTooLong)


def forever(apdu: bytes) -> bytes:
    """One more block of a value that never ends."""
    number = int.from_bytes(apdu[3:7], "big") + 1 if apdu[1] == 2 else 1
    return bytes((0xC4, 2, apdu[2], 0)) + number.to_bytes(4, "big") + b"\x00\x40" + bytes(64)


async def test_a_meter_that_refuses_everything_is_given_up() -> None:
    bench = Bench(small_meter(refuse=lambda apdu: b"\xd8\x01\x01" if apdu[0] == 0xC0 else None))
    assert "refused the service" in await refused(bench, MeterRefused)
    assert len(bench.requests(0xC0)) < 20


@given(
    st.binary(min_size=1, max_size=200), st.integers(0, 12), st.sampled_from([dlms_types.GENERAL, dlms_types.WRAPPED])
)
@settings(max_examples=60, deadline=None)
async def test_garbage_in_place_of_any_answer_is_a_typed_error_or_passed_over(
    garbage: bytes, place: int, profile: MeterProfile
) -> None:
    bench = Bench(small_meter(), profile, spoil=lambda answer, turn: [garbage if turn >= place else answer])
    try:
        await bench.read(survey=survey())
    except DiallerError:
        return


@given(st.binary(max_size=120))
@settings(max_examples=60, deadline=None)
async def test_any_value_in_place_of_any_other_harms_nothing(value: bytes) -> None:
    meter = small_meter(select=lambda _key, _selector: value or b"\x00")
    for key in meter.attributes:
        if key[0] != 7:
            meter.attributes[key] = value or b"\x00"
    bench = Bench(meter)
    try:
        await bench.read(survey=survey())
    except DiallerError:
        return
