"""HLS with GMAC, security suite 0: the standard's example vectors, the handshake, ciphered requests, counters."""

from dataclasses import replace
from typing import Any

import pytest

from mts_metersim import acse, axdr
from mts_metersim.axdr import Parser
from mts_metersim.dlms_manners import Keys, address_of, keys_of
from mts_metersim.dlms_objects import obis
from mts_metersim.dlms_security import Undecipherable, opened, proof_of, sealed, title_of
from mts_metersim.fleet import DlmsOptions, Fault, FaultKind, LoadSpec, Meter, Options
from mts_metersim.testing import PUBLIC_AARQ, Asked, HdlcHost, attribute_of, call_to, get_request, low_level_aarq
from mts_metersim.unit import Unit

ENCRYPTION, AUTHENTICATION = bytes(range(16)), bytes(range(0xD0, 0xE0))
KEYS = Keys(ENCRYPTION, AUTHENTICATION)
EXAMPLE_TITLE = bytes.fromhex("4D4D4D0000BC614E")
METER = Meter(
    "ISKRA_MT880",
    "12345678",
    LoadSpec(1),
    password=f"gmac:{ENCRYPTION.hex()}:{AUTHENTICATION.hex().upper()}",
    installed_days_ago=2,
)
CLIENT_TITLE = b"MTSCLIEN"
CHALLENGE = b"K56iVagYabcdefgh"
SERIAL = get_request(1, obis("0.0.96.1.0"), 2)
SURVEY = get_request(7, obis("1.0.99.1.0"), 2)


def unit_of(meter: Meter = METER) -> Unit:
    return Unit(meter, lambda: 1_795_000_000_000_000_000)


def test_the_standards_ciphered_request_is_sealed_and_opened() -> None:
    plain = bytes.fromhex("C0010000080000010000FF0200")
    protected = bytes.fromhex("3001234567 411312FF935A47566827C467BC 7D825C3BE4A77C3FCC056B6B")
    assert sealed(KEYS, EXAMPLE_TITLE, 0x01234567, plain) == protected
    assert opened(KEYS, EXAMPLE_TITLE, protected) == plain
    for spoilt in (protected[:-1] + b"\0", b"\x10" + protected[1:], protected[:16]):
        with pytest.raises(Undecipherable):
            opened(KEYS, EXAMPLE_TITLE, spoilt)


def test_the_standards_proofs_are_the_same() -> None:
    assert proof_of(KEYS, bytes.fromhex("4D4D4D0000000001"), 1, b"P6wRJ21F").hex() == (
        "1000000001" + "1a52fe7dd3e72748973c1e28"
    )
    assert proof_of(KEYS, EXAMPLE_TITLE, 0x01234567, b"K56iVagY").hex() == "1001234567" + "fe1466afb3dbcd4f9389e2b7"


def test_the_standards_ciphered_initiate_is_opened_and_understood() -> None:
    protected = bytes.fromhex(
        "3001234567801302FF8A7874133D414CED25B42534D28DB0047720606B175BD52211BE6841DB204D39EE6FDB8E356855"
    )
    wanted = acse.initiate(opened(KEYS, EXAMPLE_TITLE, protected))
    assert (wanted.version, wanted.conformance, wanted.pdu) == (6, 0x007E1F, 0x04B0)


def test_keys_are_taken_from_the_password_alone() -> None:
    assert keys_of(METER.password) == KEYS
    assert keys_of("gmac:00:11") is None
    assert ENCRYPTION.hex() not in repr(KEYS)
    assert title_of("ISK", "12345678") == b"ISK" + (12345678).to_bytes(5, "big")


class SecureHost:
    """A client with keys over HDLC."""

    def __init__(self, unit: Unit, keys: Keys = KEYS, counter: int = 1, asked: Asked | None = None) -> None:
        self.unit = unit
        self.keys = keys
        self.counter = counter
        self.link = HdlcHost(call_to([unit], asked), 1, address_of(unit.meter).server)
        self.meter_title = b""
        self.meter_challenge = b""
        self.counters: list[int] = []

    def sealed(self, tag: int, plain: bytes) -> bytes:
        protected = sealed(self.keys, CLIENT_TITLE, self.counter, plain)
        self.counter += 1
        return bytes([tag]) + axdr.length(len(protected)) + protected

    def opened(self, tag: int, answer: bytes) -> bytes:
        assert answer[0] == tag
        inside = Parser(answer[1:]).sized()
        self.counters.append(int.from_bytes(inside[1:5], "big"))
        return opened(self.keys, self.meter_title, inside)

    def associate(self, mechanism: int = 5, pdu: int = 0xFFFF) -> bytes:
        plain = bytes.fromhex("01000000065F1F0400001E1D") + pdu.to_bytes(2, "big")
        user = self.sealed(0x21, plain)
        items = bytes.fromhex("A10906076085740508 0103 A60A0408") + CLIENT_TITLE
        items += bytes.fromhex("8A0207808B0760857405 0802") + bytes([mechanism])
        items += bytes([0xAC, len(CHALLENGE) + 2, 0x80, len(CHALLENGE)]) + CHALLENGE
        items += bytes([0xBE, len(user) + 2, 0x04, len(user)]) + user
        return self.link.ask(b"\x60" + axdr.length(len(items)) + items)

    def greeted(self, aare: bytes) -> bytes:
        """Takes the meter's title and challenge; its InitiateResponse."""
        inside = Parser(Parser(aare[1:]).sized())
        items = {}
        while inside.rest:
            tag = inside.number(1)
            items[tag] = inside.sized()
        assert (items[0xA2], items[0xA3]) == (b"\x02\x01\x00", b"\xa1\x03\x02\x01\x0e")
        assert items[0x89] == bytes.fromhex("60857405080205")
        self.meter_title, self.meter_challenge = items[0xA4][2:], items[0xAA][2:]
        return self.opened(0x28, items[0xBE][2:])

    def prove(self, challenge: bytes | None = None) -> bytes:
        proof = proof_of(self.keys, CLIENT_TITLE, self.counter, challenge or self.meter_challenge)
        self.counter += 1
        action = bytes.fromhex("C301C1000F0000280000FF0101") + axdr.octets(proof)
        return self.ask(action)

    def ask(self, plain: bytes) -> bytes:
        """A ciphered request, its answer opened."""
        tag = {0xC0: 0xC8, 0xC1: 0xC9, 0xC3: 0xCB}[plain[0]]
        return self.opened(tag + 4, self.link.ask(self.sealed(tag, plain)))


def proven(unit: Unit, counter: int = 1, pdu: int = 0xFFFF) -> SecureHost:
    host = SecureHost(unit, counter=counter)
    host.greeted(host.associate(pdu=pdu))
    assert host.prove().startswith(bytes.fromhex("C701C100010009"))
    return host


def test_both_sides_prove_that_they_have_the_keys() -> None:
    host = SecureHost(unit_of())
    granted = host.greeted(host.associate())
    assert granted.hex() == "0800065f1f0400001e1d04c80007"
    assert host.meter_title == title_of("ISK", "12345678")
    answer = host.prove()
    assert answer[:8].hex() == "c701c10001000911"
    counter = int.from_bytes(answer[9:13], "big")
    assert answer[8:] == proof_of(KEYS, host.meter_title, counter, CHALLENGE)
    assert host.ask(SERIAL).hex() == "c401c1000908" + b"12345678".hex()
    assert host.counters == sorted(set(host.counters))


def test_nothing_is_told_before_the_proof_nor_after_a_wrong_one() -> None:
    host = SecureHost(unit_of())
    host.greeted(host.associate())
    assert host.link.ask(host.sealed(0xC8, SERIAL)).hex() == "d80101"
    assert host.prove(b"another challenge").hex() == "c701c10300"
    assert host.link.ask(host.sealed(0xC8, SERIAL)).hex() == "d80101"


def test_a_plain_request_in_a_ciphered_association_is_refused() -> None:
    host = proven(unit_of())
    assert host.link.ask(SERIAL).hex() == "d80101"
    assert host.ask(SERIAL)[3] == 0


def test_a_counter_that_does_not_rise_is_refused_and_says_which_is_next() -> None:
    host = proven(unit_of())
    used = host.sealed(0xC8, SERIAL)
    assert host.link.ask(used)[0] == 0xCC
    assert host.link.ask(used).hex() == "d80106" + f"{host.counter:08x}"


def test_the_counter_outlives_the_call() -> None:
    unit = unit_of()
    first = proven(unit)
    again = SecureHost(unit, counter=first.counter - 1)
    assert again.associate()[17:25].hex() == "01a305a10302010d"
    assert proven(unit, first.counter).ask(SERIAL)[3] == 0


def test_the_public_client_reads_the_last_counter() -> None:
    unit = unit_of(replace(METER, options=Options(dlms=DlmsOptions(last_counter=4711))))
    public = HdlcHost(call_to([unit]), 16, address_of(METER).server)
    public.ask(PUBLIC_AARQ)
    counter = get_request(1, obis("0.0.43.1.0"), 2)
    assert attribute_of(public, counter) == axdr.unsigned(4711, 4)
    assert proven(unit, 4712).counter > 4712
    hidden = unit_of(replace(METER, options=Options(dlms=DlmsOptions(hides_counter=True))))
    blind = HdlcHost(call_to([hidden]), 16, address_of(METER).server)
    blind.ask(PUBLIC_AARQ)
    assert blind.ask(counter).hex() == "c401c10104"


def result_of(aare: bytes) -> tuple[int, int]:
    return aare[17], aare[24]


@pytest.mark.parametrize(
    ("changed", "keys", "mechanism", "result"),
    [
        ({}, KEYS, 5, (0, 14)),
        ({}, Keys(bytes(16), AUTHENTICATION), 5, (1, 13)),
        ({}, Keys(ENCRYPTION, bytes(16)), 5, (1, 13)),
        ({}, KEYS, 6, (1, 11)),
        ({}, KEYS, 0, (1, 14)),
        ({"faults": (Fault(FaultKind.REFUSES_PASSWORD),)}, KEYS, 5, (1, 13)),
        ({"password": "SECRET01"}, KEYS, 5, (1, 2)),
    ],
)
def test_an_association_by_keys_is_granted_or_refused_with_its_reason(
    changed: dict[str, Any], keys: Keys, mechanism: int, result: tuple[int, int]
) -> None:
    asked = Asked()
    host = SecureHost(unit_of(replace(METER, **changed)), keys, asked=asked)
    assert result_of(host.associate(mechanism)) == result
    told = {13: [("Password GMAC (wrong)", True)], 14: [("Password GMAC (right)", False)]}
    assert asked.noted == ([] if result == (1, 14) else told.get(result[1], []))


def test_a_secret_is_no_key() -> None:
    host = HdlcHost(call_to([unit_of()]), 1, address_of(METER).server)
    assert result_of(host.ask(low_level_aarq(METER.password))) == (1, 2)


def test_a_long_answer_is_ciphered_block_by_block_within_the_clients_pdu() -> None:
    host = proven(unit_of(), pdu=200)
    data, number, last = b"", 0, 0
    answer = host.ask(SURVEY)
    while not last:
        block = Parser(answer[3:])
        last, number = block.number(1), number + 1
        assert block.number(4) == number
        assert len(answer) + 1 + 2 + 5 + 12 <= 200
        assert block.number(1) == 0
        data += block.sized()
        if not last:
            answer = host.ask(b"\xc0\x02\xc1" + number.to_bytes(4, "big"))
    plain = unit_of(replace(METER, password=""))
    other = HdlcHost(call_to([plain]), 1, address_of(METER).server)
    other.ask(low_level_aarq("ANY"))
    assert data == attribute_of(other, SURVEY)
    assert number > 10


def test_a_spoilt_request_is_told_as_such() -> None:
    host = proven(unit_of())
    request = bytearray(host.sealed(0xC8, SERIAL))
    request[-1] ^= 1
    assert host.link.ask(bytes(request)).hex() == "d80105"
