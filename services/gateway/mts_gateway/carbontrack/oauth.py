"""The token endpoint: RFC 6749's password and refresh grants, with the answers of ASP.NET's (carbontrack.md, 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import NoReturn

from fastapi import APIRouter, Request, Response

from mts_gateway.carbontrack.body import FORM, JSON, media_type, read_form, read_object
from mts_gateway.carbontrack.tokens import REFRESH, Tokens
from mts_gateway.endpoint import ApiRequest, ApiRoute
from mts_gateway.render import to_json
from mts_gateway.strict_json import MalformedBody, is_storable
from mts_gateway.users import TooManyCalls, TooManyFailures, User, Users, WrongCredentials

WRONG_PASSWORD = "The user name or password is incorrect."  # noqa: S105


class Denied(Exception):
    """No token; `error` is one of RFC 6749, 5.2."""

    def __init__(
        self, error: str, description: str = "", *, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(error)
        self.status = status
        self.headers = dict(headers or {})
        self.body = {"error": error, **({"error_description": description} if description else {})}


def denial(denied: Denied) -> Response:
    """The answer."""
    return _answer(denied.body, denied.status, denied.headers)


@dataclass(frozen=True, slots=True)
class OAuth:
    """The endpoints."""

    tokens: Tokens
    users: Users

    def router(self) -> APIRouter:
        """What is served."""
        router = APIRouter(route_class=ApiRoute)
        router.post("/oauth/token")(self.grant)
        router.post("/token")(self.grant)
        router.get("/oauth/authorize")(self.authorize)
        return router

    async def authorize(self) -> Response:
        """There is no grant but by the token endpoint."""
        raise Denied("unsupported_response_type")

    async def grant(self, request: ApiRequest) -> Response:
        """A token for a password, or for a refresh token."""
        given = await _read(request)
        peer = request.client.host if request.client else ""
        try:
            if given.get("grant_type") == "password":
                user = await self.users.login(_needed(given, "username"), _needed(given, "password"), peer)
                refresh_token = None
            elif given.get("grant_type") == "refresh_token":
                refresh_token = _needed(given, "refresh_token")
                user = await self._refreshed(refresh_token, given, peer)
            else:
                raise Denied("unsupported_grant_type")
            await self.users.count_call(user.client_id, user.user_id)
        except WrongCredentials:
            raise Denied("invalid_grant", WRONG_PASSWORD) from None
        except (TooManyFailures, TooManyCalls) as error:
            _deny_for_now(error.seconds)
        grant = await self.tokens.issue(user, refresh_token)
        return _answer(grant.body(), HTTPStatus.OK, {})

    async def _refreshed(self, refresh_token: str, given: Mapping[str, str], peer: str) -> User:
        """The refresh token's user; a name or password that is given must be the same user's."""
        user = await self.tokens.find(refresh_token, REFRESH)
        if user is None:
            raise Denied("invalid_grant")
        name = given.get("username") or user.user_name
        if given.get("password"):
            named = await self.users.login(name, given["password"], peer)
            name = named.user_name
        if name.lower() != user.user_name.lower():
            raise Denied("invalid_grant")
        return user


def _answer(body: Mapping[str, object], status: int, headers: Mapping[str, str]) -> Response:
    unkept = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    return Response(to_json(body), status, {**unkept, **headers}, "application/json")


async def _read(request: ApiRequest) -> dict[str, str]:
    """The parameters in the body, never those of the URL; none in a body of another media type."""
    body = await request.body()
    kind = media_type(request)
    try:
        pairs = read_object(body) if kind in JSON else read_form(body) if kind == FORM else ()
    except MalformedBody as error:
        raise Denied("invalid_request", str(error)) from error
    return {name.lower(): value for name, value in pairs if isinstance(value, str) and is_storable(value)}


def _needed(given: Mapping[str, str], name: str) -> str:
    value = given.get(name)
    if not value:
        raise Denied("invalid_request", f"{name} is required.")
    return value


def _deny_for_now(seconds: int) -> NoReturn:
    headers = {"Retry-After": str(seconds)}
    raise Denied("temporarily_unavailable", "Too many attempts.", status=429, headers=headers) from None


def is_oauth(request: Request) -> bool:
    """Whether a request's errors are those of this endpoint."""
    return not request.scope["path"].startswith("/ctapi")
