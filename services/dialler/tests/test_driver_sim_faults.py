"""Every fault of the simulator on a meter of every protocol: each ends as it must, in bounded time, and signed off."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_address

import pytest

from mts_dialler.channels.tcp import connect
from mts_dialler.drivers.base import ReportBuilder, Terms
from mts_dialler.drivers.registry import DRIVERS
from mts_dialler.errors import BadCredentials, CallTooLong, DiallerError, FrameGarbled, LineDropped, MeterSilent
from mts_dialler.line import Line, LineLimits
from mts_metersim.fleet import Fault, FaultKind, Meter
from mts_metersim.log import CallLog
from mts_metersim.preset_families import sound
from mts_metersim.server import running

FAMILIES = {
    "ELSTERA1700": "lls",
    "ELSTERA1140": "lls",
    "LG_E650_IEC": "lls",
    "EMH_LZQJ": "lls",
    "DLMS": "lls",
    "LG_DLMS": "lls",
    "DLMS_WRAPPER": "lls",
    "EDMIATLAS": "user",
    "EDMIGENIUS": "user",
}
PATIENT = LineLimits(settle_seconds=0.05, sign_off_seconds=0.5)
IMPATIENT = replace(PATIENT, reply_seconds=1.0, character_seconds=1.0, test_seconds=12.0, test_bytes=64 * 1024)
BOUND_SECONDS = 60.0

Expected = tuple[type[DiallerError], ...]
# What a fault may end as; () = the meter is read all the same.
OUTCOMES: dict[FaultKind, tuple[int, Expected]] = {
    FaultKind.SILENT: (0, (MeterSilent,)),
    FaultKind.SILENT_AFTER: (400, (MeterSilent, FrameGarbled)),
    FaultKind.SLOW: (1, ()),
    FaultKind.LATENCY: (5, ()),
    FaultKind.WRONG_BCC: (0, (FrameGarbled,)),
    FaultKind.DROPS_LINE: (400, (LineDropped,)),
    FaultKind.WRONG_SERIAL: (0, ()),
    FaultKind.REFUSES_PASSWORD: (0, (BadCredentials,)),
    FaultKind.GARBAGE: (0, (MeterSilent, FrameGarbled)),
    FaultKind.ECHO: (0, (MeterSilent, FrameGarbled)),
    FaultKind.ENDLESS: (0, (CallTooLong, FrameGarbled)),
}


def test_every_fault_has_an_expected_end() -> None:
    assert OUTCOMES.keys() == set(FaultKind)


@pytest.mark.parametrize("kind", FaultKind)
async def test_a_fault_ends_as_it_must_in_every_family(kind: FaultKind) -> None:
    amount, expected = OUTCOMES[kind]
    limits = IMPATIENT if expected else PATIENT
    meters = [
        replace(sound(900 + place, meter_type, password), line=meter_type, faults=(Fault(kind, amount),))
        for place, (meter_type, password) in enumerate(FAMILIES.items())
    ]
    with CallLog(None) as log:
        async with running(meters, log) as fleet, asyncio.timeout(BOUND_SECONDS), asyncio.TaskGroup() as group:
            reading = {
                unit.meter: group.create_task(read(unit.meter, fleet.port_of(unit), limits)) for unit in fleet.units
            }
    for meter, task in reading.items():
        report, error = task.result()
        unchecked = kind is FaultKind.WRONG_BCC and meter.meter_type == "DLMS_WRAPPER"  # the wrapper has no check
        if expected and not unchecked:
            # Noise may happen to look like a refusal, which ends nothing: then nothing was read.
            refused = kind is FaultKind.GARBAGE and error is None and report.failure and not report.serial_number
            assert refused or isinstance(error, expected), (meter.meter_type, error)
        else:
            assert error is None, (meter.meter_type, error)
            shown = report.serial_number == meter.serial_number
            assert shown is (kind is not FaultKind.WRONG_SERIAL), (meter.meter_type, report.serial_number)


async def read(meter: Meter, port: int, limits: LineLimits) -> tuple[ReportBuilder, DiallerError | None]:
    terms = Terms(
        test_id=1,
        meter_type=meter.meter_type,
        outstation_address=meter.outstation_address,
        serial_number=meter.serial_number,
        password=meter.password,
    )
    report = ReportBuilder()
    channel = await connect([ip_address("127.0.0.1")], port, 5.0)
    try:
        await DRIVERS[meter.meter_type].read(Line(channel, limits), terms, report)
    except DiallerError as error:
        return report, error
    finally:
        await channel.close()
    return report, None
