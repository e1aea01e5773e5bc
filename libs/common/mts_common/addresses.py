"""Remote addresses: what a client wrote, and the one canonical form by which calls exclude each other.

Rules: mts-api.md, "test-request", remoteAddress. Canonical is the lower-case host or normalised IP with its port, or
the E.164 number.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from mts_common.messages import Transport

_PHONE = re.compile(r"\+?[0-9]+(?:[ -]+[0-9]+)*")
_LABEL = re.compile(r"(?!-)[0-9A-Za-z_-]{1,63}(?<!-)")
_PORT = re.compile(r"[0-9]{1,5}")

# National trunk prefix by calling code, where it is not 0 (ITU-T E.164 national numbering plans).
_TRUNK_PREFIX = {"1": "1", "7": "8", "34": "", "39": "", "45": "", "47": "", "351": "", "352": "", "420": ""}


class AddressError(ValueError):
    """remoteAddress is not in a recognised format."""

    def __init__(self) -> None:
        super().__init__("remoteAddress is not in a recognised format")


@dataclass(frozen=True, slots=True)
class RemoteAddress:
    """`text` is what the client reads back; `host` and `port` are set for TCP alone."""

    text: str
    canonical: str
    transport: Transport
    host: str | None = None
    port: int | None = None


def parse(text: str, country_code: str = "44") -> RemoteAddress:
    """A phone number or `host:port`. `country_code` is the calling code that national numbers belong to.

    Raises `AddressError`.
    """
    if _PHONE.fullmatch(text):
        return _phone(text, country_code)
    host, colon, port_text = text.rpartition(":")
    if not colon or not _PORT.fullmatch(port_text) or not 1 <= int(port_text) <= 65535:
        raise AddressError
    port = int(port_text)
    canonical_host = _ipv6(host[1:-1]) if host.startswith("[") and host.endswith("]") else _host(host)
    return RemoteAddress(text, f"{canonical_host}:{port}", Transport.TCP, canonical_host.strip("[]"), port)


def international(number: str, country_code: str = "44") -> str:
    """The E.164 form of a phone number, or of the beginning of one, in digits with an optional `+`."""
    if number.startswith("+"):
        return number
    if number.startswith("00"):
        return f"+{number[2:]}"
    return f"+{country_code}{number.removeprefix(_TRUNK_PREFIX.get(country_code, '0'))}"


def _phone(text: str, country_code: str) -> RemoteAddress:
    number = text.replace(" ", "").replace("-", "")
    if not 3 <= len(number.removeprefix("+")) <= 20:
        raise AddressError
    return RemoteAddress(number, international(number, country_code), Transport.MODEM)


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise AddressError from None
    if address.scope_id is not None:
        raise AddressError
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"[{address}]"


def _host(text: str) -> str:
    """A dotted IPv4 address or a DNS name; other spellings of an IP (decimal, octal, short) are refused."""
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        pass
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    numeric = re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1])
    if len(name) > 253 or numeric or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressError
    return name
