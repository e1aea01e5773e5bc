"""How the A1700 writes things, against the fact sheet's vectors and the captured payloads."""

from datetime import UTC, datetime

import pytest

from mts_metersim.a1700_codes import bcd_le, clock_bytes, demand, instantaneous, seed_answer, stamp
from mts_metersim.a1700_identities import Identities, device_of
from mts_metersim.a1700_profile import block_counts, data_record, day_header, padded
from mts_metersim.fleet import CHANNELS, LoadSpec, Meter, Options, Rule
from mts_metersim.unit import Unit


def meter(**options: object) -> Meter:
    return Meter("ELSTERA1700", "K04M01234", LoadSpec(1), password="FEDC0003", options=Options(**options))  # type: ignore[arg-type]


def at(text: str, made: Meter) -> Unit:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return Unit(made, lambda: int(moment.timestamp()) * 1_000_000_000)


@pytest.mark.parametrize(
    ("password", "seed", "answer"),
    [
        ("FEDC0003", "FD2BA0E29731D230", "BE2C10B158593B3E"),  # a wire capture
        ("FEDC0003", "29EDC6D335E59C87", "23CB4DDDE2B76317"),
        ("12345678", "0000000000000000", "699BCE02376DA4DC"),
        ("ABCDEFGH", "0123456789ABCDEF", "E7484E713D2AB45B"),
        ("ABCDEFGH", "FFFFFFFFFFFFFFFF", "7532EEA9631CD48B"),
    ],
)
def test_the_answer_to_a_seed_is_the_published_one(password: str, seed: str, answer: str) -> None:
    assert seed_answer(password, bytes.fromhex(seed)) == answer


def test_the_clock_is_written_as_the_captured_one() -> None:
    assert clock_bytes(at("2021-10-29T22:52:46", meter())).hex() == "46522269900021"


def test_registers_are_written_as_the_captured_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    captured = (
        "00445103000000000088190000000000006808010000000000641000000000000044000000000000008440010000000000"
        "721405000000000052490200000000"
    )
    milliwatt_hours = [3514400, 198800, 1086800, 106400, 4400, 1408400, 5147200]
    monkeypatch.setattr(Unit, "total", lambda self, name, at: milliwatt_hours[CHANNELS.index(name)])
    unit = at("2021-10-29T22:52:46", meter())
    read = Identities(unit, device_of("/GEC5090100140400@000")).read("507")
    assert read is not None
    assert len(read) == 80
    assert read[:56].hex() == captured[:112]


def test_stamps_are_the_captured_ones() -> None:
    assert stamp(1300177555).hex() == "93227f4d"


def test_values_of_the_survey_have_five_digits_and_an_exponent() -> None:
    assert demand(12_345_000).hex() == "123453"
    assert demand(5).hex() == "000050"
    assert demand(0).hex() == "000000"
    assert demand(405_000_000).hex() == "405004"


def test_the_stream_of_the_sheet_is_made_byte_for_byte() -> None:
    unit = at("2021-10-29T12:00:00", meter(channels=("import",), period_nibble=0))
    start = int(datetime(2021, 10, 29, tzinfo=UTC).timestamp())
    stream = day_header(unit, start) + data_record(0, (12_345_000,)) + data_record(0x40, (5,))
    assert stream.hex(" ") == "e4 80 39 7b 61 00 01 09 00 12 34 53 40 00 00 50"
    assert padded(stream) == stream + b"\xff" * 48
    assert block_counts(padded(stream)).hex() == "00010001"


def test_channels_and_summer_time_are_in_the_mask() -> None:
    full = at("2021-10-29T12:00:00", meter(channels=CHANNELS))
    assert day_header(full, 0)[5:7].hex() == "007f"


def test_instantaneous_values_keep_their_decimals() -> None:
    assert instantaneous(2132363, 4).hex() == "00000002132363"
    assert instantaneous(5, 0, negative=True).hex() == "84000000000005"


def test_bcd_rolls_over_as_a_register_does() -> None:
    assert bcd_le(10**16 + 7, 8).hex() == "0700000000000000"


@pytest.mark.parametrize(
    ("identification", "rates", "history_set", "sources"),
    [
        ("/GEC5090100140400@000", 16, 615, 46),
        ("/GEC5090100100400@000", 32, 743, 186),
        ("/GEC2090100260200@000", 32, 863, 186),
    ],
)
def test_history_sets_have_the_size_of_the_type(
    identification: str, rates: int, history_set: int, sources: int
) -> None:
    """Twelve sets, each beginning on a new packet of 64 bytes, newest first (fact sheet, sections 1, 3 and 7)."""
    identities = Identities(at("2026-11-20T12:00:00", meter(identification=identification)), device_of(identification))
    sizes = {name: len(identities.read(name) or b"") for name in ("508", "509", "510", "516", "543", "544", "548")}
    assert sizes == {
        "508": rates * 8,
        "509": 72,
        "510": 288,
        "516": 32,
        "543": -(-history_set // 64) * 64 * 12,
        "544": 128 * 12,
        "548": -(-sources // 64) * 64 * 12,
    }
    newest = (identities.read("543") or b"")[:history_set]
    reset = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
    assert newest[-4:] == stamp(reset)
    assert newest[-9:-5] == stamp(reset)
    assert newest[-15:-13] == (1).to_bytes(2, "little")


def test_logs_ratios_and_sources_are_laid_out_as_in_the_sheet() -> None:
    unit = at("2026-11-20T12:00:00", meter(power_cuts=Rule(2, 610, 100), ct=(600, 5), vt=(11000, 110), status_word=1))
    identities = Identities(unit, device_of("/GEC5090100140400@000"))
    downs = [int(datetime(2026, 11, day, 10, 10, tzinfo=UTC).timestamp()) for day in (19, 17, 15)]
    expected = {
        "614": bytes.fromhex("00001001 001001"),
        "616": bytes.fromhex("00000600 0005"),
        "667": bytes((1, 1, 2, 2)) + bytes(12),
        "668": bytes((1, 2, 7)) + bytes(5),
        "695": len(unit.power_cuts(unit.clock.now())).to_bytes(2, "little") + b"".join(map(stamp, downs)),
        "724": (1 << 26 | 1).to_bytes(4, "little"),
        "777": bytes.fromhex("003f"),
        "778": b"\x00",
        "878": bytes.fromhex("300101"),
    }
    assert {name: identities.read(name) for name in expected} == expected
    sizes = {name: len(identities.read(name) or b"") for name in ("546", "680", "691", "693", "694", "795", "798")}
    assert sizes == {"546": 12, "680": 14, "691": 4, "693": 17, "694": 14, "795": 16, "798": 16}


def test_newer_meters_keep_longer_logs() -> None:
    identification = "/GEC2090100260200@000"
    unit = at("2026-11-20T12:00:00", meter(identification=identification))
    identities = Identities(unit, device_of(identification))
    assert [len(identities.read(name) or b"") for name in ("511", "693", "694", "695")] == [120, 63, 46, 22]
