"""What the database tells of: apps and bans.

>>> office = App('shop', '1234567890', 'not for logs', True, Networks.of(['10.0.0.0/8']), '100/minute', ('shop.*',))
>>> 'not for logs' in repr(office)
False
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from apizen.governance.address import Networks

__all__ = ["App", "Ban"]


class App(NamedTuple):
    """A program that may call. Without ``addresses`` it may from everywhere, without ``methods`` all of them."""

    name: str
    app_key: str
    #: Empty where the secret was not asked for.
    secret: str
    enabled: bool
    addresses: Networks
    #: As ``100/minute``; empty where only the server's own limits apply.
    rate: str
    #: Patterns of method names, as ``matrix.*``.
    methods: tuple[str, ...]

    def __repr__(self) -> str:
        return f"App(name={self.name!r}, app_key={self.app_key!r}, enabled={self.enabled})"


class Ban(NamedTuple):
    """A network whose calls are refused, until a time in UTC or for good."""

    network: str
    until: datetime | None
    reason: str

    def holds(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.until is None or self.until > now
