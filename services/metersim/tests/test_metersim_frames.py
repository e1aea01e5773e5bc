"""Frames against published bytes (capture a1700/frame_bcc_vectors.txt, fact sheet iec62056-21 sections 1 and 3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_metersim.iec import (
    ACK,
    EOT,
    NAK,
    Bare,
    Command,
    Damaged,
    Message,
    Option,
    Receiver,
    SignOn,
    block,
    command,
    even_parity,
    plain,
)

VECTORS = [
    ("R1", "606001(1C)", "01 52 31 02 36 30 36 30 30 31 28 31 43 29 03 10"),
    ("R1", "605001(04)", "01 52 31 02 36 30 35 30 30 31 28 30 34 29 03 65"),
    ("R1", "798001(10)", "01 52 31 02 37 39 38 30 30 31 28 31 30 29 03 65"),
    ("R1", "795001(08)", "01 52 31 02 37 39 35 30 30 31 28 30 38 29 03 61"),
    ("P2", "(0000000000000000)", "01 50 32 02 28 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 29 03 62"),
    ("W1", "605001(1A2A4A00)", "01 57 31 02 36 30 35 30 30 31 28 31 41 32 41 34 41 30 30 29 03 12"),
    ("W1", "605001(1B2B4B00)", "01 57 31 02 36 30 35 30 30 31 28 31 42 32 42 34 42 30 30 29 03 11"),
    ("W1", "605001(1C2C4C0C)", "01 57 31 02 36 30 35 30 30 31 28 31 43 32 43 34 43 30 43 29 03 63"),
    ("W2", "C003(910324092239)", "01 57 32 02 43 30 30 33 28 39 31 30 33 32 34 30 39 32 32 33 39 29 03 1b"),
    ("P0", "(1234567)", "01 50 30 02 28 31 32 33 34 35 36 37 29 03 50"),
    ("P1", "(00000000)", "01 50 31 02 28 30 30 30 30 30 30 30 30 29 03 61"),
    ("R1", "1.8.0()", "01 52 31 02 31 2E 38 2E 30 28 29 03 5A"),
    ("B0", None, "01 42 30 03 71"),
]


def received(data: bytes, *, expects_option: bool = False) -> list[Message]:
    receiver = Receiver()
    receiver.expects_option = expects_option
    receiver.feed(data)
    return list(iter(receiver.next, None))


@pytest.mark.parametrize(("code", "dataset", "published"), VECTORS)
def test_commands_have_the_published_bytes_and_are_understood(code: str, dataset: str | None, published: str) -> None:
    frame = bytes.fromhex(published)
    assert command(code, dataset) == frame
    assert received(frame) == [Command(code, dataset or "")]


def test_a_data_block_has_the_published_block_check() -> None:
    assert block("(9DAD4D0D)") == bytes.fromhex("02 28 39 44 41 44 34 44 30 44 29 03 7e")


def test_a_partial_block_ends_with_eot_and_its_own_check() -> None:
    assert block("A", EOT) == b"\x02A\x04\x45"


def test_even_parity_is_bit_seven_as_on_a_7e1_line() -> None:
    assert even_parity(b"/?!\r\n") == bytes.fromhex("AF 3F 21 8D 0A")


@pytest.mark.parametrize("check", [0x03, 0x06, 0x15, 0x0A])
def test_a_block_check_may_look_like_a_control_character(check: int) -> None:
    dataset = next(
        text
        for letter in range(0x20, 0x7F)
        if command("R1", text := f"{letter:c}1.8.0()" if letter not in b"()" else "")[-1] == check
    )
    frame = command("R1", dataset)
    assert received(frame + bytes([NAK])) == [Command("R1", dataset), Bare(NAK)]


def test_a_wrong_block_check_is_a_damaged_command() -> None:
    frame = command("R1", "507001(40)")
    assert received(frame[:-1] + bytes([frame[-1] ^ 1])) == [Damaged()]


def test_an_ack_selects_an_option_only_where_one_is_expected() -> None:
    assert received(b"\x06051\r\n", expects_option=True) == [Option("0", "5", "1")]
    assert received(bytes([ACK])) == [Bare(ACK)]


def test_a_sign_on_is_found_behind_wake_up_bytes() -> None:
    assert received(b"\x00" * 84 + b"/?00012!\r\n") == [SignOn("00012")]


def test_an_endless_sign_on_is_dropped() -> None:
    assert received(b"/?" + b"1" * 5000) == []


@given(st.lists(st.sampled_from([b"/?001!\r\n", command("R1", "507001(40)"), command("B0"), b"\x15", b"\x00\xff"])))
def test_pieces_and_parity_do_not_matter(parts: list[bytes]) -> None:
    data = b"".join(parts)
    bytewise = Receiver()
    messages = []
    for byte in even_parity(data):
        bytewise.feed(bytes([byte]))
        messages += list(iter(bytewise.next, None))
    assert messages == received(data)
    assert plain(even_parity(data)) == plain(data)


@given(st.binary(max_size=2000), st.booleans())
def test_garbage_is_never_an_error(data: bytes, expects_option: bool) -> None:
    received(data, expects_option=expects_option)
