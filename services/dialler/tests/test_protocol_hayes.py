"""What a modem is sent and says: result codes, chunks, garbage, and the life of a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_dialler.protocols.errors import LocalProtocolError
from mts_dialler.protocols.hayes.carrier import CarrierWatch
from mts_dialler.protocols.hayes.commands import Abort, Action, Command, Dial, Dialling, Escape, HangUp, Reset, encode
from mts_dialler.protocols.hayes.facts import (
    Registration,
    parse_cause,
    parse_registration,
    parse_signal,
    parse_sim,
)
from mts_dialler.protocols.hayes.modem import HOST, MODEM, Modem, State, Step
from mts_dialler.protocols.hayes.reader import MAX_LINE
from mts_dialler.protocols.hayes.results import Answer, Event, Information, Result

NUMBER = Dial("07711000001")


def modem_in(state: State) -> Modem:
    """A modem brought to `state` by what may be done."""
    modem = Modem()
    ways: dict[State, list[Action | Step | bytes]] = {
        State.DOWN: [],
        State.RESETTING: [Reset()],
        State.IDLE: [Reset(), b"\r\nOK\r\n", Step.READY],
        State.DIALLING: [Reset(), b"\r\nOK\r\n", Step.READY, NUMBER],
        State.CONNECTED: [Reset(), b"\r\nOK\r\n", Step.READY, NUMBER, b"\r\nCONNECT\r\n"],
        State.ESCAPING: [Reset(), b"\r\nOK\r\n", Step.READY, NUMBER, b"\r\nCONNECT\r\n", Escape()],
        State.HANGING_UP: [Reset(), b"\r\nOK\r\n", Step.READY, HangUp()],
        State.FAULTY: [Step.FAILED],
    }
    for move in ways[state]:
        if isinstance(move, bytes):
            heard(modem, move)
        elif isinstance(move, Step):
            modem.step(move)
        else:
            modem.send(move)
    assert modem.state is state
    return modem


def heard(modem: Modem, data: bytes) -> list[Event]:
    modem.feed(data)
    events = []
    while (event := modem.next_event()) is not None:
        events.append(event)
    return events


# --- what is sent


@pytest.mark.parametrize(
    ("action", "sent"),
    [
        (Reset(), b"ATZ\r"),
        (Command("E0V1"), b"ATE0V1\r"),
        (Command(""), b"AT\r"),
        (Dial("07711000001"), b"ATDT07711000001\r"),
        (Dial("07711000001", "9,", Dialling.PULSE), b"ATDP9,07711000001\r"),
        (Dial("+447711000001", dialling=Dialling.NETWORK), b"ATD+447711000001\r"),
        (Abort(), b"\r"),
        (Escape(), b"+++"),
        (HangUp(), b"ATH\r"),
    ],
)
def test_commands_end_with_cr_alone(action: Action, sent: bytes) -> None:
    assert encode(action) == sent


@pytest.mark.parametrize(
    "action",
    [
        Dial("0771\rATD0900"),
        Dial("0771\nATD0900"),
        Dial("0771;+CFUN=0"),
        Dial("0771 100"),
        Dial("07١١"),
        Dial("0771\n"),
        Dial("++447711000001"),
        Dial("12"),
        Dial("1" * 21),
        Dial(""),
        Dial("07711000001", prefix="9;"),
        Dial("07711000001", prefix="9\r"),
        Command("E0\rATD0900"),
        Command("E0\n"),
        Command("é"),
        Command("x" * 121),
    ],
)
def test_nothing_but_digits_reaches_the_modem_as_a_number_and_no_command_holds_another(action: Action) -> None:
    with pytest.raises(LocalProtocolError):
        encode(action)


# --- what is understood

ENDS: list[tuple[bytes, bytes, Answer]] = [
    (b"NO CARRIER", b"3", Answer(Result.NO_CARRIER)),
    (b"ERROR", b"4", Answer(Result.ERROR)),
    (b"NO DIALTONE", b"6", Answer(Result.NO_DIAL_TONE)),
    (b"BUSY", b"7", Answer(Result.BUSY)),
    (b"NO ANSWER", b"8", Answer(Result.NO_ANSWER)),
    (b"DELAYED", b"24", Answer(Result.DELAYED)),
    (b"BLACKLISTED", b"32", Answer(Result.BLACKLISTED)),
]


@pytest.mark.parametrize(("text", "number", "answer"), ENDS)
def test_a_call_that_fails_is_understood_in_words_and_in_numbers(text: bytes, number: bytes, answer: Answer) -> None:
    for said in (b"\r\n" + text + b"\r\n", number + b"\r"):
        modem = Modem()
        for move in (Reset(), Step.READY, NUMBER):
            modem.step(move) if isinstance(move, Step) else modem.send(move)
        assert heard(modem, said) == [answer]
        assert modem.state is State.IDLE


@pytest.mark.parametrize(
    ("said", "answer", "speed"),
    [
        (b"\r\nCONNECT\r\n", Answer(Result.CONNECT), None),
        (b"\r\nCONNECT 9600\r\n", Answer(Result.CONNECT, "9600"), 9600),
        (b"\r\nCONNECT 9600/RLP\r\n", Answer(Result.CONNECT, "9600/RLP"), 9600),
        (b"\r\nCONNECT 2400/NONE\r\n", Answer(Result.CONNECT, "2400/NONE"), 2400),
        (b"\r\nCONNECT/ARQ\r\n", Answer(Result.CONNECT, "ARQ"), None),
    ],
)
def test_a_connect_says_its_speed_where_it_has_one(said: bytes, answer: Answer, speed: int | None) -> None:
    modem = modem_in(State.DIALLING)
    assert heard(modem, said) == [answer]
    assert answer.speed == speed
    assert modem.state is State.CONNECTED


@pytest.mark.parametrize(("said", "speed"), [(b"1\r", None), (b"5\r", 1200), (b"10\r", 2400)])
def test_a_modem_that_answers_in_numbers_connects(said: bytes, speed: int | None) -> None:
    modem = Modem()
    modem.send(Reset())
    assert heard(modem, b"0\r") == [Answer(Result.OK)]
    modem.step(Step.READY)
    modem.send(NUMBER)
    [answer] = heard(modem, said + b"\nfirst byte is a line feed")
    assert isinstance(answer, Answer)
    assert (answer.result, answer.speed) == (Result.CONNECT, speed)
    assert modem.payload() == b"\nfirst byte is a line feed"


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"\r\nNO DIAL TONE\r\n", Answer(Result.NO_DIAL_TONE)),
        (b"\r\nCALL BARRED\r\n", Answer(Result.CALL_BARRED)),
        (b"\r\n+CME ERROR: 30\r\n", Answer(Result.NO_SERVICE, "no network service")),
        (b"\r\n+CME ERROR: 3\r\n", Answer(Result.ERROR, "operation not allowed")),
        (b"\r\n+CME ERROR: SIM busy\r\n", Answer(Result.ERROR, "SIM busy")),
        (b"\r\n+CMS ERROR: 999\r\n", Answer(Result.ERROR, "999")),
    ],
)
def test_the_variants_of_result_codes_are_understood(said: bytes, answer: Answer) -> None:
    assert heard(modem_in(State.DIALLING), said) == [answer]


def test_what_is_said_on_the_way_to_a_connection_is_no_end() -> None:
    modem = modem_in(State.DIALLING)
    events = heard(
        modem,
        b"ATDT07711000001\r\r\n+CR: REL ASYNC\r\n\r\nCARRIER 9600\r\n\r\nPROTOCOL: LAPM\r\n\r\nCOMPRESSION: NONE\r\n"
        b"\r\nRING\r\n\r\nOK\r\n\r\nCONNECT 9600\r\n",
    )
    assert events == [
        Information("+CR: REL ASYNC"),
        Information("CARRIER 9600"),
        Information("PROTOCOL: LAPM"),
        Information("COMPRESSION: NONE"),
        Information("RING"),
        Information("OK"),
        Answer(Result.CONNECT, "9600"),
    ]


@pytest.mark.parametrize(
    "line", ["S/N BUSY0042", "ERROR 17", "NO CARRIER LOST", "CONNECTED", "NOTCONNECT 9600", "BUSY7", "ok", "CARRIER"]
)
def test_a_line_that_only_contains_a_result_code_is_none(line: str) -> None:
    assert heard(modem_in(State.DIALLING), f"\r\n{line}\r\n".encode()) == [Information(line)]


def test_digits_are_information_from_a_modem_that_answers_in_words() -> None:
    modem = modem_in(State.IDLE)
    modem.send(Command("I"))
    assert heard(modem, b"\r\n4\r\n\r\nOK\r\n") == [Information("4"), Answer(Result.OK)]


def test_a_modem_may_go_over_to_words() -> None:
    modem = Modem()
    modem.send(Reset())
    assert heard(modem, b"ATZ\r0\r") == [Answer(Result.OK)]
    modem.send(Command("E0V1"))
    assert heard(modem, b"ATE0V1\r\r\nOK\r\n") == [Answer(Result.OK)]
    modem.send(Command("I"))
    assert heard(modem, b"\r\n0\r\n\r\nOK\r\n") == [Information("0"), Answer(Result.OK)]


def test_bytes_behind_the_connect_line_are_the_meters() -> None:
    modem = modem_in(State.DIALLING)
    assert heard(modem, b"\r\nCONNECT 9600\r\n\nBUSY\r\n") == [Answer(Result.CONNECT, "9600")]
    assert modem.payload() == b"\nBUSY\r\n"
    assert heard(modem, b"\r\nNO CARRIER\r\n") == []
    assert modem.payload() == b"\r\nNO CARRIER\r\n"
    assert modem.payload() == b""


@given(st.lists(st.integers(1, 9), max_size=30))
def test_chunks_make_no_difference(sizes: list[int]) -> None:
    said = b"ATDT07711000001\r\xff\x00junk\r\nCARRIER 9600\r\n\r\nCONNECT 9600\r\n/GEC5090100140400@000\r\n"
    modem = modem_in(State.DIALLING)
    events, payload = [], b""
    for size in [*sizes, len(said)]:
        events += heard(modem, said[:size])
        payload += modem.payload()
        said = said[size:]
    assert events == [
        Information("\ufffd\x00junk"),
        Information("CARRIER 9600"),
        Answer(Result.CONNECT, "9600"),
    ]
    assert payload == b"/GEC5090100140400@000\r\n"


@given(st.sampled_from(State), st.lists(st.binary(max_size=200), max_size=20))
def test_garbage_is_never_an_error_and_is_not_kept(state: State, noise: list[bytes]) -> None:
    modem = modem_in(state)
    for data in noise:
        heard(modem, data)
        modem.payload()
        assert len(modem._reader._buffer) <= MAX_LINE


def test_the_end_of_an_endless_line_is_no_result_code() -> None:
    modem = modem_in(State.DIALLING)
    for data in (b"x" * MAX_LINE, b"x", b"BUSY\r\n"):
        assert heard(modem, data) == []
    assert heard(modem, b"\r\nNO ANSWER\r\n") == [Answer(Result.NO_ANSWER)]


# --- the life of a line


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("action", [Reset(), Command("+CSQ"), NUMBER, Abort(), Escape(), HangUp()])
def test_a_command_is_sent_only_where_the_table_has_it(state: State, action: Action) -> None:
    modem = modem_in(state)
    target = HOST[state].get(type(action))
    if target is None:
        with pytest.raises(LocalProtocolError):
            modem.send(action)
        assert modem.state is state
    else:
        modem.send(action)
        assert modem.state is target


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("step", Step)
def test_a_step_is_taken_only_where_the_table_has_it(state: State, step: Step) -> None:
    modem = modem_in(state)
    target = HOST[state].get(step)
    if target is None:
        with pytest.raises(LocalProtocolError):
            modem.step(step)
        assert modem.state is state
    else:
        modem.step(step)
        assert modem.state is target


@pytest.mark.parametrize("state", [state for state in State if state is not State.CONNECTED])
@pytest.mark.parametrize("text", ["OK", "RING", "NO CARRIER", "ERROR", "BUSY", "NO ANSWER", "DELAYED", "CONNECT"])
def test_a_result_that_the_state_does_not_expect_changes_nothing(state: State, text: str) -> None:
    modem = modem_in(state)
    result = next(result for result in Result if result.name.replace("_", " ") == text)
    [event] = heard(modem, f"\r\n{text}\r\n".encode())
    target = MODEM[state].get(result)
    assert event == (Information(text) if target is None else Answer(result))
    assert modem.state is (target or state)


def test_a_number_that_may_not_be_dialled_changes_nothing() -> None:
    modem = modem_in(State.IDLE)
    with pytest.raises(LocalProtocolError):
        modem.send(Dial("0771\rATH"))
    assert modem.state is State.IDLE


def test_a_call_is_escaped_from_and_hung_up() -> None:
    modem = modem_in(State.CONNECTED)
    modem.send(Escape())
    assert heard(modem, b"\r\nOK\r\n") == [Answer(Result.OK)]
    modem.send(HangUp())
    assert heard(modem, b"\r\nNO CARRIER\r\n") == [Answer(Result.NO_CARRIER)]
    assert modem.state is State.IDLE


def test_a_call_that_is_answered_while_it_is_given_up_is_a_call() -> None:
    modem = modem_in(State.DIALLING)
    modem.send(Abort())
    assert heard(modem, b"\r\nCONNECT 9600\r\n") == [Answer(Result.CONNECT, "9600")]
    assert modem.state is State.CONNECTED


def test_what_was_half_heard_before_a_hang_up_is_not_heard_after_it() -> None:
    modem = modem_in(State.DIALLING)
    heard(modem, b"\r\nBU")
    modem.step(Step.DROPPED)
    modem.send(Reset())
    assert heard(modem, b"SY\r\n") == [Information("SY")]


# --- what a GSM terminal says of itself


def test_signal_strength_is_read_with_its_dbm() -> None:
    signal = parse_signal("+CSQ: 18,99")
    assert signal is not None
    assert (signal.rssi, signal.dbm) == (18, -77)
    assert parse_signal("+CSQ: 0,0") is not None
    for unusable in ("+CSQ: 99,99", "+CSQ: 32,0", "+CSQ:", "CSQ: 18,99"):
        assert parse_signal(unusable) is None


@pytest.mark.parametrize(
    ("line", "registration", "usable"),
    [
        ("+CREG: 0,1", Registration.HOME, True),
        ("+CREG: 0,5", Registration.ROAMING, True),
        ("+CREG: 2,1,\"00A1\",\"5F3C\"", Registration.HOME, True),
        ("+CREG: 1", Registration.HOME, True),
        ("+CREG: 0,0", Registration.IDLE, False),
        ("+CREG: 0,2", Registration.SEARCHING, False),
        ("+CREG: 0,3", Registration.DENIED, False),
        ("+CREG: 0,4", Registration.UNKNOWN, False),
        ("+CREG: 0,8", Registration.UNKNOWN, False),
    ],
)  # fmt: skip
def test_only_a_registered_terminal_is_usable(line: str, registration: Registration, usable: bool) -> None:
    assert parse_registration(line) is registration
    assert registration.usable is usable


def test_sim_and_cause_are_read_as_they_stand() -> None:
    assert parse_sim("+CPIN: READY") == "READY"
    assert parse_sim("OK") is None
    assert parse_cause('+CEER: "User busy"') == "User busy"
    assert parse_cause("+CEER: a\x00b" + "c" * 200) == "ab" + "c" * 98
    assert parse_cause("+CEER: ") is None
    assert parse_registration("OK") is None


# --- a line that drops in the call


def test_no_carrier_counts_only_as_the_last_line_by_itself() -> None:
    watch = CarrierWatch()

    def suspected(data: bytes) -> bool:
        watch.received(data)
        return watch.suspects

    pieces = (b"1.8.0(0001)", b"\r\nNO CAR", b"RIER\r", b"\n", b"more")
    assert [suspected(piece) for piece in pieces] == [False, False, False, True, False]
    for innocent in (b"(NO CARRIER)\r\n", b"\r\nNO CARRIER", b" NO CARRIER\r\n"):
        assert not suspected(innocent)
