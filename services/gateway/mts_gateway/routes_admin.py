"""The admin API: clients, tokens, and the wire trace of any test."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request

from mts_gateway import refusals
from mts_gateway.admin_requests import check_client, check_token
from mts_gateway.clients import Clients, UnknownClient, UnknownToken
from mts_gateway.endpoint import ADMIN, ApiRequest, ApiRoute
from mts_gateway.fields import Fields, known
from mts_gateway.reading import Reader
from mts_gateway.web import ApiResponse


@dataclass(frozen=True, slots=True)
class Admin:
    """What administrators may do."""

    clients: Clients
    reader: Reader

    def router(self) -> APIRouter:
        """What is served."""
        router = APIRouter(prefix="/MTS/admin", route_class=ApiRoute, dependencies=[ADMIN])
        router.post("/clients")(self.create_client)
        router.get("/clients")(self.list_clients)
        router.post("/tokens")(self.create_token)
        router.get("/tokens")(self.list_tokens)
        router.delete("/tokens/{tokenId}")(self.delete_token)
        router.get("/tests/{testId}/trace")(self.test_trace)
        return router

    async def create_client(self, request: ApiRequest) -> ApiResponse:
        """A new client."""
        faults: list[str] = []
        name, windows = check_client(await request.json(), faults)
        if faults:
            raise refusals.bad_request(*faults)
        return ApiResponse(await self.clients.create_client(name, windows))

    async def list_clients(self) -> ApiResponse:
        """Every client."""
        return ApiResponse({"clients": await self.clients.list_clients()})

    async def create_token(self, request: ApiRequest) -> ApiResponse:
        """A new token, with its secret."""
        faults: list[str] = []
        new = check_token(await request.json(), faults)
        if faults:
            raise refusals.bad_request(*faults)
        try:
            return ApiResponse(await self.clients.create_token(new))
        except UnknownClient as error:
            raise refusals.bad_request(f"clientId {new.client_id} is not known") from error

    async def list_tokens(self) -> ApiResponse:
        """Every token, without its secret."""
        return ApiResponse({"tokens": await self.clients.list_tokens()})

    async def delete_token(self, request: Request) -> ApiResponse:
        """The token opens nothing from now on."""
        token_id = _read_id("tokenId", request)
        try:
            await self.clients.delete_token(token_id)
        except UnknownToken as error:
            raise refusals.bad_request(f"tokenId {token_id} is not known") from error
        return ApiResponse({"tokenId": token_id})

    async def test_trace(self, request: Request) -> ApiResponse:
        """What went over the wire in each attempt at a test."""
        return ApiResponse(await self.reader.any_trace(_read_id("testId", request)))


def _read_id(name: str, request: Request) -> int:
    """The id in the path."""
    faults: list[str] = []
    found = Fields([(name, request.path_params[name])], known(name), faults).identifier(name)
    if found is None:
        raise refusals.bad_request(*faults)
    return found
