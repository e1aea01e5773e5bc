"""Who is calling: users by Basic, clients by a platform token, and whose contracts either may see.

A user or client of a distributor sees that distributor's contracts. Users without one are those of this API alone
(registry-seed.md): they work for whoever gives the warranties, and see all contracts. A client without one sees none.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request

from mts_common import database
from mts_common.database import Pool
from mts_common.security import token_digest
from mts_gateway.admission import bearer_token
from mts_gateway.endpoint import AdmitsCalls
from mts_gateway.refusals import Refused
from mts_gateway.users import TooManyCalls, TooManyFailures, User, Users, WrongCredentials
from mts_gateway.warranty.faults import Fault, refused, too_many, unauthorized
from mts_gateway.warranty.selection import View
from mts_gateway.warranty.statements import SQL

READ = "warranty:read"
WRITE = "warranty:write"


@dataclass(frozen=True, slots=True)
class Caller:
    """`share` is what has a share of the room: a client, or a user of none. `name` stands in the audit columns."""

    share: int | UUID
    name: str
    view: View


class Callers:
    """Finds the callers of requests, and counts their calls."""

    def __init__(self, pool: Pool, users: Users, admission: AdmitsCalls) -> None:
        self._pool = pool
        self._users = users
        self._admission = admission

    async def identify(self, request: Request, role: str) -> Caller:
        """The caller, who has this role. Raises `Fault`: 401, 403, 429."""
        values = request.headers.getlist("authorization")
        token = bearer_token(values)
        if token is not None:
            return await self._client(token, role)
        user = await self._user(values, request.client.host if request.client else "")
        if role not in user.roles:
            raise refused(403, "Forbidden")
        try:
            await self._users.count_call(user.client_id, user.user_id)
        except TooManyCalls as error:
            raise too_many(error.seconds, "Too many calls") from None
        everything = user.is_admin or user.distributor_id is None
        return Caller(user.client_id or user.user_id, user.user_name, View(everything, user.distributor_id))

    async def _user(self, values: list[str], peer: str) -> User:
        name, password = _credentials(values)
        try:
            return await self._users.login(name, password, peer)
        except WrongCredentials:
            raise unauthorized() from None
        except TooManyFailures as error:
            raise too_many(error.seconds, "Too many failed logins") from None

    async def _client(self, token: str, role: str) -> Caller:
        try:
            caller = await self._admission.admit(token, role)
        except Refused as refusal:
            raise _translated(refusal) from None
        async with self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection:
            row = await connection.fetchrow(SQL["token_view"], caller.client_id, token_digest(token))
        if row is None:
            raise unauthorized()
        return Caller(caller.client_id, row["name"][:64], View(row["everything"], row["distributor_id"]))


def _credentials(values: list[str]) -> tuple[str, str]:
    """The user name and password of the one Authorization header, of scheme Basic. Raises `Fault`."""
    scheme, _, encoded = values[0].strip().partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "basic":
        raise unauthorized()
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise unauthorized() from None
    if not colon:
        raise unauthorized()
    return name, password


def _translated(refusal: Refused) -> Fault:
    if refusal.status == 401:
        return unauthorized()
    if refusal.status == 403:
        return refused(403, "Forbidden")
    return too_many(int(refusal.headers["Retry-After"]), "Too many calls")
