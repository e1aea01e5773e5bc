"""The file that describes a bank, and the numbers that may be dialled."""

from __future__ import annotations

from pathlib import Path

import pytest

from mts_dialler.channels.port import Framing
from mts_dialler.lines_file import HangUp, LineKind, LineSettings, LinesFileFault, read_lines
from mts_dialler.numbers import Numbers

WHOLE = """
[defaults]
kind = "gsm"
init = ["+IPR=9600", "S2=128"]
numbers = "07*; -0800*"

[[line]]
name = "gsm-1"
device = "/dev/serial/by-id/usb-Siemens_TC35-if00"

[[line]]
name = "desk"
kind = "pstn"
device = "rfc2217://terminals.example:2001"
baud = 19200
dial_prefix = "9,"
hang_up = ["escape"]
framing = "7E1"
hardware_framing = true

[[line]]
name = "head"
kind = "direct"
device = "tcp://10.1.2.3:4001"
numbers = "0001"
sign_on_baud = 300
"""


def lines(tmp_path: Path, text: str) -> tuple[LineSettings, ...]:
    path = tmp_path / "lines.toml"
    path.write_text(text)
    return read_lines(path)


def test_lines_stand_on_the_defaults(tmp_path: Path) -> None:
    gsm, desk, head = lines(tmp_path, WHOLE)
    assert (gsm.kind, gsm.baud, gsm.init, gsm.numbers) == (
        LineKind.GSM,
        9600,
        ("+IPR=9600", "S2=128"),
        "07*; -0800*",
    )
    assert (desk.kind, desk.framing, desk.hang_up) == (LineKind.PSTN, Framing(7, "E", 1), (HangUp.ESCAPE,))
    assert (head.kind, head.sign_on_baud) == (LineKind.DIRECT, 300)
    assert "S2=128" not in repr(gsm)


ONE = '[[line]]\nname = "a"\ndevice = "/dev/a"\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "one \\[\\[line\\]\\]"),
        ("[[line]", "lines.toml"),
        ("colour = 1\n" + ONE, "unknown colour"),
        ("line = [1]", "line 1 is no table"),
        (ONE + ONE, "name a stands there twice"),
        (ONE + ONE.replace('"a"', '"b"'), "device /dev/a stands there twice"),
        ('[[line]]\nname = "a"\n', "line 1: device"),
        (ONE + 'colour = "red"\n', "line 1: colour"),
        (ONE.replace("/dev/a", "COM1"), "a device is an absolute path"),
        (ONE + "kind = 'isdn'\n", "line 1: kind"),
        (ONE + "numbers = 'mobiles'\n", "neither a number nor a prefix"),
        (ONE + "dial_prefix = '9;'\n", "a dial prefix is"),
        (ONE + "init = ['ATE0']\n", "without its AT"),
        (ONE + 'init = ["E0\\rD0900"]\n', "a command is"),
        (ONE + "bearer = '7,0,1;D0900'\n", "line 1: bearer"),
        (ONE + "framing = '7E1'\n", "hardware_framing"),
        (ONE + "framing = '9E1'\n", "is no framing"),
        (ONE + "kind = 'direct'\n", "must name its numbers"),
        (ONE + "kind = 'direct'\nnumbers = '*'\n", "must name its numbers"),
        (ONE + "sign_on_baud = 300\n", "is for direct lines"),
        (ONE + "dial_seconds = 3\n", "line 1: dial_seconds"),
        (ONE + "hang_up = []\n", "line 1: hang_up"),
    ],
)
def test_a_file_that_describes_no_lines_says_where_it_is_wrong(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(LinesFileFault, match=why):
        lines(tmp_path, text)


def test_a_fault_in_the_file_does_not_tell_a_pin(tmp_path: Path) -> None:
    with pytest.raises(LinesFileFault) as raised:
        lines(tmp_path, ONE + 'init = ["+CPIN=4711\\n"]\n')
    assert "4711" not in str(raised.value)


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(LinesFileFault, match="No such file"):
        read_lines(tmp_path / "none")


@pytest.mark.parametrize(
    ("canonical", "denied"),
    [
        ("+447700900001", False),
        ("+44909000001", True),
        ("+44999", True),
        ("+449990000", True),
        ("+442079460000", False),
        ("+442079460001", True),
        ("+44871000000", True),
        ("+33123456789", True),
        ("+353123456789", False),
        ("+35", True),
    ],
)
def test_the_longest_item_decides_what_is_denied(canonical: str, denied: bool) -> None:
    numbers = Numbers.parse("+*; -0044*; 09*; 0871*; 999; 02079460001; -+353*;")
    assert numbers.denies(canonical, "44") is denied


def test_no_item_denies_nothing() -> None:
    assert not Numbers.parse("").denies("+447700900001", "44")
    assert Numbers.parse("*").denies("+447700900001", "44")


@pytest.mark.parametrize("text", ["-", "+", "07**", "07*8", "0 77", "07,08", "AT*"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither a number"):
        Numbers.parse(text)
