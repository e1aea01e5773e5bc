"""`/MTS/admin/registry`: the registry taken out, and items put in."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from mts_gateway import refusals
from mts_gateway.endpoint import ADMIN, ApiRequest, ApiRoute
from mts_gateway.registry.items import RegistryFaults
from mts_gateway.registry.transfer import Transfer
from mts_gateway.web import ApiResponse

PATH = "/MTS/admin/registry"


@dataclass(frozen=True, slots=True)
class RegistryAdmin:
    """What administrators may do with the registry."""

    transfer: Transfer

    def router(self) -> APIRouter:
        """What is served."""
        router = APIRouter(route_class=ApiRoute, dependencies=[ADMIN])
        router.get(PATH)(self.export)
        router.post(PATH)(self.load)
        return router

    async def export(self) -> ApiResponse:
        """The whole registry, in the form of a registry file."""
        return ApiResponse(await self.transfer.export())

    async def load(self, request: ApiRequest) -> ApiResponse:
        """Items put in, all or none; how many of each kind are new or changed."""
        try:
            return ApiResponse({"changed": await self.transfer.load(await request.body())})
        except RegistryFaults as refused:
            raise refusals.bad_request(*refused.faults) from refused
