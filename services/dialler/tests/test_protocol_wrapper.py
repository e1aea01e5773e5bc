"""The TCP wrapper, against a captured session."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_dialler.protocols.cosem import association, date_time
from mts_dialler.protocols.cosem.services import Attribute, Get
from mts_dialler.protocols.cosem.values import Reader
from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError
from mts_dialler.protocols.wrapper import Wrapper

CAPTURE = Path(__file__).parent / "captures" / "dlms_wrapper_eventlog_block.hex"
MESSAGES = [bytes.fromhex(line[2:]) for line in CAPTURE.read_text().splitlines() if line.startswith("< ")]


def test_a_captured_association_and_event_log_come_out_of_the_wrapper() -> None:
    first, second = Wrapper(1, 1).receive(b"".join(MESSAGES))
    assert association.decode_response(first).accepted
    get = Get([Attribute(7, bytes.fromhex("0000636200FF"), 2)], invoke=1)
    assert get.receive(second) == bytes.fromhex("C002C1 00000001")
    rows = Reader(second[12:])
    assert (rows.octet(), rows.length()) == (0x01, 37)
    row = rows.value()
    assert isinstance(row, tuple)
    clock, code = row
    assert isinstance(clock, bytes)
    stamp = date_time.decode(clock)
    assert stamp is not None
    assert (f"{stamp.utc()}", code) == ("2025-07-25 16:55:32+00:00", 2)


def test_messages_come_whole_byte_by_byte() -> None:
    wrapper = Wrapper(1, 1)
    found = [apdu for octet in b"".join(MESSAGES) for apdu in wrapper.receive(bytes((octet,)))]
    assert found == [message[8:] for message in MESSAGES]


def test_a_message_is_written_with_our_port_first() -> None:
    assert Wrapper(16, 1).encode(b"\xc0\x01") == bytes.fromhex("0001 0010 0001 0002 C001")


def test_messages_between_other_ports_are_dropped() -> None:
    assert list(Wrapper(2, 1).receive(MESSAGES[0])) == []


def test_what_is_no_wrapper_is_dropped_and_the_next_message_is_read() -> None:
    wrapper = Wrapper(1, 1)
    with pytest.raises(RemoteProtocolError, match="not a wrapper"):
        list(wrapper.receive(b"NO CARRIER\r\n"))
    assert list(wrapper.receive(MESSAGES[0])) == [MESSAGES[0][8:]]


def test_the_beginning_of_a_message_is_let_go() -> None:
    wrapper = Wrapper(1, 1)
    assert list(wrapper.receive(MESSAGES[0][:20])) == []
    wrapper.clear()
    assert list(wrapper.receive(MESSAGES[1])) == [MESSAGES[1][8:]]


@given(st.binary(max_size=200))
def test_garbage_is_messages_or_the_meter_s_fault(data: bytes) -> None:
    try:
        list(Wrapper(1, 1).receive(data))
    except RemoteProtocolError:
        return


def test_what_does_not_fit_is_our_fault() -> None:
    with pytest.raises(LocalProtocolError):
        Wrapper(1, 0x10000)
    with pytest.raises(LocalProtocolError):
        Wrapper(1, 1).encode(bytes(0x10000))
