"""One state of apps, bans and maintenance that calls are checked against.

A snapshot never changes: what has changed in the database makes a new one.

>>> bans = BanIndex([Ban('10.0.0.0/8', None, 'guests'), Ban('2001:db8::/32', None, 'scans')])
>>> [ban.reason for ban in bans.over('10.1.2.3')], bans.over('192.0.2.1')
(['guests'], ())
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from apizen.governance.address import parse_address
from apizen.governance.records.models import App, Ban

__all__ = ["NOTHING", "BanIndex", "Snapshot"]

_REMEMBERED_ADDRESSES = 4096


class BanIndex:
    """Bans, found by address: a dict of networks for each length of prefix that occurs."""

    def __init__(self, bans: Iterable[Ban]) -> None:
        self._levels: dict[int, dict[int, dict[int, Ban]]] = {4: {}, 6: {}}
        for ban in bans:
            network = ipaddress.ip_network(ban.network)
            shift = network.max_prefixlen - network.prefixlen
            self._levels[network.version].setdefault(shift, {})[int(network.network_address) >> shift] = ban
        #: The bans that an address falls under; one may have expired while another one holds.
        self.over = lru_cache(_REMEMBERED_ADDRESSES)(self._over)

    def _over(self, text: str) -> tuple[Ban, ...]:
        address = parse_address(text)
        if address is None:
            return ()
        number = int(address)
        levels = self._levels[address.version].items()
        return tuple(networks[number >> shift] for shift, networks in levels if number >> shift in networks)


class Snapshot(NamedTuple):
    """All that calls are checked against. ``bans`` is None where nobody is banned.

    ``apps`` are by app_key. ``unreadable`` are the app_keys of those apps that may call, but whose secret can't be
    decrypted now, and could not be before: nobody can tell whether their calls are theirs.
    """

    apps: Mapping[str, App]
    unreadable: frozenset[str]
    bans: BanIndex | None
    maintenance: str | None


NOTHING = Snapshot({}, frozenset(), None, None)
