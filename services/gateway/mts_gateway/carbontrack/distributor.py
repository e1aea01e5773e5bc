"""GET /ctapi/Distributor: the distributors that the caller sees (carbontrack.md, 5)."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from mts_gateway.carbontrack.principal import Caller
from mts_gateway.carbontrack.reply import DISTRIBUTORS, reply
from mts_gateway.endpoint import ApiRoute


def router() -> APIRouter:
    """What is served."""
    router = APIRouter(route_class=ApiRoute)
    router.api_route("/ctapi/distributor", methods=["GET", "HEAD"])(show_distributors)
    return router


async def show_distributors(request: Request, caller: Caller) -> Response:
    """All of them in a bare array."""
    shown = [{"ID": str(distributor), "UserName": name} for distributor, name in caller.distributors.items()]
    return reply(request, DISTRIBUTORS, shown)
