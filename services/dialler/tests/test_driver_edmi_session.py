"""An EDMI session: login, repeats, and how it takes every fault of line and meter."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from mts_common.messages import FailureKind, Section, SectionState
from mts_dialler.errors import (
    BadCredentials,
    FrameGarbled,
    GarbledAtPassword,
    LineDropped,
    MeterRefused,
    MeterSilent,
    NotConfigured,
    SilentAtPassword,
)
from mts_dialler.protocols.edmi.frame import Packet
from mts_dialler.testing.answering import Reply
from mts_dialler.testing.edmi_bench import CREDENTIALS, DAY, SERIAL, Test, answered, meter, named, packets
from mts_dialler.testing.edmi_meter import NOT_LOGGED_IN, NOT_READY, long, refusal, word


async def test_credentials_are_sent_as_they_are_and_never_seen() -> None:
    test = Test(meter())
    await test.run()
    assert test.commands[0] == b"L" + CREDENTIALS.encode() + b"\x00"
    assert CREDENTIALS.encode().hex() not in test.trace()
    assert "S3cret" not in test.trace()
    assert '**"' in test.trace()


async def test_refused_credentials_are_never_repeated_and_the_meter_is_logged_out() -> None:
    test = Test(meter(), password="READER,wrong")
    assert await test.fail(BadCredentials) == "the meter refused the user or the password"
    assert [payload[:1] for payload in test.commands] == [b"L", b"X"]


def damaged(number: int, reply: Reply) -> list[Reply]:
    """The answer to the login cannot be read."""
    assert isinstance(reply, bytes)
    return [reply[:-2] + b"\x00\x03"] if number == 1 else [reply]


async def test_a_login_whose_answer_is_damaged_is_not_repeated_but_tried_out() -> None:
    test = Test(meter(trouble=damaged))
    await test.run()
    assert [payload for payload in test.commands if payload.startswith(b"L")] == [b"L" + CREDENTIALS.encode() + b"\x00"]
    assert set(test.states().values()) == {SectionState.READ}


async def test_a_login_whose_answer_is_damaged_may_have_been_refused() -> None:
    test = Test(meter(trouble=damaged), password="READER,wrong")
    assert "could not be read, and then: not logged in" in await test.fail(GarbledAtPassword)
    assert [payload[:1] for payload in test.commands] == [b"L", b"R", b"X"]


async def test_a_login_that_is_lost_is_repeated() -> None:
    test = Test(meter(trouble=lambda number, reply: [] if number < 2 else [reply]))
    await test.run()
    assert [payload[:1] for payload in test.commands[:4]] == [b"L", b"L", b"R", b"R"]


async def test_a_login_that_gets_no_answer_twice_may_have_been_refused() -> None:
    test = Test(meter(trouble=lambda number, reply: [reply] if number == 0 else []))
    await test.fail(SilentAtPassword)
    assert [payload[:1] for payload in test.commands] == [b"L"] * 2 + [b"X"]


async def test_every_test_ends_with_a_logout() -> None:
    test = Test(meter())
    await test.run()
    assert test.commands[-1] == b"X"
    assert not test.meter.logged_in


async def test_attention_is_tried_with_and_without_escape_and_may_stay_without_answer() -> None:
    test = Test(meter(answers_attention=False))
    await test.run()
    assert test.channel.sent[:3] == [b"\x02\x03", b"\x1b\x02\x03", b"/?!\r\n"]
    assert set(test.states().values()) == {SectionState.READ}


async def test_a_silent_meter_is_given_up_after_two_tries() -> None:
    test = Test(meter(trouble=lambda _number, _reply: []))
    assert "did not answer: login" in await test.fail(MeterSilent)
    assert [payload[:1] for payload in test.commands] == [b"L"] * 2 + [b"X"]
    assert test.clock.monotonic() < 60


def spoiled(number: int, reply: Reply) -> list[Reply]:
    """Each first answer after the login is damaged in another way."""
    assert isinstance(reply, bytes)
    damaged = reply[:9] + b"\x55" + reply[10:]
    forms: list[list[Reply]] = [[reply], [], [reply[:-4]], [b"\xffnoise" + reply], [damaged], [damaged, reply]]
    return forms[number % len(forms)]


async def test_lost_and_damaged_answers_are_asked_for_again_with_the_same_number() -> None:
    test = Test(meter(trouble=lambda number, reply: [reply] if number == 1 else spoiled(number, reply)), survey=DAY)
    report = await test.run()
    assert set(test.states().values()) == {SectionState.READ}
    assert len(report.data().survey[0].readings) == 48
    sent = [packet for data in test.channel.sent if len(data) > 10 for packet in packets(data)]
    repeated = [later for earlier, later in pairwise(sent) if earlier.payload == later.payload]
    assert repeated
    assert all(packet in sent[: sent.index(packet) + 2] for packet in repeated)
    assert len({packet.sequence for packet in sent}) == len(sent) - len(repeated)


async def test_answers_that_come_twice_or_from_others_change_nothing() -> None:
    stranger = Packet(1, SERIAL + 1, 5, b"R\xf0\x02junk\x00").encode()
    test = Test(meter(trouble=lambda _number, reply: [stranger, reply, reply]), survey=DAY)
    report = await test.run()
    assert report.serial_number == "251308613"
    assert set(test.states().values()) == {SectionState.READ}


async def test_answers_may_come_byte_by_byte() -> None:
    def dripping(_: int, reply: Reply) -> list[Reply]:
        assert isinstance(reply, bytes)
        return [bytes((octet,)) for octet in reply]

    test = Test(meter(trouble=dripping), survey=DAY)
    await test.run()
    assert set(test.states().values()) == {SectionState.READ}


async def test_data_that_are_not_ready_are_waited_for() -> None:
    scripted = meter()
    tries: list[int] = []

    def busy(number: int, reply: Reply) -> list[Reply]:
        if scripted.asked[-1] == b"R\xf0\x02" and len(tries) < 4:
            tries.append(number)
            return [answered(scripted, reply, refusal(NOT_READY))]
        return [reply]

    scripted.trouble = busy
    test = Test(scripted)
    assert (await test.run()).serial_number == "251308613"
    assert len(tries) == 4


async def test_data_that_never_become_ready_fail_their_section_alone() -> None:
    scripted = meter()
    scripted.registers[0xF03D] = NOT_READY
    test = Test(scripted)
    await test.run()
    assert test.states()[Section.CLOCK] is SectionState.FAILED
    assert test.states()[Section.REGISTERS] is SectionState.READ


async def test_a_session_that_ended_is_begun_again_with_the_accepted_credentials() -> None:
    scripted = meter()

    def forgetful(number: int, reply: Reply) -> list[Reply]:
        if number == 4:
            scripted.logged_in = False
        return [reply]

    scripted.trouble = forgetful
    test = Test(scripted)
    await test.run()
    assert set(test.states().values()) == {SectionState.READ}
    assert len([payload for payload in test.commands if payload.startswith(b"L")]) == 2


async def test_a_session_that_ends_each_time_is_given_up() -> None:
    scripted = meter()
    scripted.registers[0xF002] = NOT_LOGGED_IN
    test = Test(scripted)
    await test.run()
    assert test.states()[Section.SERIAL_NUMBER] is SectionState.FAILED
    assert len([payload for payload in test.commands if payload.startswith(b"L")]) == 3


async def test_a_line_that_drops_keeps_what_was_read() -> None:
    scripted = meter(most_records=10)

    def dropping(_: int, reply: Reply) -> list[Reply]:
        return [LineDropped("gone")] if scripted.asked[-1].startswith(b"F0\x00" + long(847)) else [reply]

    scripted.trouble = dropping
    test = Test(scripted, survey=DAY)
    await test.fail(LineDropped)
    readings = test.report.data().survey[0].readings
    assert len(readings) == 30
    verdict = test.report.sections(frozenset({Section.SURVEY}), "")[Section.SURVEY]
    assert verdict.state is SectionState.PARTIAL
    assert verdict.error is not None
    assert "2026-11-18T15:00:00Z to 2026-11-19T00:00:00Z" in verdict.error
    assert test.states()[Section.REGISTERS] is SectionState.READ


async def test_a_line_that_drops_keeps_the_registers_read_before() -> None:
    scripted = meter(reads_many=False)

    def dropping(_: int, reply: Reply) -> list[Reply]:
        return [LineDropped("gone")] if scripted.asked[-1] == b"R\x1e\x02" else [reply]

    scripted.trouble = dropping
    test = Test(scripted)
    await test.fail(LineDropped)
    assert list(named(test.report)) == ["Active Energy Import", "Active Energy Import T1", "Reactive Energy Export"]
    assert test.states()[Section.REGISTERS] is SectionState.PARTIAL


@pytest.mark.parametrize("outstation", ["", "METER", "4294967296", "-5"])
async def test_an_outstation_that_is_no_serial_number_is_a_matter_of_configuration(outstation: str) -> None:
    test = Test(meter(), outstation=outstation)
    await test.fail(NotConfigured)
    assert test.channel.sent == []


@pytest.mark.parametrize(
    "trouble",
    [
        lambda _number, reply: [b"\x00" * 5000],
        lambda _number, reply: [b"\x02" * 5000],
        lambda _number, reply: [b"\x02" + b"A" * 60000],
        lambda _number, reply: [reply[:-1]],
    ],
)
async def test_a_meter_that_babbles_ends_as_an_error_in_bounded_time(
    trouble: Callable[[int, bytes], list[Reply]],
) -> None:
    test = Test(meter(trouble=trouble))
    with pytest.raises((MeterSilent, FrameGarbled)):
        await test.run()
    assert test.clock.monotonic() < 120


async def test_a_survey_whose_answers_make_no_sense_is_failed_alone() -> None:
    scripted = meter()

    def broken(_: int, reply: Reply) -> list[Reply]:
        if scripted.asked[-1].startswith(b"F0"):
            return [answered(scripted, reply, b"F0\x00" + long(817) + word(3) + bytes(20))]
        return [reply]

    scripted.trouble = broken
    test = Test(scripted, survey=DAY)
    await test.run()
    assert test.states()[Section.SURVEY] is SectionState.FAILED
    assert test.report.failure is FailureKind.METER_REFUSED
    assert test.meter.asked[-1] == b"X"


async def test_a_meter_that_refuses_everything_is_read_as_nothing() -> None:
    test = Test(meter(registers={}, infos={}, files={}), survey=DAY)
    report = await test.run()
    assert report.serial_number is None
    assert test.states()[Section.SERIAL_NUMBER] is SectionState.FAILED
    assert test.states()[Section.SURVEY] is SectionState.FAILED
    assert report.registers == []


async def test_a_refused_login_for_another_reason_is_no_wrong_password() -> None:
    scripted = meter()
    scripted.trouble = lambda _number, reply: [answered(scripted, reply, refusal(NOT_READY))]
    assert "data not ready" in await Test(scripted).fail(MeterRefused)
