"""What a full test costs on a modem line, next to the least that it could; computed, so the same on every machine."""

from __future__ import annotations

import pytest

from benchmarks.efficiency import GOAL, measure
from mts_metersim.families import METER_TYPES


@pytest.mark.parametrize("meter_type", METER_TYPES)
async def test_a_full_test_costs_little_more_than_its_protocol_demands(meter_type: str) -> None:
    call = await measure(meter_type)
    assert 0.98 < call.ratio <= GOAL, call
    assert call.octets <= GOAL * call.least.octets, call


async def test_a_meter_that_is_called_twice_costs_the_same_twice() -> None:
    assert await measure("CEWEPRO100") == await measure("CEWEPRO100")
