"""The parity bit of seven-bit characters, made and taken off in software.

A transparent 8N1 modem or TCP server carries a 7E1 character as one octet with its even-parity bit in bit 7
(iec62056-21.md, section 1). Masking it is harmless where a converter has already taken it off; then every odd character
counts as an error, so the count is for the reader of a trace, never a reason to refuse a frame that has its own check.
"""

from __future__ import annotations

from enum import StrEnum


class CharacterFormat(StrEnum):
    """How characters travel in octets: seven bits and a parity bit made in software, or the octets as they are."""

    SEVEN_EVEN = "7E1"
    SEVEN_ODD = "7O1"
    SEVEN_MARK = "7M1"
    SEVEN_SPACE = "7S1"
    EIGHT_NONE = "8N1"


def _octet(character: int, character_format: CharacterFormat) -> int:
    bits = character & 0x7F
    odd = bits.bit_count() & 1
    bit_7 = {
        CharacterFormat.SEVEN_EVEN: odd,
        CharacterFormat.SEVEN_ODD: 1 - odd,
        CharacterFormat.SEVEN_MARK: 1,
        CharacterFormat.SEVEN_SPACE: 0,
        CharacterFormat.EIGHT_NONE: character >> 7,
    }
    return bits | bit_7[character_format] << 7


_OCTETS = {each: bytes(_octet(character, each) for character in range(256)) for each in CharacterFormat}
_RIGHT = {each: bytes(set(octets)) for each, octets in _OCTETS.items()}
_SEVEN_BITS = bytes(octet & 0x7F for octet in range(256))


class CharacterCodec:
    """Characters to octets and back for one session. `parity_errors` counts received characters of wrong parity."""

    def __init__(self, character_format: CharacterFormat) -> None:
        self.parity_errors = 0
        self._octets = _OCTETS[character_format]
        self._right = _RIGHT[character_format]
        self._characters = None if character_format is CharacterFormat.EIGHT_NONE else _SEVEN_BITS

    def encode(self, characters: bytes) -> bytes:
        return characters.translate(self._octets)

    def decode(self, octets: bytes) -> bytes:
        self.parity_errors += len(octets.translate(None, delete=self._right))
        return octets.translate(self._characters)
