"""The load curves, the registers and the recorded survey agree, over season changes and power cuts too."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from mts_metersim.clock import DAY
from mts_metersim.fleet import CHANNELS, ClockSpec, LoadSpec, Meter, Options, Rule
from mts_metersim.load import SLOTS, reading, watts_of_day
from mts_metersim.unit import Unit

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)


def made(kind: str = "house", seed: int = 2, zone: str = "UTC", options: Options | None = None) -> Meter:
    return Meter("ELSTERA1700", "K1", LoadSpec(seed, kind), clock=ClockSpec(zone), options=options or Options())


def unit_at(meter: Meter, moment: datetime) -> Unit:
    return Unit(meter, lambda: int(moment.timestamp()) * 1_000_000_000)


def day_energy(kind: str, day: datetime, channel: str = "import") -> Decimal:
    found = [reading(made(kind), channel, day + timedelta(minutes=30 * n)) for n in range(48)]
    return sum((value for value in found if value is not None), Decimal(0))


def test_a_reading_depends_on_nothing_but_seed_channel_and_period() -> None:
    start = MONDAY + timedelta(hours=18)
    first = reading(made(), "import", start)
    watts_of_day.cache_clear()
    assert reading(made(), "import", start) == first == Decimal("0.840")
    assert reading(made(zone="Europe/London"), "import", start) == first
    assert reading(made(seed=3), "import", start) != first


def test_energies_are_whole_watt_hours() -> None:
    for kind in ("house", "shop", "factory"):
        for minutes in (15, 30, 60):
            meter = made(kind, options=Options(period_minutes=minutes, power_cuts=Rule(1, 605, 35)))
            starts = [MONDAY + timedelta(minutes=minutes * n) for n in range(1440 // minutes)]
            values = [reading(meter, name, start) for start in starts for name in CHANNELS]
            assert all(value is None or value == value.quantize(Decimal("0.001")) for value in values)


def test_a_site_sleeps_at_night_and_rests_at_the_weekend() -> None:
    for kind in ("shop", "factory"):
        by_hour = [reading(made(kind), "import", MONDAY + timedelta(hours=n)) or 0 for n in range(24)]
        assert max(by_hour[1:5]) * 2 < min(by_hour[10:16])
        assert day_energy(kind, MONDAY) > day_energy(kind, MONDAY + timedelta(days=6)) * Decimal("1.3")


def test_winter_needs_more_than_summer() -> None:
    assert day_energy("shop", datetime(2026, 1, 12, tzinfo=UTC)) > day_energy("shop", datetime(2026, 7, 13, tzinfo=UTC))


def test_every_second_house_delivers_at_noon_in_summer() -> None:
    noon = datetime(2026, 7, 15, 12, tzinfo=UTC)
    days = [noon + timedelta(days=n) for n in range(10)]
    assert any(reading(made(seed=2), "export", day) for day in days)
    assert not any(reading(made(seed=3), "export", day) for day in days)


def test_import_and_export_exclude_each_other_in_a_slot() -> None:
    drawn, delivered, q1, q2, q3, q4, _ = watts_of_day(LoadSpec(2), 20_650)
    assert all(not (drawn[slot] and delivered[slot]) for slot in range(SLOTS))
    assert all(sum(bool(q[slot]) for q in (q1, q2, q3, q4)) <= 1 for slot in range(SLOTS))


@pytest.mark.parametrize("minutes", [15, 30, 60])
@pytest.mark.parametrize("moment", ["2026-03-30T10:20:00", "2026-10-26T10:20:00"])
def test_registers_are_the_base_plus_every_period(minutes: int, moment: str) -> None:
    """Over both season changes and with power cuts that split periods."""
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    options = Options(period_minutes=minutes, power_cuts=Rule(2, 1425, 100))
    meter = Meter("ELSTERA1700", "K1", LoadSpec(2), installed_days_ago=4, options=options)
    unit = unit_at(meter, now)
    end = unit.clock.now() // unit.period * unit.period
    for name in CHANNELS:
        periods = [
            reading(meter, name, datetime.fromtimestamp(s, UTC)) for s in range(unit.installed, end, unit.period)
        ]
        total = sum((value for value in periods if value is not None), Decimal(0))
        assert Decimal(unit.total(name, end)).scaleb(-6) == Decimal(unit.base(name)).scaleb(-6) + total


def test_registers_run_without_jumps_and_rates_add_up() -> None:
    unit = unit_at(made(), MONDAY + timedelta(hours=12))
    moments = [unit.installed + 977 * n for n in range(2000)]
    totals = [unit.total("import", moment) for moment in moments]
    assert all(0 <= later - earlier <= 40_000 * 977 // 3600 * 1000 for earlier, later in pairwise(totals))
    for moment in moments[::50]:
        both = unit.rate("import", night=True, at=moment) + unit.rate("import", night=False, at=moment)
        assert both == unit.total("import", moment)


def test_nothing_is_recorded_in_a_cut_a_gap_or_before_the_installation() -> None:
    day = (int(MONDAY.timestamp()) // DAY) * DAY
    cut = made(options=Options(power_cuts=Rule(1, 600, 60)))
    assert reading(cut, "import", MONDAY + timedelta(hours=10)) is None
    assert reading(cut, "import", MONDAY + timedelta(hours=11)) is not None
    gap = made(options=Options(gaps=Rule(1, 610, 10)))
    assert reading(gap, "import", MONDAY + timedelta(hours=10)) is None
    assert reading(made(), "import", MONDAY - timedelta(minutes=30), installed=day) is None


def test_greatest_demands_are_those_of_the_survey() -> None:
    unit = unit_at(made("shop"), MONDAY + timedelta(hours=23))
    best = unit.greatest("import", unit.installed, unit.clock.now(), 3)
    every = [reading(unit.meter, "import", datetime.fromtimestamp(end - 1800, UTC)) for _, end in best]
    assert [Decimal(milliwatts).scaleb(-6) / 2 for milliwatts, _ in best] == every
    assert best[0][0] >= best[1][0] >= best[2][0]


def test_a_drifting_clock_gains_its_parts_per_million() -> None:
    moment = [1_000_000_000_000_000_000]
    unit = Unit(
        Meter("ELSTERA1700", "K1", LoadSpec(1), clock=ClockSpec("UTC", -203, 200)),
        lambda: moment[0],
    )
    assert unit.clock.now() == 1_000_000_000 - 203
    moment[0] += 100_000 * 1_000_000_000
    assert unit.clock.now() == 1_000_100_000 - 203 + 20
