"""Drivers in conversation with simulated meters whose every byte may be spoilt on the way.

In memory and without waiting: what a line, or whoever sits on it, can do to an answer becomes a typed failure, and what
is read is never anything that the meter did not say.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from mts_common.messages import (
    AttemptReport,
    FailureKind,
    GrantedCall,
    GrantedTest,
    Outcome,
    SurveyReading,
    Transport,
)
from mts_dialler.attempt import Equipment, Told
from mts_dialler.channels.base import Channel
from mts_dialler.drivers.registry import DRIVERS
from mts_dialler.errors import LineDropped, MeterSilent
from mts_dialler.line import LineLimits
from mts_dialler.session import run_call
from mts_dialler.testing import ManualClock
from mts_metersim.fleet import LoadSpec, Meter
from mts_metersim.testing import answered, call_to
from mts_metersim.unit import Unit

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ROUNDS = 12
LIMITS = LineLimits(test_seconds=600.0, test_bytes=1024 * 1024)
EDMI = {"serial_number": "251308613", "outstation_address": "251308613", "password": "READER,S3cret"}
ELSTER = {"outstation_address": "001", "password": "FEDC0003"}
METERS: Mapping[str, Mapping[str, str]] = {name: {} for name in sorted(DRIVERS)} | {
    "EDMIATLAS": EDMI,
    "EDMIGENIUS": EDMI,
    "ELSTERA1140": ELSTER,
    "ELSTERA1700": ELSTER,
    "LG_DLMS": {"password": "SIM00001"},
}

Spoil = Callable[[random.Random, bytes], bytes]


def flip(choice: random.Random, data: bytes) -> bytes:
    place = choice.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << choice.randrange(8)]) + data[place + 1 :]


def cut(choice: random.Random, data: bytes) -> bytes:
    return data[: choice.randrange(len(data))]


def double(choice: random.Random, data: bytes) -> bytes:
    return data + data


def swell(choice: random.Random, data: bytes) -> bytes:
    place = choice.randrange(len(data) + 1)
    return data[:place] + choice.randbytes(choice.randrange(1, 300)) + data[place:]


def shuffle(choice: random.Random, data: bytes) -> bytes:
    return bytes(choice.sample(list(data), len(data)))


SPOILS: tuple[Spoil, ...] = (flip, cut, double, swell, shuffle)
NOTICED: tuple[Spoil, ...] = (flip, cut)  # by a block check character that is an XOR, and by every better check


class SpoiltChannel:
    """A line to a simulated meter; about one answer in `one_in` is spoilt by one of `spoils`."""

    transport = Transport.TCP

    def __init__(
        self, clock: ManualClock, unit: Unit, choice: random.Random, spoils: Sequence[Spoil], one_in: int
    ) -> None:
        self._clock = clock
        self._meter = call_to([unit])
        self._choice = choice
        self._spoils = spoils
        self._one_in = one_in
        self._unread = b""
        self._closed = False

    async def read(self, max_bytes: int, seconds: float) -> bytes:
        if self._closed:
            raise LineDropped("closed")
        if not self._unread:
            self._clock.advance(seconds)
            raise MeterSilent("nothing came")
        self._clock.advance(0.01)
        piece, self._unread = self._unread[:max_bytes], self._unread[max_bytes:]
        return piece

    async def write(self, data: bytes, seconds: float) -> None:
        if self._closed:
            raise LineDropped("closed")
        reply = answered(self._meter, data)
        if reply and self._spoils and self._choice.randrange(self._one_in) == 0:
            reply = self._choice.choice(self._spoils)(self._choice, reply)
        self._unread += reply

    async def close(self) -> None:
        self._closed = True


def meter_of(meter_type: str) -> Meter:
    own = METERS[meter_type]
    return Meter(
        meter_type,
        own.get("serial_number", "95316176"),
        LoadSpec(1),
        line="a",
        outstation_address=own.get("outstation_address", ""),
        password=own.get("password", ""),
    )


async def read(meter_type: str, spoils: Sequence[Spoil] = (), seed: int = 0) -> AttemptReport:
    """What is told of a test; the seed chooses what is spoilt, and how much of it."""
    meter = meter_of(meter_type)
    clock = ManualClock(NOW)
    unit = Unit(meter, lambda: int(clock.now().timestamp()) * 10**9)
    has_survey = meter_type != "ISKRA_MT174"
    terms: dict[str, Any] = {
        "test_id": 1,
        "client_id": 1,
        "meter_type": meter_type,
        "remote_address": "203.0.113.7:4059",
        "outstation_address": meter.outstation_address,
        "password": meter.password,
        "serial_number": meter.serial_number,
        "survey_days": 1 if has_survey else 0,
        "survey_from": date(2026, 2, 28) if has_survey else None,
        "attempt": 1,
        "tries": 0,
    }
    test = GrantedTest.model_validate(terms)
    call = GrantedCall(
        call_id=UUID(int=1),
        remote_address=test.remote_address,
        canonical_address=test.remote_address,
        transport=Transport.TCP,
        tests=(test,),
    )
    told: list[Told] = []

    choice = random.Random(f"{meter_type} {seed}")  # noqa: S311

    async def dial(call: GrantedCall) -> Channel:
        return SpoiltChannel(clock, unit, choice, spoils, 1 + seed % 4 * 4)

    await run_call(Equipment("d", DRIVERS, lambda sealed: sealed, limits=LIMITS, clock=clock), dial, call, told.append)
    assert clock.now() - NOW < timedelta(seconds=LIMITS.test_seconds + LIMITS.sign_off_seconds + 1)
    return told[0].report


def readings(report: AttemptReport) -> set[tuple[str, SurveyReading]]:
    return {(channel.name, reading) for channel in report.data.survey for reading in channel.readings}


@pytest.mark.parametrize("meter_type", METERS)
async def test_a_conversation_that_is_spoilt_at_any_place_is_no_fault_of_ours(meter_type: str) -> None:
    clean = await read(meter_type)
    assert clean.outcome is Outcome.SUCCESS, clean.detail
    for seed in range(ROUNDS):
        report = await read(meter_type, SPOILS, seed)
        assert report.failure is not FailureKind.INTERNAL, (seed, report.detail)


@pytest.mark.parametrize(
    "meter_type", sorted(METERS.keys() - {"DLMS_WRAPPER"})
)  # which leaves the check of its bytes to TCP
async def test_what_is_read_over_a_bad_line_is_what_the_meter_said(meter_type: str) -> None:
    clean = await read(meter_type)
    for seed in range(ROUNDS):
        report = await read(meter_type, NOTICED, seed)
        assert readings(report) <= readings(clean), seed
        assert report.outcome is not Outcome.SUCCESS or readings(report) == readings(clean), seed
