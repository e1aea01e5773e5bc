"""Which lines are offered for calls, and how those at fault rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import uuid4

import pytest

from mts_common import metrics
from mts_common.messages import GrantedCall, GrantedTest, Transport
from mts_dialler.channels.base import Channel, OwnChannel
from mts_dialler.errors import AddressForbidden, LineFault, NotConfigured
from mts_dialler.lines import BankLine, TcpLines
from mts_dialler.lines_file import LineSettings
from mts_dialler.numbers import Numbers
from mts_dialler.testing import ManualClock, OwnScriptedChannel, eventually
from mts_stack.scrapes import Scrape

SETTINGS = LineSettings(
    name="m1", device="/dev/m1", numbers="07*", fault_rest_seconds=30, fault_rest_most_seconds=100, pause_seconds=2
)


class FakeLine:
    """Fails as many checks as it is told to."""

    def __init__(self) -> None:
        self.fit = True
        self.rest_seconds = 2.0
        self.bad_checks = 0
        self.checks = 0
        self.dialled: list[tuple[str, str | None]] = []

    async def check(self) -> None:
        self.checks += 1
        if self.bad_checks:
            self.bad_checks -= 1
            self.fit = False
            raise LineFault("line m1: the modem does not answer")
        self.fit = True

    async def call(self, number: str, coms_settings: str | None) -> OwnChannel:
        self.dialled.append((number, coms_settings))
        return OwnScriptedChannel()

    async def close(self) -> None:
        """Holds nothing."""


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.own = FakeLine()
        self.line = BankLine(self.own, SETTINGS, Numbers.parse("09*"), "44", self.clock)

    async def seconds_of(self, wait: Callable[[], object]) -> float:
        """How long `wait` takes on the clock."""
        began = self.clock.monotonic()
        task = asyncio.ensure_future(wait())  # type: ignore[call-overload]
        while not task.done():
            for _ in range(5):
                await asyncio.sleep(0)
            if not task.done():
                self.clock.advance(1.0)
        await task
        return self.clock.monotonic() - began


def a_call(address: str, coms_settings: str | None = None) -> GrantedCall:
    test = GrantedTest(test_id=1, client_id=1, meter_type="ANY", remote_address=address, attempt=1, tries=0)
    canonical = address if address.startswith("+") or ":" in address else f"+44{address[1:]}"
    return GrantedCall(
        call_id=uuid4(),
        remote_address=address,
        canonical_address=canonical,
        transport=Transport.MODEM,
        coms_settings=coms_settings,
        tests=(test,),
    )


async def test_a_line_is_offered_when_it_has_passed_its_check() -> None:
    bench = Bench()
    assert (bench.line.free, bench.line.take()) == (0, None)
    assert await bench.seconds_of(bench.line.start) == 0.0
    assert (bench.line.free, bench.line.total, bench.line.number_filter) == (1, 1, "07*")
    assert bench.line.take() is bench.line
    assert (bench.line.free, bench.line.take()) == (0, None)
    bench.line.give_back()
    assert bench.line.free == 1


async def test_a_line_that_fails_its_checks_rests_longer_each_time_up_to_a_limit() -> None:
    bench = Bench()
    bench.own.bad_checks = 5
    assert await bench.seconds_of(bench.line.start) == 30 + 60 + 100 + 100 + 100
    assert bench.line.free == 1


async def test_a_line_pauses_between_calls() -> None:
    bench = Bench()
    await bench.line.start()
    assert await bench.seconds_of(lambda: bench.line.rest(fault=False)) == 2.0
    assert bench.own.checks == 1


async def test_a_line_at_fault_in_a_call_is_checked_before_it_is_offered_and_faults_in_a_row_add_up() -> None:
    bench = Bench()
    await bench.line.start()
    assert await bench.seconds_of(lambda: bench.line.rest(fault=True)) == 30.0
    assert bench.own.checks == 2
    assert await bench.seconds_of(lambda: bench.line.rest(fault=True)) == 60.0
    await bench.seconds_of(lambda: bench.line.rest(fault=False))
    assert await bench.seconds_of(lambda: bench.line.rest(fault=True)) == 30.0


async def test_a_line_that_did_not_hang_up_is_at_fault() -> None:
    bench = Bench()
    await bench.line.start()
    bench.own.fit = False
    assert await bench.seconds_of(lambda: bench.line.rest(fault=False)) == 30.0
    assert bench.own.fit


async def test_a_modem_that_puts_off_redialling_rests_as_long_as_it_must() -> None:
    bench = Bench()
    await bench.line.start()
    bench.own.rest_seconds = 180.0
    assert await bench.seconds_of(lambda: bench.line.rest(fault=True)) == 180.0


async def test_a_number_is_dialled_as_the_client_wrote_it_with_its_settings() -> None:
    bench = Bench()
    channel: Channel = await bench.line(a_call("07700900001", "7E1"))
    assert channel.transport is Transport.MODEM
    assert bench.own.dialled == [("07700900001", "7E1")]


@pytest.mark.parametrize("address", ["0909123456", "+449091234567"])
async def test_a_denied_number_is_never_dialled(address: str) -> None:
    bench = Bench()
    with pytest.raises(AddressForbidden):
        await bench.line(a_call(address))
    assert bench.own.dialled == []


@pytest.mark.parametrize("address", ["203.0.113.7:4059", "nonsense"])
async def test_what_is_no_number_is_not_dialled(address: str) -> None:
    with pytest.raises(NotConfigured):
        await Bench().line(a_call(address))


async def test_tcp_lines_are_taken_until_there_are_none_and_rest_only_at_fault() -> None:
    async def dial(call: GrantedCall) -> Channel:
        raise AssertionError

    clock = ManualClock()
    lines = TcpLines(2, dial, 30.0, clock)
    await lines.start()
    assert [lines.take(), lines.take(), lines.take()] == [dial, dial, None]
    lines.give_back()
    assert lines.free == 1
    await lines.rest(fault=False)
    resting = asyncio.create_task(lines.rest(fault=True))
    await eventually(lambda: bool(clock._sleepers))
    clock.advance(29)
    await asyncio.sleep(0)
    assert not resting.done()
    clock.advance(1)
    await resting


async def test_a_line_that_rests_is_shown_as_out_of_service(metered: Callable[[], Scrape]) -> None:
    bench = Bench()
    before = metered().value(metrics.LINE_FAULTS, mts_line="m1")
    await bench.line.start()
    assert metered().levels(metrics.LINE_FIT, mts_line="m1") == [1]
    bench.own.bad_checks = 1
    resting = asyncio.ensure_future(bench.line.rest(fault=True))
    await eventually(lambda: metered().levels(metrics.LINE_FIT, mts_line="m1") == [0])
    await bench.seconds_of(lambda: resting)
    assert metered().levels(metrics.LINE_FIT, mts_line="m1") == [1]
    assert metered().value(metrics.LINE_FAULTS, mts_line="m1") == before + 2
