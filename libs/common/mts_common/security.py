"""Access tokens and meter passwords: what is stored is never what opens the door."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class SealedWithUnknownKey(Exception):
    """A sealed secret that none of the configured keys opens."""


def new_token() -> tuple[str, bytes]:
    """A fresh access token of 256 random bits, and the digest by which it is known."""
    token = secrets.token_urlsafe(32)
    return token, token_digest(token)


def token_digest(token: str) -> bytes:
    """SHA-256; a token has full entropy, so it needs neither salt nor stretching."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class Vault:
    """Seals meter passwords (MultiFernet): the first key seals, every key opens, so that keys can be rotated."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Raises ValueError for no key, or one that is not 32 url-safe base64 bytes."""
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def __repr__(self) -> str:
        return "Vault()"

    def seal(self, secret: str) -> str:
        """The secret as a token that may travel and be stored."""
        return self._fernet.encrypt(secret.encode()).decode("ascii")

    def open(self, sealed: str) -> str:
        """Raises `SealedWithUnknownKey`."""
        try:
            return self._fernet.decrypt(sealed.encode("ascii")).decode()
        except InvalidToken:
            raise SealedWithUnknownKey("a meter password was sealed with a key that is not configured") from None
