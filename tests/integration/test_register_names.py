"""What a report calls a quantity is the same for every meter type, and so are its unit and category."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping

import pytest

from benchmarks.efficiency import full_test
from mts_common.catalogue import CATALOGUE
from mts_common.messages import MeterData, RegisterCategory
from mts_metersim.families import METER_TYPES

ENERGY, NOW, OTHER, TARIFF = (
    RegisterCategory.ENERGY,
    RegisterCategory.INSTANTANEOUS,
    RegisterCategory.MISCELLANEOUS,
    RegisterCategory.TIME_OF_USE,
)
# Registers that every simulated meter has, or all but an MT174, whose list is short, or all that keep maxima as totals.
IN_ALL = {
    "Active Energy Import": (ENERGY, "kWh"),
    "Active Energy Export": (ENERGY, "kWh"),
    "Reactive Energy Q1": (ENERGY, "kvarh"),
    "Reactive Energy Q2": (ENERGY, "kvarh"),
    "Voltage L1": (NOW, "V"),
    "Voltage L3": (NOW, "V"),
}
IN_MOST = {
    "Active Energy Import T1": (TARIFF, "kWh"),
    "Active Energy Import T2": (TARIFF, "kWh"),
    "Current L2": (NOW, "A"),
    "Frequency": (NOW, "Hz"),
    "Power Factor": (NOW, ""),
    "Total Apparent Power": (NOW, "kVA"),
    "Active Maximum Demand Import": (OTHER, "kW"),
    "Active Maximum Demand Import Time": (OTHER, ""),
    "Apparent Maximum Demand": (OTHER, "kVA"),
}
CHANNELS = {"kWh Import": "kWh", "kWh Export": "kWh", "kvarh Q1": "kvarh", "kvarh Q2": "kvarh"}


@pytest.fixture(scope="module")
def reports() -> Mapping[str, MeterData]:
    return {meter_type: asyncio.run(full_test(meter_type)).data for meter_type in METER_TYPES}


def test_one_name_has_one_unit_and_one_category(reports: Mapping[str, MeterData]) -> None:
    found = defaultdict(set)
    for data in reports.values():
        for register in data.registers:
            found[register.name].add((register.category, register.units))
    assert {name: kinds for name, kinds in found.items() if len(kinds) > 1} == {}


@pytest.mark.parametrize("meter_type", METER_TYPES)
def test_the_usual_registers_have_the_fields_names(reports: Mapping[str, MeterData], meter_type: str) -> None:
    registers = {each.name: (each.category, each.units) for each in reports[meter_type].registers}
    assert IN_ALL.items() <= registers.items()


def test_the_other_registers_have_the_same_names_in_every_family(reports: Mapping[str, MeterData]) -> None:
    for name, kind in IN_MOST.items():
        holders = [
            meter_type
            for meter_type, data in reports.items()
            if (kind[0], kind[1]) in {(each.category, each.units) for each in data.registers if each.name == name}
        ]
        assert len(holders) >= len(METER_TYPES) - 4, name


@pytest.mark.parametrize("meter_type", [name for name in METER_TYPES if CATALOGUE[name].keeps_survey])
def test_survey_channels_have_the_same_names_and_half_hours(reports: Mapping[str, MeterData], meter_type: str) -> None:
    survey = {channel.name.removesuffix(" (total)"): channel for channel in reports[meter_type].survey}
    assert CHANNELS.items() <= {name: channel.units for name, channel in survey.items()}.items()
    assert {len(channel.readings) for channel in survey.values()} == {480}


def test_every_maximum_has_its_time(reports: Mapping[str, MeterData]) -> None:
    for meter_type, data in reports.items():
        names = {each.name for each in data.registers}
        maxima = {name for name in names if "Maximum Demand" in name and not name.endswith(" Time")}
        assert {f"{name} Time" for name in maxima} <= names, meter_type
