"""The answer to an A1700's seed (elster-a1700.md, section 2)."""

from __future__ import annotations

import re
from itertools import accumulate

from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError

PASSWORD_LENGTH = 8
_SEED = re.compile(r"[0-9A-Fa-f]{16}")


def answer(password: str, seed: str) -> str:
    """The P2 text, 16 hexadecimal digits, for a password of 8 ASCII characters and the P0 seed.

    Whoever sees seed and answer can compute the password. Raises `LocalProtocolError` for a password of another form,
    `RemoteProtocolError` for another seed; neither text holds either.
    """
    if len(password) != PASSWORD_LENGTH or not password.isascii():
        raise LocalProtocolError("an A1700 password has 8 ASCII characters")
    if not _SEED.fullmatch(seed):
        raise RemoteProtocolError("the seed is not 16 hexadecimal digits")
    mixed = [key ^ salt for key, salt in zip(password.encode("ascii"), bytes.fromhex(seed), strict=True)]
    return bytes(total % 256 for total in accumulate(mixed, initial=mixed[-1]))[1:].hex().upper()
