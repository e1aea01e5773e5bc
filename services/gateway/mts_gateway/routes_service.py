"""service-status, the health endpoints and the OpenAPI document: what needs no token."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from importlib import metadata

from fastapi import APIRouter, Request

from mts_common.health import Health
from mts_gateway.endpoint import ApiRoute
from mts_gateway.web import ApiResponse

VERSION = metadata.version("mts-gateway")
LOOK_AGAIN_SECONDS = 1.0


@dataclass(slots=True)
class Service:
    """`parts` are looked at for service-status, `health` for readiness: accepting goes on without the broker."""

    parts: Health
    health: Health
    _looked_at: float = float("-inf")
    _status: str = "OK"
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def router(self) -> APIRouter:
        """What is served."""
        router = APIRouter(route_class=ApiRoute)
        router.get("/MTS/service-status")(self.service_status)
        router.get("/MTS/openapi.json")(self.show_document)
        router.get("/openapi.json")(self.show_document)
        router.get("/health/live")(self.show_health)
        router.get("/health/ready")(self.show_health)
        return router

    async def service_status(self) -> ApiResponse:
        """The version, and OK or what is down; anybody may ask, so it is looked at once a second at most."""
        async with self._looking:
            if time.monotonic() - self._looked_at > LOOK_AGAIN_SECONDS:
                faults = await self.parts.faults()
                self._status = f"{', '.join(sorted(faults))} down" if faults else "OK"
                self._looked_at = time.monotonic()
        return ApiResponse({"serviceVersion": VERSION, "status": self._status})

    async def show_document(self, request: Request) -> ApiResponse:
        """The OpenAPI document."""
        return ApiResponse(request.app.openapi())

    async def show_health(self, request: Request) -> ApiResponse:
        """Liveness and readiness."""
        status, body = await self.health.answer(request.scope["path"])
        return ApiResponse(body, status)
