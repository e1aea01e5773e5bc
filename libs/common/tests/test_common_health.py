"""Liveness and readiness over HTTP."""

import asyncio
import socket

import httpx
import pytest

from mts_common import metrics
from mts_common.health import Health, serve_health
from mts_common.pulse import Pulses


async def well() -> None:
    return


async def ill() -> None:
    raise ConnectionError("the broker is out of reach")


async def test_readiness_names_each_check_that_fails() -> None:
    health = Health({"database": well, "broker": ill})
    assert await health.answer("/health/ready") == (
        503,
        {"status": "not ready", "faults": {"broker": "ConnectionError: the broker is out of reach"}},
    )


async def test_liveness_turns_while_a_part_is_stuck() -> None:
    now = [0.0]
    pulses = Pulses(lambda: now[0])
    health = Health({}, pulses)
    with pulses.part("consumer") as pulse:
        pulse.within(10)
        assert await health.answer("/health/live") == (200, {"status": "OK"})
        now[0] = 11
        assert await health.answer("/health/live") == (503, {"status": "stuck", "parts": ["consumer"]})
        pulse.within(10)
        assert (await health.answer("/health/live"))[0] == 200
        now[0] = 22
    assert (await health.answer("/health/live"))[0] == 200


async def test_a_check_that_hangs_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mts_common.health.CHECK_SECONDS", 0.01)
    status, body = await Health({"broker": asyncio.Event().wait}).answer("/health/ready")  # type: ignore[dict-item]
    assert (status, body["faults"]) == (503, {"broker": "TimeoutError"})


@pytest.mark.usefixtures("metered")
async def test_the_endpoints_answer_over_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    serving = asyncio.create_task(serve_health(Health({"database": well}), "127.0.0.1", port))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client, asyncio.timeout(10):
            while True:
                try:
                    ready = await client.get("/health/ready")
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.01)
            assert ready.json() == {"status": "OK"}
            assert (await client.get("/other")).status_code == 404
            metrics.LEASES.set(2, {"mts.transport": "tcp"})
            shown = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
            assert shown.headers["content-type"].startswith("application/openmetrics-text")
            assert 'mts_leases{mts_transport="tcp"} 2.0' in shown.text.splitlines()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
