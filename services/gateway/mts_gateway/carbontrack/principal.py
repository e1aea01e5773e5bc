"""Who is calling under /ctapi, and which distributors it sees (carbontrack.md, 1.3 and 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from mts_common import database
from mts_common.database import Pool
from mts_gateway.admission import bearer_token
from mts_gateway.carbontrack import envelope
from mts_gateway.carbontrack.body import read_form
from mts_gateway.carbontrack.envelope import Refusal
from mts_gateway.carbontrack.tokens import ACCESS, Tokens
from mts_gateway.endpoint import QUERY
from mts_gateway.strict_json import MalformedBody
from mts_gateway.users import TooManyCalls, TooManyFailures, User, Users, WrongCredentials

_DENIED = "Authorization has been denied for this request."


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose call is counted, with the names of the distributors that it sees by their ids."""

    user: User
    distributors: Mapping[UUID, str]


class Principals:
    """Finds callers."""

    def __init__(self, pool: Pool, sql: Mapping[str, str], users: Users, tokens: Tokens) -> None:
        self._pool = pool
        self._sql = sql
        self._users = users
        self._tokens = tokens

    async def admit(self, request: Request) -> Principal:
        """The caller. Raises `Refusal` with 401 or 429."""
        try:
            user = await self._identify(request)
            await self._users.count_call(user.client_id, user.user_id)
        except WrongCredentials:
            headers = {"WWW-Authenticate": "Bearer"}
            raise Refusal(envelope.NO_CREDENTIALS, _DENIED, headers=headers) from None
        except (TooManyFailures, TooManyCalls) as error:
            headers = {"Retry-After": str(error.seconds)}
            raise Refusal(envelope.TOO_MANY, "Too many requests in a given amount of time.", headers=headers) from None
        async with self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection:
            rows = await connection.fetch(self._sql["visible_distributors"], user.user_id)
        return Principal(user, {row["distributor_id"]: row["user_name"] for row in rows})

    async def _identify(self, request: Request) -> User:
        """By the Authorization header if there is one, else by credentials in headers, else by those in the query."""
        given = request.headers.getlist("authorization")
        if given:
            token = bearer_token(given)
            user = await self._tokens.find(token, ACCESS) if token else None
            if user is None:
                raise WrongCredentials
            return user
        name, password = _in_headers(request) or _in_query(request)
        return await self._users.login(name, password, request.client.host if request.client else "")


def _in_headers(request: Request) -> tuple[str, str] | None:
    """Header values as UTF-8 if they are that; Starlette has read them as Latin-1."""
    found = {name: value for name, value in request.headers.items() if name in ("userid", "password")}
    if len(found) < 2:
        return None
    return _as_utf8(found["userid"]), _as_utf8(found["password"])


def _as_utf8(text: str) -> str:
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return text


def _in_query(request: Request) -> tuple[str, str]:
    try:
        found = {name.lower(): value for name, value in read_form(request.scope[QUERY])}
        return found["userid"], found["password"]
    except (MalformedBody, KeyError):
        raise WrongCredentials from None


async def admitted(request: Request) -> Principal:
    """The caller. Raises `Refusal`."""
    principals: Principals = request.app.state.principals
    return await principals.admit(request)


Caller = Annotated[Principal, Depends(admitted)]
