"""DLMS/COSEM links, associations and faults as a host meets them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_metersim.dlms_manners import address_of
from mts_metersim.dlms_objects import obis
from mts_metersim.fleet import Fault, FaultKind, LoadSpec, Meter, Options
from mts_metersim.hdlc import DISC, DM, FLAG, REJ, RR, SNRM, UA, Frame, Receiver, ServerAddress
from mts_metersim.log import CallLog
from mts_metersim.server import FleetServer, running
from mts_metersim.testing import (
    PUBLIC_AARQ,
    Asked,
    HdlcHost,
    answered,
    attribute_of,
    call_to,
    get_request,
    low_level_aarq,
    value_of,
)
from mts_metersim.unit import Unit
from mts_metersim.wrapper import wrapped

NOW = int(datetime(2026, 11, 20, 10, 40, 10, tzinfo=UTC).timestamp()) * 1_000_000_000
SECONDS = 5.0
SERIAL = get_request(1, obis("0.0.96.1.0"), 2)
CLOCK = get_request(8, obis("0.0.1.0.0"), 2)
IMPORT = get_request(3, obis("1.0.1.8.0"), 2)
COLUMNS = get_request(7, obis("1.0.99.1.0"), 3)
SURVEY = get_request(7, obis("1.0.99.1.0"), 2)
DLMS = Meter("DLMS", "12345678", LoadSpec(1), password="SECRET01", installed_days_ago=3)
MT880 = Meter("ISKRA_MT880", "87654321", LoadSpec(2), password="SECRET02", installed_days_ago=3)
WRAPPER = Meter("DLMS_WRAPPER", "55554444", LoadSpec(3), password="SECRET03", installed_days_ago=3)


def unit_of(meter: Meter) -> Unit:
    return Unit(meter, lambda: NOW)


def connected(meter: Meter, asked: Asked | None = None, snrm_info: bytes = b"", client: int = 0) -> HdlcHost:
    address = address_of(meter)
    return HdlcHost(call_to([unit_of(meter)], asked), client or address.clients[0], address.server, snrm_info)


def associated(meter: Meter, snrm_info: bytes = b"", **proposed: int) -> HdlcHost:
    host = connected(meter, snrm_info=snrm_info)
    answer = host.ask(low_level_aarq(meter.password, **proposed))
    assert answer[18:].startswith(bytes.fromhex("A305A103020100"))
    return host


def with_options(meter: Meter, **changed: Any) -> Meter:
    return replace(meter, options=replace(meter.options, dlms=replace(meter.options.dlms, **changed)))


def sizes(transmit: int, receive: int, window: int = 1) -> bytes:
    """SNRM parameters of a client."""
    items = b"".join(
        bytes([code, 2]) + value.to_bytes(2, "big")
        for code, value in ((5, transmit), (6, receive), (7, 1), (8, window))
    )
    return b"\x81\x80" + bytes([len(items)]) + items


@pytest.mark.parametrize(
    ("address", "server"),
    [("1/1", (1, None, 1)), ("1/1/17", (1, 17, 2)), ("1/1/17/4", (1, 17, 4)), ("1/17/5481", (17, 5481, 4))],
)
def test_a_meter_answers_in_its_own_address_form_alone(address: str, server: tuple[int, int | None, int]) -> None:
    meter = replace(DLMS, outstation_address=address)
    call = call_to([unit_of(meter)])
    for other in ((1, None, 1), (1, 17, 2), (1, 17, 4), (17, 5481, 4)):
        answer = answered(call, Frame(ServerAddress(*other).field, b"\x03", SNRM).encoded())
        assert bool(answer) is (other == server)


@pytest.mark.parametrize(("meter", "most"), [(DLMS, 128), (MT880, 154), (with_options(DLMS, transmit=350), 350)])
def test_a_long_answer_comes_in_segments_of_the_negotiated_size(meter: Meter, most: int) -> None:
    host = associated(meter)
    attribute_of(host, SURVEY)
    smaller = associated(meter, sizes(128, 40))
    attribute_of(smaller, SURVEY)
    assert (host.longest, smaller.longest) == (most, 40)
    assert smaller.frames > host.frames


def test_a_window_brings_several_segments_at_a_time() -> None:
    host = associated(with_options(MT880, window=7, transmit=40), sizes(128, 128, 3))
    frames = host.command(0x10 | host.got << 5 | host.sent << 1, b"\xe6\xe6\x00" + COLUMNS)
    assert [frame.polls for frame in frames] == [False, False, True]
    assert [frame.control >> 1 & 7 for frame in frames] == [host.got, host.got + 1, host.got + 2]


def test_a_request_longer_than_the_meter_takes_is_sent_in_segments() -> None:
    meter = with_options(DLMS, receive=30)
    host = associated(meter)
    assert value_of(attribute_of(host, SERIAL)) == b"12345678"
    whole = connected(meter)
    assert whole.command(0x10, b"\xe6\xe6\x00" + low_level_aarq(meter.password)) == []


def test_a_lost_answer_is_fetched_again_by_rr_or_by_the_same_request() -> None:
    host = associated(DLMS)
    request = 0x10 | host.got << 5 | host.sent << 1
    first = host.command(request, b"\xe6\xe6\x00" + SERIAL)
    assert host.command(host.got << 5 | RR) == first
    assert host.command(request, b"\xe6\xe6\x00" + SERIAL) == first
    (idle,) = host.command(((host.got + 1) % 8) << 5 | RR)
    assert idle.control & 0x1F == RR


def test_a_client_that_is_not_ready_gets_nothing_before_it_is() -> None:
    host = associated(DLMS)
    first = host.command(0x10 | host.got << 5 | host.sent << 1, b"\xe6\xe6\x00" + SURVEY)
    (busy,) = host.command(host.got + 1 << 5 | 0x15)
    assert busy.control & 0x1F == RR
    assert host.command(host.got + 1 << 5 | RR)[0].info != first[0].info


def test_the_object_list_names_every_object_and_its_selectors() -> None:
    listed = value_of(attribute_of(associated(DLMS), get_request(15, obis("0.0.40.0.0"), 2)))
    assert isinstance(listed, list)
    entries = {(entry[0], entry[2]): entry[3] for entry in listed if isinstance(entry, list)}
    assert len(entries) == len(listed)
    assert entries[3, obis("1.0.1.8.0")] == [[[1, 1, None], [2, 1, None], [3, 1, None]], []]
    survey = entries[7, obis("1.0.99.1.0")]
    assert isinstance(survey, list)
    assert isinstance(survey[0], list)
    assert survey[0][1] == [2, 1, [1, 2]]


def test_a_frame_out_of_order_is_rejected() -> None:
    host = associated(DLMS)
    (answer,) = host.command(0x10 | host.got << 5 | ((host.sent + 2) % 8) << 1, b"\xe6\xe6\x00" + SERIAL)
    assert answer.control & 0x1F == REJ


def test_a_disconnected_meter_answers_dm_and_a_new_snrm_begins_anew() -> None:
    host = associated(DLMS)
    assert [frame.control for frame in host.command(DISC)] == [UA]
    assert [frame.control for frame in host.command(DISC)] == [DM]
    assert [frame.control for frame in host.command(0x10, b"\xe6\xe6\x00" + SERIAL)] == [DM]
    assert [frame.control for frame in host.command(RR)] == [DM]
    assert host.command(SNRM)[0].control == UA
    (answer,) = host.command(0x10, b"\xe6\xe6\x00" + SERIAL)
    assert answer.info.endswith(bytes.fromhex("D80101"))


def test_a_client_that_the_meter_does_not_know_gets_dm() -> None:
    assert connected(DLMS, client=99).parameters.control == DM


def test_a_ua_may_come_without_sizes() -> None:
    host = connected(with_options(DLMS, bare_ua=True))
    assert (host.parameters.control, host.parameters.info) == (UA, b"")
    assert host.ask(low_level_aarq("SECRET01"))[0] == 0x61


def test_inactivity_disconnects() -> None:
    meter = replace(DLMS, options=Options(inactivity_seconds=5))
    call = call_to([unit_of(meter)])
    host = HdlcHost(call, 1, address_of(meter).server)
    assert call.patience == 5
    assert call.silence()
    assert [frame.control for frame in host.command(RR)] == [DM]
    assert not call.silence()


def result_of(aare: bytes) -> tuple[int, int]:
    """(result, diagnostic) of an AARE whose context is a plain one."""
    assert aare[0] == 0x61
    return aare[17], aare[24]


@pytest.mark.parametrize(
    ("meter", "aarq", "result"),
    [
        (DLMS, low_level_aarq("SECRET01"), (0, 0)),
        (DLMS, low_level_aarq("SECRET99"), (1, 13)),
        (replace(DLMS, faults=(Fault(FaultKind.REFUSES_PASSWORD),)), low_level_aarq("SECRET01"), (1, 13)),
        (DLMS, PUBLIC_AARQ, (1, 14)),
        (replace(DLMS, password=""), PUBLIC_AARQ, (0, 0)),
        (replace(DLMS, password=""), low_level_aarq("ANY"), (0, 0)),
        (DLMS, low_level_aarq("SECRET01", context=2), (1, 2)),
        (DLMS, low_level_aarq("SECRET01").replace(bytes.fromhex("0802018B"), bytes.fromhex("0802018B")), (0, 0)),
        (DLMS, low_level_aarq("SECRET01").replace(bytes.fromhex("080201AC"), bytes.fromhex("080202AC")), (1, 11)),
        (DLMS, low_level_aarq("SECRET01", pdu=8), (1, 1)),
    ],
)
def test_an_association_is_granted_or_refused_with_its_reason(
    meter: Meter, aarq: bytes, result: tuple[int, int]
) -> None:
    assert result_of(connected(meter).ask(aarq)) == result


def test_the_public_client_needs_no_secret_and_sees_little() -> None:
    host = connected(DLMS, client=16)
    assert result_of(host.ask(PUBLIC_AARQ)) == (0, 0)
    assert value_of(attribute_of(host, SERIAL)) == b"12345678"
    assert host.ask(IMPORT).hex() == "c401c10103"


def test_the_log_holds_what_was_asked_but_no_secret() -> None:
    asked = Asked()
    host = connected(DLMS, asked)
    host.ask(low_level_aarq("WRONG"))
    host.ask(low_level_aarq("SECRET01"))
    host.ask(SERIAL)
    assert asked.signed_on == [("1/03", "12345678")]
    assert asked.noted == [
        ("Password LLS (wrong)", True),
        ("Password LLS (right)", False),
        ("GET 1 0.0.96.1.0.255 2", False),
    ]


def test_release_is_answered_or_not() -> None:
    host = associated(DLMS)
    assert host.ask(bytes.fromhex("6200")).hex() == "6303800100"
    assert host.ask(SERIAL).hex() == "d80101"
    deaf = associated(with_options(DLMS, release="ignored"))
    (answer,) = deaf.command(0x10 | deaf.got << 5 | deaf.sent << 1, bytes.fromhex("E6E6006200"))
    assert answer.control & 0x1F == RR


@pytest.mark.parametrize(
    ("request_hex", "answer"),
    [
        ("c001c1 0003 0100016300ff 02 00", "c401c10104"),
        ("c001c1 0001 0100010800ff 02 00", "c401c10109"),
        ("c001c1 0003 0100010800ff 07 00", "c401c10103"),
        ("c001c1 0003 0100010800ff 02 0101 00", "c401c1010d"),
        ("c001c1 0003 0100010800ff", "d80202"),
        ("c002c1 00000001", "c402c1010000000101" + "10"),
        ("c003c1 00", "d80202"),
        ("c101c1 0008 0000010000ff 02 00 00", "c501c103"),
        ("c301c1 000f 0000280000ff 01 00", "c701c10300"),
        ("05010200fa", "d80202"),
        ("ff", "d80202"),
    ],
)
def test_what_cannot_be_answered_gets_its_error(request_hex: str, answer: str) -> None:
    assert associated(DLMS).ask(bytes.fromhex(request_hex)).hex() == answer


def test_a_list_of_attributes_is_answered_in_one_even_if_one_of_them_is_unknown() -> None:
    host = associated(MT880)
    targets = [request[3:] for request in (SERIAL, get_request(3, obis("1.0.1.99.0"), 2), SERIAL)]
    answer = host.ask(b"\xc0\x03\xc2\x03" + b"".join(targets))
    assert answer.hex() == "c403c203" + "0009083837363534333231" + "0104" + "0009083837363534333231"


def test_blocks_are_no_longer_than_the_client_takes_and_come_in_order() -> None:
    meter = with_options(MT880, pdu=2000)
    host = associated(meter, pdu=100)
    first = host.ask(COLUMNS)
    assert (len(first), first[:8].hex()) == (100, "c402c10000000001"[:16])
    wrong = host.ask(bytes.fromhex("c002c100000007"))
    assert wrong.hex() == "c402c101000000070113"
    assert host.ask(bytes.fromhex("c002c100000001")).hex() == "c402c101000000010110"
    assert attribute_of(host, COLUMNS) == attribute_of(associated(meter), COLUMNS)


def test_without_block_transfer_a_long_answer_is_refused() -> None:
    host = associated(MT880, conformance=0x000E1D, pdu=100)
    assert host.ask(COLUMNS).hex() == "c401c101fa"


@given(st.binary(max_size=200))
def test_garbage_before_a_frame_is_never_an_error(noise: bytes) -> None:
    call = call_to([unit_of(DLMS)])
    answered(call, noise.replace(bytes([FLAG]), b""))
    snrm = Frame(address_of(DLMS).server.field, b"\x03", SNRM).encoded()
    assert answered(call, snrm) == answered(call_to([unit_of(DLMS)]), snrm)


@given(st.binary(max_size=300))
def test_any_apdu_gets_an_answer_or_silence(apdu: bytes) -> None:
    host = associated(DLMS)
    host.command(0x10 | host.got << 5 | host.sent << 1, (b"\xe6\xe6\x00" + apdu)[:128])


def test_frames_in_pieces_with_shared_flags_are_the_same_frames() -> None:
    call = call_to([unit_of(DLMS)])
    snrm = Frame(address_of(DLMS).server.field, b"\x03", SNRM).encoded()
    expected = answered(call, snrm)
    assert b"".join(answered(call, bytes([byte])) for byte in snrm[:-1] + snrm) == expected * 2


def test_a_frame_with_a_wrong_check_is_not_heard() -> None:
    call = call_to([unit_of(DLMS)])
    snrm = bytearray(Frame(address_of(DLMS).server.field, b"\x03", SNRM, sizes(128, 128)).encoded())
    snrm[10] ^= 1
    assert answered(call, bytes(snrm)) == b""


@asynccontextmanager
async def serving(meters: list[Meter], log: Path | None = None) -> AsyncIterator[FleetServer]:
    with CallLog(log) as calls:
        async with running(meters, calls, true_time=lambda: NOW) as server:
            yield server


async def exchange(server: FleetServer, index: int, *sent: bytes, least: int = 1) -> bytes:
    """What comes back for the last of these messages: at least so many bytes, or all until the meter hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port_of(server.units[index]))
    received = b""
    try:
        async with asyncio.timeout(SECONDS):
            for message in sent[:-1]:
                writer.write(message)
                await reader.read(65536)
            writer.write(sent[-1])
            while len(received) < least and (piece := await reader.read(65536)):
                received += piece
        return received
    finally:
        writer.transport.abort()


async def test_a_wrapper_meter_swaps_the_ports_and_keeps_each_association_apart() -> None:
    async with serving([WRAPPER]) as server:
        aare = await exchange(server, 0, wrapped(1, 1, low_level_aarq("SECRET03")))
        assert aare[:6].hex() == "000100010001"
        assert result_of(aare[8:]) == (0, 0)
        both = await exchange(
            server, 0, wrapped(16, 1, PUBLIC_AARQ), wrapped(16, 1, SERIAL) + wrapped(1, 1, SERIAL), least=33
        )
        assert both.hex() == wrapped(1, 16, bytes.fromhex("c401c100 0908 3535353534343434")).hex() + (
            wrapped(1, 1, bytes.fromhex("d80101")).hex()
        )


def test_a_wrapper_meter_sends_blocks_of_its_own_pdu_and_hears_noise_as_nothing() -> None:
    call = call_to([unit_of(WRAPPER)])
    aare = answered(call, b"\x07\x00\x00" + wrapped(1, 1, low_level_aarq("SECRET03")))
    assert result_of(aare[8:]) == (0, 0)
    block = answered(call, wrapped(1, 1, SURVEY))
    assert len(block) == 8 + 200
    assert answered(call, wrapped(1, 7, SERIAL)) == b""
    assert answered(call, wrapped(1, 1, SERIAL)[:5]) == b""
    assert call.patience < 10
    assert call.silence()
    assert answered(call, wrapped(1, 1, SERIAL)).startswith(b"\x00\x01\x00\x01\x00\x01")


def faulty(kind: FaultKind, amount: int = 0, meter: Meter = DLMS) -> Meter:
    return replace(meter, faults=(Fault(kind, amount),))


SNRM_FRAME = Frame(b"\x03", b"\x03", SNRM).encoded()
AARQ_FRAME = Frame(b"\x03", b"\x03", 0x10, b"\xe6\xe6\x00" + low_level_aarq("SECRET01")).encoded()
SERIAL_FRAME = Frame(b"\x03", b"\x03", 0x32, b"\xe6\xe6\x00" + SERIAL).encoded()


async def test_a_spoilt_frame_check_is_not_right_and_the_next_is() -> None:
    async with serving([faulty(FaultKind.WRONG_BCC, 1)]) as server:
        spoilt = await exchange(server, 0, SNRM_FRAME)
        right = await exchange(server, 0, SNRM_FRAME)
    receiver = Receiver()
    receiver.feed(spoilt)
    assert receiver.next() is None
    receiver.clear()
    receiver.feed(right)
    assert receiver.next() is not None
    assert len(spoilt) == len(right)


async def test_endless_segments_are_sound_frames_without_a_last_one() -> None:
    async with serving([faulty(FaultKind.ENDLESS)]) as server:
        data = await exchange(server, 0, SNRM_FRAME, AARQ_FRAME, SERIAL_FRAME, least=300)
    receiver = Receiver()
    receiver.feed(data)
    frames = list(iter(receiver.next, None))
    assert [frame.control >> 1 & 7 for frame in frames[:9]] == [1, 2, 3, 4, 5, 6, 7, 0, 1]
    assert all(frame.segmented and not frame.polls for frame in frames)


async def test_an_endless_wrapper_meter_says_the_same_again_and_again() -> None:
    async with serving([faulty(FaultKind.ENDLESS, meter=WRAPPER)]) as server:
        aarq = wrapped(1, 1, low_level_aarq("SECRET03"))
        data = await exchange(server, 0, aarq, wrapped(1, 1, SERIAL), least=200)
    first = data[: 8 + int.from_bytes(data[6:8], "big")]
    assert data.startswith(first * 5)


async def test_a_dropped_line_ends_in_the_middle_of_a_frame() -> None:
    async with serving([faulty(FaultKind.DROPS_LINE, 40)]) as server:
        assert len(await exchange(server, 0, SNRM_FRAME, AARQ_FRAME, least=1000)) == 8


async def test_garbage_has_the_replys_length() -> None:
    async with serving([faulty(FaultKind.GARBAGE)]) as server:
        data = await exchange(server, 0, SNRM_FRAME, least=32)
    assert (len(data), data[0] == FLAG) == (32, False)
