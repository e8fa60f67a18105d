"""Who calls."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["Caller"]

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Caller:
    """Who calls: what a face knows of them, and what guards have proved.

    ``address`` is the caller's own, behind trusted proxies too, empty where it is not known. ``request_id`` names the
    request in the log and in its answer. ``headers`` are the request's, where its protocol has headers.

    ``app`` is the key of the app whose call it is, ``user`` the account that it acts for, ``scopes`` what it may do
    there; empty until a guard has proved them. ``rate`` is the app's own rate, as ``'100/minute'``, empty for none.
    So each call has a caller of its own.

    >>> Caller('192.0.2.7', 'order-17').app
    ''
    """

    __slots__ = ("address", "app", "headers", "rate", "request_id", "scopes", "user")

    def __init__(self, address: str = "", request_id: str = "", headers: Mapping[str, str] = _NO_HEADERS) -> None:
        self.address = address
        self.request_id = request_id
        self.headers = headers
        self.app = ""
        self.user = ""
        self.scopes: frozenset[str] = frozenset()
        self.rate = ""
