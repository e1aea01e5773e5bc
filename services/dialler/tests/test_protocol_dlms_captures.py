"""Every captured DLMS frame, read and written again, and what the captures say that no other test asks."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mts_dialler.protocols.cosem import association, profile
from mts_dialler.protocols.cosem.profile import BadRow, CaptureObject, Row
from mts_dialler.protocols.cosem.values import Reader, Value
from mts_dialler.protocols.hdlc.frame import Frame, Kind, client_address, decode, server_address
from mts_dialler.protocols.hdlc.link import Connected, Link, Parameters
from mts_dialler.protocols.hdlc.reader import FrameReader

CAPTURES = Path(__file__).parent / "captures"
FILES = sorted(CAPTURES.glob("dlms_*.hex"))


def captured(name: str) -> list[bytes]:
    lines = (CAPTURES / name).read_text().splitlines()
    return [bytes.fromhex(line[2:]) for line in lines if line[:1] in {"<", ">"}]


FRAMES = [data for path in FILES for data in captured(path.name) if data[0] == data[-1] == 0x7E]


def test_the_captures_hold_frames() -> None:
    assert len(FRAMES) == 87
    assert {path.name for path in FILES} == {
        "dlms_apator_norax3_ln_session.hex",
        "dlms_idis_get_apdus.hex",
        "dlms_idis_hdlc_frames.hex",
        "dlms_idis_profile_buffer_null.hex",
        "dlms_lg_e650_sn_session.hex",
        "dlms_ua_frames_various.hex",
        "dlms_unknown_meter_range_blocks.hex",
        "dlms_wrapper_eventlog_block.hex",
    }


@pytest.mark.parametrize("data", FRAMES, ids=lambda data: data.hex()[:24])
def test_every_captured_frame_is_read_and_written_again_octet_for_octet(data: bytes) -> None:
    assert decode(data[1:-1]).encode() == data


def test_captured_frames_are_found_in_one_stream_byte_by_byte() -> None:
    reader = FrameReader()
    found = 0
    for octet in b"".join(FRAMES):
        reader.feed(bytes((octet,)))
        while (frame := reader.next()) is not None:
            assert isinstance(frame, Frame)
            found += 1
    assert found == len(FRAMES)


@pytest.mark.parametrize(
    ("place", "client", "server", "agreed"),
    [
        (0, 48, server_address(1), Parameters(62, 128, 1, 1)),
        (1, 17, server_address(1, 0), Parameters(116, 116, 1, 1)),
        (3, 100, server_address(1, 17), Parameters(126, 126, 1, 1)),
    ],
)
def test_captured_meters_agree_to_their_own_sizes(place: int, client: int, server: bytes, agreed: Parameters) -> None:
    link = Link(client_address(client), server)
    link.connect()
    assert list(link.receive(captured("dlms_ua_frames_various.hex")[place])) == [Connected(agreed)]


def test_a_captured_idis_meter_associates_and_pushes() -> None:
    _, _, aare, push, _, aarq = (decode(data[1:-1]) for data in captured("dlms_idis_hdlc_frames.hex"))
    response = association.decode_response(aare.information[3:])
    initiated = association.decode_initiate(response.user_information)
    assert (response.accepted, initiated.conformance, initiated.max_pdu) == (True, 0x001E1D, 1224)
    assert push.kind is Kind.UI
    notification = Reader(push.information, 3 + 1 + 4 + 1)  # LLC, tag, invoke id and priority, no time
    values = notification.value()
    assert isinstance(values, list)
    assert values[1] == (bytes.fromhex("0100010700FF"), 0x0462, (0, 27))
    wanted = association.Request(association.Context.LOGICAL_NAMES, conformance=association.Conformance(0x001E1D))
    assert wanted.encode() == aarq.information[3:]


def test_the_rows_of_a_captured_buffer_change_their_width() -> None:
    """185 blocks, of which the first and the last two are public."""
    answers = [decode(data[1:-1]) for data in captured("dlms_unknown_meter_range_blocks.hex")]
    blocks = [frame.information[13:] for frame in answers if frame.information[3:5] == b"\xc4\x02"]
    columns = (
        CaptureObject(8, bytes.fromhex("0000010000FF"), 2),
        CaptureObject(8, bytes.fromhex("0000010000FF"), 4),
        CaptureObject(1, bytes.fromhex("0000600A01FF"), 2),
    )
    first = Reader(blocks[0])
    assert (first.octet(), first.length()) == (0x01, 983)
    rows: list[Value] = [first.value() for _ in range(6)]
    last = Reader(blocks[1] + blocks[2], (blocks[1] + blocks[2]).index(bytes.fromhex("0203090C")))
    while last.left:
        rows.append(last.value())
    found = profile.rows(rows, columns, timedelta(hours=1), newest_first=False)
    assert {type(row) for row in found[:6]} == {BadRow}
    assert {type(row) for row in found[6:]} == {Row}
    wide = found[-1]
    assert isinstance(wide, Row)
    assert (wide.stamp.wall.isoformat(), wide.cells[1:]) == ("2023-09-06T01:00:00", (7, 0x030609E7))
