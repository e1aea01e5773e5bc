"""Commands: run a fleet, make a fleet file, tell the truth about a meter's survey."""

import asyncio
import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from mts_metersim.fleet import FleetError, Meter, dump_fleet, load_fleet
from mts_metersim.load import reading
from mts_metersim.log import CallLog
from mts_metersim.modem_bank import ModemBank, running_bank, to_host_and_port
from mts_metersim.modem_plan import Plan, PlanError, Subscriber, load_plan
from mts_metersim.presets import DEFAULT_COUNTS, fleet
from mts_metersim.server import FleetServer, allow_many_sockets, running, write_atomically

app = typer.Typer(help="Simulated electricity meters over TCP.", no_args_is_help=True)

FleetFile = Annotated[Path, typer.Option("--fleet", help="The fleet file (JSON).")]


@app.command()
def run(
    fleet_file: FleetFile,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port_base: Annotated[int | None, typer.Option(help="The first port; without it those of the file.")] = None,
    log: Annotated[Path | None, typer.Option(help="Append a JSON line per happening here.")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Written, whole, once all meters listen.")] = None,
) -> None:
    """Simulate the meters of a fleet file until SIGTERM or SIGINT."""
    meters = _meters(fleet_file)
    allow_many_sockets()
    try:
        asyncio.run(_serve(meters, host, port_base, log, ready_file))
    except OSError as fault:
        typer.echo(f"cannot run the fleet: {fault}", err=True)
        raise typer.Exit(1) from fault


@app.command()
def modems(
    plan_file: Annotated[Path, typer.Option("--plan", help="The modems and the numbers (JSON).")],
    directory: Annotated[Path, typer.Option(help="Where the modems' devices stand while it runs.")],
    fleet_file: Annotated[Path | None, typer.Option("--fleet", help="The meters that numbers name.")] = None,
    log: Annotated[Path | None, typer.Option(help="Append a JSON line per happening here.")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Written, whole, once all modems can be opened.")] = None,
) -> None:
    """Simulate a bank of modems on pseudo-terminals, and the meters behind their numbers, until SIGTERM or SIGINT."""
    try:
        plan = load_plan(plan_file)
    except (PlanError, OSError) as fault:
        raise typer.BadParameter(str(fault), param_hint="--plan") from fault
    meters = [] if fleet_file is None else _meters(fleet_file)
    known = {meter.serial_number for meter in meters}
    if unknown := sorted({number.meter for number in plan.numbers.values() if number.meter} - known):
        raise typer.BadParameter(f"no meters {', '.join(unknown)} in the fleet", param_hint="--plan")
    try:
        asyncio.run(_serve_modems(plan, directory, meters, log, ready_file))
    except OSError as fault:
        typer.echo(f"cannot run the bank: {fault}", err=True)
        raise typer.Exit(1) from fault


@app.command("fleet")
def make_fleet(
    preset: Annotated[str, typer.Option(help=f"One of {', '.join(DEFAULT_COUNTS)}.")],
    out: Annotated[Path, typer.Option(help="The fleet file to write.")],
    count: Annotated[
        int | None, typer.Option(min=1, help="How many meters; without it the preset's own number.")
    ] = None,
) -> None:
    """Make a fleet file; the same preset and count always give the same meters."""
    if preset not in DEFAULT_COUNTS:
        raise typer.BadParameter(f"{preset!r} is not one of {', '.join(DEFAULT_COUNTS)}", param_hint="--preset")
    meters = fleet(preset, count)
    out.write_text(dump_fleet(meters), encoding="utf-8")
    typer.echo(f"{len(meters)} meters written to {out}")


@app.command()
def truth(
    fleet_file: FleetFile,
    serial: Annotated[str, typer.Option(help="The meter's serial number.")],
    from_: Annotated[datetime, typer.Option("--from", help="The first period's start, UTC.")],
    days: Annotated[int, typer.Option(min=1, help="How many UTC days.")],
) -> None:
    """Print what the meter's survey must hold: per channel the energy of each period, null where none is recorded."""
    meter = next((m for m in _meters(fleet_file) if m.serial_number == serial), None)
    if meter is None:
        raise typer.BadParameter(f"no meter {serial!r} in {fleet_file}", param_hint="--serial")
    typer.echo(json.dumps(_truth(meter, from_.replace(tzinfo=UTC), days), indent=1))


def _meters(path: Path) -> list[Meter]:
    try:
        return load_fleet(path)
    except (FleetError, OSError) as fault:
        raise typer.BadParameter(str(fault), param_hint="--fleet") from fault


def _truth(meter: Meter, begin: datetime, days: int) -> dict[str, Any]:
    """Values are strings: exact decimals of kWh, kvarh or kVAh."""
    step = timedelta(minutes=meter.options.period_minutes)
    starts = [begin + index * step for index in range(timedelta(days=days) // step)]
    values = {name: [reading(meter, name, start) for start in starts] for name in meter.options.channels}
    return {
        "serialNumber": meter.serial_number,
        "periodMinutes": meter.options.period_minutes,
        "channels": {
            name: [
                {"start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "value": None if value is None else str(value)}
                for start, value in zip(starts, found, strict=True)
            ]
            for name, found in values.items()
        },
    }


async def _serve_modems(plan: Plan, directory: Path, meters: list[Meter], log: Path | None, ready: Path | None) -> None:
    stop = _stop_by_signal()
    with CallLog(log) as calls:
        async with running(meters, calls) as server:
            ports = {unit.meter.serial_number: server.port_of(unit) for unit in server.units}

            def resolve(number: Subscriber) -> tuple[str, int]:
                return ("127.0.0.1", ports[number.meter]) if number.meter else to_host_and_port(number)

            async with running_bank(plan, directory, resolve, calls) as bank:
                if ready is not None:
                    write_atomically(ready, _ready(bank, plan, server))
                typer.echo(f"{len(plan.modems)} modems stand in {directory}")
                await stop.wait()


def _ready(bank: ModemBank, plan: Plan, server: FleetServer) -> dict[str, object]:
    """The modems, and what is known of each number; meters that share a line share its number."""
    lines = {unit.meter.serial_number: unit.meter.line for unit in server.units}
    meters = [
        {**facts, "remoteAddress": number, "outcome": behind.outcome.value}
        for number, behind in plan.numbers.items()
        for facts in server.ready("")
        if behind.meter and lines[str(facts["serialNumber"])] == lines[behind.meter]
    ]
    others = [
        {"remoteAddress": number, "outcome": behind.outcome.value}
        for number, behind in plan.numbers.items()
        if not behind.meter
    ]
    return {"modems": bank.ready(), "meters": meters, "others": others}


def _stop_by_signal() -> asyncio.Event:
    """Set by SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _serve(meters: list[Meter], host: str, port_base: int | None, log: Path | None, ready: Path | None) -> None:
    stop = _stop_by_signal()
    with CallLog(log) as calls:
        async with running(meters, calls, host, port_base) as server:
            if ready is not None:
                write_atomically(ready, server.ready(host))
            typer.echo(f"{len(meters)} meters listen on {host}")
            await stop.wait()


if __name__ == "__main__":
    app()
