"""Every driver against a far end that says anything at all, through the session: a typed failure, in bounded bytes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from itertools import repeat
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mts_common.messages import FailureKind, GrantedCall, GrantedTest, Outcome, Transport
from mts_dialler.attempt import Equipment, Told
from mts_dialler.channels.base import Channel
from mts_dialler.drivers.registry import DRIVERS
from mts_dialler.errors import LineDropped, MeterSilent
from mts_dialler.line import LineLimits
from mts_dialler.session import run_call
from mts_dialler.testing import ManualClock

LIMITS = LineLimits(test_seconds=300.0, test_bytes=256 * 1024)
CHUNK_SECONDS = 0.005

_IEC, _ELSTER, _EDMI = ("EMH_LZQJ", "IEC62056_21", "ISKRA_MT174", "LG_E650_IEC"), ("ELSTERA1140", "ELSTERA1700"), "EDMI"
KEY = "00112233445566778899AABBCCDDEEFF"
METERS = sorted(DRIVERS)


class HostileChannel:
    """Reads one piece of `speech` after the other, whatever was asked; silent when there are none left."""

    transport = Transport.TCP

    def __init__(self, clock: ManualClock, speech: Iterable[bytes]) -> None:
        self._clock = clock
        self._speech: Iterator[bytes] = iter(speech)
        self.read_bytes = 0
        self.closed = False

    async def read(self, max_bytes: int, seconds: float) -> bytes:
        if self.closed:
            raise LineDropped("closed")
        piece = next(self._speech, b"")[:max_bytes]
        self._clock.advance(CHUNK_SECONDS if piece else seconds)
        if not piece:
            raise MeterSilent("nothing came")
        self.read_bytes += len(piece)
        return piece

    async def write(self, data: bytes, seconds: float) -> None:
        if self.closed:
            raise LineDropped("closed")

    async def close(self) -> None:
        self.closed = True


class Bench:
    """One call to one meter of a type."""

    def __init__(self, speech: Iterable[bytes], limits: LineLimits = LIMITS) -> None:
        self.clock = ManualClock()
        self.channel = HostileChannel(self.clock, speech)
        self.limits = limits

    async def _dial(self, call: GrantedCall) -> Channel:
        return self.channel

    async def read(self, meter_type: str) -> Told:
        """What is told of the one test, which is never a success and never a fault of ours."""
        told: list[Told] = []
        equipment = Equipment(
            dialler="d", drivers=DRIVERS, open_password=lambda sealed: sealed, limits=self.limits, clock=self.clock
        )
        await run_call(equipment, self._dial, call_to(meter_type), told.append)
        (only,) = told
        assert only.report.failure is not FailureKind.INTERNAL, (meter_type, only.report.detail)
        assert only.report.outcome is not Outcome.SUCCESS
        assert self.channel.closed
        assert self.channel.read_bytes <= self.limits.test_bytes + self.limits.sign_off_bytes + 2 * 4096
        assert self.clock.monotonic() <= self.limits.test_seconds + self.limits.sign_off_seconds + 1
        return only


def call_to(meter_type: str) -> GrantedCall:
    if meter_type in _ELSTER:
        outstation, password = "", "FEDC0003"
    elif meter_type.startswith(_EDMI):
        outstation, password = "251308613", "READER,S3cret"
    elif meter_type in _IEC:
        outstation, password = "", "00000000"
    else:
        outstation, password = "", f"gmac:{KEY}:{KEY}" if meter_type == "DLMS" else "secret"
    test = GrantedTest(
        test_id=1,
        client_id=1,
        meter_type=meter_type,
        remote_address="203.0.113.7:4059",
        outstation_address=outstation,
        serial_number="95316176",
        password=password,
        survey_days=0 if meter_type == "ISKRA_MT174" else 2,
        survey_from=None if meter_type == "ISKRA_MT174" else date(2026, 2, 27),
        attempt=1,
        tries=0,
    )
    return GrantedCall(
        call_id=UUID(int=1),
        remote_address=test.remote_address,
        canonical_address=test.remote_address,
        transport=Transport.TCP,
        tests=(test,),
    )


# Beginnings that each protocol takes for its own, so that what follows is looked at.
_OPENINGS = st.sampled_from(
    [
        b"",
        b"/LGZ5\\2ZMD1204407.B24\r\n",
        b"/ISk5MT174-0001\r\n",
        b"\x02",
        b"\x01P0\x02(00000000)\x03`",
        b"\x06",
        b"\x15",
        b"\x7e\xa0",
        bytes.fromhex("7EA01E0321739EF7818012050180060180070400000001080400000007533B7E"),
        b"\x00\x01\x00\x01\x00\x01",
        b"\x02\x06\x03",
        b"\x02E\x0e\xfa\xb3\x45",
    ]
)
_SPEECHES = st.lists(st.tuples(_OPENINGS, st.binary(max_size=80)).map(b"".join), max_size=12)


@pytest.mark.parametrize("meter_type", METERS)
@given(speech=_SPEECHES)
@example(speech=[])
@example(speech=[b"\xff" * 4096] * 3)
@settings(max_examples=25, deadline=None, derandomize=True)
async def test_garbage_in_place_of_every_answer_is_a_failure_of_the_meter(meter_type: str, speech: list[bytes]) -> None:
    await Bench(speech).read(meter_type)


ENDLESS = {
    "nought": b"\x00" * 4096,
    "ones": b"\xff" * 4096,
    "a list without an end": b"1.8.0(0000001.234*kWh)\r\n" * 100,
    "a message that never ends": b"\x02" + b"A" * 4000,
    "acknowledgements": b"\x06" * 512,
    "line ends": b"\r\n" * 512,
    "flags": b"\x7e" * 512,
    "a frame of the greatest length": b"\x7e\xa7\xff" + b"\x03" * 2045,
    "a wrapper that announces much": b"\x00\x01\x00\x01\x00\x01\xff\xff" + b"\xc4" * 4000,
    "one byte at a time": b"\x10",
    "its own identification": b"/LGZ5\\2ZMD1204407.B24\r\n",
}


@pytest.mark.parametrize("meter_type", METERS)
@pytest.mark.parametrize("what", ENDLESS)
async def test_a_reply_without_an_end_is_cut_at_the_tests_bytes_or_time(meter_type: str, what: str) -> None:
    await Bench(repeat(ENDLESS[what])).read(meter_type)


@pytest.mark.parametrize("meter_type", METERS)
async def test_a_reply_without_an_end_is_not_kept_in_memory(meter_type: str) -> None:
    """Sixteen times the bytes, and no more memory: what is kept of an answer, and of the trace, has its own bound."""
    peaks = []
    for test_bytes in (1024 * 1024, 16 * 1024 * 1024):
        tracemalloc.start()
        try:
            await Bench(repeat(ENDLESS["nought"]), replace(LIMITS, test_bytes=test_bytes)).read(meter_type)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]
