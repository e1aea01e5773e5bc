"""COSEM values, associations and services, against captured sessions and published APDUs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_dialler.protocols.cosem import association, date_time, services, values
from mts_dialler.protocols.cosem.association import Conformance, Context, Mechanism, Request, decode_initiate
from mts_dialler.protocols.cosem.date_time import ClockStatus, DateTime
from mts_dialler.protocols.cosem.services import Attribute, Denied, Get, Invoke, Read, ServiceRefused, ShortName
from mts_dialler.protocols.cosem.values import BitString, Enumerated, Value, decode
from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError
from mts_dialler.protocols.hdlc.frame import Frame
from mts_dialler.protocols.hdlc.reader import FrameReader

CAPTURES = Path(__file__).parent / "captures"


def octets(text: str) -> bytes:
    return bytes.fromhex(text)


def apdus(name: str, direction: str) -> Iterator[bytes]:
    """The whole APDUs of one side of a captured session, segments joined, LLC header off."""
    joined = b""
    for line in (CAPTURES / name).read_text().splitlines():
        if not line.startswith(direction):
            continue
        reader = FrameReader()
        reader.feed(octets(line[2:]))
        frame = reader.next()
        assert isinstance(frame, Frame)
        if frame.kind != 0:
            continue
        joined += frame.information
        if not frame.segmented:
            yield joined[3:]
            joined = b""


def test_a_captured_long_profile_is_read_block_by_block() -> None:
    *_, request, _, _ = apdus("dlms_apator_norax3_ln_session.hex", "> ")
    blocks = list(apdus("dlms_apator_norax3_ln_session.hex", "< "))[-3:]
    selector = request[13:]
    get = Get([Attribute(7, octets("0100630100FF"), 2, selector)], invoke=0x0E)
    assert get.encode()[3:] == request[3:]
    nexts = [get.receive(block) for block in blocks]
    assert nexts == [octets("C002CE00000001"), octets("C002CE00000002"), None]
    [rows] = get.answers
    assert isinstance(rows, list)
    assert len(rows) == 25
    assert rows[0] == (octets("07E4040E02091E00FF00B400"), 0x31D2)
    assert rows[-1] == (octets("07E4040E02160000FF00B400"), 0x34F7)


def test_captured_capture_objects_name_the_columns_of_a_profile() -> None:
    answer = next(a for a in apdus("dlms_apator_norax3_ln_session.hex", "< ") if a[:3] == octets("C4018D"))
    get = Get([Attribute(7, octets("0100630100FF"), 3)], invoke=0x0D)
    assert get.receive(answer) is None
    [columns] = get.answers
    assert isinstance(columns, list)
    assert columns[0] == (8, octets("0000010000FF"), 2, 0)
    assert columns[2] == (3, octets("01000F0800FF"), 2, 0)
    assert len(columns) == 8


def test_a_captured_short_name_session_gives_the_serial_number() -> None:
    answers = list(apdus("dlms_lg_e650_sn_session.hex", "< "))
    response = association.decode_response(answers[0])
    assert response.accepted
    initiated = decode_initiate(response.user_information)
    assert initiated.max_pdu == 2400
    assert Conformance.READ in initiated.conformance
    read = Read([ShortName(0xFD08), ShortName(0xFF08)])
    assert read.encode() == octets("05 02 02 FD08 02 FF08")
    assert read.receive(answers[1]) is None
    assert read.answers == [b"LGZ51282380".ljust(16, b"\0"), "B32"]
    serial = Read([ShortName(0x5A88)])
    assert serial.receive(answers[4]) is None
    assert serial.answers == ["51282380"]


def test_an_lls_association_is_asked_for_as_captured() -> None:
    [captured] = [a for a in apdus("dlms_apator_norax3_ln_session.hex", "> ") if a[0] == association.AARQ]
    request = Request(
        Context.LOGICAL_NAMES, Mechanism.LLS, b"12345678", max_pdu=0x0100, conformance=Conformance(0x007E1F)
    )
    assert request.encode() == captured


def test_an_association_without_security_names_no_mechanism() -> None:
    encoded = Request(Context.LOGICAL_NAMES, max_pdu=0).encode()
    assert encoded == octets(
        "60 1D A1 09 06 07 60 85 74 05 08 01 01 BE 10 04 0E 01 00 00 00 06 5F 1F 04 00 00 12 15 00 00"
    )


@pytest.mark.parametrize(
    ("aare", "accepted", "diagnostic", "bad_credentials"),
    [
        # jDLMS HdlcFrameTest, E650 (its lengths count one octet too few); and refusals with diagnostics 13 and 2
        ("6128A109060760857405080102A203020100A305A103020100BE0F040D0800065F1F04001802200960FA00", True, 0, False),
        ("6117A109060760857405080101A203020101A305A10302010D", False, 13, True),
        ("6117A109060760857405080101A203020101A305A103020102", False, 2, False),
    ],
)
def test_an_association_s_answer_says_why(aare: str, accepted: bool, diagnostic: int, bad_credentials: bool) -> None:
    response = association.decode_response(octets(aare))
    assert (response.accepted, response.diagnostic, response.bad_credentials) == (accepted, diagnostic, bad_credentials)


def test_both_tags_of_the_conformance_block_are_taken() -> None:
    new = decode_initiate(octets("0800065F1F0400001E1D04C80007"))
    old = decode_initiate(octets("0800065F0400180220 0960FA00"))
    assert (new.conformance, new.max_pdu) == (Conformance(0x001E1D), 1224)
    assert (old.conformance, old.max_pdu) == (Conformance(0x180220), 2400)


@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        ("00", None),
        ("0301", True),
        ("0F FF", -1),
        ("10 8000", -32768),
        ("06 FFFFFFFF", 4294967295),
        ("15 FFFFFFFFFFFFFFFF", 18446744073709551615),
        ("16 1E", Enumerated(30)),
        ("0D 42", 42),
        ("17 3DCCCCCD", Decimal("0.1")),
        ("18 3FB999999999999A", Decimal("0.1")),
        ("17 4B9B1B08", Decimal("20330000")),
        ("09 03 010203", b"\x01\x02\x03"),
        ("0A 02 4235", "B5"),
        ("04 0A FFC0", BitString("1111111111")),
        ("19 07E4050906 0E1A0FFF00B400", octets("07E40509060E1A0FFF00B400")),
        ("01 02 11 01 11 02", [1, 2]),
        ("02 02 11 01 0A 00", (1, "")),
        ("13 02 02 11 12 06 01 0002 03 0004", [(1, 2), (3, 4)]),
        ("09 81 80" + "00" * 128, bytes(128)),
    ],
)
def test_every_type_of_value_is_decoded(encoded: str, value: Value) -> None:
    assert decode(octets(encoded)) == value


@pytest.mark.parametrize("encoded", ["", "06 00", "FF", "01 05 00", "09 84 FFFFFFFF", "11 01 11", "13 02 00 01 00"])
def test_what_is_cut_or_unknown_is_the_meter_s_fault(encoded: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(octets(encoded))


def test_nesting_is_bounded() -> None:
    with pytest.raises(RemoteProtocolError, match="deep"):
        decode(b"\x01\x01" * 200 + b"\x00")


@given(st.binary(max_size=300))
def test_garbage_is_values_or_the_meter_s_fault(data: bytes) -> None:
    for parse in (
        decode,
        association.decode_response,
        decode_initiate,
        Get([Attribute(1, bytes(6), 2)], 1).receive,
        Read([ShortName(8)]).receive,
        date_time.decode,
    ):
        try:
            parse(data)
        except RemoteProtocolError:
            continue


def test_a_date_time_with_its_deviation_is_utc() -> None:
    stamp = date_time.decode(octets("07E30C130402000000FFC400"))
    assert stamp == DateTime(datetime(2019, 12, 19, 2, 0), -60)  # noqa: DTZ001
    assert stamp.utc() == datetime(2019, 12, 19, 1, 0, tzinfo=UTC)


def test_an_inverted_deviation_is_a_setting() -> None:
    stamp = date_time.decode(octets("07E40509060E1A0FFF00B400"))
    assert stamp is not None
    assert stamp.utc(inverted=True) == datetime(2020, 5, 9, 11, 26, 15, tzinfo=UTC)


def test_a_date_time_without_deviation_or_day_names_no_utc() -> None:
    local = date_time.decode(octets("07E7010D0515000000800000"))
    assert local is not None
    assert local.utc() is None
    assert date_time.decode(octets("FFFFFFFFFFFFFFFFFF8000FF")) is None


def test_a_clock_s_status_is_told() -> None:
    stamp = date_time.decode(octets("07E30C130402000000FF8883"))
    assert stamp is not None
    assert stamp.status == ClockStatus.INVALID | ClockStatus.DOUBTFUL | ClockStatus.SUMMER_TIME


def test_a_date_time_is_written_as_it_is_read() -> None:
    stamp = DateTime(datetime(2026, 3, 29, 1, 30), -60, ClockStatus.SUMMER_TIME)  # noqa: DTZ001
    assert date_time.decode(stamp.encode()) == stamp


def test_a_list_of_attributes_is_one_question_with_a_result_each() -> None:
    get = Get([Attribute(3, bytes(6), 2), Attribute(1, bytes(6), 2)], invoke=1)
    assert get.encode()[:4] == octets("C003C102")
    assert get.receive(octets("C403C1 02 00 1105 01 04")) is None
    assert get.answers == [5, Denied(4)]
    assert str(get.answers[1]) == "object undefined"


def test_a_list_that_comes_in_blocks_is_joined() -> None:
    get = Get([Attribute(3, bytes(6), 2), Attribute(1, bytes(6), 2)], invoke=1)
    assert get.receive(octets("C402C1 00 00000001 00 02 0200")) == octets("C002C1 00000001")
    assert get.receive(octets("C402C1 01 00000002 00 04 1105 0104")) is None
    assert get.answers == [5, Denied(4)]


def test_a_block_can_end_a_long_answer_with_an_error() -> None:
    get = Get([Attribute(7, bytes(6), 2)], invoke=1)
    get.receive(octets("C402C1 00 00000001 00 01 01"))
    assert get.receive(octets("C402C1 01 00000002 01 0E")) is None
    assert get.answers == [Denied(14)]


@pytest.mark.parametrize(
    "answer", ["C402C1 00 00000002 00 00", "C401C2 00 00", "C403C1 02 00 00 00 00", "C405C1", "0C 01 00 00"]
)
def test_an_answer_to_another_question_is_the_meter_s_fault(answer: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Get([Attribute(7, bytes(6), 2)], invoke=1).receive(octets(answer))


@pytest.mark.parametrize("answer", ["D8 01 02", "0E 05 01 02"])
def test_a_refused_service_is_a_type_of_its_own(answer: str) -> None:
    for question in (Get([Attribute(7, bytes(6), 2)], invoke=1), Read([ShortName(8)])):
        with pytest.raises(ServiceRefused):
            question.receive(octets(answer))


def test_short_names_may_be_answered_in_blocks() -> None:
    read = Read([ShortName(0x0008), ShortName(0x0010)])
    assert read.receive(octets("0C 01 02 00 0001 03 020011")) == octets("05 01 05 0001")
    assert read.receive(octets("0C 01 02 01 0002 03 050104")) is None
    assert read.answers == [5, Denied(4)]


def test_what_cannot_be_asked_is_our_fault() -> None:
    selected = Attribute(7, bytes(6), 2, b"\x01\x00")
    for attributes in ([], [selected, selected]):
        with pytest.raises(LocalProtocolError):
            Get(attributes, 1)
    with pytest.raises(LocalProtocolError):
        values.unsigned8(256)


def test_a_known_result_code_has_a_name_and_another_its_number() -> None:
    assert str(Denied(services.AccessResult.READ_WRITE_DENIED)) == "read write denied"
    assert str(Denied(77)) == "data access result 77"


def test_a_method_is_invoked_with_its_parameter() -> None:
    reply = Invoke(Attribute(15, octets("0000280000FF"), 1), values.octet_string(b"proof"), invoke=3)
    assert reply.encode() == octets("C301C3 000F 0000280000FF 01 01 0905") + b"proof"
    reply.receive(octets("C701C3 00 01 00 0902 6F6B"))
    assert reply.answers == [b"ok"]
    for answer, told in (("C701C3 00 00", None), ("C701C3 03 00", Denied(3)), ("C701C3 00 01 01 0B", Denied(11))):
        reply.receive(octets(answer))
        assert reply.answers == [told]
    for wrong in ("C702C3 00", "C401C3 00", "C701C4 00 00"):
        with pytest.raises(RemoteProtocolError):
            reply.receive(octets(wrong))


@pytest.mark.parametrize("question", [Get([Attribute(7, bytes(6), 2)], 1), Read([ShortName(8)])])
def test_blocks_of_nothing_do_not_go_on_for_ever(question: Get | Read) -> None:
    block = "C402C1 00 00000001 00 00" if isinstance(question, Get) else "0C 01 02 00 0001 00"
    with pytest.raises(RemoteProtocolError, match="without data"):
        question.receive(octets(block))
