"""The session as the host sees it: each state walked, illegal moves change nothing, both ends joined."""

from __future__ import annotations

import pytest

from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError
from mts_dialler.protocols.iec62056_21.connection import HOST, METER, Connection, State
from mts_dialler.protocols.iec62056_21.framing import block_check
from mts_dialler.protocols.iec62056_21.messages import (
    Accept,
    Ack,
    Action,
    Break,
    Command,
    DataMessage,
    ErrorMessage,
    Event,
    Identification,
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

IDENTIFICATION = b"/LGZ5\\2ZMD\r\n"


def message(content: bytes) -> bytes:
    return content + bytes([block_check(content[1:])])


OPERAND = message(b"\x01P0\x02(1234)\x03")
ANSWER = message(b"\x02(1)\x03")
PARTIAL = message(b"\x02(1)\x04")
REFUSED = message(b"\x02(ERR5)\x03")
BREAK = message(b"\x01B0\x03")
DAMAGED = b"\x02(1)\x03\x00"

TO_STATE: dict[State, list[Action | bytes]] = {
    State.SIGNED_OFF: [],
    State.SIGNING_ON: [Request()],
    State.IDENTIFIED: [Request(), IDENTIFICATION],
    State.READING_OUT: [Request(), IDENTIFICATION, Select(Option.READOUT, "5")],
    State.READ_OUT: [Request(), IDENTIFICATION, Select(Option.READOUT, "5"), ANSWER],
    State.ENTERING: [Request(), IDENTIFICATION, Select(Option.PROGRAMMING, "5")],
    State.PROGRAMMING: [Request(), IDENTIFICATION, Select(Option.PROGRAMMING, "5"), OPERAND],
    State.AUTHENTICATING: [
        Request(),
        IDENTIFICATION,
        Select(Option.PROGRAMMING, "5"),
        OPERAND,
        Password("P1", "00000000"),
    ],
    State.COMMANDED: [Request(), IDENTIFICATION, Select(Option.PROGRAMMING, "5"), OPERAND, Command("R1", "1.8.0()")],
    State.BLOCK_HELD: [
        Request(),
        IDENTIFICATION,
        Select(Option.PROGRAMMING, "5"),
        OPERAND,
        Command("R6", "P.01(;)"),
        PARTIAL,
    ],
}

ACTIONS: list[Action] = [
    Request(),
    Select(Option.READOUT, "5"),
    Password("P1", "00000000"),
    Command("R1", "1.8.0()"),
    Accept(),
    Repeat(),
    SignOff(),
]
MESSAGES = {
    IDENTIFICATION: Identification,
    OPERAND: Operand,
    ANSWER: DataMessage,
    PARTIAL: PartialBlock,
    REFUSED: ErrorMessage,
    BREAK: Break,
    b"\x06": Ack,
    b"\x15": Nak,
}


def in_state(state: State) -> Connection:
    connection = Connection()
    for step in TO_STATE[state]:
        if isinstance(step, bytes):
            connection.feed(step)
            assert connection.next_event() is not None
        else:
            connection.send(step)
    assert connection.state is state
    return connection


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_in_every_state(state: State, action: Action) -> None:
    connection = in_state(state)
    target = HOST[state].get(type(action))
    if target is None:
        with pytest.raises(LocalProtocolError, match=state.value):
            connection.send(action)
        assert connection.state is state
    else:
        assert connection.send(action)
        assert connection.state is target


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("data", MESSAGES)
def test_every_message_in_every_state(state: State, data: bytes) -> None:
    connection = in_state(state)
    kind: type[Event] = MESSAGES[data]
    connection.feed(data)
    target = METER[state].get(kind)
    if target is None:
        with pytest.raises(RemoteProtocolError, match=state.value):
            connection.next_event()
        assert connection.state is state
    else:
        assert isinstance(connection.next_event(), kind)
        assert connection.state is target
    assert connection.next_event() is None


def test_a_damaged_readout_may_be_asked_for_again() -> None:
    connection = in_state(State.READING_OUT)
    connection.feed(DAMAGED)
    assert connection.next_event() is not None
    assert connection.send(Repeat()) == b"\x15"
    connection.feed(ANSWER)
    assert connection.next_event() == DataMessage("(1)")
    assert connection.state is State.READ_OUT


@pytest.mark.parametrize("baud", ["A", " "])
def test_a_meter_of_mode_a_or_b_sends_its_data_unasked(baud: str) -> None:
    connection = in_state(State.SIGNING_ON)
    connection.feed(f"/SIE{baud}2WR5\r\n".encode() + ANSWER)
    assert isinstance(connection.next_event(), Identification)
    assert connection.state is State.READING_OUT
    assert connection.next_event() == DataMessage("(1)")


def test_silence_ends_an_answer_and_the_command_may_be_repeated() -> None:
    connection = in_state(State.COMMANDED)
    connection.feed(b"\x02(12")
    assert connection.next_event() is None
    assert connection.interrupt() == Truncated("(12")
    assert connection.send(Command("R1", "1.8.0()"))
    connection.feed(ANSWER)
    assert connection.next_event() == DataMessage("(1)")


class TinyMeter:
    """The other end in a few lines: answers whole messages, knows one register behind a password."""

    def __init__(self) -> None:
        self._open = False

    def answer(self, data: bytes) -> bytes:
        if data == b"/?!\r\n":
            return IDENTIFICATION
        if data == b"\x06051\r\n":
            return OPERAND
        assert block_check(data[1:-1]) == data[-1]
        match data[1:3], data[4:-2]:
            case b"P1", b"(00000042)":
                self._open = True
                return b"\x06"
            case b"P1", _:
                return b"\x15"
            case b"R1", _ if self._open:
                return ANSWER
            case b"R1", _:
                return REFUSED
        return b""


@pytest.mark.parametrize(
    ("password", "expected"),
    [("00000042", [Ack(), DataMessage("(1)")]), ("00000000", [Nak(), ErrorMessage("ERR5")])],
)
def test_both_ends_joined_in_memory(password: str, expected: list[Event]) -> None:
    meter, connection = TinyMeter(), Connection()
    events: list[Event | None] = []
    for action in (
        Request(),
        Select(Option.PROGRAMMING, "5"),
        Password("P1", password),
        Command("R1", "1.8.0()"),
        SignOff(),
    ):
        connection.feed(meter.answer(connection.send(action)))
        events.append(connection.next_event())
    assert events == [Identification("LGZ", "5", "2", "ZMD"), Operand("1234"), *expected, None]
    assert connection.state is State.SIGNED_OFF
