"""AES-128-GCM as security suite 0 uses it: tags of 12 octets."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

TAG_OCTETS = 12


class Suite0:
    """`protocols.cosem.security.Gcm` with one encryption key."""

    def __init__(self, key: bytes) -> None:
        self._algorithm = algorithms.AES(key)

    def seal(self, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
        sealing = Cipher(self._algorithm, modes.GCM(nonce)).encryptor()
        sealing.authenticate_additional_data(associated)
        return sealing.update(plain) + sealing.finalize() + sealing.tag[:TAG_OCTETS]

    def open(self, nonce: bytes, sealed: bytes, associated: bytes) -> bytes | None:
        if len(sealed) < TAG_OCTETS:
            return None
        mode = modes.GCM(nonce, sealed[-TAG_OCTETS:], min_tag_length=TAG_OCTETS)
        opening = Cipher(self._algorithm, mode).decryptor()
        opening.authenticate_additional_data(associated)
        try:
            return opening.update(sealed[:-TAG_OCTETS]) + opening.finalize()
        except InvalidTag:
            return None
