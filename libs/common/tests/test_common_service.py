"""A service's parts run together and end together."""

from __future__ import annotations

import asyncio
import resource
from contextlib import suppress

import pytest

from mts_common import service


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def test_all_parts_end_when_the_service_is_stopped() -> None:
    stop = asyncio.Event()
    stop.set()
    async with asyncio.timeout(5):
        await service.until_stopped(stop, {"one": _for_ever(), "two": _for_ever()})


async def test_a_part_that_takes_a_cancel_for_a_fault_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "CANCEL_SECONDS", 0.01)
    stop = asyncio.Event()
    swallowed: list[int] = []

    async def stubborn() -> None:
        while True:
            try:
                stop.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if swallowed:
                    raise
                swallowed.append(1)

    async with asyncio.timeout(5):
        await service.until_stopped(stop, {"stubborn": stubborn()})
    assert swallowed


async def test_a_part_that_no_cancel_ends_is_named_and_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service, "CANCEL_SECONDS", 0.01)
    monkeypatch.setattr(service, "END_SECONDS", 0.05)
    stop, released, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def immortal() -> None:
        stop.set()
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()
        ended.set()

    async with asyncio.timeout(5):
        await service.until_stopped(stop, {"mortal": _for_ever(), "immortal": immortal()})
        assert not ended.is_set()
        released.set()
        await ended.wait()
    (record,) = caplog.records
    assert record.getMessage().endswith(": immortal")


async def test_the_fault_of_a_part_ends_the_others_and_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    async with asyncio.timeout(5):
        with pytest.raises(ValueError, match="broken"):
            await service.until_stopped(asyncio.Event(), {"one": _for_ever(), "two": fail()})


async def test_a_part_that_returns_is_a_fault() -> None:
    async def leave() -> None:
        pass

    async with asyncio.timeout(5):
        with pytest.raises(service.PartEnded, match="two"):
            await service.until_stopped(asyncio.Event(), {"one": _for_ever(), "two": leave()})


def test_the_limit_of_open_files_is_raised_for_connections_and_never_lowered() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        service.allow_open_files(600)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (600, hard)
        service.allow_open_files(100)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (600, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
