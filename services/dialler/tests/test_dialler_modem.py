"""Modem lines against simulated modems on pseudo-terminals; the last test repeats some on the service's event loop."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop

from mts_common import metrics
from mts_common.messages import NameValue, Transport
from mts_dialler.channels import modem, modem_channel
from mts_dialler.channels.modem import ModemLine
from mts_dialler.channels.modem_channel import ModemChannel
from mts_dialler.channels.own import open_port
from mts_dialler.channels.port import Framing
from mts_dialler.errors import (
    DialBusy,
    DiallerError,
    DialNoAnswer,
    DialNoCarrier,
    LineDropped,
    LineFault,
    MeterSilent,
    NotConfigured,
)
from mts_dialler.lines_file import LineSettings
from mts_dialler.protocols.hayes.modem import MODEM, State
from mts_dialler.protocols.parity import CharacterFormat
from mts_dialler.testing import eventually
from mts_metersim.log import CallLog
from mts_metersim.modem_bank import BankModem, running_bank, to_host_and_port
from mts_metersim.modem_plan import ModemSpec, Outcome, Plan, Subscriber
from mts_metersim.testing import far_end
from mts_stack.scrapes import Scrape

NUMBER = "07700900001"
SECONDS = 5.0

QUICK: dict[str, Any] = {
    "command_seconds": 0.5,
    "command_pause_seconds": 0.0,
    "reset_pause_seconds": 0.0,
    "dtr_seconds": 0.05,
    "guard_seconds": 0.1,
    "settle_seconds": 0.05,
    "carrier_silence_seconds": 0.2,
    "registration_seconds": 0.0,
    "dial_seconds": 6,
    "pause_seconds": 0.0,
}


class Meter:
    """What is behind the numbers: says `banner` to a caller, then returns what it gets in capitals."""

    def __init__(self) -> None:
        self.banner = b""
        self.calls = 0
        self.open = 0
        self.heard = b""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        self.open += 1
        writer.write(self.banner)
        while data := await reader.read(1000):
            self.heard += data
            writer.write(data.upper())
        self.open -= 1


@pytest.fixture
async def meter() -> AsyncIterator[Meter]:
    there = Meter()
    async with far_end(there.serve) as there.port:
        yield there


class Bank:
    """Modems, and lines of a dialler to each."""

    def __init__(self, directory: Path, modems: dict[str, BankModem]) -> None:
        self.directory = directory
        self.modems = modems
        self.lines: list[ModemLine] = []

    @property
    def modem(self) -> BankModem:
        return next(iter(self.modems.values()))

    def line(self, name: str = "m1", **settings: Any) -> ModemLine:
        line = ModemLine(LineSettings(name=name, device=str(self.directory / name), **{**QUICK, **settings}))
        self.lines.append(line)
        return line


@asynccontextmanager
async def bank(
    directory: Path,
    numbers: dict[str, Subscriber] | None = None,
    *modems: ModemSpec,
    bit_rate: int = 0,
    log: Path | None = None,
) -> AsyncIterator[Bank]:
    plan = Plan(modems or (ModemSpec("m1"),), numbers or {}, bit_rate)
    with CallLog(log) as calls:
        async with running_bank(plan, directory, to_host_and_port, calls) as running:
            ours = Bank(directory, running.modems)
            try:
                yield ours
            finally:
                for line in ours.lines:
                    await line.close()


def at(meter: Meter, **facts: Any) -> dict[str, Subscriber]:
    return {NUMBER: Subscriber(to=f"127.0.0.1:{meter.port}", **facts)}


async def heard(channel: ModemChannel, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += await channel.read(count - len(data), SECONDS)
    return data


async def test_a_call_carries_bytes_both_ways_and_is_hung_up(tmp_path: Path, meter: Meter) -> None:
    async with bank(tmp_path, at(meter, text="9600/RLP")) as modems:
        line = modems.line()
        channel = await line.call(NUMBER, None)
        assert channel.transport is Transport.MODEM
        assert channel.facts == (NameValue(name="Modem connection", value="9600/RLP"),)
        await channel.write(b"serial BUSY\xff\r\n", SECONDS)
        assert await heard(channel, 14) == b"SERIAL BUSY\xff\r\n"
        with pytest.raises(MeterSilent, match=r"0\.05 s"):
            await channel.read(1, 0.05)
        await channel.close()
        await channel.close()
        await eventually(lambda: meter.open == 0)
        with pytest.raises(LineDropped, match="was closed"):
            await channel.read(1, SECONDS)
        again = await line.call(NUMBER, None)
        await again.close()
        assert meter.calls == 2


async def test_a_gsm_line_tells_its_signal_and_takes_a_refused_bearer(
    tmp_path: Path, meter: Meter, metered: Callable[[], Scrape]
) -> None:
    async with bank(tmp_path, at(meter), ModemSpec("m1", kind="gsm", signal=11, refuses=("+CBST", "X"))) as modems:
        channel = await modems.line(kind="gsm").call("+447700900001".replace("+44", "0"), None)
        assert channel.facts[0] == NameValue(name="Signal strength", value="-91 dBm")
        assert metered().levels(metrics.LINE_SIGNAL) == [-91]
        await channel.close()


@pytest.mark.parametrize(
    ("outcome", "error", "text"),
    [
        (Outcome.BUSY, DialBusy, "the number is busy (as planned)"),
        (Outcome.NO_ANSWER, DialNoAnswer, "the number did not answer (as planned)"),
        (Outcome.NO_CARRIER, DialNoCarrier, "no connection with the meter's modem (as planned)"),
        (Outcome.ERROR, NotConfigured, "the modem refused to dial the number (as planned)"),
        (Outcome.NO_DIAL_TONE, LineFault, "line m1: there is no dial tone (as planned)"),
        (Outcome.DELAYED, LineFault, "line m1: the modem puts off redialling the number (as planned)"),
        (Outcome.BLACKLISTED, LineFault, "line m1: the modem will not redial the number yet (as planned)"),
    ],
)
async def test_a_call_that_fails_says_why_with_the_networks_cause(
    tmp_path: Path, outcome: Outcome, error: type[DiallerError], text: str
) -> None:
    numbers = {NUMBER: Subscriber(outcome, cause="as planned")}
    async with bank(tmp_path, numbers, ModemSpec("m1", kind="gsm")) as modems:
        line = modems.line(kind="gsm")
        with pytest.raises(error) as raised:
            await line.call(NUMBER, None)
        assert type(raised.value) is error
        assert str(raised.value) == text
        delayed = outcome in (Outcome.DELAYED, Outcome.BLACKLISTED)
        assert line.rest_seconds == (line.settings.delayed_rest_seconds if delayed else 0.0)
        await line.check()


def test_every_end_of_a_dialled_call_has_an_error() -> None:
    assert modem._FAILURES.keys() == {result for result, state in MODEM[State.DIALLING].items() if state is State.IDLE}


async def test_a_modem_that_never_says_how_a_call_ended_is_asked_to_give_up(tmp_path: Path) -> None:
    async with bank(tmp_path, {NUMBER: Subscriber(Outcome.SILENCE)}) as modems:
        line = modems.line(dial_seconds=5.2)
        with pytest.raises(DialNoAnswer, match=r"no connection in 5\.2 s"):
            await line.call(NUMBER, None)
        await line.check()


async def test_noise_before_connect_and_a_banner_after_it_are_not_the_meters(tmp_path: Path, meter: Meter) -> None:
    meter.banner = b"\r\nwelcome\r\n"
    async with bank(tmp_path, at(meter, garbage_bytes=700)) as modems:
        channel = await modems.line(settle_seconds=0.3).call(NUMBER, None)
        await channel.write(b"x", SECONDS)
        assert await heard(channel, 1) == b"X"
        await channel.close()


# --- drops


async def test_no_carrier_among_the_meters_bytes_drops_the_line_when_nothing_follows(
    tmp_path: Path, meter: Meter
) -> None:
    async with bank(tmp_path, at(meter, drop_after_bytes=9)) as modems:
        line = modems.line()
        channel = await line.call(NUMBER, None)
        await channel.write(b"123456789abc", SECONDS)
        data = b""
        with pytest.raises(LineDropped, match="carrier"):
            while True:
                data += await channel.read(100, SECONDS)
        assert data.startswith(b"123456789")
        with pytest.raises(LineDropped):
            await channel.write(b"more", SECONDS)
        await channel.close()
        assert line.port is not None


async def test_a_meter_that_says_no_carrier_and_goes_on_is_not_dropped(tmp_path: Path, meter: Meter) -> None:
    async with bank(tmp_path, at(meter)) as modems:
        channel = await modems.line(carrier_silence_seconds=1).call(NUMBER, None)
        await channel.write(b"\r\nNO CARRIER\r\n", SECONDS)
        assert await heard(channel, 14) == b"\r\nNO CARRIER\r\n"
        asyncio.get_running_loop().call_later(0.1, modems.modem._send, b"goes on")
        await channel.write(b"", SECONDS)
        assert await heard(channel, 7) == b"goes on"
        await channel.close()


async def test_writing_after_no_carrier_waits_until_it_is_sure(tmp_path: Path, meter: Meter) -> None:
    async with bank(tmp_path, at(meter)) as modems:
        channel = await modems.line().call(NUMBER, None)
        await channel.write(b"\r\nNO CARRIER\r\n", SECONDS)
        await heard(channel, 14)
        with pytest.raises(LineDropped, match="carrier"):
            await channel.write(b"ATD0900", SECONDS)
        assert b"ATD" not in meter.heard
        await channel.close()


async def test_a_carrier_that_dcd_tells_of_drops_the_line_at_once(
    tmp_path: Path, meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bank(tmp_path, at(meter)) as modems:
        line = modems.line()
        await line.check()
        dcd = [True]
        monkeypatch.setattr(type(line.port), "carrier", property(lambda _: dcd[0]))
        monkeypatch.setattr(modem_channel, "CARRIER_POLL_SECONDS", 0.02)
        channel = await line.call(NUMBER, None)
        with pytest.raises(MeterSilent):
            await channel.read(1, 0.1)
        dcd[0] = False
        with pytest.raises(LineDropped, match="carrier"):
            await channel.read(1, SECONDS)
        await channel.close()


# --- hanging up


async def test_a_modem_that_does_not_hear_dtr_is_escaped_from(tmp_path: Path, meter: Meter) -> None:
    async with bank(tmp_path, at(meter), ModemSpec("m1", dtr_wired=False)) as modems:
        line = modems.line()
        channel = await line.call(NUMBER, None)
        await channel.close()
        await eventually(lambda: meter.open == 0)
        await line.check()


async def test_a_line_told_to_escape_leaves_dtr_alone(tmp_path: Path, meter: Meter) -> None:
    async with bank(tmp_path, at(meter), ModemSpec("m1", dtr_wired=False)) as modems:
        channel = await modems.line(hang_up=["escape"]).call(NUMBER, None)
        await channel.close()
        await eventually(lambda: meter.open == 0)
        assert meter.heard == b"+++"


async def test_a_modem_that_does_not_hang_up_costs_the_line_its_device(tmp_path: Path, meter: Meter) -> None:
    async with bank(tmp_path, at(meter)) as modems:
        line = modems.line()
        channel = await line.call(NUMBER, None)
        modems.modem.mute = True
        await channel.close()
        with pytest.raises(LineFault, match="not open"):
            line.port  # noqa: B018 - raises
        modems.modem.mute = False
        await line.check()


async def test_a_call_left_standing_by_another_process_is_ended_before_a_new_one(tmp_path: Path, meter: Meter) -> None:
    async with bank(tmp_path, at(meter), ModemSpec("m1", dtr_wired=False)) as modems:
        left = modems.line()
        await left.call(NUMBER, None)
        await left.close()
        assert meter.open == 1
        await modems.line().check()
        await eventually(lambda: meter.open == 0)


async def test_a_call_cut_while_it_rings_leaves_nothing_ringing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    numbers = {NUMBER: Subscriber(Outcome.NO_ANSWER, seconds=60)}
    async with bank(tmp_path, numbers, log=log) as modems:
        line = modems.line(dial_seconds=60)
        calling = asyncio.create_task(line.call(NUMBER, None))
        await eventually(lambda: '"dial"' in log.read_text())
        calling.cancel()
        await asyncio.wait([calling])
        assert calling.cancelled()
        assert '"hang_up"' in log.read_text()
        await line.check()


# --- faults of the line


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (ModemSpec("m1", kind="gsm", mute=True), "line m1: the modem does not answer"),
        (ModemSpec("m1", kind="gsm", sim="SIM PIN"), "line m1: the SIM is not ready: SIM PIN"),
        (ModemSpec("m1", kind="gsm", registration=3), "line m1: the terminal is denied by the network"),
        (ModemSpec("m1", kind="gsm", refuses=("+CN",)), "line m1: the modem refuses an initialisation command: error"),
    ],
)
async def test_a_line_that_is_not_fit_is_found_before_it_dials(tmp_path: Path, spec: ModemSpec, text: str) -> None:
    async with bank(tmp_path, {}, spec) as modems:
        line = modems.line(kind="gsm", command_seconds=0.1, init=["+CN=0"])
        for trial in (line.check, lambda: line.call(NUMBER, None)):
            with pytest.raises(LineFault) as raised:
                await trial()
            assert str(raised.value) == text


async def test_a_mute_modem_that_recovers_is_fit_again(tmp_path: Path, meter: Meter) -> None:
    async with bank(tmp_path, at(meter), ModemSpec("m1", mute=True)) as modems:
        line = modems.line(command_seconds=0.1)
        with pytest.raises(LineFault):
            await line.check()
        modems.modem.mute = False
        channel = await line.call(NUMBER, None)
        await channel.close()


async def test_a_device_that_vanishes_in_a_call_is_our_fault_and_used_again_when_it_is_back(
    tmp_path: Path, meter: Meter
) -> None:
    async with bank(tmp_path, at(meter)) as modems:
        line = modems.line()
        channel = await line.call(NUMBER, None)
        modems.modem.vanish()
        with pytest.raises(LineFault, match="line m1: the serial port has gone"):
            await channel.read(1, SECONDS)
        await channel.close()
        with pytest.raises(LineFault, match="cannot be opened"):
            await line.check()
        modems.modem.appear()
        channel = await line.call(NUMBER, None)
        await channel.close()


async def test_a_device_is_locked_for_as_long_as_it_is_held(tmp_path: Path) -> None:
    async with bank(tmp_path) as modems:
        line = modems.line()
        await line.check()
        with pytest.raises(LineFault, match="cannot be opened"):
            await modems.line().check()
        other = os.open(tmp_path / "m1", os.O_RDWR | os.O_NOCTTY) if os.geteuid() == 0 else None
        if other is not None:  # whom TIOCEXCL does not stop
            with pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.close(other)
        await line.close()
        await modems.line().check()


async def test_no_file_stays_open(tmp_path: Path, meter: Meter) -> None:
    async with bank(tmp_path, at(meter)) as modems:
        before = psutil.Process().num_fds()
        for _ in range(3):
            line = modems.line()
            channel = await line.call(NUMBER, None)
            await channel.close()
            await line.close()
        await eventually(lambda: meter.open == 0)
        await until(lambda: psutil.Process().num_fds() <= before)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.01)


async def test_a_babbling_modem_ends_in_bounded_time(tmp_path: Path) -> None:
    async with bank(tmp_path) as modems:
        line = modems.line(command_seconds=0.2, hang_up=["dtr"])

        async def babble() -> None:
            while True:
                modems.modem._send(b"\r\nRING\r\n")
                await asyncio.sleep(0.001)

        modems.modem._reading = True  # so it says it; it is deaf
        talking = asyncio.create_task(babble())
        began = time.monotonic()
        try:
            with pytest.raises(LineFault, match="does not answer"):
                await line.check()
        finally:
            talking.cancel()
        assert time.monotonic() - began < 5


# --- numbers and formats


async def test_a_number_is_dialled_as_the_line_needs_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with bank(tmp_path, {}, ModemSpec("m1"), ModemSpec("m2", kind="gsm"), log=log) as modems:
        landline = modems.line("m1", dial_prefix="9,")
        mobile = modems.line("m2", kind="gsm")
        for line in (landline, mobile):
            for number in (NUMBER, "+33123456789"):
                with pytest.raises(DialNoCarrier):
                    await line.call(number, None)
        with pytest.raises(NotConfigured, match="cannot be dialled"):
            await mobile.call("07700900001;+CFUN=0", None)
        dialled = [each["number"] for each in map(json.loads, log.read_text().splitlines()) if each["event"] == "dial"]
    assert dialled == ["9," + NUMBER, "9,0033123456789", NUMBER, "+33123456789"]


@pytest.mark.parametrize(
    ("coms_settings", "carried"),
    [
        (None, None),
        ("7E1", CharacterFormat.SEVEN_EVEN),
        ("7O2", CharacterFormat.SEVEN_ODD),
        ("7N1", CharacterFormat.SEVEN_MARK),
        ("7S1", CharacterFormat.SEVEN_SPACE),
        ("8N1", CharacterFormat.EIGHT_NONE),
        ("8N2", CharacterFormat.EIGHT_NONE),
    ],
)
async def test_coms_settings_are_made_in_software_over_8n1(
    tmp_path: Path, meter: Meter, coms_settings: str | None, carried: CharacterFormat | None
) -> None:
    async with bank(tmp_path, at(meter)) as modems:
        channel = await modems.line().call(NUMBER, coms_settings)
        assert channel.character_format is carried
        await channel.close()


async def test_a_format_that_octets_cannot_carry_needs_hardware_framing(tmp_path: Path, meter: Meter) -> None:
    async with bank(tmp_path, at(meter)) as modems:
        for refused in ("8E1", "nonsense"):
            with pytest.raises(NotConfigured):
                await modems.line().call(NUMBER, refused)
        assert meter.calls == 0


async def test_hardware_framing_sets_the_port_and_leaves_the_octets_alone(tmp_path: Path, meter: Meter) -> None:
    asked: list[Framing] = []

    async def watching(settings: LineSettings, baud: int, framing: Framing) -> Any:
        port = await open_port(settings, baud, Framing())  # a pseudo-terminal knows no parity

        async def set_format(baud: int, framing: Framing) -> None:
            asked.append(framing)

        port.set_format = set_format  # type: ignore[method-assign]
        return port

    async with bank(tmp_path, at(meter)) as modems:
        settings = modems.line(hardware_framing=True, framing="7E1").settings
        line = ModemLine(settings, open_port=watching)
        modems.lines.append(line)
        for given, framing in ((None, "7E1"), ("7O1", "7O1"), ("8E1", "8E1")):
            channel = await line.call(NUMBER, given)
            assert channel.character_format is CharacterFormat.EIGHT_NONE
            assert str(asked[-1]) == framing
            await channel.close()


# --- many at once, and the other event loop


async def test_eight_lines_are_busy_at_once_and_share_no_number(tmp_path: Path, meter: Meter) -> None:
    log = tmp_path / "log"
    names = [f"m{each}" for each in range(8)]
    numbers = {f"0770090000{each}": Subscriber(to=f"127.0.0.1:{meter.port}") for each in range(8)}
    async with bank(tmp_path, numbers, *map(ModemSpec, names), bit_rate=9600, log=log) as modems:
        channels = await asyncio.gather(
            *(modems.line(name).call(number, None) for name, number in zip(names, numbers, strict=True))
        )
        assert meter.open == 8
        await asyncio.gather(
            *(channel.write(name.encode() * 10, SECONDS) for name, channel in zip(names, channels, strict=True))
        )
        answers = await asyncio.gather(*(heard(channel, 20) for channel in channels))
        assert answers == [name.upper().encode() * 10 for name in names]
        await asyncio.gather(*(channel.close() for channel in channels))
        await eventually(lambda: meter.open == 0)
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events == ["dial"] * 8 + ["hang_up"] * 8


def test_the_same_holds_on_the_event_loop_of_the_service(tmp_path: Path) -> None:
    tests: list[Callable[[Path, Meter], Any]] = [
        test_a_call_carries_bytes_both_ways_and_is_hung_up,
        test_a_device_that_vanishes_in_a_call_is_our_fault_and_used_again_when_it_is_back,
        test_a_modem_that_does_not_hear_dtr_is_escaped_from,
    ]

    async def run() -> None:
        for number, test in enumerate(tests):
            directory = tmp_path / str(number)
            directory.mkdir()
            there = Meter()
            async with far_end(there.serve) as there.port:
                await test(directory, there)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
