"""A bank of lines at work: the worker, the drivers and simulated modems with simulated meters behind them."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar, cast
from uuid import UUID, uuid4

from mts_common import topology
from mts_common.messages import (
    AttemptFinished,
    AttemptReport,
    CallFinished,
    CallGrant,
    CallReleased,
    CallReleasedReply,
    CallWant,
    DiallerAlive,
    DiallerLease,
    FailureKind,
    GrantedCall,
    GrantedTest,
    Message,
    NameValue,
    Outcome,
    Transport,
    decode,
)
from mts_common.topology import RequestQueue
from mts_dialler.attempt import Equipment
from mts_dialler.bank import open_bank
from mts_dialler.drivers.registry import DRIVERS
from mts_dialler.line import LineLimits
from mts_dialler.lines_file import LineSettings
from mts_dialler.numbers import Numbers
from mts_dialler.telling import Teller
from mts_dialler.worker import Pace, Worker
from mts_metersim.fleet import LoadSpec, Meter, Options
from mts_metersim.log import CallLog
from mts_metersim.modem_bank import ModemBank, running_bank
from mts_metersim.modem_plan import ModemSpec, Plan, Subscriber
from mts_metersim.modem_plan import Outcome as Planned
from mts_metersim.server import running

SECONDS = 30.0
PASSWORD = "SIM00001"
QUICK = Options(ready_polls=1)

Reply = TypeVar("Reply", bound=Message)


class Scheduler:
    """Gives each line the first call that its filter lets through; answers a dialler that asks in vain at once."""

    def __init__(self, calls: list[GrantedCall]) -> None:
        self.calls = calls
        self.total = 0
        self._more = asyncio.Event()

    async def ask(
        self,
        queue: RequestQueue,
        item: Message,
        reply_model: type[Reply],
        timeout: float,  # noqa: ASYNC109
    ) -> Reply:
        if isinstance(item, CallWant):
            return cast(Reply, await self._grant(item))
        if isinstance(item, DiallerAlive):
            self.total = item.lines
            return cast(Reply, DiallerLease(dialler=item.dialler, lease_seconds=60, lost=()))
        assert queue is topology.CALL_RELEASES
        return cast(Reply, CallReleasedReply(call_id=cast(CallReleased, item).call_id))

    async def _grant(self, want: CallWant) -> CallGrant:
        allowed = Numbers.parse(want.number_filter)
        while not (fitting := [call for call in self.calls if _admits(allowed, call.canonical_address)]):
            self._more.clear()
            await self._more.wait()
        self.calls.remove(fitting[0])
        return CallGrant(nonce=want.nonce, calls=(fitting[0],))

    def add(self, call: GrantedCall) -> None:
        self.calls.append(call)
        self._more.set()


def _admits(number_filter: Numbers, canonical: str) -> bool:
    items = [(item.minus, item.fits(canonical, "44")) for item in number_filter.items]
    allowing = [fits for minus, fits in items if not minus]
    return (any(allowing) or not allowing) and not any(fits for minus, fits in items if minus)


class Broker:
    """Keeps what was told."""

    def __init__(self) -> None:
        self.reports: dict[int, AttemptReport] = {}
        self.ended: set[UUID] = set()
        self.more = asyncio.Event()

    async def publish_body(self, kind: str, body: bytes) -> None:
        models: dict[str, type[Message]] = {m.kind: m for m in (AttemptReport, AttemptFinished, CallFinished)}
        for message in decode(models[kind], body):
            if isinstance(message, AttemptReport):
                self.reports[message.test_id] = message
            if isinstance(message, CallFinished):
                self.ended.add(message.call_id)
        self.more.set()

    async def until_ended(self, count: int) -> None:
        async with asyncio.timeout(SECONDS):
            while len(self.ended) < count:
                self.more.clear()
                await self.more.wait()


class Bench:
    def __init__(self, scheduler: Scheduler, broker: Broker, modems: ModemBank) -> None:
        self.scheduler = scheduler
        self.broker = broker
        self.modems = modems


def a_call(test_id: int, number: str, *, coms_settings: str | None = None, tests: int = 1) -> GrantedCall:
    return GrantedCall(
        call_id=uuid4(),
        remote_address=number,
        canonical_address=f"+44{number[1:]}",
        transport=Transport.MODEM,
        coms_settings=coms_settings,
        tests=tuple(
            GrantedTest(
                test_id=test_id + place,
                client_id=1,
                meter_type="ELSTERA1700" if place == 0 else "IEC62056_21",
                remote_address=number,
                outstation_address=f"{place + 1:03}",
                password=PASSWORD if place == 0 else None,
                attempt=1,
                tries=0,
            )
            for place in range(tests)
        ),
    )


def number_of(place: int) -> str:
    return f"077009000{place:02}"


def meters(count: int, parity: str = "even") -> list[Meter]:
    """An A1700 and an IEC meter on each line."""
    options = Options(ready_polls=1, parity=parity)
    return [
        each
        for place in range(count)
        for each in (
            Meter("ELSTERA1700", f"K{place:05}", LoadSpec(place), line=f"l{place}", outstation_address="001",
                  password=PASSWORD, options=options, installed_days_ago=2),
            Meter("IEC62056_21", f"M{place:05}", LoadSpec(place), line=f"l{place}", outstation_address="002",
                  options=options, installed_days_ago=2),
        )
    ]  # fmt: skip


@asynccontextmanager
async def working(
    directory: Path,
    calls: list[GrantedCall],
    modems: dict[str, tuple[ModemSpec, dict[str, object]]],
    others: dict[str, Subscriber] | None = None,
    fleet: list[Meter] | None = None,
) -> AsyncIterator[Bench]:
    """A dialler with these modems and lines; the n-th pair of `fleet` is behind the n-th number."""
    scheduler, broker, stop = Scheduler(calls), Broker(), asyncio.Event()
    fleet = fleet or []
    numbers = {number_of(place): Subscriber(meter=meter.serial_number) for place, meter in enumerate(fleet[::2])}
    plan = Plan(tuple(spec for spec, _ in modems.values()), numbers | (others or {}), 0)
    async with AsyncExitStack() as stack:
        log = stack.enter_context(CallLog(directory / "log"))
        server = await stack.enter_async_context(running(fleet, log))
        ports = {unit.meter.serial_number: server.port_of(unit) for unit in server.units}
        bank = await stack.enter_async_context(
            running_bank(plan, directory, lambda number: ("127.0.0.1", ports[number.meter]), log)
        )
        limits = LineLimits(settle_seconds=0.02, reply_seconds=5.0)
        equipment = Equipment(dialler="d", drivers=DRIVERS, open_password=lambda sealed: sealed, limits=limits)
        lines = await stack.enter_async_context(
            open_bank(
                [line(directory, name, **settings) for name, (_, settings) in modems.items()],
                Numbers.parse("09*"),
                "44",
                equipment.clock,
            )
        )
        worker = Worker(
            equipment, lines, Transport.MODEM, scheduler, Teller(broker, equipment.clock), Pace(drain_seconds=0.0)
        )
        task = asyncio.create_task(worker.run(stop))
        try:
            yield Bench(scheduler, broker, bank)
        finally:
            task.cancel()
            await asyncio.wait([task])


def line(directory: Path, name: str, **settings: object) -> LineSettings:
    quick = {
        "command_seconds": 0.5,
        "command_pause_seconds": 0.0,
        "reset_pause_seconds": 0.0,
        "dtr_seconds": 0.05,
        "guard_seconds": 0.1,
        "settle_seconds": 0.0,
        "pause_seconds": 0.0,
        "fault_rest_seconds": 0.3,
    }
    return LineSettings.model_validate({"name": name, "device": str(directory / name), **quick, **settings})


def modems(count: int, **settings: object) -> dict[str, tuple[ModemSpec, dict[str, object]]]:
    return {f"m{each}": (ModemSpec(f"m{each}", kind="gsm"), {"kind": "gsm", **settings}) for each in range(count)}


def happened(directory: Path, *events: str) -> list[dict[str, str]]:
    entries = map(json.loads, (directory / "log").read_text().splitlines())
    return [entry for entry in entries if entry["event"] in events]


async def test_meters_that_share_a_number_are_read_in_one_call_over_a_modem(tmp_path: Path) -> None:
    async with working(tmp_path, [a_call(1, number_of(0), tests=2)], modems(1), fleet=meters(1)) as bench:
        await bench.broker.until_ended(1)
        reports = bench.broker.reports
        assert [reports[test].outcome for test in (1, 2)] == [Outcome.SUCCESS] * 2, [r.detail for r in reports.values()]
        assert [reports[test].data.serial_number for test in (1, 2)] == ["K00000", "M00000"]
        for report in reports.values():
            assert NameValue(name="Signal strength", value="-77 dBm") in report.data.properties
        assert b"signal strength -77 dBm" in gzip.decompress(reports[1].wire_trace)
    assert [entry["event"] for entry in happened(tmp_path, "dial", "hang_up")] == ["dial", "hang_up"]


async def test_coms_settings_reach_the_meter(tmp_path: Path) -> None:
    """8N1: a converter at the meter takes the parity off and gives none."""
    fleet = meters(1, parity="none")
    async with working(tmp_path, [a_call(1, number_of(0), coms_settings="8N1")], modems(1), fleet=fleet) as bench:
        await bench.broker.until_ended(1)
        assert bench.broker.reports[1].outcome is Outcome.SUCCESS
        sent = [json.loads(row) for row in gzip.decompress(bench.broker.reports[1].wire_trace).splitlines()]
        assert bytes.fromhex(next(row["hex"] for row in sent if row["dir"] == "tx")) == b"/?001!\r\n"


async def test_eight_lines_are_kept_busy_and_no_number_is_called_twice_at_once(tmp_path: Path) -> None:
    calls = [a_call(10 * place + turn, number_of(place)) for turn in range(2) for place in range(8)]
    async with working(tmp_path, calls, modems(8), fleet=meters(8)) as bench:
        await bench.broker.until_ended(16)
        assert bench.scheduler.total == 8
        assert Counter(report.outcome for report in bench.broker.reports.values()) == {Outcome.SUCCESS: 16}
    engaged: set[str] = set()
    most = 0
    for entry in happened(tmp_path, "dial", "hang_up"):
        if entry["event"] == "dial":
            assert entry["outcome"] == "connect"
            engaged.add(entry["number"])
        else:
            engaged.remove(entry["number"])
        most = max(most, len(engaged))
    assert most == 8
    assert {entry["modem"] for entry in happened(tmp_path, "dial")} == {f"m{each}" for each in range(8)}


async def test_each_line_dials_the_numbers_of_its_filter(tmp_path: Path) -> None:
    numbers = {"07700900050": Subscriber(Planned.BUSY), "02079460000": Subscriber(Planned.BUSY)}
    lines = modems(1, numbers="07*") | {"m9": (ModemSpec("m9"), {"numbers": "-07*"})}
    calls = [a_call(1, "02079460000"), a_call(2, "07700900050"), a_call(3, "02079460000")]
    async with working(tmp_path, calls, lines, numbers) as bench:
        await bench.broker.until_ended(3)
        assert {report.failure for report in bench.broker.reports.values()} == {FailureKind.BUSY}
    dialled = {(entry["modem"], entry["number"]) for entry in happened(tmp_path, "dial")}
    assert dialled == {("m0", "07700900050"), ("m9", "02079460000")}


async def test_a_faulty_line_is_not_used_until_it_recovers_and_the_others_work_on(tmp_path: Path) -> None:
    lines = modems(2)
    lines["m1"] = (ModemSpec("m1", kind="gsm", mute=True), {"kind": "gsm", "command_seconds": 0.05})
    calls = [a_call(1, number_of(0)), a_call(2, number_of(1))]
    async with working(tmp_path, calls, lines, fleet=meters(2)) as bench:
        await bench.broker.until_ended(2)
        assert {entry["modem"] for entry in happened(tmp_path, "dial")} == {"m0"}
        bench.modems.modems["m1"].mute = False
        bench.modems.modems["m0"].vanish()
        bench.scheduler.add(a_call(3, number_of(0)))
        bench.scheduler.add(a_call(4, number_of(1)))
        await bench.broker.until_ended(4)
        failures = Counter(bench.broker.reports[test].failure for test in (3, 4))
        assert failures[None] >= 1
        assert failures.keys() <= {None, FailureKind.LINE_FAULT}
        bench.modems.modems["m0"].appear()
        bench.scheduler.add(a_call(5, number_of(0)))
        bench.scheduler.add(a_call(6, number_of(1)))
        await bench.broker.until_ended(6)
        assert {bench.broker.reports[test].outcome for test in (5, 6)} == {Outcome.SUCCESS}


async def test_a_denied_number_is_forbidden_and_not_dialled(tmp_path: Path) -> None:
    async with working(tmp_path, [a_call(1, "09098790000")], modems(1)) as bench:
        await bench.broker.until_ended(1)
        assert bench.broker.reports[1].failure is FailureKind.ADDRESS_FORBIDDEN
    assert happened(tmp_path, "dial") == []


async def test_the_number_of_a_direct_line_is_a_name_and_never_denied(tmp_path: Path) -> None:
    settings: dict[str, object] = {"kind": "direct", "numbers": "0909"}
    async with working(tmp_path, [a_call(1, "0909")], {"m0": (ModemSpec("m0"), settings)}) as bench:
        async with asyncio.timeout(SECONDS):
            while bench.scheduler.calls:
                await asyncio.sleep(0.01)
        modem = bench.modems.modems["m0"].modem
        async with asyncio.timeout(SECONDS):
            while not modem._typed:
                await asyncio.sleep(0.01)
    assert happened(tmp_path, "dial") == []


async def test_a_line_that_drops_in_a_call_gives_what_was_read(tmp_path: Path) -> None:
    fleet = meters(1)
    numbers = {"07700900050": Subscriber(meter="K00000", drop_after_bytes=700)}
    async with working(tmp_path, [a_call(1, "07700900050")], modems(1), numbers, fleet) as bench:
        await bench.broker.until_ended(1)
        report = bench.broker.reports[1]
        assert (report.outcome, report.failure) == (Outcome.PARTIAL, FailureKind.DROPPED), report.detail
        assert report.data.serial_number == "K00000"
