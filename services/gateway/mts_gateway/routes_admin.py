"""The admin API: clients, tokens, and the wire trace of any test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mts_gateway import refusals
from mts_gateway.admin_requests import check_client, check_token
from mts_gateway.clients import Clients, UnknownClient, UnknownToken
from mts_gateway.fields import Fields, known
from mts_gateway.reading import Reader
from mts_gateway.web import Endpoint, Request


@dataclass(frozen=True, slots=True)
class Admin:
    """What administrators may do."""

    clients: Clients
    reader: Reader

    def endpoints(self) -> Sequence[Endpoint]:
        """What is served."""
        return (
            Endpoint("POST", "/MTS/admin/clients", "admin", self.create_client),
            Endpoint("GET", "/MTS/admin/clients", "admin", self.list_clients),
            Endpoint("POST", "/MTS/admin/tokens", "admin", self.create_token),
            Endpoint("GET", "/MTS/admin/tokens", "admin", self.list_tokens),
            Endpoint("DELETE", "/MTS/admin/tokens/{tokenId}", "admin", self.delete_token),
            Endpoint("GET", "/MTS/admin/tests/{testId}/trace", "admin", self.test_trace),
        )

    async def create_client(self, request: Request) -> object:
        """A new client."""
        faults: list[str] = []
        name, windows = check_client(await request.json(), faults)
        if faults:
            raise refusals.bad_request(*faults)
        return await self.clients.create_client(name, windows)

    async def list_clients(self, _request: Request) -> object:
        """Every client."""
        return {"clients": await self.clients.list_clients()}

    async def create_token(self, request: Request) -> object:
        """A new token, with its secret."""
        faults: list[str] = []
        new = check_token(await request.json(), faults)
        if faults:
            raise refusals.bad_request(*faults)
        try:
            return await self.clients.create_token(new)
        except UnknownClient as error:
            raise refusals.bad_request(f"clientId {new.client_id} is not known") from error

    async def list_tokens(self, _request: Request) -> object:
        """Every token, without its secret."""
        return {"tokens": await self.clients.list_tokens()}

    async def delete_token(self, request: Request) -> object:
        """The token opens nothing from now on."""
        token_id = _read_id("tokenId", request)
        try:
            await self.clients.delete_token(token_id)
        except UnknownToken as error:
            raise refusals.bad_request(f"tokenId {token_id} is not known") from error
        return {"tokenId": token_id}

    async def test_trace(self, request: Request) -> object:
        """What went over the wire in each attempt at a test."""
        return await self.reader.any_trace(_read_id("testId", request))


def _read_id(name: str, request: Request) -> int:
    """The id in the path."""
    faults: list[str] = []
    found = Fields([(name, request.arguments[0])], known(name), faults).identifier(name)
    if found is None:
        raise refusals.bad_request(*faults)
    return found
