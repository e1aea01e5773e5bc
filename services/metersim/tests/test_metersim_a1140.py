"""The Elster A1140 where it differs from the A1700: identities, survey header, how the survey is chosen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from mts_metersim.a1140 import A1140Dialogue, A1140Identities, day_tail
from mts_metersim.a1700_codes import seed_answer, stamp
from mts_metersim.fleet import ClockSpec, LoadSpec, Meter, Options, Rule
from mts_metersim.iec import Command, Option, block
from mts_metersim.load import reading
from mts_metersim.testing import answered, call_to
from mts_metersim.unit import Unit

SEED = bytes.fromhex("0123456789ABCDEF")
A1140 = Meter("ELSTERA1140", "K04M01234", LoadSpec(2), password="ABCDEFGH", installed_days_ago=4)


def unit_at(moment: str = "2026-07-10T14:10:00", zone: str = "UTC", options: Options | None = None) -> Unit:
    meter = replace(A1140, clock=ClockSpec(zone), options=options or Options())
    now = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())
    return Unit(meter, lambda: now * 1_000_000_000)


def opened(unit: Unit) -> A1140Dialogue:
    dialogue = A1140Dialogue(unit, lambda what, wrong: None, lambda size: SEED)
    dialogue.reply(Option("0", "5", "1"))
    assert dialogue.reply(Command("P2", f"({seed_answer('ABCDEFGH', SEED)})")) == b"\x06"
    return dialogue


def read(dialogue: A1140Dialogue, identity: str, packets: int) -> bytes:
    found = b""
    for packet in range(1, packets + 1):
        answer = dialogue.reply(Command("R1", f"{identity}{packet:03X}(40)"))
        found += bytes.fromhex(answer[2:-3].decode())
    return found


def surveyed(unit: Unit, written: str) -> bytes:
    dialogue = opened(unit)
    assert dialogue.reply(Command("W1", written)) == b"\x06"
    blocks = int.from_bytes(read(dialogue, "551", 1)[:2], "big")
    return read(dialogue, "550", blocks)


def test_it_names_the_a1140_range_in_its_identification() -> None:
    assert answered(call_to([unit_at()]), b"/?!\r\n") == b"/GEC5090510010100@000\r\n"


def test_its_device_addresses_are_numbers() -> None:
    unit = unit_at()
    addressed = Unit(replace(unit.meter, outstation_address="007"))
    call = call_to([addressed])
    assert answered(call, b"/?8!\r\n") == b""
    assert answered(call, b"/?7!\r\n") != b""


def test_identities_have_the_a1140s_lengths() -> None:
    identities = A1140Identities(unit_at())
    expected = {"507": 128, "616": 8, "680": 53, "691": 14, "692": 14, "724": 8, "863": 16, "998": 12, "798": 16}
    assert {identity: len(identities.read(identity) or b"") for identity in expected} == expected
    assert [identities.read(identity) for identity in ("543", "544", "548")] == [None] * 3


def test_registers_ratio_and_clock_are_written_its_way() -> None:
    unit = unit_at(zone="Europe/London")
    identities = A1140Identities(unit)
    totals = identities.read("507") or b""
    shown = [int(totals[at : at + 8][::-1].hex()) for at in range(0, 128, 8)]
    assert shown[0] == unit.total("import", unit.clock.now())
    assert shown[7:] == [0] * 9
    assert identities.read("616") == bytes.fromhex("00002710 000001f4")
    wall = int(datetime(2026, 7, 10, 15, 10, tzinfo=UTC).timestamp())
    assert (identities.read("863") or b"")[:4] == stamp(wall)


@pytest.mark.parametrize(
    ("zone", "channels", "tail"),
    [
        ("UTC", ("import",), "00 01 09"),
        ("Europe/London", ("import", "export"), "00 03 89"),
        ("UTC", ("import", "export", "q1", "q2", "q3", "q4", "va"), "00 7f 09"),
    ],
)
def test_a_survey_header_ends_as_captured_but_for_the_cdr_channels(
    zone: str, channels: tuple[str, ...], tail: str
) -> None:
    assert day_tail(unit_at(zone=zone, options=Options(channels=channels))).hex(" ") == tail


def energies(unit: Unit, stream: bytes) -> dict[datetime, list[Decimal]]:
    """Restarts at E4, E5 and EA on the floored stamp, parts of one interval added up; the clock is in UTC."""
    found: dict[datetime, list[Decimal]] = {}
    start, at = datetime.min.replace(tzinfo=UTC), 0
    while stream[at] != 0xFF:
        size = {0xE4: 8}.get(stream[at], 5 if stream[at] >= 0x80 else 19)
        data, kind = stream[at + 1 : at + size], stream[at]
        at += size
        if kind in (0xE4, 0xE5, 0xEA):
            seconds = int.from_bytes(data[:4], "little")
            start = datetime.fromtimestamp(seconds - seconds % unit.period, UTC)
        elif kind < 0x80:
            digits = [data[n : n + 3].hex() for n in range(0, 18, 3)]
            values = [Decimal(int(text[:5])).scaleb(int(text[5]) - 6) * unit.period / 3600 for text in digits]
            before = found.get(start, [Decimal(0)] * 6)
            found[start] = [old + new for old, new in zip(before, values, strict=True)]
            start += timedelta(seconds=unit.period)
    return found


def truth(unit: Unit, first: datetime, last: datetime) -> dict[datetime, list[Decimal | None]]:
    step = timedelta(seconds=unit.period)
    starts = [first + n * step for n in range((last - first) // step)]
    rows = {start: [reading(unit.meter, name, start) for name in unit.meter.options.channels] for start in starts}
    return {start: values for start, values in rows.items() if values[0] is not None}


@pytest.mark.parametrize("options", [Options(), Options(power_cuts=Rule(2, 610, 100))])
def test_days_and_stamps_choose_the_survey_and_it_holds_the_truth(options: Options) -> None:
    unit = unit_at(options=options)
    midnight = datetime(2026, 7, 9, tzinfo=UTC)
    by_days = energies(unit, surveyed(unit, "551001(02000000)"))
    assert by_days == truth(unit, midnight, datetime(2026, 7, 10, 14, tzinfo=UTC))
    first, last = datetime(2026, 7, 8, 3, 40, tzinfo=UTC), datetime(2026, 7, 9, 12, tzinfo=UTC)
    stamps = (stamp(int(first.timestamp())) + stamp(int(last.timestamp()))).hex()
    by_stamps = energies(unit, surveyed(unit, f"554001({stamps})"))
    assert by_stamps == truth(unit, datetime(2026, 7, 8, 3, 30, tzinfo=UTC), last)


@pytest.mark.parametrize("written", ["551001(0200)", "551001(00000000)", "554001(0200)", "551001(02000001)"])
def test_a_choice_it_does_not_understand_is_an_error(written: str) -> None:
    assert opened(unit_at()).reply(Command("W1", written)) == block("(ERR1)")
