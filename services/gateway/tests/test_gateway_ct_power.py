"""The arithmetic of a record: exact decimals, rounded once."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from math import isqrt
from random import Random

import pytest

from mts_gateway.carbontrack.power import Interval, fields_of


def fields(
    values: Mapping[str, str], *, seconds: int | None = 1800, phases: int = 1, before: Mapping[str, str] | None = None
) -> dict[str, str | None]:
    def decimals(texts: Mapping[str, str]) -> dict[str, Decimal]:
        return {name: Decimal(text) for name, text in texts.items()}

    return fields_of(Interval(seconds, phases, decimals(values), decimals(before or {})))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0.0025", "0.01"),
        ("0.0024999999999999999999999999999999999999", "0.00"),
        ("-0.0025", "-0.01"),
        ("-0.0024", "0.00"),
        ("0", "0.00"),
        ("0.25", "0.50"),
        ("123456789012345678901234567890.123", "246913578024691357802469135780.25"),
    ],
)
def test_half_is_rounded_away_from_zero_at_the_last_step(value: str, shown: str) -> None:
    assert fields({"kWh Import": value})["PowerUsage"] == shown


def test_a_length_that_does_not_divide_is_still_exact() -> None:
    """0.7 kWh in 700 s are 3.6 kW; 0.001 kWh in 7 s are 0.514285... kW."""
    assert fields({"kWh Import": "0.7"}, seconds=700)["PowerUsage"] == "3.60"
    assert fields({"kWh Import": "0.001"}, seconds=7)["PowerUsage"] == "0.51"


@pytest.mark.parametrize(
    "name", [*(f"Temperature{n}" for n in range(1, 9)), "Irradiation", "BatteryCharge", "Flow", "Voltage"]
)
def test_a_channel_of_a_fields_name_is_shown_as_it_is(name: str) -> None:
    assert fields({name: "1234.5"}, seconds=None)[name] == "1234.50"


def test_signal_strength_alone_is_grouped() -> None:
    shown = fields({"Signal Strength": "1000", "Voltage": "1000"})
    assert (shown["SignalStrength"], shown["Voltage"]) == ("1,000.00", "1000.00")
    assert fields({"Signal Strength": "-1234567.005"})["SignalStrength"] == "-1,234,567.01"


def test_nothing_is_made_up() -> None:
    assert set(fields({}).values()) == {None}
    assert set(fields({"kvarh Import": "1", "kvarh Q1": "1"}).values()) == {None}


def test_reactive_energy_is_its_own_channel_else_two_quadrants() -> None:
    assert fields({"kWh Import": "3", "kvarh Q1": "1.5", "kvarh Q2": "2.5"})["PowerVAH1"] == "5000.00"
    assert fields({"kWh Import": "3", "kvarh Q1": "1.5"})["PowerVAH1"] is None
    assert fields({"kWh Import": "3", "kvarh Import": "4", "kvarh Q1": "9", "kvarh Q2": "9"})["PowerVAH1"] == "5000.00"


def test_the_power_factor_of_nothing_is_null() -> None:
    shown = fields({"kWh Import": "0", "kvarh Import": "0"})
    assert (shown["PowerFactor1"], shown["PowerVAH1"]) == (None, "0.00")


def test_a_single_phase_meter_has_no_other_phases() -> None:
    shown = fields({"kWh Import L2": "1", "kWh Import": "1"})
    assert (shown["Power1"], shown["Power2"]) == ("2.00", None)


def test_a_phase_may_be_cumulative_and_in_quadrants() -> None:
    values = {"kWh Import L2 (total)": "13", "kvarh Q1 L2": "1", "kvarh Q2 L2": "3"}
    shown = fields(values, seconds=3600, phases=3, before={"kWh Import L2 (total)": "10"})
    assert (shown["Power2"], shown["PowerVAH2"], shown["PowerFactor2"]) == ("3.00", "5000.00", "0.60")


def test_a_channels_own_value_goes_over_a_difference() -> None:
    values = {"kWh Import": "1", "kWh Import (total)": "50"}
    assert fields(values, seconds=3600, before={"kWh Import (total)": "10"})["PowerUsage"] == "1.00"


def test_apparent_energy_is_the_root_to_the_last_digit() -> None:
    """Held against whole-number roots of a hundred times the square, two digits further."""
    random = Random(20240101)  # noqa: S311
    for _ in range(300):
        active, reactive = (Decimal(random.randrange(10**9)).scaleb(-4) for _ in range(2))
        square = Fraction(active) ** 2 + Fraction(reactive) ** 2
        thousandths = isqrt(int(square * 10**12))  # of a VAh
        rounded = (thousandths + 5) // 10
        shown = fields({"kWh Import": str(active), "kvarh Import": str(reactive)})["PowerVAH1"]
        assert shown == f"{rounded // 100}.{rounded % 100:02}"
