"""EDMI frames, packets and commands, against every captured frame and the vectors of the fact sheet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_dialler.protocols.edmi import registers
from mts_dialler.protocols.edmi.commands import (
    Ask,
    Block,
    Info,
    Login,
    Logout,
    Read,
    ReadMany,
    ReadRecords,
    Records,
)
from mts_dialler.protocols.edmi.frame import (
    ATTENTION,
    MAX_FRAME,
    FrameReader,
    Garbled,
    Packet,
    Plain,
    check_sequence,
    decode,
    encode,
)
from mts_dialler.protocols.edmi.genius_survey import AskFile, FileInfo, Found, Place, ReadFile, Search
from mts_dialler.protocols.edmi.link import Answer, Event, Link, Passed
from mts_dialler.protocols.edmi.refusals import (
    CommandRefused,
    DataNotReady,
    LoginRefused,
    NotLoggedIn,
    explain,
    refusal,
)
from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError

CAPTURES = Path(__file__).parent / "captures"
METER, CLIENT, SEQUENCE = 0x0EFAAA45, 0x012B1668, 0xFFFF  # of the captured session
WAKE_UP = b"/?!\r\n"


def octets(text: str) -> bytes:
    return bytes.fromhex(text)


def captured() -> list[tuple[bytes, str]]:
    """The wire bytes of every captured line, with its note."""
    lines = (CAPTURES / "edmi_frames.txt").read_text().splitlines()
    parts = [line.split(" | ") for line in lines if line.startswith(("tx", "rx"))]
    return [(octets(wire), note) for _, wire, note in parts]


CAPTURED = {note + f" {number}": wire for number, (wire, note) in enumerate(captured()) if wire != WAKE_UP}
VERIFIED = json.loads((CAPTURES / "edmi_frames.verified.json").read_text())


def body(frame: Packet | Plain) -> bytes:
    if isinstance(frame, Plain):
        return frame.payload
    header = frame.destination.to_bytes(4, "big") + frame.source.to_bytes(4, "big") + frame.sequence.to_bytes(2, "big")
    return b"E" + header + frame.payload


def frames(reader: FrameReader, data: bytes) -> Iterator[Packet | Plain | Garbled]:
    reader.feed(data)
    while (found := reader.next()) is not None:
        yield found


def test_all_lines_of_the_capture_are_used() -> None:
    assert len(CAPTURED) == len(VERIFIED) - 1 == 21
    assert VERIFIED[0]["wire"] == WAKE_UP.hex()


@pytest.mark.parametrize("entry", VERIFIED[1:], ids=lambda entry: entry["note"])
def test_a_captured_frame_has_the_verified_body_and_is_written_again_byte_for_byte(entry: dict[str, str]) -> None:
    wire = octets(entry["wire"])
    [found] = frames(FrameReader(), wire)
    assert not isinstance(found, Garbled)
    assert body(found).hex() == entry["body"]
    assert (found.encode() if isinstance(found, Packet) else encode(found.payload)) == wire


@pytest.mark.parametrize("wire", CAPTURED.values(), ids=CAPTURED)
def test_a_captured_frame_is_found_byte_by_byte_in_noise(wire: bytes) -> None:
    reader = FrameReader()
    stream = b"NO CARRIER\r\n\x03\xff" + wire + b"\x00\x03" + wire
    found = [frame for octet in stream for frame in frames(reader, bytes((octet,)))]
    assert found == [decode(wire[1:-1])] * 2
    assert not reader.receiving


def test_the_captured_exchange_is_what_the_commands_write_and_read() -> None:
    wires = [wire for wire, _ in captured()]
    login = Login("EDMI,IMDEIMDE")
    assert Packet(METER, CLIENT, SEQUENCE, login.encode()).encode() == wires[1]
    acknowledged = decode(wires[2][1:-1])
    assert acknowledged == Packet(CLIENT, METER, SEQUENCE, b"\x06")
    login.parse(acknowledged.payload)
    numbers = (0xE000, 0xE001, 0xE002, 0xF701, 0xF703, 0xE010, 0xE011, 0xE012, 0xF700, 0xF702, 0xE026, 0xE060)
    many = ReadMany([(number, "F") for number in (*numbers, 0x0169, 0x0369)])
    assert Packet(METER, CLIENT, SEQUENCE, many.encode()).encode() == wires[3]
    assert encode(login.encode()) == wires[4]
    serial = Read(registers.SERIAL_NUMBER, wide=False)
    assert encode(serial.encode()) == wires[6]
    assert serial.parse(decode(wires[7][1:-1]).payload) == b"217072470\x00"
    energy = Read(0x1E01, wide=False)
    assert encode(energy.encode()) == wires[8]
    assert energy.parse(decode(wires[9][1:-1]).payload) == octets("4b9b1b08")
    assert encode(Logout().encode()) == wires[10]
    Logout().parse(decode(wires[11][1:-1]).payload)
    singles = (0xE000, 0xE001, 0xE002, 0xE010, 0xE012, 0xE030, 0xE026, 0xE060, 0x1E02, 0x1E00)
    assert [encode(Read(number, wide=False).encode()) for number in singles] == wires[12:]


# Section 7: made by an encoder of its own.
VECTORS = {
    "02 18 10 43 d4 d9 03": b"\x18\x03",
    "02 18 09 75 93 03": b"\x18\x09",
    "02 52 f0 3d 29 f9 03": Read(registers.CLOCK, wide=False).encode(),
    "02 52 f0 3d 14 0b 1a 09 0f 00 e7 b9 03": octets("52 f0 3d 14 0b 1a 09 0f 00"),
    "02 49 e0 00 7e e6 03": Ask(0xE000, wide=False).encode(),
    "02 4d 00 00 f0 10 42 88 d1 03": Read(registers.SERIAL_NUMBER, wide=True).encode(),
    "02 46 49 10 43 05 f0 08 dc e3 03": AskFile(0x0305F008).encode(),
    "02 46 52 10 43 05 f0 08 00 00 10 43 e8 00 30 00 00 00 16 38 dd 03": ReadFile(0x0305F008, 1000, 48, 22).encode(),
    "02 46 30 00 00 00 44 70 00 60 8d c4 03": ReadRecords(0, 17520, 96, 13).encode(),
    "02 06 06 a4 03": b"\x06",
}


@pytest.mark.parametrize("wire", VECTORS)
def test_the_vectors_of_the_fact_sheet_are_met_both_ways(wire: str) -> None:
    assert encode(VECTORS[wire]).hex(" ") == wire
    assert list(frames(FrameReader(), octets(wire))) == [Plain(VECTORS[wire])]


def test_the_check_is_crc16_xmodem() -> None:
    assert check_sequence(b"123456789") == octets("31C3")


def test_reserved_bytes_never_stand_bare_inside_a_frame() -> None:
    wire = encode(bytes(range(256)))
    assert not set(wire[1:-1]) & {0x02, 0x03, 0x11, 0x13}
    assert list(frames(FrameReader(), wire)) == [Plain(bytes(range(256)))]


def test_a_bare_stx_begins_anew() -> None:
    wire = encode(b"answer")
    for cut in range(1, len(wire)):
        assert list(frames(FrameReader(), wire[:cut] + wire)) in ([Plain(b"answer")], [Plain(b"answer")] * 2)


def test_an_attention_that_comes_back_is_nothing() -> None:
    assert list(frames(FrameReader(), ATTENTION + encode(b"\x06"))) == [Plain(b"\x06")]


def test_a_frame_without_an_end_is_cut_off() -> None:
    reader = FrameReader()
    assert list(frames(reader, b"\x02" + bytes(MAX_FRAME))) == [Garbled(f"a message is longer than {MAX_FRAME} bytes")]
    assert list(frames(reader, encode(b"\x06"))) == [Plain(b"\x06")]


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=20))
def test_any_content_survives_any_chunking(content: bytes, sizes: list[int]) -> None:
    packet = Packet(METER, 1, 7, b"R" + content)
    wire = packet.encode()
    reader = FrameReader()
    found: list[Packet | Plain | Garbled] = []
    for size in [*sizes, len(wire)]:
        found += frames(reader, wire[:size])
        wire = wire[size:]
    assert found == [packet]


@given(st.binary(max_size=600))
def test_garbage_is_frames_or_garbled_and_never_more(data: bytes) -> None:
    whole = list(frames(FrameReader(), data))
    reader = FrameReader()
    assert [found for octet in data for found in frames(reader, bytes((octet,)))] == whole
    assert all(isinstance(found, Packet | Plain | Garbled) for found in whole)


@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_damaged_frame_is_never_taken_for_another(payload: bytes, data: st.DataObject) -> None:
    packet = Packet(METER, 1, 7, payload)
    damaged = bytearray(packet.encode())
    place = data.draw(st.integers(1, len(damaged) - 2))
    damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    assert packet not in list(frames(FrameReader(), bytes(damaged))) or decode(bytes(damaged[1:-1])) == packet


# --- the link


def events(link: Link, data: bytes) -> list[Event]:
    return list(link.receive(data))


def reply(link_bytes: bytes, payload: bytes, sequence: int | None = None) -> bytes:
    asked = decode(link_bytes[1:-1])
    assert isinstance(asked, Packet)
    number = asked.sequence if sequence is None else sequence
    return Packet(asked.source, asked.destination, number, payload).encode()


def test_only_the_answer_to_the_open_question_is_taken() -> None:
    link = Link(METER)
    first = link.ask(b"R1")
    second = link.ask(b"R2")
    late, answer = reply(first, b"late"), reply(second, b"answer")
    stranger = Packet(1, METER + 1, 2, b"stranger").encode()
    found = events(link, late + stranger + encode(b"\x06") + answer + answer)
    assert [type(event) for event in found] == [Passed, Passed, Passed, Answer, Passed]
    assert found[3] == Answer(b"answer")


def test_a_repeat_is_the_same_bytes() -> None:
    link = Link(METER)
    assert link.ask(b"R1") == link.repeat() == link.repeat()
    [_] = events(link, reply(link.repeat(), b"x"))
    with pytest.raises(LocalProtocolError, match="no question to repeat"):
        link.repeat()


def test_sequence_numbers_begin_again_after_the_last() -> None:
    link = Link(METER)
    numbers = [decode(link.ask(b"R")[1:-1]) for _ in range(0x8001)]
    sequences = [packet.sequence for packet in numbers if isinstance(packet, Packet)]
    assert (sequences[0], sequences[0x7FFE], sequences[0x7FFF], sequences[0x8000]) == (1, 0x7FFF, 1, 2)


def test_a_question_that_cannot_be_sent_is_our_fault() -> None:
    with pytest.raises(LocalProtocolError, match="no outstation number"):
        Link(1 << 32)
    with pytest.raises(LocalProtocolError, match="needs a command"):
        Link(METER).ask(b"")
    with pytest.raises(LocalProtocolError, match="32 bits"):
        Packet(1 << 32, 1, 1, b"R").encode()


def test_a_frame_that_broke_off_can_be_let_go() -> None:
    link = Link(METER)
    answer = reply(link.ask(b"R"), b"answer")
    assert events(link, answer[:-3]) == []
    begun = link.receiving
    link.interrupt()
    assert (begun, link.receiving) == (True, False)
    assert events(link, answer[-3:]) == []
    assert events(link, answer) == [Answer(b"answer")]


# --- the commands


def test_a_refusal_is_a_type_by_its_code() -> None:
    assert [type(refusal(code)) for code in (7, 9, 3, None)] == [
        DataNotReady,
        NotLoggedIn,
        CommandRefused,
        CommandRefused,
    ]
    assert explain(3) == "register not found"
    assert explain(99) == "code 99"


@pytest.mark.parametrize("payload", [b"\x18\x04", b"\x18"])
def test_a_refused_login_means_user_or_password(payload: bytes) -> None:
    with pytest.raises(LoginRefused):
        Login("USER,SECRET").parse(payload)


def test_other_refusals_of_a_login_are_no_verdict_on_the_password() -> None:
    with pytest.raises(DataNotReady):
        Login("USER,SECRET").parse(b"\x18\x07")
    assert "SECRET" not in repr(Login("USER,SECRET"))


@pytest.mark.parametrize("credentials", ["USER,\x00", "USER,\u20ac"])
def test_credentials_that_cannot_be_sent_are_our_fault(credentials: str) -> None:
    with pytest.raises(LocalProtocolError):
        Login(credentials).encode()


def test_an_answer_to_another_command_is_the_meter_s_fault() -> None:
    with pytest.raises(RemoteProtocolError, match="begins with"):
        Read(0xE000, wide=False).parse(octets("52 e0 01 43660000"))
    with pytest.raises(RemoteProtocolError, match="more than an acknowledgement"):
        Logout().parse(b"\x06\x06")
    with pytest.raises(NotLoggedIn):
        Read(0xE000, wide=False).parse(b"\x18\x09")


def test_what_a_meter_says_of_a_register_is_its_type_unit_and_name() -> None:
    answer = octets("4f 0000e000") + b"FVVoltage phase A\x00"
    assert Ask(0xE000, wide=True).parse(answer) == Info("F", "V", "Voltage phase A")
    with pytest.raises(RemoteProtocolError):
        Ask(0xE000, wide=True).parse(octets("4f 0000e000 46"))


MANY = ReadMany([(0xF002, "A"), (0xE000, "F"), (0xF03D, "T")])
HEAD = octets("4d 0000fff1")


def test_many_registers_come_each_after_its_error_byte() -> None:
    data = HEAD + b"\x00123\x00" + octets("00 43660000 00 140b1a090f00")
    assert MANY.parse(data) == Block((b"123\x00", octets("43660000"), octets("140b1a090f00")))


def test_nothing_behind_the_first_error_is_used() -> None:
    assert MANY.parse(HEAD + b"\x00123\x00" + octets("03 00 140b1a090f00")) == Block((b"123\x00",), 3)


@pytest.mark.parametrize("tail", [b"\x00123", b"\x00123\x00", b"\x00123\x00" + octets("00 4366"), b""])
def test_a_block_that_is_cut_short_is_the_meter_s_fault(tail: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        MANY.parse(HEAD + tail)


def test_a_block_with_more_than_the_values_is_the_meter_s_fault() -> None:
    with pytest.raises(RemoteProtocolError, match="more than the values"):
        ReadMany([(0xE000, "F")]).parse(HEAD + octets("00 43660000 00"))


def test_records_come_with_their_own_start_and_count() -> None:
    asked = ReadRecords(0, 100, 10, 3)
    assert asked.parse(octets("46 30 00 00000065 0002 010203 040506")) == Records(101, 2, octets("010203040506"))


@pytest.mark.parametrize(
    "answer",
    [
        "46 30 00 00000064",
        "46 31 00 00000064 0001 010203",
        "46 30 00 00000064 0002 010203",
        "46 30 00 00000063 0001 010203",
        "46 30 00 00000064 0003 010203040506070809",
    ],
)
def test_records_that_were_not_asked_for_are_the_meter_s_fault(answer: str) -> None:
    with pytest.raises(RemoteProtocolError):
        ReadRecords(0, 100, 2, 3).parse(octets(answer))


@pytest.mark.parametrize(("log", "start", "count", "size"), [(10, 0, 1, 1), (0, -1, 1, 1), (0, 0, 0, 1), (0, 0, 1, 0)])
def test_records_that_cannot_be_asked_for_are_our_fault(log: int, start: int, count: int, size: int) -> None:
    with pytest.raises(LocalProtocolError):
        ReadRecords(log, start, count, size).encode()


def test_the_files_of_a_genius_are_described_searched_and_read() -> None:
    file = 0x0305F008
    info = octets("4649 0305f008 000003e8 00000bb8 0016 01") + b"LS01\x00"
    assert AskFile(file).parse(info) == FileInfo(1000, 3000, 22, "LS01")
    search = Search(file, 1000, datetime(2026, 11, 20, 9, 30))  # noqa: DTZ001 - the meter's wall clock
    assert search.encode() == octets("4653 0305f008 000003e8 140b1a091e00 01")
    place = search.parse(octets("4653 0305f008 000003f0 140b1a091e00 00"))
    assert place == Place(1008, datetime(2026, 11, 20, 9, 30), Found.EXACT)  # noqa: DTZ001
    read = ReadFile(file, 1000, 2, 3)
    assert read.parse(octets("4652 0305f008 000003e9 0001 0000 0003 010203")) == Records(1001, 1, octets("010203"))


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (AskFile(1), "4649 00000001 00000000"),
        (Search(1, 0, datetime(2026, 1, 1)), "4653 00000001 00000000 140b1a091e"),  # noqa: DTZ001
        (ReadFile(1, 0, 2, 3), "4652 00000001 00000000 0001 0001 0003 010203"),
        (ReadFile(1, 0, 2, 3), "4652 00000001 00000000 0001 0000 0004 01020304"),
        (ReadFile(1, 0, 2, 3), "4652 00000001"),
    ],
)
def test_file_answers_of_another_form_are_the_meter_s_fault(command: AskFile | Search | ReadFile, answer: str) -> None:
    with pytest.raises(RemoteProtocolError):
        command.parse(octets(answer))


@given(st.binary(max_size=60))
def test_no_answer_does_more_than_be_refused(payload: bytes) -> None:
    commands = (
        Login("A,B"),
        Read(0xE000, wide=False),
        Ask(0xE000, wide=True),
        MANY,
        ReadRecords(0, 0, 10, 3),
        AskFile(1),
        Search(1, 0, datetime(2026, 1, 1)),  # noqa: DTZ001
        ReadFile(1, 0, 10, 3),
    )
    for command in commands:
        heads = (b"", command.encode()[:6], command.encode()[:5], command.encode()[:3])
        for head in heads:
            try:
                command.parse(head + payload)
            except RemoteProtocolError:
                continue
