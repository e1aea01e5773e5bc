"""The parity bit of 7E1 characters, made and taken off in software.

A transparent 8N1 modem or TCP server carries a 7E1 character as one octet with its even-parity bit in bit 7
(iec62056-21.md, section 1). Masking it is harmless where a converter has already taken it off; then every odd character
counts as an error, so the count is for the reader of a trace, never a reason to refuse a frame that has its own check.
"""

from __future__ import annotations

from enum import StrEnum

_WITH_PARITY = bytes((octet & 0x7F) | (((octet & 0x7F).bit_count() & 1) << 7) for octet in range(256))
_WITHOUT_PARITY = bytes(octet & 0x7F for octet in range(256))
_EVEN = bytes(octet for octet in range(256) if octet.bit_count() % 2 == 0)


class CharacterFormat(StrEnum):
    """How characters travel in octets: 7E1 made in software, or the seven bits as they are."""

    SEVEN_EVEN = "7E1"
    EIGHT_NONE = "8N1"


class CharacterCodec:
    """Characters to octets and back for one session. `parity_errors` counts received characters of odd parity."""

    def __init__(self, character_format: CharacterFormat) -> None:
        self.parity_errors = 0
        self._soft_parity = character_format is CharacterFormat.SEVEN_EVEN

    def encode(self, characters: bytes) -> bytes:
        return characters.translate(_WITH_PARITY) if self._soft_parity else characters

    def decode(self, octets: bytes) -> bytes:
        if not self._soft_parity:
            return octets
        self.parity_errors += len(octets.translate(None, delete=_EVEN))
        return octets.translate(_WITHOUT_PARITY)
