"""What a client may write as remoteAddress, and what it excludes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_common.addresses import AddressError, parse
from mts_common.messages import Transport


@pytest.mark.parametrize(
    ("text", "shown", "canonical"),
    [
        ("07777000000", "07777000000", "+447777000000"),
        ("07777 000-000", "07777000000", "+447777000000"),
        ("+44 7777 000000", "+447777000000", "+447777000000"),
        ("00447777000000", "00447777000000", "+447777000000"),
        ("999", "999", "+44999"),
    ],
)
def test_a_phone_number_loses_its_gaps_and_is_canonical_as_e164(text: str, shown: str, canonical: str) -> None:
    address = parse(text)
    assert (address.text, address.canonical, address.transport) == (shown, canonical, Transport.MODEM)


def test_a_national_number_belongs_to_the_country_of_the_setting() -> None:
    assert parse("0612345678", country_code="33").canonical == "+33612345678"
    assert parse("06 12345678", country_code="39").canonical == "+390612345678"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10.2.34.4:3400", "10.2.34.4:3400"),
        ("Meter-1.Example.COM:102", "meter-1.example.com:102"),
        ("meter.example.:102", "meter.example:102"),
        ("[2001:DB8:0::1]:4059", "[2001:db8::1]:4059"),
        ("[::ffff:10.0.0.1]:4059", "10.0.0.1:4059"),
    ],
)
def test_a_network_address_is_canonical_in_one_spelling(text: str, canonical: str) -> None:
    address = parse(text)
    assert (address.text, address.canonical, address.transport) == (text, canonical, Transport.TCP)


@pytest.mark.parametrize(
    "text",
    [
        "abc",
        "",
        "12",
        "1" * 21,
        "+",
        "++4477",
        "0777 ",
        "-0777",
        "host:0",
        "host:65536",
        "host:",
        ":80",
        "::1:80",
        "[::1]",
        "[::1%eth0]:80",
        "2130706433:80",
        "0x7f000001:80",
        "127.1:80",
        "0177.0.0.1:80",
        "256.1.1.1:80",
        "a b:80",
        "host\r\n:80",
        "host:80\n",
        "-bad:80",
        "user@host:80",
        f"{'a' * 64}:80",
        "٠٧٧٧٧٠٠٠٠:80",
        "07777٠٠٠٠",
    ],
)
def test_anything_else_is_not_an_address(text: str) -> None:
    with pytest.raises(AddressError, match="remoteAddress is not in a recognised format"):
        parse(text)


@given(st.text())
def test_any_text_is_an_address_or_an_address_error(text: str) -> None:
    try:
        address = parse(text)
    except AddressError:
        return
    assert parse(address.text).canonical == address.canonical
