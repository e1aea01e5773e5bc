"""Messages of IEC 62056-21 on the wire: published frames, chunking, damage and garbage."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError
from mts_dialler.protocols.iec62056_21.framing import (
    MAX_MESSAGE,
    MAX_NOISE,
    MessageReader,
    block_check,
    encode,
    parse_identification,
)
from mts_dialler.protocols.iec62056_21.messages import (
    Accept,
    Ack,
    Action,
    Break,
    Command,
    Damaged,
    DataMessage,
    ErrorMessage,
    Event,
    Identification,
    Mode,
    Nak,
    Operand,
    Option,
    PartialBlock,
    Password,
    Repeat,
    Request,
    Select,
    SignOff,
    Truncated,
)

CAPTURES = Path(__file__).parent / "captures"

Seen = Event | str


def lines(name: str) -> list[str]:
    return [line for line in (CAPTURES / name).read_text().splitlines() if line and not line.startswith("#")]


def drain(reader: MessageReader) -> list[Seen]:
    """All there is; a remote error appears as its text."""
    found: list[Seen] = []
    while True:
        try:
            event = reader.next()
        except RemoteProtocolError as error:
            found.append(str(error))
            continue
        if event is None:
            return found
        found.append(event)


def read(data: bytes) -> list[Seen]:
    reader = MessageReader()
    reader.feed(data)
    return drain(reader)


def read_byte_by_byte(data: bytes) -> list[Seen]:
    reader, found = MessageReader(), []
    for octet in data:
        reader.feed(bytes([octet]))
        found += drain(reader)
    return found


def message(content: bytes) -> bytes:
    return content + bytes([block_check(content[1:])])


@pytest.mark.parametrize("line", lines("a1700_frame_bcc_vectors.txt"))
def test_published_frames_are_made_or_understood_octet_for_octet(line: str) -> None:
    title, _, digits = line.partition("=")
    frame = bytes.fromhex(digits)
    kind, _, content = title.strip().partition(" ")
    if kind in {"R1", "W1", "W2"}:
        assert encode(Command(kind, content)) == frame
    elif kind == "P2":
        assert encode(Password("P2", content.strip("()"))) == frame
    elif kind == "B0":
        assert encode(SignOff()) == frame
        assert read(frame) == [Break()]
    elif kind == "P0":
        assert read(frame) == [Operand(content.strip("()"))]
    else:
        assert read(frame) == [DataMessage(content)]


@pytest.mark.parametrize(
    ("action", "digits"),
    [
        (Request(), "2f3f210d0a"),
        (Request("001"), "2f3f303031210d0a"),
        (Request(list_character="2"), "2f32210d0a"),
        (Select(Option.PROGRAMMING, "5"), "063035310d0a"),
        (Password("P1", "00000000"), "01503102283030303030303030290361"),
        (Command("R1", "1.8.0()"), "01523102312e382e302829035a"),
        (Accept(), "06"),
        (Repeat(), "15"),
    ],
)
def test_what_the_host_sends(action: Action, digits: str) -> None:
    assert encode(action).hex() == digits


@pytest.mark.parametrize(
    ("code", "data", "check"),
    [
        ("R5", "P.01(1220823160000;1220823170000)", 0x22),
        ("R6", "P.01(1220823160000;;8)", 0x1C),
        ("R1", "606001(1C)", 0x10),
        ("R1", "551001(04)", 0x67),
        ("W1", "551001(0700)", 0x61),
        ("R1", "550001(40)", 0x66),
        ("R1", "507001(40)", 0x64),
        ("R1", "507002(10)", 0x62),
        ("R1", "861001(07)", 0x6A),
    ],
)
def test_check_characters_of_the_fact_sheets(code: str, data: str, check: int) -> None:
    assert encode(Command(code, data))[-1] == check


def test_the_captured_login_is_understood() -> None:
    sent: list[bytes] = []
    received: list[bytes] = []
    for line in lines("a1700_login_exchange.hex"):
        (sent if line[0] == ">" else received).append(bytes.fromhex(line[1:]))
    assert sent == [
        encode(Request()),
        encode(Select(Option.PROGRAMMING, "5")),
        encode(Password("P2", "BE2C10B158593B3E")),
    ]
    assert [read(data) for data in received] == [
        [Identification("GEC", "5", "", "012345678901@000")],
        [Operand("FD2BA0E29731D230")],
        [Ack()],
    ]


def test_the_captured_mt174_readout_verifies() -> None:
    (digits,) = lines("iskra_mt174_frame.hex")
    identification, readout = read(bytes.fromhex(digits))
    assert identification == Identification("ISk", "5", "", "MT174-0002")
    assert isinstance(readout, DataMessage)
    assert readout.text.startswith("1-0:0.9.2*255(0220127)")
    assert readout.text.endswith("!\r\n")
    assert read_byte_by_byte(bytes.fromhex(digits)) == [identification, readout]


def test_a_readout_whose_check_is_wrong_is_damaged_and_its_content_not_given() -> None:
    (digits,) = lines("siemens_2wr5_heat.hex")
    assert read(bytes.fromhex(digits)) == [Damaged()]


@pytest.mark.parametrize("line", lines("iskra_mt174_handshake.hex"))
def test_the_mt174_handshake(line: str) -> None:
    frame = bytes.fromhex(line[1:])
    if line[0] == "<":
        assert read(frame) == [Identification("ISk", "5", "", "MT174-0001")]
    else:
        assert frame in (encode(Request()), encode(Select(Option.READOUT, "5")))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("/EMH5\\@\\201LZQJL0013F", Identification("EMH", "5", "@2", "01LZQJL0013F")),
        ("/LGZ5\\2ZMD3104407.B24", Identification("LGZ", "5", "2", "ZMD3104407.B24")),
        ("/LGZ52ZMD120APt.G03", Identification("LGZ", "5", "", "2ZMD120APt.G03")),
        ("/MCS5\\@V0050710000051", Identification("MCS", "5", "@", "V0050710000051")),
        ("/ACE0\\3k260V01.18", Identification("ACE", "0", "3", "k260V01.18")),
        ("/KAM MC", Identification("KAM", " ", "", "MC")),
        ("/SIEC2WR5", Identification("SIE", "C", "", "2WR5")),
    ],
)
def test_identifications(line: str, expected: Identification) -> None:
    assert parse_identification(line) == expected
    assert str(expected) == line


@pytest.mark.parametrize("line", lines("a1700_idents.txt"))
def test_identifications_of_a1700s(line: str) -> None:
    assert parse_identification(line).maker == "GEC"


def test_the_baud_character_and_the_third_letter_tell_how_to_go_on() -> None:
    assert parse_identification("/ISk5MT174-0001").fast
    assert not parse_identification("/ISK5MT174-0001").fast
    assert [parse_identification(f"/ISK{baud}X").mode for baud in "06AF 79"] == [
        Mode.C,
        Mode.C,
        Mode.B,
        Mode.B,
        Mode.A,
        Mode.A,
        Mode.A,
    ]


@pytest.mark.parametrize("line", ["/", "/X", "/LG5", "LGZ5", "/LGZ5\x00", "/?!"])
def test_what_is_no_identification(line: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_identification(line)


@pytest.mark.parametrize("text", [b"5*-9+", b"", b"0", b"("])
@pytest.mark.parametrize("check", [0x02, 0x03, 0x04, 0x06, 0x0A, 0x15, 0x2F])
def test_a_check_character_may_be_any_control_character(text: bytes, check: int) -> None:
    covered = text + b"\x03"
    filler = block_check(covered) ^ check
    # Two characters that make the check what is wanted and are printable both.
    pair = next(bytes([a, a ^ filler]) for a in range(0x20, 0x7F) if 0x20 <= a ^ filler < 0x7F)
    frame = message(b"\x02" + text + pair + b"\x03")
    assert frame[-1] == check
    expected = DataMessage((text + pair).decode())
    assert read(frame + b"\x06") == [expected, Ack()]
    assert read_byte_by_byte(frame + b"\x06") == [expected, Ack()]


def test_errors_blocks_and_single_characters() -> None:
    data = (
        message(b"\x02(ERR5)\x03")
        + message(b"\x02(ERROR)\x03")
        + message(b"\x02ER0001\x03")
        + message(b"\x02(1)\x04")
        + message(b"\x02(E5A)\x03")
        + b"\x15\x06?"
    )
    assert read(data) == [
        ErrorMessage("ERR5"),
        ErrorMessage("ERROR"),
        ErrorMessage("ER0001"),
        PartialBlock("(1)"),
        DataMessage("(E5A)"),
        Nak(),
        Ack(),
        Nak(),
    ]


def test_an_answer_cut_short_by_a_sign_off_is_given_as_truncated() -> None:
    assert read(b"\x02P.01(1)(2" + message(b"\x01B0\x03")) == [Truncated("P.01(1)(2"), Break()]


def test_an_answer_cut_short_by_silence_is_given_as_truncated() -> None:
    reader = MessageReader()
    reader.feed(b"\x02(0.17)(0.0")
    assert reader.next() is None
    assert reader.interrupt() == Truncated("(0.17)(0.0")
    assert reader.interrupt() is None
    reader.feed(b"\x06")
    assert reader.next() == Ack()


def test_noise_between_messages_is_dropped_but_not_without_end() -> None:
    assert read(b"\x00\xff\r\n\x06") == [Ack()]
    assert read(b"\x00" * (MAX_NOISE + 1)) == ["noise on the line"]


def test_a_message_without_end_is_an_error_and_does_not_stay_in_memory() -> None:
    assert read(b"\x02" + b"a" * MAX_MESSAGE) == [f"a message is longer than {MAX_MESSAGE} bytes"]
    assert "an identification without an end" in read(b"/" + b"x" * 100)


@pytest.mark.parametrize(
    "action",
    [
        Request("1!"),
        Request("x" * 33),
        Password("P1", "a\x03b"),
        Command("R1", "é"),
    ],
)
def test_what_cannot_be_sent_is_our_own_fault(action: Action) -> None:
    with pytest.raises(LocalProtocolError):
        encode(action)


def test_a_password_does_not_show_in_a_repr() -> None:
    assert "SECRET01" not in repr(Password("P1", "SECRET01"))


CHARACTERS = st.sampled_from(list(b"/?!\r\n\x01\x02\x03\x04\x06\x15PB01()ER\\ \x00\xff"))


@given(st.lists(CHARACTERS, max_size=200).map(bytes))
def test_garbage_is_parsed_or_a_remote_error_and_the_same_in_any_chunks(data: bytes) -> None:
    whole = read(data)
    assert read_byte_by_byte(data) == whole


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60))
def test_any_text_in_a_block_comes_out_as_it_went_in(text: str) -> None:
    (event,) = read(message(b"\x02" + text.encode() + b"\x03"))
    assert event == DataMessage(text) or (isinstance(event, ErrorMessage) and event.text in text)
