"""Whose call it is: addresses and networks, what of them counts as one caller, and who calls behind trusted proxies.

An IPv4 address that is written as IPv6 (RFC 4291, 2.5.5.2) is IPv4, everywhere.

>>> office = Networks.of(['10.0.0.0/8', '2001:db8::7'])
>>> '10.1.2.3' in office, '::ffff:10.1.2.3' in office, '192.0.2.1' in office
(True, True, False)
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from functools import lru_cache

from apizen.request import Request, header

__all__ = ["CallerAddress", "Network", "Networks", "caller_of", "network_of", "parse_address", "parse_network"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAX_HOPS = 20
_MAPPED_PREFIX = 96


def _unmapped(address: Address) -> Address:
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """The address that a text is; None for none, as the peer of a Unix socket."""
    try:
        return _unmapped(ipaddress.ip_address(text))
    except ValueError:
        return None


class Networks:
    """A list of networks. Made by `of`."""

    __slots__ = ("_networks",)

    def __init__(self, networks: tuple[Network, ...]) -> None:
        self._networks = networks

    @classmethod
    def of(cls, texts: Iterable[str]) -> Networks:
        """Networks from their texts. Raises ValueError."""
        return cls(tuple(parse_network(text) for text in texts))

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        found = parse_address(address)
        return found is not None and any(
            found.version == network.version and found in network for network in self._networks
        )

    def __iter__(self) -> Iterator[str]:
        return map(str, self._networks)

    def __len__(self) -> int:
        return len(self._networks)


def parse_network(text: str) -> Network:
    """The network that a text is, an address or CIDR (RFC 4632). Raises ValueError.

    >>> str(parse_network('::ffff:192.0.2.7')), str(parse_network('10.1.2.3/8'))
    ('192.0.2.7/32', '10.0.0.0/8')
    """
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no address and no network, as 192.0.2.7 or 10.0.0.0/8") from None
    address = _unmapped(network.network_address)
    if address.version == network.version or network.prefixlen < _MAPPED_PREFIX:
        return network
    return ipaddress.ip_network((address, network.prefixlen - _MAPPED_PREFIX))


@lru_cache(maxsize=4096)
def caller_of(address: str) -> str:
    """What an address counts as: an IPv6 network of 64 bits is one caller, who has all of its addresses.

    >>> caller_of('192.0.2.7'), caller_of('2001:db8::a:b:c:d')
    ('192.0.2.7', '2001:db8::/64')
    """
    if ":" not in address:
        return address
    found = parse_address(address.partition("%")[0])
    if found is None:
        return address
    return str(found if found.version == 4 else ipaddress.ip_network((found, 64), strict=False))


@lru_cache(maxsize=4096)
def network_of(caller: str) -> str:
    """The wider network of a caller: of IPv4 24 bits, of IPv6 48. What is no address is its own.

    >>> network_of('192.0.2.7'), network_of('2001:db8:1:2::/64'), network_of('unknown')
    ('192.0.2.0/24', '2001:db8:1::/48', 'unknown')
    """
    try:
        return str(ipaddress.ip_network((caller.partition("/")[0], 48 if ":" in caller else 24), strict=False))
    except ValueError:
        return caller


class CallerAddress:
    """Finds the address of a request's caller. ``trusted`` are the proxies whose word is taken.

    >>> proxied = Request('GET', '', {'X-Forwarded-For': '192.0.2.7, 10.0.0.2'}, peer='10.0.0.1')
    >>> CallerAddress(Networks.of(['10.0.0.0/8'])).of(proxied), CallerAddress(Networks.of([])).of(proxied)
    ('192.0.2.7', '10.0.0.1')
    """

    __slots__ = ("_trusted",)

    def __init__(self, trusted: Networks) -> None:
        self._trusted = trusted

    def of(self, request: Request) -> str:
        """The peer, or behind trusted proxies the first hop from the right that is none of them."""
        if not self._trusted or request.peer not in self._trusted:
            return request.peer
        caller = request.peer
        for hop in reversed((header(request.headers, "X-Forwarded-For") or "").split(",")[-_MAX_HOPS:]):
            found = parse_address(_without_port(hop.strip()))
            if found is None:  # whoever wrote this is not to be believed: the last known hop is the caller
                return caller
            caller = str(found)
            if caller not in self._trusted:
                return caller
        return caller


def _without_port(hop: str) -> str:
    """A hop without the port that some proxies write, ``192.0.2.7:4711`` or ``[2001:db8::7]:4711``."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    host, colon, _ = hop.partition(":")
    return host if colon and hop.count(":") == 1 else hop
