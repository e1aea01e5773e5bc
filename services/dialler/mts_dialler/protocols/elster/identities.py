"""The identities of an A1700, and how they are read and written (elster-a1700.md, sections 1, 3, 7 and 8)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mts_dialler.protocols.elster.layouts import VA_EXPORT
from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError
from mts_dialler.protocols.iec62056_21.messages import Command, Identification

PACKET_OCTETS = 64
MAX_PACKETS = 0xFFF

CUMULATIVE = "507"
TIME_OF_USE = "508"
MAXIMUM_DEMAND = "510"
PROFILE_DATA = "550"
PROFILE_REQUEST = "551"
PROFILE_RANGE = "554"  # A1140
INSTANTANEOUS_REQUEST = "605"
INSTANTANEOUS_VALUES = "606"
VOLTAGE_TRANSFORMER = "614"
CURRENT_TRANSFORMER = "616"
TIME_OF_USE_SOURCES = "667"
TERMINAL_COVER = "691"  # A1140
MAIN_COVER = "692"  # A1140
PHASE_FAILURES = "693"
REVERSE_RUNS = "694"
POWER_DOWNS = "695"
STATUS = "724"
PROFILE_CHANNELS = "777"
DAYLIGHT_SAVING = "778"
SCHEME = "795"
SERIAL_NUMBER = "798"
CLOCK = "861"
CLOCK_SECONDS = "863"  # A1140
DEMAND_PERIOD = "878"
FIRMWARE = "998"  # A1140

NAMES = {
    CUMULATIVE: "cumulative registers",
    TIME_OF_USE: "time of use registers",
    MAXIMUM_DEMAND: "maximum demands",
    PROFILE_DATA: "load profile",
    PROFILE_REQUEST: "days of load profile",
    PROFILE_RANGE: "range of load profile",
    INSTANTANEOUS_REQUEST: "momentary values asked for",
    INSTANTANEOUS_VALUES: "momentary values",
    VOLTAGE_TRANSFORMER: "voltage transformer",
    CURRENT_TRANSFORMER: "current transformer",
    TIME_OF_USE_SOURCES: "sources of the time of use registers",
    TERMINAL_COVER: "terminal cover openings",
    MAIN_COVER: "main cover openings",
    PHASE_FAILURES: "phase failures",
    REVERSE_RUNS: "reverse runs",
    POWER_DOWNS: "power downs",
    STATUS: "status",
    PROFILE_CHANNELS: "channels of the load profile",
    DAYLIGHT_SAVING: "daylight saving",
    SCHEME: "scheme",
    SERIAL_NUMBER: "serial number",
    CLOCK: "clock",
    CLOCK_SECONDS: "clock",
    DEMAND_PERIOD: "demand period",
    FIRMWARE: "firmware",
}
"""What each holds, for the reader of a trace."""

UNKNOWN_IDENTITY = "ERR2"
LOCKED = "ERR5"

_IDENTITY = re.compile(r"[0-9A-F]{3}")
A1700, A1140 = "A1700", "A1140"
_PRODUCTS = {"010": A1700, "050": "A1120", "051": A1140, "001": "PPM"}
_RATES_32 = {"010", "012", "017", "020", "021", "025", "026", "028", "029", "030"}
_EXTENDED = {"021", "026", "028", "029", "030"}


@dataclass(frozen=True, slots=True)
class Model:
    """What the identification tells of the meter.

    `product` is "" for a number that no source names; `rates` counts the time-of-use registers; `extended`: the
    longer event counters (type 2 of section 1).
    """

    product: str
    device: str
    issue: str
    rates: int
    extended: bool


def model(identification: Identification) -> Model:
    """Unknown devices, and those of other products, count as type 0.

    Raises `RemoteProtocolError` for a meter of another make.
    """
    text = identification.text
    if identification.maker != "GEC" or len(text) < 10 or not text[:10].isdigit():
        raise RemoteProtocolError(f"{identification} is no Elster A1700")
    device, issue = text[5:8], text[8:10]
    product = _PRODUCTS.get(text[2:5], "")
    if product == A1140:
        return Model(product, device, issue, rates=16, extended=False)
    extended = device in _EXTENDED or (device, issue) == ("020", "04")
    return Model(product, device, issue, 32 if device in _RATES_32 else 16, extended)


def read_packets(identity: str, octets: int) -> list[tuple[Command, int]]:
    """The commands that read `octets` octets of an identity, each with the octets of its answer."""
    if octets < 1 or octets > MAX_PACKETS * PACKET_OCTETS:
        raise LocalProtocolError(f"an identity cannot have {octets} octets")
    sizes = [min(PACKET_OCTETS, octets - start) for start in range(0, octets, PACKET_OCTETS)]
    return [(read_packet(identity, packet, size), size) for packet, size in enumerate(sizes, start=1)]


def read_packet(identity: str, packet: int, octets: int = PACKET_OCTETS) -> Command:
    if not 1 <= packet <= MAX_PACKETS or not 1 <= octets <= PACKET_OCTETS or not _IDENTITY.fullmatch(identity):
        raise LocalProtocolError(f"no such packet: {identity} {packet} {octets}")
    return Command("R1", f"{identity}{packet:03X}({octets:02X})")


def write(identity: str, data: bytes) -> Command:
    if not _IDENTITY.fullmatch(identity) or len(data) > PACKET_OCTETS:
        raise LocalProtocolError(f"no such identity, or too much for a packet: {identity}")
    return Command("W1", f"{identity}001({data.hex().upper()})")


def parse_packet(text: str, octets: int) -> bytes:
    """The data of an answer to `read_packet`. Raises `RemoteProtocolError` unless they are `octets` octets."""
    digits = text.strip().removeprefix("(").removesuffix(")")
    if not re.fullmatch(rf"[0-9A-Fa-f]{{{2 * octets}}}", digits):
        raise RemoteProtocolError(f"the answer is not {octets} octets in hexadecimal digits")
    return bytes.fromhex(digits)


def parse_text(data: bytes) -> str:
    """Identities 795 and 798: text padded with hyphens and blanks. Raises `RemoteProtocolError` if it is none."""
    text = data.rstrip(b"\x00").decode("latin-1").strip("- ")
    if not all(" " <= character <= "~" for character in text):
        raise RemoteProtocolError("a text holds characters that cannot be printed")
    return text


@dataclass(frozen=True, slots=True)
class ProfileSize:
    """Identity 551, as read after a request: how much identity 550 now holds."""

    packets: int

    @classmethod
    def parse(cls, data: bytes) -> ProfileSize:
        return cls(int.from_bytes(data[:2], "big"))


SOURCES: dict[int, str] = {
    1: "import",
    2: "export",
    3: "q1",
    4: "q2",
    5: "q3",
    6: "q4",
    7: "va",
    8: "cdr 1",
    9: "cdr 2",
    10: "cdr 3",
    11: "external 1",
    12: "external 2",
    13: "external 3",
    14: "external 4",
    VA_EXPORT: "va export",
}
"""What a register or a channel counts, by the source codes of an A1700 (`layouts` has those of others). 0 is none."""


STATUS_WORDS: dict[int, str] = {
    0: "Transient reset",
    1: "Time synchronised",
    2: "Written to over the communication port",
    8: "Phase A failure",
    9: "Phase B failure",
    10: "Phase C failure",
    11: "Phase A overcurrent",
    12: "Phase B overcurrent",
    13: "Phase C overcurrent",
    14: "Reverse running",
    15: "Write session over the communication port",
    16: "Module A exchanged while running",
    17: "Module B exchanged while running",
    18: "Real-time clock failure",
    19: "Real-time clock not running",
    20: "Measuring chip failure",
    21: "Measuring chip interrupt",
    22: "Battery life elapsed",
    23: "Battery failure at power-up",
    24: "Billing reset",
    25: "Last power-down incomplete",
    26: "Power down",
    27: "On-board device failure",
    28: "On-board transient reset",
    29: "On-board battery failure",
    30: "Backup registers used",
    31: "Backup register set corrupt",
}
"""Bits of identity 724; 3 to 7 are spare."""


def status_words(data: bytes) -> list[str]:
    status = int.from_bytes(data, "little")
    return [STATUS_WORDS.get(bit, f"Status bit {bit}") for bit in range(8 * len(data)) if status >> bit & 1]


def status_text(data: bytes) -> list[str]:
    """The status of an A1140, whose bits no source explains: its digits, if any is set."""
    return [f"System status {data.hex().upper()}"] if any(data) else []
