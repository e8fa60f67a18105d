"""Where a request comes from: an address, the network that counts as one caller, and whether it is this machine.

>>> network_of('2001:db8::1:2'), network_of('::ffff:192.0.2.7')
('2001:db8::/64', '192.0.2.7')
"""

from __future__ import annotations

import ipaddress

from tornado.httputil import HTTPServerRequest

__all__ = ["canonical", "is_address", "is_local", "is_loopback", "network_of", "peer_of"]

# What a proxy adds. Behind one on this machine every client would look like this machine.
_PROXY_HEADERS = ("Forwarded", "Via", "X-Real-IP")
_PROXY_PREFIX = "X-Forwarded"  # -For, -Host, -Proto, …
# What one subscriber or one link has at least (RFC 4291, 2.5.4): each machine takes any address in it, as many as
# it likes (RFC 8981).
_NETWORK_BITS = 64


def peer_of(request: HTTPServerRequest) -> str:
    """The address that a request is judged by; a test hands the gate another function in its place.

    An IPv4 address that came through an IPv6 socket (``::ffff:192.0.2.7``) is given as IPv4.
    """
    return canonical(request.remote_ip or "")


def is_local(address: str, request: HTTPServerRequest) -> bool:
    """Whether somebody at this machine asks this machine.

    Not so where a proxy passes the request on, nor where the browser asked for another name: a web page
    can let its own name point here (DNS rebinding) and would read the screen.
    """
    if not is_loopback(address) or _came_through_a_proxy(request):
        return False
    name = request.host_name.strip("[]")
    return name == "localhost" or name.endswith(".localhost") or is_loopback(name)


def network_of(address: str) -> str:
    """Whose wrong PINs are counted together: an IPv4 address, or the /64 of an IPv6 address.

    >>> network_of('fe80::1%eth0'), network_of('?')
    ('fe80::/64', '?')
    """
    parsed = _parsed(address)
    if parsed is None:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.IPv6Network((int(parsed), _NETWORK_BITS), strict=False))


def canonical(address: str) -> str:
    """One spelling for each address; what is none stays as it is.

    >>> canonical('::FFFF:192.0.2.7'), canonical('FE80::1%eth0'), canonical('?')
    ('192.0.2.7', 'fe80::1%eth0', '?')
    """
    parsed = _parsed(address)
    return address if parsed is None else str(parsed)


def is_loopback(address: str) -> bool:
    """
    >>> is_loopback('127.0.0.2'), is_loopback('::ffff:127.0.0.1'), is_loopback('localhost')
    (True, True, False)
    """
    parsed = _parsed(address)
    return parsed is not None and parsed.is_loopback


def is_address(text: str) -> bool:
    return _parsed(text) is not None


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address of this text, as IPv4 where it is one behind IPv6; None if it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _came_through_a_proxy(request: HTTPServerRequest) -> bool:
    headers = request.headers
    return any(name in headers for name in _PROXY_HEADERS) or any(name.startswith(_PROXY_PREFIX) for name in headers)
