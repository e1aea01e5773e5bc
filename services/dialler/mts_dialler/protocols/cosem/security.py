"""Security suite 0: APDUs ciphered with the global keys, and the proofs of HLS-GMAC (IEC 62056-5-3, 5.3 and 5.7).

AES-128-GCM itself is handed in, as nothing but the standard library is used here. A ciphered APDU is its tag, a length,
the security control octet, the sender's invocation counter in four octets, then what GCM made. The initialisation
vector is the sender's system title and that counter, so no counter may ever be used twice with one key.
"""

from __future__ import annotations

from typing import Protocol

from mts_dialler.protocols.cosem.values import Reader, encode_length
from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError

TITLE_OCTETS = 8
MAX_COUNTER = 0xFFFF_FFFF
_AUTHENTICATED, _ENCRYPTED = 0x10, 0x20
_SUITE = 0x0F
_TAG_OCTETS = 12
_GENERAL_GLO = 0xDB
_EXCEPTION = 0xD8

_REQUESTS = {0x01: 0x21, 0x05: 0x25, 0xC0: 0xC8, 0xC3: 0xCB}  # initiate, read, GET, ACTION
_RESPONSES = {0x28: 0x08, 0x2C: 0x0C, 0xCC: 0xC4, 0xCF: 0xC7}
_SERVICE_ERRORS = {0x0E, _EXCEPTION}  # a meter that cannot decipher what we sent says so in the clear


class WrongKey(RemoteProtocolError):
    """The meter's answer was not made with our keys, or was altered on its way."""


class Gcm(Protocol):
    """AES-128-GCM with the encryption key and tags of 12 octets."""

    def seal(self, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
        """The cipher text and the tag."""
        ...

    def open(self, nonce: bytes, sealed: bytes, associated: bytes) -> bytes | None:
        """The plain text; None if the tag is wrong."""
        ...


class Protection:
    """Ciphers what we send and opens what the meter sends, for one or more associations with the same keys.

    `counter` is the first invocation counter to be used, higher than any that the meter has seen from us.
    """

    def __init__(self, gcm: Gcm, authentication_key: bytes, title: bytes, counter: int) -> None:
        if len(title) != TITLE_OCTETS or len(authentication_key) != 16:
            raise LocalProtocolError("a system title has 8 octets and a key 16")
        self._gcm = gcm
        self._key = authentication_key
        self._title = title
        self._counter = counter
        self._meter_title = b""
        self._meter_counter = -1

    def meet(self, meter_title: bytes) -> None:
        """The meter's system title, from its AARE. Raises `RemoteProtocolError`."""
        if len(meter_title) != TITLE_OCTETS:
            raise RemoteProtocolError(f"a system title of {len(meter_title)} octets")
        self._meter_title = meter_title
        self._meter_counter = -1

    def protect(self, apdu: bytes) -> bytes:
        """`apdu` authenticated and encrypted. Raises `LocalProtocolError` for one of a kind that is never ciphered."""
        tag = _REQUESTS.get(apdu[0])
        if tag is None:
            raise LocalProtocolError(f"APDU {apdu[0]:02X} has no ciphered form")
        control = bytes((_AUTHENTICATED | _ENCRYPTED,))
        counter = self._next_counter()
        sealed = control + counter + self._gcm.seal(self._title + counter, apdu, control + self._key)
        return bytes((tag,)) + encode_length(len(sealed)) + sealed

    def unprotect(self, apdu: bytes) -> bytes:
        """The APDU inside `apdu`; an exception of the meter's in the clear is given as it is.

        Raises `WrongKey`; and `RemoteProtocolError` for what is not ciphered, not authenticated, or was seen before.
        """
        reader = Reader(apdu)
        tag = reader.octet()
        if tag in _SERVICE_ERRORS:
            return apdu
        if tag == _GENERAL_GLO:
            self._check_sender(reader.take(reader.length()))
        elif tag not in _RESPONSES:
            raise RemoteProtocolError(f"APDU {tag:02X} is not ciphered")
        sealed = Reader(reader.take(reader.length()))
        control, counter = sealed.octet(), sealed.take(4)
        plain = self._open(control, counter, sealed.take(sealed.left))
        if int.from_bytes(counter, "big") <= self._meter_counter:
            raise RemoteProtocolError("the meter used an invocation counter twice")
        self._meter_counter = int.from_bytes(counter, "big")
        if tag != _GENERAL_GLO and plain[:1] != bytes((_RESPONSES[tag],)):
            raise RemoteProtocolError("a ciphered APDU holds one of another kind")
        return plain

    def _check_sender(self, title: bytes) -> None:
        if title not in {b"", self._meter_title}:
            raise RemoteProtocolError("a ciphered APDU of another sender")

    def _open(self, control: int, counter: bytes, sealed: bytes) -> bytes:
        if control & _SUITE:
            raise RemoteProtocolError(f"security suite {control & _SUITE}")
        if not control & _AUTHENTICATED or len(sealed) < _TAG_OCTETS:
            raise RemoteProtocolError("an answer that is not authenticated")
        associated = bytes((control,)) + self._key
        nonce = self._meter_title + counter
        if control & _ENCRYPTED:
            plain = self._gcm.open(nonce, sealed, associated)
        else:
            plain, tag = sealed[:-_TAG_OCTETS], sealed[-_TAG_OCTETS:]
            plain = plain if self._gcm.open(nonce, tag, associated + plain) is not None else None
        if plain is None:
            raise WrongKey("the meter's answer was not made with these keys")
        return plain

    def prove(self, challenge: bytes) -> bytes:
        """Our answer to the meter's challenge: f(StoC), pass 3 of the four."""
        control = bytes((_AUTHENTICATED,))
        counter = self._next_counter()
        return control + counter + self._gcm.seal(self._title + counter, b"", control + self._key + challenge)

    def check_proof(self, proof: bytes, challenge: bytes) -> None:
        """The meter's answer to our challenge: f(CtoS), pass 4. Raises `WrongKey`."""
        control, counter, tag = proof[:1], proof[1:5], proof[5:]
        associated = control + self._key + challenge
        if len(tag) != _TAG_OCTETS or self._gcm.open(self._meter_title + counter, tag, associated) is None:
            raise WrongKey("the meter's proof was not made with these keys")

    def _next_counter(self) -> bytes:
        if not 0 <= self._counter <= MAX_COUNTER:
            raise LocalProtocolError("the invocation counter has run out")
        counter = self._counter.to_bytes(4, "big")
        self._counter += 1
        return counter
