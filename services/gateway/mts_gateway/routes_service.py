"""service-status, the health endpoints and the OpenAPI document: what needs no token."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata

from mts_common.health import Health
from mts_gateway.web import Endpoint, Reply, Request

VERSION = metadata.version("mts-gateway")
LOOK_AGAIN_SECONDS = 1.0


@dataclass(slots=True)
class Service:
    """`parts` are looked at for service-status, `health` for readiness: accepting goes on without the broker."""

    parts: Health
    health: Health
    document: Mapping[str, object]
    _looked_at: float = float("-inf")
    _status: str = "OK"
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return (
            Endpoint("GET", "/MTS/service-status", None, self.service_status),
            Endpoint("GET", "/MTS/openapi.json", None, self.show_document),
            Endpoint("GET", "/openapi.json", None, self.show_document),
            Endpoint("GET", "/health/live", None, self.show_health),
            Endpoint("GET", "/health/ready", None, self.show_health),
        )

    async def service_status(self, _request: Request) -> object:
        """The version, and OK or what is down; anybody may ask, so it is looked at once a second at most."""
        async with self._looking:
            if time.monotonic() - self._looked_at > LOOK_AGAIN_SECONDS:
                faults = await self.parts.faults()
                self._status = f"{', '.join(sorted(faults))} down" if faults else "OK"
                self._looked_at = time.monotonic()
        return {"serviceVersion": VERSION, "status": self._status}

    async def show_document(self, _request: Request) -> object:
        """The OpenAPI document."""
        return self.document

    async def show_health(self, request: Request) -> object:
        """Liveness and readiness."""
        status, body = await self.health.answer(request.path)
        return Reply(status, body)
