"""How a service process runs: signals become a stop event, the parts run together, the first fault ends them all."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any

import uvloop

from mts_common import telemetry
from mts_common.settings import Settings
from mts_common.vocabulary import about

Main = Callable[[asyncio.Event], Awaitable[None]]
"""A service's work: runs until the stop event is set, then drains and returns."""

CANCEL_SECONDS = 2.0
END_SECONDS = 20.0

_log = logging.getLogger(__name__)


def run(service: str, settings: Settings, main: Main) -> int:
    """Run `main` with logging and telemetry set up; the process's exit code: 0 after a stop, 1 after a fault."""
    telemetry.setup(service, settings.log_level)
    _log.info("starting with %s", settings.model_dump(mode="json"), extra=about("start"))
    try:
        uvloop.run(_with_signals(main))
    except Exception:
        _log.critical("stopped by a fault", exc_info=True, extra=about("fault"))
        return 1
    else:
        _log.info("stopped", extra=about("stop"))
        return 0
    finally:
        telemetry.shutdown()


def allow_open_files(wanted: int) -> None:
    """Raises this process's limit of open files, of which every connection is one, to `wanted` as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if reachable < wanted:
        _log.warning("only %d of %d files may be opened", hard, wanted, extra=about("few-files"))
    if soft != resource.RLIM_INFINITY and soft < reachable:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))


async def _with_signals(main: Main) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await main(stop)


async def until_stopped(stop: asyncio.Event, parts: Mapping[str, Coroutine[Any, Any, None]]) -> None:
    """Run the named parts until `stop` is set, then cancel them. A part that ends or fails ends all, with its fault."""
    tasks = [asyncio.create_task(part, name=name) for name, part in parts.items()]
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        done, _ = await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopped}:
            task.result()
            raise PartEnded(task.get_name())
    finally:
        await _end([*tasks, stopped])


async def _end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel the tasks until they have ended, for `END_SECONDS` at most; those that have not are logged by name.

    The AMQP client may answer a cancel in the middle of a call with a fault of the connection. To the task that is a
    reason to try again, so it is cancelled again.
    """
    pending = set(tasks)
    deadline = time.monotonic() + END_SECONDS
    while pending and time.monotonic() < deadline:
        for task in pending:
            task.cancel()
        done, pending = await asyncio.wait(pending, timeout=CANCEL_SECONDS)
        for task in done:
            if not task.cancelled():
                task.exception()
    if pending:
        names = ", ".join(sorted(task.get_name() for task in pending))
        _log.error("left behind, because cancelling does not end it: %s", names, extra=about("stop"))


class PartEnded(Exception):
    """A part of a service that should run for ever has returned."""
