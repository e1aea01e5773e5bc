"""The bank of modems made to order."""

from collections import Counter
from pathlib import Path

from mts_metersim.families import METER_TYPES
from mts_metersim.fleet import dump_fleet, load_fleet
from mts_metersim.modem_plan import Outcome, dump_plan, load_plan
from mts_metersim.preset_bank import BUSY_NUMBER, DROPPED_NUMBER, SHARED_NUMBER, UNANSWERED_NUMBER, bank
from mts_metersim.presets import DEFAULT_COUNTS, fleet


def test_plan_and_meters_are_the_same_every_time_and_survive_their_files(tmp_path: Path) -> None:
    plan, meters = bank()
    assert (plan, meters) == bank()
    (tmp_path / "plan.json").write_text(dump_plan(plan))
    (tmp_path / "fleet.json").write_text(dump_fleet(meters))
    assert load_plan(tmp_path / "plan.json") == plan
    loaded = load_fleet(tmp_path / "fleet.json")
    assert [meter.serial_number for meter in loaded] == [meter.serial_number for meter in meters]


def test_every_type_that_a_modem_reaches_has_a_number_of_its_own() -> None:
    plan, meters = bank()
    alone = [meter.meter_type for meter in meters if not meter.line and not meter.faults]
    assert set(alone) == set(METER_TYPES) - {"DLMS_WRAPPER"}
    behind = [subscriber.meter for subscriber in plan.numbers.values()]
    assert max(Counter(behind).values()) == 1
    assert set(behind) <= {meter.serial_number for meter in meters}


def test_the_numbers_fail_or_are_shared_as_their_names_say() -> None:
    plan, meters = bank()
    by_serial = {meter.serial_number: meter for meter in meters}
    assert plan.numbers[BUSY_NUMBER].outcome is Outcome.BUSY
    assert plan.numbers[UNANSWERED_NUMBER].outcome is Outcome.NO_ANSWER
    assert by_serial[plan.numbers[DROPPED_NUMBER].meter].faults
    shared = by_serial[plan.numbers[SHARED_NUMBER].meter].line
    assert len({meter.meter_type for meter in meters if meter.line == shared}) == 3


def test_no_serial_number_is_that_of_another_preset() -> None:
    others = {meter.serial_number for preset in DEFAULT_COUNTS for meter in fleet(preset)}
    assert not others & {meter.serial_number for meter in bank()[1]}
