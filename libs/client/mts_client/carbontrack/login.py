"""Carrying out calls as a user: the password becomes a token, which is renewed before it expires, or when refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import SecretStr

from mts_client import procedures
from mts_client.calls import Access, Call
from mts_client.carbontrack import calls
from mts_client.carbontrack.models import Grant
from mts_client.errors import BadRequest, Unauthorized
from mts_client.procedures import Procedure, RetryPolicy

T = TypeVar("T")

_EARLY_SECONDS = 30.0


class Login:
    """A user's password and the tokens it was exchanged for."""

    def __init__(self, user: str, password: SecretStr, retries: RetryPolicy, monotonic: Callable[[], float]) -> None:
        self._user = user
        self._password = password
        self._retries = retries
        self._monotonic = monotonic
        self._grant: Grant | None = None
        self._renew_at = float("-inf")

    def exchange(self, call: Call[T]) -> Procedure[T]:
        """One logical call, with a token that was valid a moment ago; a server that has forgotten it is asked for
        another one, once. Raises `BadRequest` if the server does not know the user with this password.
        """
        token = yield from self._valid()
        try:
            return (yield from self._send(call, token))
        except Unauthorized:
            token = yield from self._log_in()
        return (yield from self._send(call, token))

    def _send(self, call: Call[T], token: SecretStr) -> Procedure[T]:
        return procedures.exchange(call, {Access.USER: token.get_secret_value()}, self._retries)

    def _valid(self) -> Procedure[SecretStr]:
        if self._grant is not None and self._monotonic() < self._renew_at:
            return self._grant.access_token
        if self._grant is not None and self._grant.refresh_token is not None:
            try:
                return (yield from self._ask(calls.refresh_grant(self._grant.refresh_token)))
            except BadRequest:
                self._grant = None
        return (yield from self._log_in())

    def _log_in(self) -> Procedure[SecretStr]:
        return self._ask(calls.password_grant(self._user, self._password))

    def _ask(self, call: Call[Grant]) -> Procedure[SecretStr]:
        asked_at = self._monotonic()
        self._grant = yield from procedures.exchange(call, {}, self._retries)
        self._renew_at = asked_at + max(self._grant.expires_in - _EARLY_SECONDS, self._grant.expires_in / 2)
        return self._grant.access_token
