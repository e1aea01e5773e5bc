"""A dialler whose lines lead nowhere: all of the real one but the sockets and the meters.

`python -m benchmarks.bulk_dialler NAME LINES LOG` appends `address begin end`, in seconds of the machine's monotonic
clock, for each call. The broker and the key of the meters' passwords come from the environment, as for a dialler.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import TextIO

from mts_common import service
from mts_common.broker import Broker
from mts_common.messages import GrantedCall, Section, Transport
from mts_common.settings import Settings
from mts_dialler.attempt import Equipment
from mts_dialler.channels.base import Channel
from mts_dialler.clock import SystemClock
from mts_dialler.drivers.base import ReportBuilder, Terms
from mts_dialler.errors import MeterSilent
from mts_dialler.line import Line
from mts_dialler.lines import TcpLines
from mts_dialler.telling import Teller
from mts_dialler.worker import Pace, Worker

METER_TYPE = "IEC62056_21"


class Nowhere:
    """A line that is silent."""

    transport = Transport.TCP

    def __init__(self, address: str, log: TextIO) -> None:
        self._address = address
        self._log = log
        self._begin = time.monotonic()

    async def read(self, max_bytes: int, seconds: float) -> bytes:  # noqa: ARG002
        """As `Channel.read`."""
        raise MeterSilent("nobody is there")

    async def write(self, data: bytes, seconds: float) -> None:
        """As `Channel.write`."""

    async def close(self) -> None:
        """Write the call down."""
        self._log.write(f"{self._address} {self._begin:.6f} {time.monotonic():.6f}\n")


class AtOnce:
    """Reads a meter without asking it."""

    def sections(self, terms: Terms) -> frozenset[Section]:  # noqa: ARG002
        """Its serial number."""
        return frozenset({Section.SERIAL_NUMBER})

    async def read(self, line: Line, terms: Terms, report: ReportBuilder) -> None:  # noqa: ARG002
        """As `Driver.read`."""
        report.serial_number = f"S{terms.test_id}"
        report.read(Section.SERIAL_NUMBER)


async def work(settings: Settings, name: str, line_count: int, log: TextIO, stop: asyncio.Event) -> None:
    """Carry out calls until told to stop."""

    async def dial(call: GrantedCall) -> Channel:
        return Nowhere(call.canonical_address, log)

    clock = SystemClock()
    async with Broker(settings.amqp_url.get_secret_value(), name) as broker:
        equipment = Equipment(name, {METER_TYPE: AtOnce()}, str, clock=clock)
        lines = TcpLines(line_count, dial, 0.0, clock)
        teller = Teller(broker.publisher, clock)
        worker = Worker(equipment, [lines], Transport.TCP, broker.requester, teller, Pace())
        await worker.run(stop)


def main(arguments: list[str]) -> int:
    """The command line."""
    name, lines, log_file = arguments
    settings = Settings.model_validate({"amqp_url": os.environ["MTS_AMQP_URL"]})
    with Path(log_file).open("a", encoding="ascii", buffering=1) as log:
        return service.run("dialler", settings, lambda stop: work(settings, name, int(lines), log, stop))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
