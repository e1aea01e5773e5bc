"""The modem bank as a host with a serial port sees it."""

import asyncio
import fcntl
import json
import os
import signal
import sys
import termios
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from mts_metersim.fleet import LoadSpec, Meter, dump_fleet
from mts_metersim.log import CallLog
from mts_metersim.modem_bank import ModemBank, Pacer, running_bank, to_host_and_port
from mts_metersim.modem_hayes import Deed, Dials, HangsUp, HayesModem, Mode, Radio, ToHost, ToLine
from mts_metersim.modem_plan import ModemSpec, Outcome, Plan, PlanError, Subscriber, load_plan
from mts_metersim.testing import far_end

SECONDS = 5.0
NUMBER = "07700900001"


def said(deeds: list[Deed]) -> bytes:
    return b"".join(deed.data for deed in deeds if isinstance(deed, ToHost))


def asked(modem: HayesModem, command: str) -> bytes:
    return said(modem.receive(command.encode() + b"\r", 0.0))


# --- the modem without its terminal


def test_commands_are_echoed_until_e0() -> None:
    modem = HayesModem()
    assert asked(modem, "AT") == b"AT\r\r\nOK\r\n"
    assert asked(modem, "ATE0") == b"ATE0\r\r\nOK\r\n"
    assert asked(modem, "AT") == b"\r\nOK\r\n"
    assert asked(modem, "ATZ") == b"\r\nOK\r\n"
    assert asked(modem, "AT") == b"AT\r\r\nOK\r\n"


def test_results_are_numbers_in_v0() -> None:
    modem = HayesModem()
    assert asked(modem, "ATE0V0") == b"ATE0V0\r0\r"
    assert asked(modem, "ATJUNK%") == b"4\r"
    modem.receive(b"ATDT0770\r", 0.0)
    assert said(modem.call_ended("BLACKLISTED")) == b"32\r"
    modem.receive(b"ATDT0770\r", 0.0)
    assert said(modem.connected("2400/V22B", 0.0)) == b"1\r"


def test_registers_are_set_asked_and_reset() -> None:
    modem = HayesModem()
    asked(modem, "ATE0")
    assert asked(modem, "ATS7=45S12?") == b"\r\n050\r\n\r\nOK\r\n"
    assert modem.wait_seconds == 45
    asked(modem, "AT&F")
    assert modem.wait_seconds == 60


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("AT+CSQ", "+CSQ: 23,99"),
        ("AT+CREG?", "+CREG: 0,5"),
        ("AT+CPIN?", "+CPIN: READY"),
        ("AT+CEER", "+CEER: User busy"),
    ],
)
def test_a_gsm_terminal_tells_of_its_network(command: str, answer: str) -> None:
    modem = HayesModem(Radio(23, 5))
    modem.cause = "User busy"
    asked(modem, "ATE0")
    assert asked(modem, command) == f"\r\n{answer}\r\n\r\nOK\r\n".encode()
    assert asked(HayesModem(), command).endswith(b"\r\nERROR\r\n")


def test_a_refused_command_is_an_error() -> None:
    modem = HayesModem(Radio(), ("+CBST",))
    asked(modem, "ATE0")
    assert asked(modem, "AT+CBST=7,0,1") == b"\r\nERROR\r\n"
    assert asked(HayesModem(Radio()), "AT+CBST=7,0,1").endswith(b"\r\nOK\r\n")


@pytest.mark.parametrize(
    ("level", "result", "shown"),
    [
        (4, "BUSY", b"BUSY"),
        (1, "BUSY", b"NO CARRIER"),
        (3, "NO DIALTONE", b"NO CARRIER"),
        (2, "NO DIALTONE", b"NO DIALTONE"),
    ],
)
def test_the_x_level_decides_what_is_told(level: int, result: str, shown: bytes) -> None:
    modem = HayesModem()
    asked(modem, f"ATE0X{level}")
    modem.receive(b"ATD0770\r", 0.0)
    assert said(modem.call_ended(result)) == b"\r\n" + shown + b"\r\n"


def test_any_character_but_a_line_feed_ends_a_try() -> None:
    modem = HayesModem()
    assert modem.receive(b"ATDT9,07700900001\r\n", 0.0)[-1] == Dials("9,07700900001")
    assert modem.mode is Mode.DIALLING
    assert modem.receive(b"\r", 1.0) == [HangsUp(), ToHost(b"\r\nNO CARRIER\r\n")]


def online() -> HayesModem:
    modem = HayesModem()
    modem.receive(b"ATE0S12=50DT0770\r", 0.0)
    modem.connected("9600", 10.0)
    return modem


def test_the_escape_needs_silence_on_both_sides() -> None:
    modem = online()
    assert modem.receive(b"+++", 11.0) == [ToLine(b"+++")]
    assert modem.tick(11.9) == []
    assert said(modem.tick(12.0)) == b"\r\nOK\r\n"
    assert modem.receive(b"ATH\r", 13.0) == [HangsUp(), ToHost(b"\r\nOK\r\n")]


@pytest.mark.parametrize(
    "pieces", [[(b"+++", 10.5)], [(b"x+++", 12.0)], [(b"+++", 12.0), (b"x", 12.5)], [(b"++++", 12.0)], [(b"++", 12.0)]]
)
def test_pluses_among_data_are_data(pieces: list[tuple[bytes, float]]) -> None:
    modem = online()
    for data, at in pieces:
        modem.receive(data, at)
    assert modem.tick(20.0) == []


def test_an_escape_register_above_127_turns_the_escape_off() -> None:
    modem = online()
    modem.settings.registers[2] = 128
    modem.receive(b"+++", 20.0)
    assert modem.tick(30.0) == []


def test_a_dropped_dtr_ends_the_call_unless_d_is_0() -> None:
    assert online().dtr_dropped() == [HangsUp(), ToHost(b"\r\nNO CARRIER\r\n")]
    ignoring = online()
    ignoring.settings.flags["&D"] = 0
    assert ignoring.dtr_dropped() == []


# --- on terminals


class Host:
    """Whoever has the modem's device open."""

    def __init__(self, device: Path) -> None:
        self._file = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.heard = bytearray()

    def send(self, data: bytes) -> None:
        os.write(self._file, data)

    async def expect(self, *wanted: bytes) -> bytes:
        """Reads until all that came since the last time holds `wanted`, in this order; hands it over."""
        await until(lambda: self._hears(wanted))
        heard, self.heard = bytes(self.heard), bytearray()
        return heard

    def _hears(self, wanted: tuple[bytes, ...]) -> bool:
        with suppress(BlockingIOError):
            self.heard += os.read(self._file, 4096)
        at = 0
        for part in wanted:
            at = self.heard.find(part, at)
            if at < 0:
                return False
        return True

    async def ask(self, command: bytes, *answer: bytes) -> None:
        self.send(command + b"\r")
        await self.expect(*answer)

    def set_speed(self, speed: int) -> None:
        attributes = termios.tcgetattr(self._file)
        attributes[4] = attributes[5] = speed
        termios.tcsetattr(self._file, termios.TCSANOW, attributes)

    def close(self) -> None:
        os.close(self._file)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.005)


class Behind:
    """What is behind a number: says `first` when it is called, then returns what it gets in capitals."""

    def __init__(self) -> None:
        self.calls = 0
        self.ended = 0
        self.port = 0
        self.first = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        writer.write(self.first)
        while data := await reader.read(100):
            writer.write(data.upper())
        self.ended += 1


@pytest.fixture
async def behind() -> AsyncIterator[Behind]:
    there = Behind()
    async with far_end(there.serve) as there.port:
        yield there


@asynccontextmanager
async def bank(
    directory: Path, numbers: dict[str, Subscriber], *modems: ModemSpec, bit_rate: int = 0, log: Path | None = None
) -> AsyncIterator[ModemBank]:
    plan = Plan(modems or (ModemSpec("m1"),), numbers, bit_rate)
    with CallLog(log) as calls:
        async with running_bank(plan, directory, to_host_and_port, calls) as running:
            yield running


async def test_a_call_is_connected_and_carries_bytes_both_ways(tmp_path: Path, behind: Behind) -> None:
    there = Subscriber(to=f"127.0.0.1:{behind.port}", text="9600/RLP")
    async with bank(tmp_path, {NUMBER: there}):
        host = Host(tmp_path / "m1")
        await host.ask(b"ATE0", b"OK\r\n")
        await host.ask(b"ATDT" + NUMBER.encode(), b"\r\nCONNECT 9600/RLP\r\n")
        host.send(b"meter\xff\x00")
        await host.expect(b"METER\xff\x00")
        host.close()
        await until(lambda: behind.ended == 1)


async def test_letting_go_of_the_line_ends_the_call(tmp_path: Path, behind: Behind) -> None:
    async with bank(tmp_path, {NUMBER: Subscriber(to=f"127.0.0.1:{behind.port}")}):
        host = Host(tmp_path / "m1")
        await host.ask(b"ATDT" + NUMBER.encode(), b"CONNECT")
        host.set_speed(termios.B0)
        await until(lambda: behind.ended == 1)
        host.set_speed(termios.B9600)
        await host.ask(b"AT", b"OK")
        host.close()


async def test_a_modem_without_dtr_holds_the_call_until_it_is_escaped_from(tmp_path: Path, behind: Behind) -> None:
    there = {NUMBER: Subscriber(to=f"127.0.0.1:{behind.port}")}
    async with bank(tmp_path, there, ModemSpec("m1", dtr_wired=False)):
        host = Host(tmp_path / "m1")
        await host.ask(b"ATS12=5", b"OK")
        await host.ask(b"ATDT" + NUMBER.encode(), b"CONNECT")
        host.close()
        host = Host(tmp_path / "m1")
        host.send(b"still there")
        await host.expect(b"STILL THERE")
        await asyncio.sleep(0.15)
        host.send(b"+++")
        await host.expect(b"\r\nOK\r\n")
        await host.ask(b"ATH", b"OK")
        await until(lambda: behind.ended == 1)
        host.close()


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [
        (Outcome.BUSY, b"\r\nBUSY\r\n"),
        (Outcome.NO_CARRIER, b"\r\nNO CARRIER\r\n"),
        (Outcome.NO_ANSWER, b"\r\nNO ANSWER\r\n"),
        (Outcome.NO_DIAL_TONE, b"\r\nNO DIALTONE\r\n"),
        (Outcome.DELAYED, b"\r\nDELAYED\r\n"),
        (Outcome.BLACKLISTED, b"\r\nBLACKLISTED\r\n"),
        (Outcome.ERROR, b"\r\nERROR\r\n"),
    ],
)
async def test_a_number_fails_as_planned(tmp_path: Path, outcome: Outcome, answer: bytes) -> None:
    planned = Subscriber(outcome, seconds=0.05, cause="planned")
    async with bank(tmp_path, {NUMBER: planned}, ModemSpec("m1", kind="gsm")):
        host = Host(tmp_path / "m1")
        await host.ask(b"ATD" + NUMBER.encode(), answer)
        await host.ask(b"AT+CEER", b"+CEER: planned", b"OK")
        host.close()


async def test_a_number_that_takes_longer_than_s7_has_no_carrier(tmp_path: Path) -> None:
    async with bank(tmp_path, {NUMBER: Subscriber(Outcome.BUSY, seconds=60)}):
        host = Host(tmp_path / "m1")
        await host.ask(b"ATS7=0", b"OK")
        await host.ask(b"ATD" + NUMBER.encode(), b"NO CARRIER")
        await host.ask(b"ATD0123456", b"NO CARRIER")
        host.close()


async def test_a_number_in_a_call_is_busy(tmp_path: Path, behind: Behind) -> None:
    log = tmp_path / "log"
    there = {NUMBER: Subscriber(to=f"127.0.0.1:{behind.port}")}
    async with bank(tmp_path, there, ModemSpec("m1"), ModemSpec("m2"), log=log):
        first, second = Host(tmp_path / "m1"), Host(tmp_path / "m2")
        await first.ask(b"ATD" + NUMBER.encode(), b"CONNECT")
        await second.ask(b"ATD" + NUMBER.encode(), b"BUSY")
        first.close()
        await until(lambda: behind.ended == 1)
        await second.ask(b"ATD" + NUMBER.encode(), b"CONNECT")
        second.close()
        await until(lambda: behind.ended == 2)
    happened = [
        (line["event"], line["modem"], line.get("outcome")) for line in map(json.loads, log.read_text().splitlines())
    ]
    assert happened == [
        ("dial", "m1", "connect"),
        ("dial", "m2", "busy"),
        ("hang_up", "m2", None),
        ("hang_up", "m1", None),
        ("dial", "m2", "connect"),
        ("hang_up", "m2", None),
    ]


async def test_silence_lasts_until_the_host_gives_up(tmp_path: Path) -> None:
    async with bank(tmp_path, {NUMBER: Subscriber(Outcome.SILENCE)}):
        host = Host(tmp_path / "m1")
        await host.ask(b"ATS7=0DT" + NUMBER.encode(), b"ATS7=0DT")
        await asyncio.sleep(0.05)
        host.send(b"\r")
        await host.expect(b"NO CARRIER")
        host.close()


async def test_noise_comes_before_connect_and_the_line_drops_after_so_many_bytes(
    tmp_path: Path, behind: Behind
) -> None:
    behind.first = b"1234567890"
    there = Subscriber(to=f"127.0.0.1:{behind.port}", garbage_bytes=20, drop_after_bytes=4)
    async with bank(tmp_path, {NUMBER: there}):
        host = Host(tmp_path / "m1")
        await host.ask(b"ATE0", b"OK\r\n")
        host.send(b"ATD" + NUMBER.encode() + b"\r")
        heard = await host.expect(b"NO CARRIER\r\n")
        assert heard.endswith(b"\r\nCONNECT 9600\r\n1234\r\nNO CARRIER\r\n")
        assert len(heard) == 20 + len(b"\r\nCONNECT 9600\r\n1234\r\nNO CARRIER\r\n")
        host.close()


async def test_a_mute_modem_answers_nothing_until_it_is_well(tmp_path: Path) -> None:
    async with bank(tmp_path, {}, ModemSpec("m1", mute=True)) as running:
        host = Host(tmp_path / "m1")
        host.send(b"AT\r")
        await asyncio.sleep(0.1)
        running.modems["m1"].mute = False
        await host.ask(b"ATI", b"ATI\r", b"metersim modem", b"OK")
        assert b"AT\r\r\nOK" not in host.heard
        host.close()


async def test_a_device_vanishes_in_a_call_and_comes_back_under_its_name(tmp_path: Path, behind: Behind) -> None:
    async with bank(tmp_path, {NUMBER: Subscriber(to=f"127.0.0.1:{behind.port}")}) as running:
        host = Host(tmp_path / "m1")
        await host.ask(b"ATD" + NUMBER.encode(), b"CONNECT")
        running.modems["m1"].vanish()
        await until(lambda: behind.ended == 1)
        assert not (tmp_path / "m1").exists()
        host.close()
        running.modems["m1"].appear()
        host = Host(tmp_path / "m1")
        await host.ask(b"AT", b"OK")
        host.close()
    assert os.listdir(tmp_path) == []


async def test_a_paced_line_takes_its_time() -> None:
    pacer = Pacer(9600)
    began = time.monotonic()
    for piece in pacer.pieces(bytes(192)):
        await pacer.carry(piece)
    assert 0.2 <= time.monotonic() - began < 0.4
    assert Pacer(0).pieces(b"abc") == [b"abc"]


async def test_the_bank_takes_the_lock_of_nobody(tmp_path: Path) -> None:
    async with bank(tmp_path, {}):
        host = os.open(tmp_path / "m1", os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(host, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(host)


# --- the plan and the command


@pytest.mark.parametrize(
    "plan",
    [
        "not JSON",
        [],
        {"modems": [], "numbers": {}},
        {"modems": [{"name": "m1"}, {"name": "m1"}], "numbers": {}},
        {"modems": [{"name": "../m1"}], "numbers": {}},
        {"modems": [{"name": "m1", "kind": "isdn"}], "numbers": {}},
        {"modems": [{"name": "m1", "colour": "red"}], "numbers": {}},
        {"modems": [{"name": "m1", "signal": "good"}], "numbers": {}},
        {"modems": [{}], "numbers": {}},
        {"modems": [{"name": "m1"}], "numbers": {"0770;": {"outcome": "busy"}}},
        {"modems": [{"name": "m1"}], "numbers": {NUMBER: {"outcome": "late"}}},
        {"modems": [{"name": "m1"}], "numbers": {NUMBER: {}}},
        {"modems": [{"name": "m1"}], "numbers": {}, "bitRate": -1},
        {"modems": [{"name": "m1"}]},
    ],
)
def test_a_plan_that_describes_no_bank_is_refused(tmp_path: Path, plan: object) -> None:
    path = tmp_path / "plan.json"
    path.write_text(plan if isinstance(plan, str) else json.dumps(plan))
    with pytest.raises(PlanError):
        load_plan(path)


async def test_the_command_runs_bank_and_fleet_and_says_when_it_is_ready(tmp_path: Path) -> None:
    fleet = [Meter("IEC62056_21", "10067967", LoadSpec(4), outstation_address="12", password="00000000")]
    (tmp_path / "fleet.json").write_text(dump_fleet(fleet))
    numbers = {NUMBER: {"meter": "10067967", "seconds": 0}, "07700900002": {"outcome": "busy"}}
    (tmp_path / "plan.json").write_text(
        json.dumps({"modems": [{"name": "m1", "kind": "gsm", "refuses": ["+CBST"]}], "numbers": numbers, "bitRate": 0})
    )
    devices = tmp_path / "devices"
    devices.mkdir()
    files = {name: str(tmp_path / name) for name in ("plan.json", "fleet.json", "ready.json", "log")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mts_metersim", "modems", "--plan", files["plan.json"], "--fleet", files["fleet.json"],
        "--directory", str(devices), "--log", files["log"], "--ready-file", files["ready.json"],
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            while not (tmp_path / "ready.json").exists():
                await asyncio.sleep(0.05)
        ready = json.loads((tmp_path / "ready.json").read_text())
        assert ready["modems"] == [{"name": "m1", "kind": "gsm", "device": str(devices / "m1")}]
        assert [(meter["remoteAddress"], meter["serialNumber"]) for meter in ready["meters"]] == [(NUMBER, "10067967")]
        assert ready["others"] == [{"remoteAddress": "07700900002", "outcome": "busy"}]
        host = Host(devices / "m1")
        await host.ask(b"ATD" + NUMBER.encode(), b"CONNECT")
        host.send(b"/?12!\r\n")
        identification = await host.expect(b"\x8d\n")
        assert bytes(byte & 0x7F for byte in identification).endswith(b"/MCS5\\@V0050710000051\r\n")
        host.close()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0
        assert os.listdir(devices) == []
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
