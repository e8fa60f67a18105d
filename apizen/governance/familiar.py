"""The apps that an address has used well of late.

A lock-out is for strangers who guess. An address may be that of a whole office, where one program is wrong and the
others are right: what was right an hour ago is still looked at.

>>> familiar = FamiliarApps()
>>> familiar.add('2001:db8::7', '12345678')
>>> familiar.has('2001:db8::8', '12345678'), familiar.has('2001:db8::7', '87654321')
(True, False)
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from apizen.governance.counters import caller_of

__all__ = ["FamiliarApps"]

_SECONDS = 3600
#: Pairs of an address and an app: some 300 bytes each.
MOST_PAIRS = 10_000


class FamiliarApps:
    """Who used which app in the last hour, in this process. Of too many pairs it forgets those not used for longest.

    An IPv6 network of 64 bits is one address. Only a right signature gets in, so nobody without a secret of their own
    can make it forget others.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._used: OrderedDict[tuple[str, str], float] = OrderedDict()

    def add(self, address: str, app_key: str) -> None:
        """Notes a good call."""
        pair = caller_of(address), app_key
        used = self._used
        used[pair] = self._clock()
        used.move_to_end(pair)
        if len(used) > MOST_PAIRS:
            used.popitem(last=False)

    def has(self, address: str, app_key: str) -> bool:
        """Whether the address used the app well in the last hour."""
        used = self._used.get((caller_of(address), app_key))
        return used is not None and self._clock() - used <= _SECONDS
