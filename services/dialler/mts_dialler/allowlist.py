"""Which addresses may be dialled.

A client chooses what the dialler connects to. So an address is dialled only if a listed network holds it, and one of
the special ranges below (our own machine, its neighbours, cloud metadata, tunnels to any of these) only if the listed
network lies within that range: `0.0.0.0/0` opens no loopback, `169.254.0.0/16` no metadata service. Nor may a special
IPv4 address be reached through an IPv6 one that carries it to a translator or a tunnel. The check is made on what the
name resolves to, and the connection goes to the addresses checked, not to the name.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from mts_dialler.errors import AddressForbidden, NameNotResolved

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str], Awaitable[Sequence[str]]]

MAX_ADDRESSES = 8

# IANA special-purpose registries (RFC 6890 and successors), and the well-known metadata addresses inside them.
_SPECIAL: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "100.100.100.200/32",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "169.254.169.254/32",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",  # unspecified, loopback, IPv4-compatible
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
        "fc00::/7",
        "fd00:ec2::254/128",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)

# RFC 6052 (the well-known prefix, and RFC 8215's for local use), RFC 2765.
_LAST_OCTETS: tuple[IPv6Network, ...] = tuple(
    IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/96", "::ffff:0:0:0/96")
)
_LOCAL_TRANSLATION = IPv6Network("64:ff9b:1::/48")


async def resolve(host: str) -> Sequence[str]:
    """The system resolver's answer, in its order of preference."""
    answers = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in answers]


class AllowList:
    """`networks` empty = nothing may be dialled."""

    def __init__(self, networks: Sequence[Network], resolver: Resolver = resolve) -> None:
        self._networks = tuple(networks)
        self._resolver = resolver

    async def pin(self, host: str, seconds: float) -> tuple[Address, ...]:
        """The addresses of `host` (a name or an IP), every one of them allowed; at least one, at most `MAX_ADDRESSES`.

        Raises `AddressForbidden` if any of them is not allowed, `NameNotResolved` if there is none in `seconds`. The
        texts do not tell what a name resolves to.
        """
        if not self._networks:
            raise AddressForbidden("no address may be dialled: MTS_ALLOW_NETWORKS lists no network")
        addresses = [_plain(address) for address in await self._addresses(host, seconds)]
        if not all(map(self.allows, addresses)):
            raise AddressForbidden(f"{host} is in no network that may be dialled (MTS_ALLOW_NETWORKS)")
        return tuple(dict.fromkeys(addresses))[:MAX_ADDRESSES]

    def allows(self, address: Address) -> bool:
        """May `address` be dialled? An IPv4 address in an IPv6 coat is judged as what it is."""
        plain = _plain(address)
        return self._lists(plain) and all(self._lists(inner) or not _specials(inner) for inner in _carried(plain))

    def _lists(self, address: Address) -> bool:
        special = _specials(address)
        return any(
            address in listed and all(_within(listed, network) for network in special) for listed in self._networks
        )

    async def _addresses(self, host: str, seconds: float) -> list[Address]:
        try:
            return [ip_address(host)]
        except ValueError:
            pass
        try:
            async with asyncio.timeout(seconds):
                answers = await self._resolver(host)
        except TimeoutError:
            raise NameNotResolved(f"the name {host} was not resolved within {seconds:g} s") from None
        except (OSError, UnicodeError) as error:
            raise NameNotResolved(f"the name {host} is not known") from error
        if not answers:
            raise NameNotResolved(f"the name {host} has no address")
        return [ip_address(answer) for answer in answers]


def _plain(address: Address) -> Address:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _specials(address: Address) -> list[Network]:
    return [network for network in _SPECIAL if address in network]


def _carried(address: Address) -> list[IPv4Address]:
    """The IPv4 addresses to which a translator or a tunnel's end may pass on what is sent to `address`."""
    if isinstance(address, IPv4Address):
        return []
    carried = [*(address.teredo or ()), *([address.sixtofour] if address.sixtofour else [])]
    octets = address.packed
    if any(address in network for network in _LAST_OCTETS):
        carried.append(IPv4Address(octets[12:]))
    if address in _LOCAL_TRANSLATION:
        carried.append(IPv4Address(octets[6:8] + octets[9:11]))  # RFC 6052, 2.2: a /48 prefix; octet 8 is nought
    return carried


def _within(inner: Network, outer: Network) -> bool:
    """Is all of `inner` in `outer`?"""
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)
