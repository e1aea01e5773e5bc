"""Whole calls over loopback sockets, as a host sees them, bytes written out from the fact sheets and captures."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from mts_metersim.a1700 import A1700Dialogue
from mts_metersim.a1700_codes import seed_answer
from mts_metersim.fleet import Fault, FaultKind, LoadSpec, Meter, Options
from mts_metersim.log import CallLog
from mts_metersim.server import FleetServer, running
from mts_metersim.unit import Unit

NOW = datetime(2022, 1, 27, 10, 56, 44, tzinfo=UTC)
SECONDS = 5.0
QUIET = 0.1

A1700 = Meter("ELSTERA1700", "K04M01234", LoadSpec(1), line="a", outstation_address="001", password="FEDC0003")
EMH = Meter("EMH_LZQJ", "25300002", LoadSpec(2), line="e", outstation_address="0012", password="SIM00002")
LG = Meter("LG_E650_IEC", "95316176", LoadSpec(3, "shop"), line="l")
METCOM = Meter("IEC62056_21", "10067967", LoadSpec(4), line="m", password="00000000")
MT174 = Meter("ISKRA_MT174", "35300004", LoadSpec(5), line="i")


def checked(body: bytes) -> bytes:
    """The body, which follows the first SOH or STX, with its block check."""
    return body + bytes([reduce(lambda check, byte: check ^ byte, body)])


def asked(code: str, dataset: str) -> bytes:
    return b"\x01" + checked(code.encode() + b"\x02" + dataset.encode() + b"\x03")


def with_parity(data: bytes) -> bytes:
    return bytes(byte | (byte.bit_count() % 2 << 7) for byte in data)


class Host:
    """A host on a socket: sends 7E1 by default, strips and checks the meter's parity."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.parity = True

    def send(self, data: bytes) -> None:
        self.writer.write(with_parity(data) if self.parity else data)

    async def expect(self, pattern: bytes) -> re.Match[bytes]:
        """Reads until all that came matches; the connection must carry even parity."""
        raw = b""
        async with asyncio.timeout(SECONDS):
            while True:
                raw += await self.reader.readexactly(1)
                plain = bytes(byte & 0x7F for byte in raw)
                found = re.fullmatch(pattern, plain, re.DOTALL)
                if found:
                    assert not self.parity or raw == with_parity(plain)
                    return found

    async def ask(self, code: str, dataset: str) -> str:
        """The text of the data block that answers a command, its block check looked at."""
        self.send(asked(code, dataset))
        return await self.block()

    async def block(self) -> str:
        found = await self.expect(rb"\x02([^\x03\x04]*)[\x03\x04].")
        assert checked(found[0][1:-1]) == found[0][1:]
        return found[1].decode()

    async def nothing(self) -> None:
        """Nothing comes, now or soon."""
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(QUIET):
                await self.reader.readexactly(1)

    async def gone(self) -> bytes:
        """All that comes until the meter hangs up."""
        async with asyncio.timeout(SECONDS):
            try:
                return bytes(byte & 0x7F for byte in await self.reader.read(-1))
            except ConnectionResetError:
                return b""

    async def sign_on(self, address: str = "", mode: str = "1") -> bytes:
        self.send(f"/?{address}!\r\n".encode())
        found = await self.expect(rb"/[^\r]*\r\n")
        self.send(b"\x060" + found[0][4:5] + mode.encode() + b"\r\n")
        return found[0]

    async def programming(self, address: str = "") -> str:
        """Signs on to programming mode; the operand of P0."""
        await self.sign_on(address)
        found = await self.expect(rb"\x01P0\x02\(([^)]*)\)\x03.")
        return found[1].decode()

    async def open_a1700(self, meter: Meter = A1700) -> None:
        seed = bytes.fromhex(await self.programming(meter.outstation_address))
        self.send(asked("P2", f"({seed_answer(meter.password, seed)})"))
        await self.expect(b"\x06")


@asynccontextmanager
async def serving(meters: Sequence[Meter], log: Path | None = None) -> AsyncIterator[FleetServer]:
    with CallLog(log) as calls:
        async with running(meters, calls, true_time=lambda: int(NOW.timestamp()) * 1_000_000_000) as server:
            yield server


@asynccontextmanager
async def connected(server: FleetServer, index: int = 0) -> AsyncIterator[Host]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port_of(server.units[index]))
    try:
        yield Host(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def calling(meter: Meter) -> AsyncIterator[Host]:
    async with serving([meter]) as server, connected(server) as host:
        yield host


def lines_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


async def test_an_mt174_reads_out_byte_for_byte_as_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    captured = bytes.fromhex(
        "2f49536b354d543137342d303030320d0a02312d303a302e392e322a323535283032323031323729"
        "0d0a312d303a302e392e312a32353528313035363434290d0a312d303a312e382e302a3235352830"
        "3030303530322e3835332a6b5768290d0a312d303a322e382e302a32353528303039383639372e33"
        "31382a6b5768290d0a210d0a0319"
    )
    totals = {"import": 502_853_000, "export": 98_697_318_000}
    monkeypatch.setattr(Unit, "total", lambda self, name, at: totals[name])
    meter = replace(MT174, options=Options(readout=("0.9.2", "0.9.1", "1.8.0", "2.8.0")))
    async with calling(meter) as host:
        host.send(bytes.fromhex("2f3f210d0a"))
        identification = await host.expect(rb"/[^\r]*\r\n")
        host.send(bytes.fromhex("0630 35300d0a"))
        readout = await host.expect(rb"\x02.*\x03.")
        assert identification[0] + readout[0] == captured


async def test_an_a1700_login_goes_as_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    seed = bytes.fromhex("FD2BA0E29731D230")
    monkeypatch.setattr(
        "mts_metersim.iec_party.A1700Dialogue", lambda unit, note: A1700Dialogue(unit, note, lambda _: seed)
    )
    meter = replace(A1700, options=Options(identification="/GEC5012345678901@000"))
    exchange = [
        ("2f3f210d0a", "2f474543353031323334353637383930314030 30300d0a"),
        ("063035310d0a", "01503002284644324241304532393733314432333029036d"),
        ("01503202284245324331304231353835393342334529 0360", "06"),
    ]
    async with calling(meter) as host:
        for sent, answered in exchange:
            host.send(bytes.fromhex(sent))
            await host.expect(re.escape(bytes.fromhex(answered)))


async def test_an_a1700_gives_its_identities_after_the_right_answer() -> None:
    async with calling(A1700) as host:
        await host.open_a1700()
        assert bytes.fromhex((await host.ask("R1", "798001(10)")).strip("()")) == b"-------K04M01234"
        assert await host.ask("R1", "861001(07)") == "(445610A7610022)"  # Thursday 2022-01-27 10:56:44
        first = await host.ask("R1", "507001(40)")
        second = await host.ask("R1", "507002(10)")
        assert (len(first), len(second)) == (130, 34)
        assert await host.ask("R1", "507003(10)") == "(ERR3)"
        assert await host.ask("R1", "999001(10)") == "(ERR2)"
        assert await host.ask("R1", "507(10)") == "(ERR1)"
        assert await host.ask("W1", "861001(00000000000000)") == "(ERR5)"


async def test_an_a1700_without_its_answer_shows_serial_and_scheme_alone() -> None:
    async with calling(A1700) as host:
        await host.programming()
        assert await host.ask("R1", "798001(10)") != "(ERR5)"
        assert await host.ask("R1", "507001(40)") == "(ERR5)"
        host.send(asked("P2", "(0000000000000000)"))
        await host.expect(b"\x06")
        assert await host.ask("R1", "507001(40)") == "(ERR5)"
        host.send(asked("P2", "(0000000000000001)"))
        await host.expect(b"\x15")


async def test_an_a1700_access_expires_and_comes_back_with_the_same_answer() -> None:
    moment = [int(NOW.timestamp()) * 1_000_000_000]
    with CallLog(None) as calls:
        async with running([A1700], calls, true_time=lambda: moment[0]) as server, connected(server) as host:
            seed = bytes.fromhex(await host.programming())
            answer = asked("P2", f"({seed_answer(A1700.password, seed)})")
            host.send(answer)
            await host.expect(b"\x06")
            moment[0] += 299 * 1_000_000_000
            assert await host.ask("R1", "724001(04)") == "(00000000)"
            moment[0] += 1_000_000_000
            assert await host.ask("R1", "724001(04)") == "(ERR5)"
            host.send(answer)
            await host.expect(b"\x06")
            assert await host.ask("R1", "724001(04)") == "(00000000)"


async def test_an_a1700_survey_is_fetched_by_blocks_and_filled_with_ff() -> None:
    async with calling(A1700) as host:
        await host.open_a1700()
        host.send(asked("W1", "551001(0100)"))
        await host.expect(b"\x06")
        assert await host.ask("R1", "551001(04)") == "(00070002)"
        blocks = [await host.ask("R1", f"550{packet:03X}(40)") for packet in range(1, 9)]
        assert blocks[0].startswith("(E480E0F161003F99")
        assert blocks[7] == f"({'FF' * 64})"
        # 21 half-hours of the day: header 8, records of 19 bytes
        assert bytes.fromhex("".join(text.strip("()") for text in blocks)).rstrip(b"\xff")[8:][::19] == bytes(21)


async def test_an_a1700_holds_instantaneous_values_back_until_they_are_ready() -> None:
    async with calling(A1700) as host:
        await host.open_a1700()
        host.send(asked("W1", "605001(1b2b4b0c)"))
        await host.expect(b"\x06")
        assert await host.ask("R1", "605001(04)") == "(9BABCB0C)"
        assert await host.ask("R1", "605001(04)") == "(9BABCB8C)"
        values = bytes.fromhex((await host.ask("R1", "606001(1C)")).strip("()"))
        volts = [int(values[n + 1 : n + 7].hex()) / 10 ** (4 - values[n]) for n in (0, 7, 14)]
        assert all(235 < volt < 250 for volt in volts)


async def test_an_a1700_refuses_readout_and_streaming() -> None:
    async with calling(A1700) as host:
        for mode in ("0", "6"):
            await host.sign_on(mode=mode)
            await host.expect(b"\x15")


async def test_a_damaged_command_is_answered_with_nak_and_a_nak_with_the_same_again() -> None:
    async with calling(A1700) as host:
        await host.programming()
        host.send(asked("R1", "798001(10)")[:-1] + b"\x00")
        await host.expect(b"\x15")
        first = await host.ask("R1", "798001(10)")
        host.send(b"\x15")
        assert await host.block() == first


async def test_a_host_without_parity_is_understood() -> None:
    async with calling(LG) as host:
        host.parity = False
        assert await host.sign_on(mode="0") == b"/LGZ5\\2ZMD3104407.B24\r\n"
        assert "0.0.0(95316176)\r\n" in await host.block()


async def test_a_meter_without_parity_sends_clean_bytes() -> None:
    async with calling(replace(LG, options=Options(parity="none"))) as host:
        host.writer.write(b"/?!\r\n")
        async with asyncio.timeout(SECONDS):
            assert await host.reader.readuntil(b"\r\n") == b"/LGZ5\\2ZMD3104407.B24\r\n"


async def test_lists_have_the_makers_manner() -> None:
    expected = {
        LG: ("0.9.1(10:56:44)", "0.9.2(22-01-27)", "1.6.1*11(", r"1\.8\.0\(\d{6}\.\d{2}\*kWh\)"),
        EMH: ("0.9.1(2105644)", "0.9.2(2220127)", "1.6.1*11(", r"1\.8\.0\(\d{6}\.\d{4}\*kWh\)"),
        METCOM: ("0.9.1(105644)", "0.9.2(220127)", "0.1.2*11(2201010000)", r"1\.8\.0\(\d{5}\.\d{4}\*kWh\)"),
        MT174: (
            "1-0:0.9.1*255(105644)",
            "1-0:0.0.0*255(35300004)",
            "F.F*255",
            r"1-0:1\.8\.0\*255\(\d{7}\.\d{3}\*kWh\)",
        ),
    }
    for meter, (*texts, pattern) in expected.items():
        async with calling(meter) as host:
            await host.sign_on(mode="0")
            readout = await host.block()
            assert all(text in readout for text in texts)
            assert re.search(pattern, readout)
            assert readout.endswith("!\r\n")


async def test_a_readout_is_repeated_on_nak_and_ends_the_call_on_ack() -> None:
    async with calling(METCOM) as host:
        await host.sign_on(mode="0")
        first = await host.block()
        host.send(b"\x15")
        assert await host.block() == first
        host.send(b"\x06")
        await host.programming()


async def test_a_password_opens_programming_mode_and_the_readout_needs_none() -> None:
    async with calling(EMH) as host:
        assert await host.programming() == "25300002"
        assert await host.ask("R5", "1.8.0()") == "(ERROR)"
        assert await host.ask("P1", "(99999999)") == "(ERROR)"
        host.send(asked("P1", "(SIM00002)"))
        await host.expect(b"\x06")
        assert re.fullmatch(r"1\.8\.0\(\d{6}\.\d{4}\*kWh\)", await host.ask("R5", "1.8.0(;)"))
        assert await host.ask("R2", "C003()") == "(220127105644)"
        assert await host.ask("R5", "9.9.9()") == "(ERROR)"
        host.send(b"\x01B0\x03\x71")
        await host.sign_on(mode="0")


@pytest.mark.parametrize(
    ("meter", "answer"),
    [
        (replace(LG, password="12345678"), rb"\x01B0\x03\x71"),
        (METCOM, rb"\x15"),
        (replace(MT174, password="12345678"), rb"\x02\(ER07\)\x03."),
        (replace(METCOM, options=Options(refusal="b0")), rb"\x01B0\x03\x71"),
    ],
)
async def test_a_wrong_password_is_refused_the_makers_way(meter: Meter, answer: bytes) -> None:
    async with calling(meter) as host:
        await host.programming()
        host.send(asked("P1", "(WRONG)"))
        await host.expect(answer)


async def test_a_meter_without_a_password_needs_none_and_takes_any() -> None:
    async with calling(LG) as host:
        await host.programming()
        assert re.fullmatch(r"\(\d{6}\.\d{2}\*kWh\)", await host.ask("R1", "1.8.0()"))
        host.send(asked("P1", "(ANY)"))
        await host.expect(b"\x06")


async def test_r6_sends_blocks_and_repeats_one_on_nak() -> None:
    async with calling(replace(EMH, password="")) as host:
        await host.programming()
        dataset = "P.01(2220126230000;2220127013000;3)"
        whole = (await host.ask("R5", dataset)).rstrip("\r\n").split("\r\n")
        first = await host.ask("R6", dataset)
        host.send(b"\x15")
        assert await host.block() == first
        blocks = [first]
        while sum(len(block.split("\r\n")) for block in blocks) < len(whole):
            host.send(b"\x06")
            blocks.append(await host.block())
        assert not any(block.endswith("\r\n") for block in blocks)
        assert [len(block.split("\r\n")) for block in blocks] == [3, 3, 2]
        assert "\r\n".join(blocks).split("\r\n") == whole


async def test_a_command_ends_a_transfer_of_blocks() -> None:
    async with calling(LG) as host:
        await host.programming()
        await host.ask("R6", "P.01(0220126000000;)")
        assert await host.ask("R1", "0.0.0()") == "(95316176)"
        host.send(b"\x06")
        await host.nothing()


@pytest.mark.parametrize(
    ("meter", "dataset", "answer"),
    [
        (LG, "P.01(0100101000000;0100102000000)", "P.01(ERROR)"),
        (LG, "P.98(0100101000000;)", "P.98(ERROR)"),
        (LG, "P.01(yesterday;)", "(ER0002)"),
        (LG, "P.01", "(ER0001)"),
        (MT174, "P.01(0220126000000;)", "P.01(ER39)"),
        (replace(METCOM, password="", options=Options(empty_survey=True)), "P.01(0220126000000;)", "P.01(ERROR)"),
    ],
)
async def test_what_cannot_be_read_is_an_error_text(meter: Meter, dataset: str, answer: str) -> None:
    async with calling(meter) as host:
        await host.programming()
        assert await host.ask("R5", dataset) == answer


async def test_only_the_addressed_meter_of_a_line_answers() -> None:
    line = [replace(meter, line="shared") for meter in (A1700, EMH, replace(LG, outstation_address="7"))]
    async with serving(line) as server, connected(server) as host:
        host.send(b"/?999!\r\n")
        await host.nothing()
        for address, name in (("1", b"/GEC"), ("0012", b"/EMH"), ("7", b"/LGZ"), ("", b"/GEC")):
            host.send(f"/?{address}!\r\n".encode())
            assert (await host.expect(rb"/[^\r]*\r\n"))[0].startswith(name)
        host.send(b"/?12!\r\n")
        await host.nothing()


async def test_a_meter_in_programming_mode_hears_no_sign_on_before_its_sign_off() -> None:
    async with calling(LG) as host:
        await host.programming()
        host.send(b"/?!\r\n")
        await host.nothing()
        host.send(b"\x01B0\x03\x71")
        await host.programming()


async def test_inactivity_returns_a_meter_to_sign_on() -> None:
    async with calling(replace(LG, options=Options(inactivity_seconds=0))) as host:
        await host.programming()
        await host.nothing()
        await host.programming()


async def test_an_unfinished_command_is_dropped_when_the_line_falls_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mts_metersim.party.CHARACTER_SECONDS", 0.05)
    async with calling(LG) as host:
        await host.programming()
        host.send(b"\x01R1\x02")
        await host.nothing()
        assert await host.ask("R1", "0.0.0()") == "(95316176)"


async def test_a_second_connection_is_refused_and_logged(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    async with serving([LG], log) as server, connected(server) as host:
        await host.programming()
        async with connected(server) as second:
            assert await second.gone() == b""
        assert await host.ask("R1", "0.0.0()") == "(95316176)"
    assert [line["event"] for line in lines_of(log)] == ["connection_start", "sign_on", "busy", "connection_end"]


async def test_a_caller_that_has_hung_up_is_not_in_the_way_of_the_next(tmp_path: Path) -> None:
    """Not even while the meter is still in the middle of a long reply, with a sign-off unread behind it."""
    log = tmp_path / "calls.jsonl"
    meter = replace(with_fault(LG, FaultKind.SLOW, 50), options=Options(ack_seconds=1))
    async with serving([meter], log) as server:
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port_of(server.units[0]))
            writer.write(b"/?!\r\n")
            async with asyncio.timeout(SECONDS):
                await reader.readexactly(2)
            writer.write(b"\x01B0\x03\x71")
            writer.close()
            await writer.wait_closed()
    events = [line["event"] for line in lines_of(log)]
    assert events == ["connection_start", "sign_on", "connection_end"] * 5


async def test_the_log_tells_calls_and_wrong_passwords_but_no_password(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    async with serving([METCOM], log) as server, connected(server) as host:
        await host.programming()
        host.send(asked("P1", "(SECRET99)"))
        await host.expect(b"\x15")
        host.send(asked("P1", f"({METCOM.password})"))
        await host.expect(b"\x06")
        await host.ask("R5", "1.8.0()")
    start, sign_on, wrong, right, end = lines_of(log)
    assert (start["event"], start["port"]) == ("connection_start", end["port"])
    assert (sign_on["event"], sign_on["address"], sign_on["serial"]) == ("sign_on", "", "10067967")
    assert [(line["event"], line["wrong"]) for line in (wrong, right)] == [("password", True), ("password", False)]
    assert end["asked"] == ["option 051", "P1 (wrong)", "P1 (right)", "R5 1.8.0()"]
    assert end["wrong_passwords"] == 1
    assert start["monotonic"] <= end["monotonic"]
    assert "SECRET99" not in log.read_text()
    assert METCOM.password not in log.read_text()


async def test_two_hundred_meters_answer_at_once_from_one_process() -> None:
    meters = [replace(LG, serial_number=f"{index:08d}", line=f"{index}") for index in range(200)]

    async def read(server: FleetServer, index: int) -> str:
        async with connected(server, index) as host:
            await host.programming()
            return await host.ask("R1", "0.0.0()")

    async with serving(meters) as server:
        found = await asyncio.gather(*(read(server, index) for index in range(200)))
    assert found == [f"({index:08d})" for index in range(200)]


def with_fault(meter: Meter, kind: FaultKind, amount: int = 0, *, once: bool = False) -> Meter:
    return replace(meter, faults=(Fault(kind, amount, once),))


async def test_a_silent_meter_takes_the_call_and_says_nothing() -> None:
    async with calling(with_fault(LG, FaultKind.SILENT)) as host:
        host.send(b"/?!\r\n")
        await host.nothing()


async def test_a_meter_falls_silent_after_so_many_bytes() -> None:
    async with calling(with_fault(LG, FaultKind.SILENT_AFTER, 40)) as host:
        await host.sign_on(mode="0")
        await host.expect(b".{17}")
        await host.nothing()


async def test_a_slow_meter_takes_its_time_for_each_byte() -> None:
    async with calling(with_fault(LG, FaultKind.SLOW, 10)) as host:
        started = asyncio.get_running_loop().time()
        host.send(b"/?!\r\n")
        await host.expect(rb"/[^\r]*\r\n")
        assert asyncio.get_running_loop().time() - started > 0.2


async def test_a_meter_may_think_before_it_answers() -> None:
    async with calling(with_fault(LG, FaultKind.LATENCY, 200)) as host:
        host.send(b"/?!\r\n")
        await host.nothing()
        await host.expect(rb"/[^\r]*\r\n")


async def test_spoilt_block_checks_stop_after_their_number() -> None:
    async with calling(with_fault(replace(LG), FaultKind.WRONG_BCC, 2)) as host:
        await host.sign_on(mode="0")
        for spoilt in (True, True, False):
            found = await host.expect(rb"\x02.*\x03.")
            assert (checked(found[0][1:-1]) != found[0][1:]) is spoilt
            host.send(b"\x15")


@pytest.mark.parametrize("once", [True, False])
async def test_a_dropped_line_is_dropped_once_or_always(once: bool) -> None:
    async with serving([with_fault(LG, FaultKind.DROPS_LINE, 60, once=once)]) as server:
        lengths: list[int] = []
        for _ in range(2):
            async with connected(server) as host:
                host.send(b"/?!\r\n\x06050\r\n")
                if once and lengths:
                    await host.expect(rb"/[^\r]*\r\n\x02.*\x03.")
                else:
                    lengths.append(len(await host.gone()))
        assert lengths == ([60] if once else [60, 60])


async def test_a_wrong_serial_differs_from_the_one_of_the_fleet() -> None:
    async with calling(with_fault(A1700, FaultKind.WRONG_SERIAL)) as host:
        await host.programming()
        assert bytes.fromhex((await host.ask("R1", "798001(10)")).strip("()")) == b"-------K04M01230"


async def test_the_right_password_is_refused_where_it_must_be() -> None:
    async with calling(with_fault(A1700, FaultKind.REFUSES_PASSWORD)) as host:
        seed = bytes.fromhex(await host.programming())
        host.send(asked("P2", f"({seed_answer(A1700.password, seed)})"))
        await host.expect(b"\x15")


async def test_garbage_is_noise_of_the_replys_length() -> None:
    async with calling(with_fault(LG, FaultKind.GARBAGE)) as host:
        host.send(b"/?!\r\n")
        identification = with_parity(b"/LGZ5\\2ZMD3104407.B24\r\n")
        async with asyncio.timeout(SECONDS):
            assert await host.reader.readexactly(len(identification)) != identification
        await host.nothing()


async def test_an_echo_returns_what_it_is_sent() -> None:
    async with calling(with_fault(LG, FaultKind.ECHO)) as host:
        host.send(b"/?!\r\n")
        await host.expect(rb"/\?!\r\n")
        await host.nothing()


@pytest.mark.parametrize("meter", [LG, A1700])
async def test_an_endless_reply_does_not_end_and_stops_with_the_call(meter: Meter) -> None:
    async with serving([with_fault(meter, FaultKind.ENDLESS)]) as server:
        for _ in range(2):
            async with connected(server) as host:
                await host.programming()
                host.send(asked("R1", "798001(10)"))
                async with asyncio.timeout(SECONDS):
                    received = await host.reader.readexactly(50_000)
                assert 0x03 not in bytes(byte & 0x7F for byte in received)
