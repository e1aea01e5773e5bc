"""EDMI values, definition words, register numbers, surveys and event logs."""

# ruff: noqa: DTZ001 - meters show wall clocks without a zone
from __future__ import annotations

import math
import struct
from datetime import date, datetime, time
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_dialler.protocols.edmi import atlas_survey, events, genius_survey
from mts_dialler.protocols.edmi.commands import Records
from mts_dialler.protocols.edmi.events import LogEntry, describe, parse_log
from mts_dialler.protocols.edmi.genius_survey import Field
from mts_dialler.protocols.edmi.measures import (
    Channel,
    Energy,
    Flow,
    Quantity,
    Sample,
    Scale,
    TariffChannel,
    genius_measure,
    parse_channel,
    parse_tariff_channel,
)
from mts_dialler.protocols.edmi.registers import (
    INSTANTANEOUS,
    Kind,
    Period,
    atlas_register,
    genius_register,
)
from mts_dialler.protocols.edmi.values import (
    UNITS,
    Value,
    decode,
    decode_internal,
    measured,
    seconds_since_1996,
    shortest,
)
from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError


def octets(text: str) -> bytes:
    return bytes.fromhex(text)


# --- values

LARGEST_SINGLE = Decimal(2**128 - 2**104)


@pytest.mark.parametrize(
    ("letter", "data", "value"),
    [
        ("A", b"217072470\x00", "217072470"),
        ("A", b" MK10A \x00junk", "MK10A"),
        ("B", b"\x01", True),
        ("C", b"\xff", Decimal(255)),
        ("D", struct.pack(">d", 0.1), Decimal("0.1")),
        ("E", b"----------------\x00", "----------------"),
        ("F", octets("4b9b1b08"), Decimal(20330000)),
        ("F", struct.pack(">f", 230.1), Decimal("230.1")),
        ("F", struct.pack(">f", -0.0), Decimal(0)),
        ("F", struct.pack(">f", math.nan), None),
        ("F", struct.pack(">f", -math.inf), None),
        ("G", b"251308613\x00", "251308613"),
        ("H", b"\xff\xfe", Decimal(65534)),
        ("I", b"\xff\xfe", Decimal(-2)),
        ("J", b"\x01\x02", b"\x01\x02"),
        ("L", b"\xff\xff\xff\xff", Decimal(-1)),
        ("O", struct.pack(">f", 1.5), Decimal("1.5")),
        ("P", struct.pack(">f", 0.987), Decimal("0.987")),
        ("Q", octets("090f1e"), time(9, 15, 30)),
        ("R", octets("140b1a"), date(2026, 11, 20)),
        ("R", octets("010160"), None),
        ("R", bytes(3), None),
        ("T", octets("140b1a090f00"), datetime(2026, 11, 20, 9, 15)),
        ("T", octets("010160000000"), None),
        ("T", octets("010160000001"), datetime(1996, 1, 1, 0, 0, 1)),
        ("T", bytes(6), None),
        ("U", struct.pack(">d", 123456789.125), Decimal("123456789.125")),
        ("V", b"\x80" + bytes(7), Decimal(-(2**63))),
        ("X", b"\xff" * 4, Decimal(2**32 - 1)),
        ("Z", octets("0000e397"), Decimal(0xE397)),
    ],
)
def test_a_value_is_exact_in_its_external_form(letter: str, data: bytes, value: Value) -> None:
    found = decode(letter, data)
    assert (found, str(found)) == (value, str(value))


@pytest.mark.parametrize(
    ("letter", "data", "value"),
    [
        ("O", b"\xff" * 4, Decimal(2**32 - 1)),
        ("U", b"\xff" * 8, Decimal(-1)),
        ("P", octets("7fff"), Decimal("1.00000")),
        ("P", octets("c000"), Decimal("-0.50002")),
        ("T", bytes(4), None),
        ("T", octets("0000003c"), datetime(1996, 1, 1, 0, 1)),
        ("Q", octets("00008250"), time(9, 16)),
        ("E", octets("8001"), Decimal(32769)),
        ("G", octets("0efaaa45"), Decimal(251308613)),
        ("I", octets("ffff"), Decimal(-1)),
        ("A", b"Power up\x00\x00", "Power up"),
    ],
)
def test_a_value_is_exact_in_its_internal_form(letter: str, data: bytes, value: Value) -> None:
    assert decode_internal(letter, data) == value


@pytest.mark.parametrize(
    ("letter", "data"),
    [("F", b"\x00"), ("T", octets("200b1a090f00")), ("T", octets("140b7a090f00")), ("Q", octets("190000")), ("N", b""),
     ("G", b"12A\x00"), ("?", b"")],
)  # fmt: skip
def test_what_is_no_value_of_its_type_is_the_meter_s_fault(letter: str, data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(letter, data)


def test_a_time_of_day_ends_at_midnight() -> None:
    with pytest.raises(RemoteProtocolError):
        decode_internal("Q", (86400).to_bytes(4, "big"))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_single_float_becomes_the_shortest_decimal_that_is_stored_the_same(value: float) -> None:
    data = struct.pack(">f", value)
    found = shortest(data)
    assert found is not None
    assert found == 0 or struct.pack(">f", float(found)) == data
    shorter = len(found.normalize().as_tuple().digits) - 1
    for rounding in (ROUND_FLOOR, ROUND_CEILING) if shorter else ():
        rounded = Context(prec=shorter, rounding=rounding).plus(Decimal(value))
        assert abs(rounded) > LARGEST_SINGLE or struct.pack(">f", float(rounded)) != data


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_float_becomes_the_decimal_that_python_shows(value: float) -> None:
    found = shortest(struct.pack(">d", value))
    assert found is not None
    assert found == Decimal(repr(value))


@given(st.sampled_from("ABCDEFGHIJLNOPQRSTUVWXZ"), st.binary(max_size=20))
def test_no_value_does_more_than_be_refused(letter: str, data: bytes) -> None:
    for read in (decode, decode_internal, measured):
        try:
            read(letter, data)
        except RemoteProtocolError:
            continue


def test_lengths_are_told_by_the_type() -> None:
    assert measured("T", bytes(10)) == 6
    assert measured("A", b"ab\x00cd") == 3
    with pytest.raises(RemoteProtocolError, match="cut short"):
        measured("A", b"ab")
    with pytest.raises(RemoteProtocolError, match="do not tell their length"):
        measured("J", b"ab")


def test_no_seconds_mean_no_time() -> None:
    assert seconds_since_1996(0) is None
    assert seconds_since_1996(974_712_600) == datetime(2026, 11, 20, 9, 30)


def test_units_have_their_signs() -> None:
    assert (UNITS["X"], UNITS["Y"], UNITS["Z"], UNITS["W"], UNITS["N"]) == ("Wh", "varh", "VAh", "W", "")


# --- what is measured


@pytest.mark.parametrize(
    ("low", "quantity", "flow"),
    [
        (0x13, Quantity.ACTIVE, Flow.IMPORT),
        (0x23, Quantity.ACTIVE, Flow.EXPORT),
        (0x17, Quantity.REACTIVE, Flow.IMPORT),
        (0x27, Quantity.REACTIVE, Flow.EXPORT),
        (0x1B, Quantity.APPARENT, Flow.IMPORT),
        (0x2B, Quantity.APPARENT, Flow.EXPORT),
        (0x37, Quantity.REACTIVE, Flow.Q1),
        (0x67, Quantity.REACTIVE, Flow.Q4),
        (0x03, Quantity.ACTIVE, Flow.ABSOLUTE),
    ],
)
def test_the_vendor_s_channel_numbers_mean_what_they_say(low: int, quantity: Quantity, flow: Flow) -> None:
    assert parse_channel(0x2400 | low) == Channel(Energy(quantity, flow), 1, 2)
    assert parse_tariff_channel(0x2300 | low) == TariffChannel(Energy(quantity, flow), 4)


def test_single_phases_and_unused_channels_are_told_apart() -> None:
    assert parse_channel(0x0011) == Channel(Energy(Quantity.ACTIVE, Flow.IMPORT, "L2"), 0, 0)
    assert parse_channel(0x0AFF) is None
    assert parse_tariff_channel(0x00FF) is None


@pytest.mark.parametrize(
    ("word", "sample"),
    [
        (0x8083, Sample("Voltage L1 average", "V", Scale.VOLTAGE)),
        (0x0181, Sample("Current L2 minimum", "A", Scale.CURRENT)),
        (0x028F, Sample("Frequency maximum", "Hz", Scale.FREQUENCY)),
        (0x0093, Sample("Total Reactive Power", "var", Scale.POWER)),
        (0x0080 + 0x0E, Sample("Apparent Power L3", "VA", Scale.POWER)),
        (0x0095, Sample("Phase Angle L1", "°", Scale.ANGLE)),
        (0x009A, Sample("Quality 1A", "", None)),
        (0x0072, Sample("Pulse Input 3", "", None)),
        (0x00F0, Sample("Channel F0", "", None)),
        (0x8383, Sample("Voltage L1 selector 7", "V", Scale.VOLTAGE)),
    ],
)
def test_other_channels_have_names_and_scales_of_their_own(word: int, sample: Sample) -> None:
    channel = parse_channel(word)
    assert channel is not None
    assert channel.measure == sample


@given(st.integers(0, 0xFFFF))
def test_every_definition_word_means_something_or_nothing(word: int) -> None:
    assert (parse_channel(word) is None) == (word & 0xFF == 0xFF) == (parse_tariff_channel(word) is None)


def test_a_genius_says_by_register_number_what_it_measures() -> None:
    assert genius_measure(0x0000E397) == Energy(Quantity.ACTIVE, Flow.IMPORT)
    assert genius_measure(0xE390) == Energy(Quantity.ACTIVE, Flow.EXPORT, "L1")
    assert genius_measure(0xE39F) == Energy(Quantity.REACTIVE, Flow.IMPORT)
    assert genius_measure(0xE49F) == Energy(Quantity.REACTIVE, Flow.Q1)
    assert genius_measure(0xE59B) is None
    assert genius_measure(0xE000) is None


# --- register numbers


def test_atlas_register_numbers_are_those_seen_in_the_field() -> None:
    numbers = [atlas_register(Kind.ENERGY, Period.TOTAL, 0, rate) for rate in range(3)]
    assert numbers == [0x1E00, 0x1E01, 0x1E02]
    assert atlas_register(Kind.ENERGY, Period.TOTAL, 2) == 0x1E20
    assert atlas_register(Kind.MAXIMUM_DEMAND, Period.CURRENT, 1, 8) == 0x2018
    assert atlas_register(Kind.TIME_OF_MAXIMUM, Period.CURRENT, 31) == 0x41F0


def test_genius_register_numbers_are_those_seen_in_the_field() -> None:
    totals = [genius_register(Kind.ENERGY, Period.TOTAL, channel) for channel in (0, 1, 3)]
    assert totals == [0x0069, 0x0169, 0x0369]
    assert genius_register(Kind.ENERGY, Period.TOTAL, 1, 1) == 0x0160
    assert genius_register(Kind.MAXIMUM_DEMAND, Period.CURRENT, 0) == 0x1009
    assert genius_register(Kind.TIME_OF_MAXIMUM, Period.CURRENT, 11, 8) == 0x8B07
    assert genius_register(Kind.MAXIMUM_DEMAND, Period.TOTAL, 0) == 0x1069


@pytest.mark.parametrize(("channel", "rate"), [(32, 0), (-1, 0), (0, 9)])
def test_registers_that_do_not_exist_are_our_fault(channel: int, rate: int) -> None:
    with pytest.raises(LocalProtocolError):
        atlas_register(Kind.ENERGY, Period.TOTAL, channel, rate)
    with pytest.raises(LocalProtocolError):
        genius_register(Kind.ENERGY, Period.TOTAL, channel, rate)


def test_momentary_values_have_one_name_each() -> None:
    assert INSTANTANEOUS[0xE033] == ("Total Active Power", "W")
    assert INSTANTANEOUS[0xE002] == ("Voltage L3", "V")
    assert len({name for name, _ in INSTANTANEOUS.values()}) == len(INSTANTANEOUS) == 23


# --- the survey of an Atlas

IMPORT = parse_channel(0x2413)  # kWh, 2 decimals
VOLTAGE = parse_channel(0x0083)


def test_the_layout_word_gives_channels_and_minutes() -> None:
    layout = atlas_survey.Layout.parse(30 << 6 | 6)
    assert layout == atlas_survey.Layout(6, 30)
    assert (layout.record, layout.most_records) == (13, 157)
    assert atlas_survey.Layout.parse(30 << 6) is None
    assert atlas_survey.Layout.parse(6) is None


def test_records_are_little_endian_with_a_status_behind() -> None:
    data = octets("3930 f0ff 01 ffff 0100 07")
    assert list(atlas_survey.parse_records(data, [IMPORT, VOLTAGE])) == [((12345, -16), 1), ((65535, 1), 7)]
    with pytest.raises(RemoteProtocolError):
        list(atlas_survey.parse_records(data[:-1], [IMPORT, VOLTAGE]))


def test_amounts_are_exact() -> None:
    assert IMPORT is not None
    assert VOLTAGE is not None
    scales = {Scale.VOLTAGE: Decimal("0.1")}
    assert str(atlas_survey.amount(IMPORT, 12345, {}).scaleb(-3)) == "123.45"
    assert str(atlas_survey.amount(VOLTAGE, -16, scales)) == "-1.6"
    pulses = parse_channel(0x1070)
    assert pulses is not None
    assert str(atlas_survey.amount(pulses, 25, {})) == "2.5"


@pytest.mark.parametrize(
    ("status", "present", "words"),
    [
        (0x00, False, ()),
        (0x01, True, ()),
        (0x03, True, ("period cut short",)),
        (0x07, True, ("period cut short", "power failure")),
        (0x39, True, ("user flag 1", "user flag 2", "user flag 3")),
    ],
)
def test_status_bits_in_words(status: int, present: bool, words: tuple[str, ...]) -> None:
    assert atlas_survey.present(status) is present
    assert atlas_survey.status_words(status) == words


# --- the survey of a Genius

ENERGY = Field(0xE397, 0, 4, "O", "X", "kWh Import", Decimal("0.000001"))
WHEN = Field(0, 4, 4, "T", "N", "Time")


def test_records_are_internal_values_times_their_factor() -> None:
    layout = genius_survey.Layout((ENERGY, WHEN), 10)
    layout.check()
    record = octets("0012d687 00000708 0009")
    assert genius_survey.parse_record(layout, record) == (Decimal("1.234567"), datetime(1996, 1, 1, 0, 30))
    assert layout.status_at() == 8
    assert genius_survey.status_words(genius_survey.status_word(record, 8)) == (
        "register read error",
        "period cut short",
    )


def test_the_status_word_stands_where_no_channel_does() -> None:
    in_front = genius_survey.Layout((Field(0xE397, 2, 4, "O", "X", ""),), 6)
    assert in_front.status_at() == 0
    assert genius_survey.missing(genius_survey.status_word(octets("0002 00000000"), 0))
    with pytest.raises(RemoteProtocolError, match="without a status word"):
        genius_survey.Layout((ENERGY,), 5).status_at()


@pytest.mark.parametrize("second", [Field(0, 2, 4, "X", "N", ""), Field(0, 9, 2, "H", "N", "")])
def test_channels_that_overlap_or_do_not_fit_are_the_meter_s_fault(second: Field) -> None:
    with pytest.raises(RemoteProtocolError):
        genius_survey.Layout((ENERGY, second), 10).check()


def test_a_double_energy_loses_no_digit() -> None:
    field = Field(0xE397, 0, 8, "U", "X", "", Decimal("0.000123457"))
    layout = genius_survey.Layout((field,), 10)
    data = (2**63 - 1).to_bytes(8, "big")
    assert genius_survey.parse_record(layout, data + bytes(2)) == (Decimal("1138689841553980.056804799"),)


def test_records_are_split_by_their_size() -> None:
    assert genius_survey.split(Records(5, 2, b"abcdef"), 3) == [b"abc", b"def"]
    assert genius_survey.Layout((ENERGY,), 22).most_records == 93
    assert genius_survey.address(0x0305, genius_survey.FILE) == 0x0305F008


# --- the event logs


def test_log_records_are_little_endian() -> None:
    data = octets("1010 18ef183a 8020 00000000 00")
    assert list(parse_log(data)) == [LogEntry(0x1010, datetime(2026, 11, 20, 9, 30)), LogEntry(0x2080, None)]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0x1000, "Power down"),
        (0x1012, "Power up"),
        (0x1020, "Parameters recovered"),
        (0x1031, "Parameters lost"),
        (0x2005, None),
        (0x201F, None),
        (0x2042, "Setup changed"),
        (0x2080, "Wrong password"),
        (0x2081, None),
        (0x2082, None),
        (0x20C1, "Time about to change"),
        (0x20CF, "Clock set"),
        (0x3001, "Alarm battery: latched"),
        (0x304A, "Alarm tamper: latch cleared"),
        (0x3088, "Alarm reverse power: became active"),
        (0x30D0, "Alarm advanced tamper 1: became inactive"),
        (0x3020, "Alarm 32: latched"),
        (0x4012, "Firmware changed"),
        (0x5001, "Billing reset"),
        (0x5083, "Billing reset"),
        (0x6001, "Voltage sag or swell"),
        (0xA00C, "Setup changed, area 12"),
        (0x7777, "Event 7777"),
    ],
)
def test_event_codes_in_plain_words(code: int, words: str | None) -> None:
    assert describe(code) == words


@given(st.binary(max_size=60))
def test_any_log_can_be_told(data: bytes) -> None:
    for entry in parse_log(data):
        assert describe(entry.code) != ""


def test_each_log_has_its_file() -> None:
    assert [events.FILE + log for log in events.LOGS] == [2, 3, 4, 5, 6]
