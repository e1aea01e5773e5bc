"""Liveness and readiness, and the small HTTP server of every service that tells them and shows its metrics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import uvicorn

from mts_common import exposition
from mts_common.pulse import Pulses

CHECK_SECONDS = 3.0

Check = Callable[[], Awaitable[None]]
"""Raises when what it looks at is not well; its text is shown."""


class Health:
    """`checks` say whether the process can work now, `pulses` whether only a new one can: a part of it is stuck."""

    def __init__(self, checks: Mapping[str, Check], pulses: Pulses | None = None) -> None:
        self._checks = checks
        self._pulses = pulses or Pulses()

    async def faults(self) -> dict[str, str]:
        """What is not well, by the name of its check; empty when ready."""
        results = await asyncio.gather(*map(self._fault, self._checks.values()))
        return {name: fault for name, fault in zip(self._checks, results, strict=True) if fault is not None}

    async def _fault(self, check: Check) -> str | None:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await check()
        except Exception as error:
            return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return None

    async def answer(self, path: str) -> tuple[int, dict[str, object]]:
        """HTTP status and body for /health/live and /health/ready."""
        if path == "/health/live":
            stuck = self._pulses.stuck()
            return (503, {"status": "stuck", "parts": stuck}) if stuck else (200, {"status": "OK"})
        if path == "/health/ready":
            faults = await self.faults()
            return (503, {"status": "not ready", "faults": faults}) if faults else (200, {"status": "OK"})
        return 404, {"details": ["there is nothing here"]}


async def serve_health(health: Health, host: str, port: int) -> None:
    """Serve the health endpoints, and /metrics, over plain HTTP until cancelled."""

    async def app(
        scope: MutableMapping[str, Any],
        _receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        if scope["path"] == "/metrics":
            status, (content_type, body) = 200, exposition.render(_accepted(scope))
        else:
            status, answer = await health.answer(scope["path"])
            content_type, body = "application/json; charset=utf-8", json.dumps(answer).encode()
        headers = [(b"content-type", content_type.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=5,
        limit_concurrency=50,
    )
    await HttpServer(config).serve_until_cancelled(grace=1.0)


def _accepted(scope: Mapping[str, Any]) -> str:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return headers.get(b"accept", b"").decode("latin-1")


class HttpServer(uvicorn.Server):
    """uvicorn without its signal handling, which would end the process under the service's feet."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are `service.run`'s."""
        yield

    async def serve_until_cancelled(self, grace: float) -> None:
        """Serve; when cancelled, take no more, give requests under way `grace` seconds and close every socket."""
        serving = asyncio.create_task(self.serve(), name="http")
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self.should_exit = True
            _, late = await asyncio.wait([serving], timeout=grace)
            if late:
                self.force_exit = True
                await asyncio.wait([serving], timeout=1.0)
            raise
