"""Security suite 0, against the examples of IEC 62056-5-3 (the DLMS UA Green Book, tables on GCM and HLS-GMAC)."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from mts_dialler.protocols.cosem.security import MAX_COUNTER, Protection, WrongKey
from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError

EK = bytes.fromhex("000102030405060708090A0B0C0D0E0F")
AK = bytes.fromhex("D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF")
CLIENT, METER = bytes.fromhex("4D4D4D0000000001"), bytes.fromhex("4D4D4D0000BC614E")
INITIATE = bytes.fromhex("01011000112233445566778899AABBCCDDEEFF0000065F1F0400007E1F04B0")
SEALED_INITIATE = bytes.fromhex(
    "21303001234567801302FF8A7874133D414CED25B42534D28DB0047720606B175BD52211BE6841DB204D39EE6FDB8E356855"
)
METER_CHALLENGE, METER_READS = b"P6wRJ21F", bytes.fromhex("10000000011A52FE7DD3E72748973C1E28")
OUR_CHALLENGE, METER_PROOF = b"K56iVagY", bytes.fromhex("1001234567FE1466AFB3DBCD4F9389E2B7")
GET_RESPONSE = bytes.fromhex("C40101 00 1105")


class Suite0:
    """AES-128-GCM with tags of 12 octets."""

    def __init__(self, key: bytes = EK) -> None:
        self.key = key

    def seal(self, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
        sealing = Cipher(algorithms.AES(self.key), modes.GCM(nonce)).encryptor()
        sealing.authenticate_additional_data(associated)
        return sealing.update(plain) + sealing.finalize() + sealing.tag[:12]

    def open(self, nonce: bytes, sealed: bytes, associated: bytes) -> bytes | None:
        mode = modes.GCM(nonce, sealed[-12:], min_tag_length=12)
        opening = Cipher(algorithms.AES(self.key), mode).decryptor()
        opening.authenticate_additional_data(associated)
        try:
            return opening.update(sealed[:-12]) + opening.finalize()
        except InvalidTag:
            return None


def protection(counter: int = 1, title: bytes = CLIENT, key: bytes = EK) -> Protection:
    made = Protection(Suite0(key), AK, title, counter)
    made.meet(METER)
    return made


def as_meter(apdu: bytes, tag: int, counter: int = 7, *, control: int = 0x30) -> bytes:
    """What a meter sends for `apdu`."""
    head = bytes((control,))
    number = counter.to_bytes(4, "big")
    if control & 0x20:
        sealed = Suite0().seal(METER + number, apdu, head + AK)
    else:
        sealed = apdu + Suite0().seal(METER + number, b"", head + AK + apdu)
    body = head + number + sealed
    return bytes((tag, len(body))) + body


def test_the_standard_s_initiate_request_is_sealed_octet_for_octet() -> None:
    assert protection(0x01234567, METER).protect(INITIATE) == SEALED_INITIATE


def test_the_standard_s_proofs_are_made_and_checked() -> None:
    assert protection().prove(METER_CHALLENGE) == METER_READS
    protection().check_proof(METER_PROOF, OUR_CHALLENGE)


@pytest.mark.parametrize("proof", [METER_PROOF[:-1] + b"\x00", METER_PROOF[:-1], b"", METER_READS])
def test_another_proof_is_refused(proof: bytes) -> None:
    with pytest.raises(WrongKey):
        protection().check_proof(proof, OUR_CHALLENGE)


@pytest.mark.parametrize("control", [0x30, 0x10])
def test_the_meter_s_answers_are_opened(control: int) -> None:
    assert protection().unprotect(as_meter(GET_RESPONSE, 0xCC, control=control)) == GET_RESPONSE


def test_an_answer_in_general_ciphering_is_opened() -> None:
    general = b"\xdb\x08" + METER + as_meter(GET_RESPONSE, 0xDB)[1:]
    assert protection().unprotect(general) == GET_RESPONSE
    with pytest.raises(RemoteProtocolError, match="another sender"):
        protection().unprotect(b"\xdb\x08" + CLIENT + as_meter(GET_RESPONSE, 0xDB)[1:])


def test_counters_rise_with_all_that_is_sent() -> None:
    ours = protection(41)
    sealed = [ours.protect(b"\xc0\x01"), ours.prove(METER_CHALLENGE), ours.protect(b"\xc0\x01")]
    assert [int.from_bytes(each[-18:-14], "big") for each in (sealed[0], sealed[2])] == [41, 43]
    assert int.from_bytes(sealed[1][1:5], "big") == 42


def test_an_answer_that_was_seen_before_is_refused() -> None:
    ours = protection()
    ours.unprotect(as_meter(GET_RESPONSE, 0xCC, 7))
    ours.unprotect(as_meter(GET_RESPONSE, 0xCC, 8))
    with pytest.raises(RemoteProtocolError, match="twice"):
        ours.unprotect(as_meter(GET_RESPONSE, 0xCC, 8))


def test_another_key_is_told_apart_from_noise() -> None:
    with pytest.raises(WrongKey):
        protection(key=bytes(16)).unprotect(as_meter(GET_RESPONSE, 0xCC))


@pytest.mark.parametrize(
    "answer",
    [
        GET_RESPONSE,  # in the clear
        as_meter(GET_RESPONSE, 0xCC, control=0x20),  # not authenticated
        as_meter(GET_RESPONSE, 0xCC, control=0x31),  # suite 1
        as_meter(GET_RESPONSE, 0xCF),  # another kind inside
        b"\xcc\x05\x30\x00\x00\x00\x01",
    ],
)
def test_what_is_less_protected_than_agreed_is_refused(answer: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        protection().unprotect(answer)


def test_a_meter_that_cannot_decipher_says_so_in_the_clear() -> None:
    assert protection().unprotect(b"\xd8\x01\x02") == b"\xd8\x01\x02"


def test_a_used_up_counter_and_odd_titles_are_our_fault() -> None:
    ours = protection(MAX_COUNTER)
    ours.protect(b"\xc0")
    for broken in (lambda: ours.protect(b"\xc0"), lambda: protection().protect(b"\x60"), lambda: protection(title=b"")):
        with pytest.raises(LocalProtocolError):
            broken()
    with pytest.raises(RemoteProtocolError):
        ours.meet(b"short")


@given(st.binary(max_size=80))
def test_garbage_is_refused_as_the_meter_s_fault(data: bytes) -> None:
    try:
        opened = protection().unprotect(data)
    except RemoteProtocolError:
        return
    assert opened == data
    assert data[0] in {0x0E, 0xD8}
