"""HDLC frames and the client's link, against captured frames and a meter's end written here from the standard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError
from mts_dialler.protocols.hdlc.frame import (
    Frame,
    Kind,
    check_sequence,
    client_address,
    decode,
    server_address,
)
from mts_dialler.protocols.hdlc.link import (
    Connected,
    Disconnected,
    Event,
    Link,
    NotYet,
    Parameters,
    Payload,
    State,
    ToSend,
)
from mts_dialler.protocols.hdlc.reader import FrameReader, Garbled

# Public frames: pwitab/dlms-cosem and OpenMUC jDLMS tests, and an L+G E650 session (shared captures, dlms/).
UA_IDIS = "7E A0 1F 21 02 23 73 E6 C7 81 80 12 05 01 9A 06 01 9A 07 04 00 00 00 01 08 04 00 00 00 01 CC A2 7E"
UA_KAMSTRUP = "7E A0 21 23 02 01 73 7A 5B 81 80 14 05 02 00 74 06 02 00 74 07 04 00 00 00 01 08 04 00 00 00 01 6A 0B 7E"
SNRM_E650 = (
    "7E A0 23 00 02 34 69 21 93 B0 18 81 80 14 05 02 05 DC 06 02 05 DC 07 04 00 00 00 01 08 04 00 00 00 01 A9 0D 7E"
)
UA_E650 = "7E A0 21 21 00 02 34 69 73 94 AC 81 80 12 05 01 F8 06 01 3E 07 04 00 00 00 01 08 04 00 00 00 01 48 0E 7E"
READ_E650 = "7E A0 14 00 02 34 69 21 54 51 BB E6 E6 00 05 01 02 38 48 06 25 7E"
ANSWER_E650 = "7E A0 1C 21 00 02 34 69 B8 4E 2C E6 E7 00 0C 01 00 0A 08 35 31 32 38 32 33 38 30 4B 21 7E"
DISC_E650 = "7E A0 0A 00 02 34 69 21 53 06 FC 7E"
RR_E650 = "7E A0 0A 00 22 54 D3 61 51 3F 99 7E"
CAPTURED = (UA_IDIS, UA_KAMSTRUP, SNRM_E650, UA_E650, READ_E650, ANSWER_E650, DISC_E650, RR_E650)

CLIENT, SERVER = client_address(16), server_address(1, 3380)


def octets(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.mark.parametrize("text", CAPTURED)
def test_a_captured_frame_is_decoded_and_written_again_octet_for_octet(text: str) -> None:
    data = octets(text)
    assert decode(data[1:-1]).encode() == data


def test_the_check_sequence_is_crc16_x25() -> None:
    assert check_sequence(b"123456789") == bytes.fromhex("6E90")


def test_a_captured_answer_means_what_the_meter_said() -> None:
    frame = decode(octets(ANSWER_E650)[1:-1])
    assert (frame.kind, frame.send, frame.receive, frame.poll) == (Kind.I, 4, 5, True)
    assert frame.information == octets("E6 E7 00 0C 01 00 0A 08") + b"51282380"


def test_addresses_have_the_length_that_is_asked_for() -> None:
    assert client_address(1) == b"\x03"
    assert client_address(100) == b"\xc9"
    assert server_address(1) == b"\x03"
    assert server_address(1, 17) == octets("02 23")
    assert server_address(1, 3380) == octets("00 02 34 69")
    assert server_address(1, 17, 4) == octets("00 02 00 23")


@pytest.mark.parametrize(("logical", "physical", "count"), [(128, None, 1), (1, 200, 2), (1, 17, 1), (1, 1 << 14, 4)])
def test_an_address_that_does_not_fit_is_our_fault(logical: int, physical: int | None, count: int) -> None:
    with pytest.raises(LocalProtocolError):
        server_address(logical, physical, count)


def test_a_frame_that_is_too_long_is_our_fault() -> None:
    with pytest.raises(LocalProtocolError):
        Frame(SERVER, CLIENT, Kind.I, information=bytes(2048)).encode()


def frames(reader: FrameReader, data: bytes) -> Iterator[Frame | Garbled]:
    reader.feed(data)
    while (found := reader.next()) is not None:
        yield found


def test_frames_are_found_byte_by_byte_through_noise_and_shared_flags() -> None:
    first, second = octets(UA_E650), octets(ANSWER_E650)
    stream = b"\x00\xffNO CARRIER" + first + second[1:] + b"\x7e\x7e" + first
    whole = list(frames(FrameReader(), stream))
    reader = FrameReader()
    piecemeal = [found for octet in stream for found in frames(reader, bytes((octet,)))]
    assert [found for found in whole if isinstance(found, Frame)] == [decode(x[1:-1]) for x in (first, second, first)]
    assert [found for found in piecemeal if isinstance(found, Frame)] == [
        found for found in whole if isinstance(found, Frame)
    ]


def test_a_flag_octet_inside_a_frame_ends_nothing() -> None:
    for number in range(70000):
        frame = Frame(SERVER, CLIENT, Kind.I, information=number.to_bytes(3, "big") + b"\x7e")
        data = frame.encode()
        if data[-2] == 0x7E:
            assert list(frames(FrameReader(), data)) == [frame]
            return
    raise AssertionError("no frame whose check sequence ends in 7E was found")


@given(st.binary(max_size=600))
def test_garbage_is_frames_or_garbled_and_never_more(data: bytes) -> None:
    for found in frames(FrameReader(), data):
        assert isinstance(found, Frame | Garbled)


@given(st.binary(min_size=1, max_size=400), st.data())
def test_a_damaged_frame_is_never_taken_for_another(information: bytes, data: st.DataObject) -> None:
    frame = Frame(SERVER, CLIENT, Kind.I, information=information)
    damaged = bytearray(frame.encode())
    place = data.draw(st.integers(1, len(damaged) - 2))
    damaged[place] ^= data.draw(st.integers(1, 255))
    assert all(isinstance(found, Garbled) for found in frames(FrameReader(), bytes(damaged)))


class Meter:
    """The server's end: answers SNRM with UA, a whole message with `answer`, in segments of the agreed sizes."""

    def __init__(self, answer: bytes, ua: bytes = octets(UA_E650), size: int = 60, window: int = 1) -> None:
        self.answer, self.ua, self.size, self.window = answer, ua, size, window
        self.reader = FrameReader()
        self.asked = b""
        self.sent: list[Frame] = []
        self.v_send = self.v_receive = 0
        self.segments: list[bytes] = []

    def receive(self, data: bytes) -> bytes:
        answers = b""
        for frame in frames(self.reader, data):
            assert isinstance(frame, Frame)
            answers += b"".join(each.encode() for each in self.handle(frame))
        return answers

    def handle(self, frame: Frame) -> Iterator[Frame]:
        if frame.kind is Kind.SNRM:
            self.v_send = self.v_receive = 0
            yield decode(self.ua[1:-1])
        elif frame.kind is Kind.DISC:
            yield Frame(CLIENT, SERVER, Kind.UA)
        elif frame.kind is Kind.I:
            if frame.send == self.v_receive:
                self.v_receive = (self.v_receive + 1) % 8
                self.asked += frame.information
                if not frame.segmented:
                    pieces = range(0, len(self.answer), self.size)
                    self.segments = [self.answer[at : at + self.size] for at in pieces]
            if frame.poll:
                yield from self.speak(frame.receive)
        elif frame.kind is Kind.RR:
            yield from self.speak(frame.receive)

    def speak(self, expected: int) -> Iterator[Frame]:
        self.sent = [each for each in self.sent if (expected - each.send - 1) % 8 >= self.window]
        while self.segments and len(self.sent) < self.window:
            piece = self.segments.pop(0)
            self.sent.append(Frame(CLIENT, SERVER, Kind.I, False, self.v_send, 0, bool(self.segments), piece))
            self.v_send = (self.v_send + 1) % 8
        if not self.sent:
            yield Frame(CLIENT, SERVER, Kind.RR, receive=self.v_receive)
        for place, each in enumerate(self.sent, 1):
            last = place == len(self.sent)
            yield Frame(CLIENT, SERVER, Kind.I, last, each.send, self.v_receive, each.segmented, each.information)


def converse(link: Link, meter: Meter, data: bytes, lose: frozenset[int] = frozenset(), step: int = 0) -> list[Event]:
    """Carry `data` and what follows to and fro until the link is quiet; answers numbered in `lose` never arrive."""
    events: list[Event] = []
    for turn in range(200):
        answer = meter.receive(data)
        if turn in lose:
            data = link.repeat()
            continue
        data = b""
        pieces = [answer[at : at + step] for at in range(0, len(answer), step)] if step else [answer]
        for piece in pieces:
            for event in link.receive(piece):
                if isinstance(event, ToSend):
                    data += event.data
                else:
                    events.append(event)
        if not data:
            return events
    raise AssertionError("the conversation does not end")


def connected(meter: Meter, wanted: Parameters | None = None) -> Link:
    link = Link(CLIENT, SERVER, wanted)
    [event] = converse(link, meter, link.connect())
    assert isinstance(event, Connected)
    return link


def test_the_meter_s_parameters_are_taken_from_its_own_view() -> None:
    link = connected(Meter(b""))
    assert link.parameters == Parameters(send_information=62, receive_information=248, send_window=1, receive_window=1)


def test_a_ua_without_parameters_means_the_defaults() -> None:
    link = connected(Meter(b"", ua=Frame(CLIENT, SERVER, Kind.UA).encode()))
    assert link.parameters == Parameters(128, 128, 1, 1)


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("window", [1, 3, 7])
def test_long_messages_travel_in_segments_both_ways(window: int, step: int) -> None:
    question, answer = bytes(range(256)) * 3, bytes(reversed(range(256))) * 10
    meter = Meter(answer, window=window)
    link = connected(meter)
    assert converse(link, meter, link.send(question), step=step) == [Payload(answer)]
    assert meter.asked == question
    assert link.state is State.IDLE


@pytest.mark.parametrize("lost", range(8))
def test_a_lost_answer_is_fetched_again(lost: int) -> None:
    meter = Meter(bytes(range(200)), size=40)
    link = connected(meter)
    assert converse(link, meter, link.send(b"question"), lose=frozenset({lost})) == [Payload(bytes(range(200)))]


def test_a_lost_question_is_sent_again() -> None:
    meter = Meter(b"answer")
    link = connected(meter)
    link.send(b"question")
    assert converse(link, meter, link.repeat()) == [Payload(b"answer")]
    assert meter.asked == b"question"


def test_a_meter_that_needs_time_is_polled() -> None:
    meter = Meter(b"answer")
    link = connected(meter)
    link.send(b"question")
    busy = Frame(CLIENT, SERVER, Kind.RR, receive=1).encode()
    assert list(link.receive(busy)) == [NotYet()]
    assert list(link.receive(Frame(CLIENT, SERVER, Kind.RNR, receive=1).encode())) == [NotYet()]
    assert decode(link.poll()[1:-1]).kind is Kind.RR


def test_frames_for_others_are_ignored() -> None:
    link = connected(Meter(b""))
    link.send(b"question")
    stranger = Frame(client_address(32), SERVER, Kind.I, information=b"secret").encode()
    assert list(link.receive(stranger)) == []


def test_a_meter_that_has_forgotten_us_says_so() -> None:
    link = connected(Meter(b""))
    link.send(b"question")
    assert list(link.receive(Frame(CLIENT, SERVER, Kind.DM).encode())) == [Disconnected(asked=False)]
    assert link.state is State.DISCONNECTED


def test_disconnecting_ends_with_ua_or_dm() -> None:
    for kind in (Kind.UA, Kind.DM):
        link = connected(Meter(b""))
        assert decode(link.disconnect()[1:-1]).kind is Kind.DISC
        assert list(link.receive(Frame(CLIENT, SERVER, kind).encode())) == [Disconnected(asked=True)]


def test_an_endless_message_is_cut_off() -> None:
    link = Link(CLIENT, SERVER, max_payload=1000)
    list(link.receive(b""))
    meter = Meter(bytes(5000))
    converse(link, meter, link.connect())
    with pytest.raises(RemoteProtocolError, match="longer than 1000"):
        converse(link, meter, link.send(b"question"))


def test_steps_out_of_turn_are_our_fault_and_change_nothing() -> None:
    link = Link(CLIENT, SERVER)
    with pytest.raises(LocalProtocolError, match="send is not possible while disconnected"):
        link.send(b"x")
    with pytest.raises(LocalProtocolError, match="poll is not possible"):
        link.poll()
    with pytest.raises(LocalProtocolError, match="repeat is not possible"):
        link.repeat()
    assert link.state is State.DISCONNECTED
