"""The tests that the demo asks for, and what must become of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any

from mts_client import MeterTest, MeterTestStatus, Outcome

HALF_HOURS = 48


class Way(Enum):
    """How a test is asked for."""

    IMMEDIATE = auto()
    BATCH = auto()
    OVERNIGHT = auto()
    CANCELLED = auto()


@dataclass(frozen=True)
class Case:
    """One test of the demo. `words` must stand in the result, or in the serial number of a partial one."""

    title: str
    way: Way
    test: MeterTest
    serial_number: str
    outcome: Outcome = Outcome.SUCCESS
    words: str = ""

    def faults(self, status: MeterTestStatus, window_opens: datetime) -> list[str]:
        """What is not as it must be in the completed test's status."""
        found = []
        if status.outcome is not self.outcome:
            found.append(f"{status.result_summary!r} instead of {self.outcome.value}")
        if self.words.casefold() not in f"{status.result_summary} {status.serial_number}".casefold():
            found.append(f"{self.words!r} is not named")
        if self.outcome is Outcome.SUCCESS:
            found += self._faults_of_data(status)
        if self.way is Way.OVERNIGHT and (status.test_start_time is None or status.test_start_time < window_opens):
            found.append(f"started at {status.test_start_time}, before the run window")
        return found

    def _faults_of_data(self, status: MeterTestStatus) -> list[str]:
        found = []
        if status.serial_number != self.serial_number:
            found.append(f"serial number {status.serial_number!r} instead of {self.serial_number!r}")
        if not any(group.register_values for group in status.register_groups):
            found.append("no registers")
        wanted = HALF_HOURS * self.test.survey_days
        lengths = {channel.name: len(channel.readings) for channel in status.survey_data or ()}
        if wanted and (not lengths or set(lengths.values()) != {wanted}):
            found.append(f"survey {lengths} instead of {wanted} readings in each channel")
        return found


def demo_cases(
    iec: Sequence[Mapping[str, Any]],
    families: Sequence[Mapping[str, Any]],
    behind_modems: Sequence[Mapping[str, Any]],
    dead_address: str,
) -> list[Case]:
    """The demo's tests of a `fleet("demo", 16)`, a `fleet("families")` and a `preset_bank.bank()`, as ready files list
    them.
    """
    return [*_iec_cases(iec, dead_address), *_family_cases(families), *_modem_cases(behind_modems)]


def _iec_cases(meters: Sequence[Mapping[str, Any]], dead_address: str) -> list[Case]:
    """Five meters on lines of their own, then shared lines of four, four and three, then meters with a fault each."""
    healthy = [meter for meter in meters if meter["fault"] is None]
    by_fault = {meter["fault"]: meter for meter in meters}
    single, first_line, second_line, third_line = healthy[:5], healthy[5:9], healthy[9:13], healthy[13:]
    locked = third_line[2]
    return [
        _case("alone, 3 survey days", Way.IMMEDIATE, single[0], survey_days=3),
        *(_case("alone, 1 survey day", Way.IMMEDIATE, meter, survey_days=1) for meter in single[1:4]),
        _case("alone, no survey", Way.IMMEDIATE, single[4]),
        *(_case("batch, one shared line", Way.BATCH, meter) for meter in first_line),
        *(_case("overnight, shared line", Way.OVERNIGHT, meter) for meter in second_line[:3]),
        _case("cancelled in time", Way.CANCELLED, second_line[3]),
        _case(
            "another serial number",
            Way.IMMEDIATE,
            third_line[0],
            Outcome.PARTIAL_SUCCESS,
            third_line[0]["serialNumber"],
            serial_number="NOT-THIS-ONE",
        ),
        _case(
            "wrong password",
            Way.IMMEDIATE,
            locked,
            Outcome.ERROR,
            "password",
            password=locked["password"][::-1],
        ),
        _case("nobody listens there", Way.IMMEDIATE, single[0], Outcome.ERROR, remote_address=dead_address),
        _case("meter falls silent", Way.IMMEDIATE, by_fault["silent"], Outcome.ERROR),
    ]


def _family_cases(meters: Sequence[Mapping[str, Any]]) -> list[Case]:
    """The sound meters of the other families, those with keys in place of a password, and the line that three protocols
    share.
    """
    titles = {None: "alone, 1 survey day", "gmac": "HLS-GMAC, 1 survey day"}
    sound = [meter for meter in meters if meter["fault"] in titles]
    (shared_address,) = _shared_addresses(sound)
    return [
        _case(titles[meter["fault"]], Way.IMMEDIATE, meter, survey_days=1)
        for meter in sound
        if meter["remoteAddress"] != shared_address
    ] + [
        _case("batch, line of 3 protocols", Way.BATCH, meter)
        for meter in sound
        if meter["remoteAddress"] == shared_address
    ]


def _modem_cases(meters: Sequence[Mapping[str, Any]]) -> list[Case]:
    """Every type over a modem, a number that meters of three protocols share, and the calls that fail."""
    connecting = [meter for meter in meters if meter["fault"] is None]
    by_fault = {meter["fault"]: meter for meter in meters}
    (shared_number,) = _shared_addresses(connecting)
    return [
        *(
            _case("modem, 1 survey day", Way.IMMEDIATE, meter, survey_days=int(meter["meterType"] != "ISKRA_MT174"))
            for meter in connecting
            if meter["remoteAddress"] != shared_number
        ),
        *(
            _case("modem, number of 3 protocols", Way.BATCH, meter)
            for meter in connecting
            if meter["remoteAddress"] == shared_number
        ),
        _case("modem, number engaged", Way.IMMEDIATE, by_fault["busy"], Outcome.ERROR, "busy"),
        _case("modem, nobody answers", Way.IMMEDIATE, by_fault["noAnswer"], Outcome.ERROR, "answer"),
        _case("modem, line drops", Way.IMMEDIATE, by_fault["drops_line"], Outcome.ERROR, "carrier"),
    ]


def _shared_addresses(meters: Sequence[Mapping[str, Any]]) -> list[str]:
    """The addresses behind which several of the meters are."""
    counts = Counter(meter["remoteAddress"] for meter in meters)
    return [address for address, count in counts.items() if count > 1]


def _case(
    title: str,
    way: Way,
    meter: Mapping[str, Any],
    outcome: Outcome = Outcome.SUCCESS,
    words: str = "",
    survey_days: int = 0,
    **changes: str,
) -> Case:
    given = {
        "meter_type": meter["meterType"],
        "remote_address": meter["remoteAddress"],
        "outstation_address": meter["outstationAddress"] or None,
        "serial_number": meter["serialNumber"],
        "password": meter["password"] or None,
    }
    test = MeterTest.model_validate(
        {
            **given,
            **changes,
            "request_reference": title,
            "immediate": way in (Way.IMMEDIATE, Way.BATCH),
            "survey_days": survey_days,
        }
    )
    return Case(title, way, test, meter["serialNumber"], outcome, words)
