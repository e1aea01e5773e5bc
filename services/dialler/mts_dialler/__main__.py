"""The dialler's command line: `python -m mts_dialler run`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import typer

from mts_common import service
from mts_common.broker import Broker
from mts_common.health import Health, serve_health
from mts_common.messages import Transport
from mts_common.pulse import Pulses
from mts_common.security import Vault
from mts_dialler.allowlist import AllowList
from mts_dialler.attempt import Equipment
from mts_dialler.bank import open_bank
from mts_dialler.clock import SystemClock
from mts_dialler.dial import TcpDial
from mts_dialler.drivers.base import Driver
from mts_dialler.drivers.registry import DRIVERS
from mts_dialler.line import LineLimits
from mts_dialler.lines import Lines, TcpLines
from mts_dialler.lines_file import read_lines
from mts_dialler.settings import DiallerSettings
from mts_dialler.telling import Teller
from mts_dialler.worker import Worker

SERVICE = "dialler"
SPARE_FILES = 256  # for everything but the lines: broker, logs, libraries

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def commands() -> None:
    """Dials meters and reads them."""


@app.command()
def run() -> None:
    """Take calls from the scheduler and carry them out, until SIGTERM or Ctrl-C."""
    settings = DiallerSettings()
    raise typer.Exit(service.run(SERVICE, settings, lambda stop: work(settings, DRIVERS, stop)))


async def work(settings: DiallerSettings, drivers: Mapping[str, Driver], stop: asyncio.Event) -> None:
    """The service: runs until `stop` is set, then drains and returns."""
    service.allow_open_files(settings.tcp_lines + SPARE_FILES)
    lines = read_lines(settings.lines_file) if settings.lines_file else ()
    pulses = Pulses()
    async with (
        Broker(settings.amqp_url.get_secret_value(), SERVICE, pulses) as broker,
        open_bank(lines, settings.denied_numbers, settings.country_code, SystemClock()) as bank,
    ):
        workers = make_workers(settings, drivers, broker, bank, pulses)

        async def check_leases() -> None:
            for worker in workers:
                await worker.check()

        health = Health({"broker": broker.check, "lease": check_leases}, pulses)
        drained = asyncio.Event()

        async def until_drained() -> None:
            async with asyncio.TaskGroup() as group:
                for number, worker in enumerate(workers, 1):
                    group.create_task(worker.run(stop), name=f"worker {number}")
            drained.set()
            await asyncio.Event().wait()

        await service.until_stopped(
            drained,
            {
                "worker": until_drained(),
                "health": serve_health(health, settings.health_host, settings.health_port),
                "pulses": pulses.watch(),
            },
        )


def make_workers(
    settings: DiallerSettings,
    drivers: Mapping[str, Driver],
    broker: Broker,
    bank: Sequence[Lines],
    pulses: Pulses | None = None,
) -> list[Worker]:
    """The parts put together: a worker for TCP, one for the bank, or both."""
    vault = Vault(key.get_secret_value() for key in settings.meter_keys)
    equipment = Equipment(
        dialler=settings.dialler_name,
        drivers=drivers,
        open_password=vault.open,
        zones=settings.meter_zones,
        limits=settings.limits(),
        trace_bytes=settings.trace_bytes,
        shortest_call_seconds=settings.shortest_call_seconds,
    )

    def worker(transport: Transport, lines: Sequence[Lines], limits: LineLimits) -> Worker:
        teller = Teller(broker.publisher, equipment.clock)
        own = replace(equipment, limits=limits)
        return Worker(own, lines, transport, broker.requester, teller, settings.pace(), pulses)

    workers = []
    if settings.tcp_lines:
        dial = TcpDial(AllowList(settings.allow_networks), settings.resolve_seconds, settings.connect_seconds)
        tcp = TcpLines(settings.tcp_lines, dial, settings.line_rest_seconds, equipment.clock)
        workers.append(worker(Transport.TCP, [tcp], settings.limits()))
    if bank:
        workers.append(worker(Transport.MODEM, bank, settings.modem_limits()))
    return workers


if __name__ == "__main__":
    app()
