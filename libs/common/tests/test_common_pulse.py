"""Parts that are heard of in time, and parts that are not."""

from __future__ import annotations

import asyncio

import pytest

from mts_common.pulse import PartStuck, Pulses


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_parts_of_one_name_are_told_apart() -> None:
    clock = Clock()
    pulses = Pulses(clock)
    with pulses.part("worker") as late, pulses.part("worker") as punctual:
        late.within(1)
        punctual.within(3)
        clock.now = 2
        assert pulses.stuck() == ["worker"]
        late.within(1)
        assert pulses.stuck() == []


async def test_a_process_whose_part_stays_stuck_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mts_common.pulse.LOOK_SECONDS", 0.0)
    pulses = Pulses()
    with pulses.part("consumer") as stuck, pulses.part("relay") as well:
        stuck.within(-1)
        well.within(60)
        with pytest.raises(PartStuck, match="consumer"):
            async with asyncio.timeout(10):
                await pulses.watch()


async def test_a_process_that_itself_stood_still_is_not_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mts_common.pulse.LOOK_SECONDS", 0.0)
    clock = Clock()
    pulses = Pulses(clock)
    with pulses.part("consumer") as pulse:
        pulse.within(10)
        watching = asyncio.create_task(pulses.watch())
        clock.now = 1000
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert pulses.stuck() == ["consumer"]
        pulse.within(10)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not watching.done()
        watching.cancel()
