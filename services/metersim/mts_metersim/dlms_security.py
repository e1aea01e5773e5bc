"""Security suite 0 of a DLMS/COSEM meter: AES-128-GCM, the GMAC proof, counters (fact sheet dlms-cosem, section 3)."""

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from mts_metersim import axdr
from mts_metersim.axdr import Parser
from mts_metersim.dlms_manners import Keys
from mts_metersim.unit import Unit

AUTHENTICATED, AUTHENTICATED_AND_ENCRYPTED = 0x10, 0x30
TAG = 12
OVERHEAD = 1 + 3 + 1 + 4 + TAG


class Undecipherable(Exception):
    """The keys do not fit, or the protection is another than suite 0 asks for."""


class Replayed(Exception):
    """The invocation counter does not rise."""


def title_of(flag: str, serial: str) -> bytes:
    """A system title: the maker's letters and the digits of the serial number."""
    digits = int("0" + "".join(filter(str.isdecimal, serial)))
    return flag.encode("ascii") + (digits % 2**40).to_bytes(5, "big")


def sealed(keys: Keys, title: bytes, counter: int, plain: bytes) -> bytes:
    """Security control, counter, ciphertext and tag."""
    head = bytes([AUTHENTICATED_AND_ENCRYPTED]) + counter.to_bytes(4, "big")
    encryptor = Cipher(AES(keys.encryption), GCM(title + head[1:])).encryptor()
    encryptor.authenticate_additional_data(head[:1] + keys.authentication)
    return head + encryptor.update(plain) + encryptor.finalize() + encryptor.tag[:TAG]


def opened(keys: Keys, title: bytes, protected: bytes) -> bytes:
    """What `sealed` protected. Raises Undecipherable."""
    head, body, tag = protected[:5], protected[5:-TAG], protected[-TAG:]
    if head[:1] != bytes([AUTHENTICATED_AND_ENCRYPTED]) or len(protected) < len(head) + TAG:
        raise Undecipherable("not protected as suite 0 asks for")
    decryptor = Cipher(AES(keys.encryption), GCM(title + head[1:], tag, min_tag_length=TAG)).decryptor()
    decryptor.authenticate_additional_data(head[:1] + keys.authentication)
    try:
        return decryptor.update(body) + decryptor.finalize()
    except InvalidTag as fault:
        raise Undecipherable("the keys do not fit") from fault


def proof_of(keys: Keys, title: bytes, counter: int, challenge: bytes) -> bytes:
    """The answer to a challenge: security control, counter, GMAC."""
    head = bytes([AUTHENTICATED]) + counter.to_bytes(4, "big")
    encryptor = Cipher(AES(keys.encryption), GCM(title + head[1:])).encryptor()
    encryptor.authenticate_additional_data(head[:1] + keys.authentication + challenge)
    encryptor.finalize()
    return head + encryptor.tag[:TAG]


class Security:
    """One association's protection between the client of that title and the meter; counters outlive the call."""

    def __init__(self, unit: Unit, keys: Keys, own_title: bytes, client_title: bytes) -> None:
        self._unit = unit
        self._keys = keys
        self._own = own_title
        self._client = client_title
        self._opened_at = 0

    def open(self, protected: bytes) -> bytes:
        """The APDU inside a protected one, given without its tag and length. Raises Malformed, Replayed,
        Undecipherable."""
        inside = Parser(protected).sized()
        plain = opened(self._keys, self._client, inside)
        counter = int.from_bytes(inside[1:5], "big")
        if counter <= self._unit.counter_received:
            raise Replayed(f"{counter} after {self._unit.counter_received}")
        self._unit.counter_received = counter
        self._opened_at = self._opened_at or counter
        return plain

    def seal(self, tag: int, apdu: bytes) -> bytes:
        protected = sealed(self._keys, self._own, self._next_counter(), apdu)
        return bytes([tag]) + axdr.length(len(protected)) + protected

    def is_proof(self, proof: bytes, challenge: bytes) -> bool:
        """Whether the client proves that it knows the keys; its counter has risen since it opened the association."""
        counter = int.from_bytes(proof[1:5], "big")
        right = proof_of(self._keys, self._client, counter, challenge)
        return counter > self._opened_at and hmac.compare_digest(proof, right)

    def proof(self, challenge: bytes) -> bytes:
        """The meter's own proof."""
        return proof_of(self._keys, self._own, self._next_counter(), challenge)

    def _next_counter(self) -> int:
        self._unit.counter_sent += 1
        return self._unit.counter_sent
