"""Who uses the neighbours' APIs: users with passwords (argon2id), held to the rate of the client they belong to."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from mts_common import database, metrics
from mts_common.database import Pool
from mts_gateway.settings import Limits

FAILED_LOGINS = 10  # of a user name from an address in a minute
CHECKED_SECONDS = 60.0
CHECKED_MOST = 1000
CHECKS_AT_ONCE = 2  # each takes 64 MiB and most of a core for a moment
MAX_CREDENTIAL = 256


class WrongCredentials(Exception):
    """No user of this name has this password."""


class TooManyFailures(Exception):
    """The user name has failed too often from this address; `seconds` until it may try again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class TooManyCalls(Exception):
    """The calls of this window are used up; `seconds` until the next one."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class User:
    """Who is calling. Without a distributor an administrator sees all of them, anybody else none."""

    user_id: UUID
    user_name: str
    distributor_id: UUID | None
    client_id: int | None
    roles: frozenset[str]

    @property
    def is_admin(self) -> bool:
        """Whether all distributors may be seen."""
        return "admin" in self.roles


class Passwords:
    """Hashes and checks passwords beside the event loop. What was right needs no other hash for a minute."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_urlsafe())
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, float] = OrderedDict()
        self._room = asyncio.Semaphore(CHECKS_AT_ONCE)

    async def hash(self, password: str) -> str:
        """The argon2id hash to store."""
        async with self._room:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def check(self, stored: str | None, password: str) -> bool:
        """Whether `password` is the stored one. For nobody (None) it takes as long, so that names cannot be probed."""
        mark = hmac.digest(self._key, f"{stored}\0{password}".encode("utf-8", "surrogatepass"), hashlib.sha256)
        if self._right.get(mark, float("-inf")) > time.monotonic():
            return True
        async with self._room:
            right = await asyncio.to_thread(self._verify, stored or self._nobody, password) and stored is not None
        if right:
            self._right[mark] = time.monotonic() + CHECKED_SECONDS
            self._right.move_to_end(mark)
            if len(self._right) > CHECKED_MOST:
                self._right.popitem(last=False)
        return right

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (Argon2Error, InvalidHashError, UnicodeError):
            return False


class Users:
    """Finds users and counts their calls."""

    def __init__(self, pool: Pool, sql: Mapping[str, str], limits: Limits) -> None:
        self._pool = pool
        self._sql = sql
        self._limits = limits
        self.passwords = Passwords()

    async def login(self, user_name: str, password: str, peer: str) -> User:
        """The user. Raises `WrongCredentials`, or `TooManyFailures` however right the password now is."""
        if "\0" in user_name or max(len(user_name), len(password)) > MAX_CREDENTIAL:
            raise WrongCredentials
        failed = await self._row("failed_logins", user_name, peer)
        if failed["failures"] >= FAILED_LOGINS:
            raise TooManyFailures(max(1, failed["seconds_left"]))
        async with self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection:
            row = await connection.fetchrow(self._sql["find_user"], user_name)
        if not await self.passwords.check(None if row is None else row["password"], password) or row is None:
            async with self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection:
                await connection.execute(self._sql["note_failed_login"], user_name, peer)
            raise WrongCredentials
        return read_user(row)

    async def count_call(self, client_id: int | None, user_id: UUID | None) -> None:
        """One more call of the client, or of a user that belongs to none. Raises `TooManyCalls`."""
        if client_id is not None:
            row = await self._row("count_client_call", client_id, self._limits.window_seconds)
        else:
            row = await self._row("count_user_call", user_id, self._limits.window_seconds)
        if row["calls"] > self._limits.calls_per_window:
            if client_id is not None:
                metrics.RATE_LIMITED.add(1, {"mts.client_id": str(client_id)})
            raise TooManyCalls(max(1, row["seconds_left"]))

    async def _row(self, name: str, *arguments: object) -> asyncpg.Record:
        async with self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection:
            (row,) = await connection.fetch(self._sql[name], *arguments)
            return row


def read_user(row: asyncpg.Record) -> User:
    """A row of `find_user`, or one with the same columns."""
    return User(row["user_id"], row["user_name"], row["distributor_id"], row["client_id"], frozenset(row["roles"]))
