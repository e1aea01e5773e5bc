"""carbonTRACK's own tokens: random, known by their digest alone; a refresh token stays what it is when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mts_common import database, security
from mts_common.database import Pool
from mts_gateway.users import User, read_user

REFRESH_SECONDS = 30 * 86400
ACCESS = "access"
REFRESH = "refresh"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a client is given. `issued_at` is in Unix seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    issued_at: int
    expires_in: int

    def body(self) -> dict[str, object]:
        """The answer of the token endpoint (RFC 6749, 5.1)."""
        return {
            "access_token": self.access_token,
            "token_type": "bearer",
            "issued_at": self.issued_at,
            "expires_in": self.expires_in,
            "refresh_token": self.refresh_token,
        }


class Tokens:
    """Issues and finds tokens. The time is the database's."""

    def __init__(self, pool: Pool, sql: Mapping[str, str], access_seconds: int) -> None:
        self._pool = pool
        self._sql = sql
        self._access_seconds = access_seconds

    async def issue(self, user: User, refresh_token: str | None = None) -> Grant:
        """A new access token, which cancels no other, with a new refresh token unless there is one already."""
        access, access_digest = security.new_token()
        refresh, refresh_digest = (refresh_token, None) if refresh_token else security.new_token()
        async with self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection:
            issued_at = await connection.fetchval(
                self._sql["issue_tokens"],
                user.user_id,
                access_digest,
                refresh_digest,
                self._access_seconds,
                REFRESH_SECONDS,
            )
        return Grant(access, refresh, issued_at, self._access_seconds)

    async def find(self, token: str, kind: str) -> User | None:
        """Whose token it is, if it is valid."""
        async with self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection:
            row = await connection.fetchrow(self._sql["find_token"], security.token_digest(token), kind)
        return None if row is None else read_user(row)
