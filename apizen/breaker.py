"""Switches off, for a while, a method whose calls end the workers that run them.

``os._exit``, a fault in an extension, no memory left: these end a whole process, and nothing in it can catch that. So
each worker marks, in memory that it shares with its parent, which functions run in it. When it has died, the parent
reads which ran.

A function is judged, not a method: many versions may have one function, and it ends workers in all of them. Each
function that ran when a worker died is suspected of that death. One that is suspected of three deaths within an hour
is switched off, in all its methods. Of several it is the one with most deaths, and of these the one whose calls came
to an end least often. Its deaths are explained then, and count against no other function. So, where several end
workers by turns, they are found one after the other.

After a pause one call is tried. Where it comes to an end the function is back; where the worker dies once more
the pause is twice as long, up to an hour.

>>> from apizen import ApiMethodBase, version
>>> from apizen.version import Registry
>>> registry = Registry()
>>> @version('1.0', registry=registry)
... class V10(ApiMethodBase):
...     api_methods = {'core.dump': {'func': lambda: os.abort()}}
>>> catalogue = registry.catalogue()
>>> breaker, dump = Breaker(catalogue, workers=2), catalogue.find('1.0', 'core.dump')
>>> for worker in (0, 1, 0):
...     breaker.begin(worker)
...     breaker.mark(dump)              # and now the worker dies
...     breaker.blame(worker)
False
False
True
>>> breaker.check(dump)
Traceback (most recent call last):
    ...
apizen.exception.ApiSysExceptions.service_busy: 服务繁忙，该方法暂时停用
"""

from __future__ import annotations

import logging
import math
import mmap
import time
from collections import Counter
from collections.abc import Callable
from types import MethodType
from typing import TypeVar, TypeVarTuple

from apizen.catalogue import Catalogue
from apizen.endpoint import Endpoint
from apizen.exception import ApiSysExceptions

__all__ = ["Breaker"]

logger = logging.getLogger(__name__)

_DEATHS = 3
_MEMORY_SECONDS = 3600.0
_FIRST_PAUSE = 300.0
_LONGEST_PAUSE = 3600.0
# A call that is tried is the only one for so long. Then another one is tried, as the first may never end.
_TRIAL_SECONDS = 60.0

Result = TypeVar("Result")
Given = TypeVarTuple("Given")


class _Pause:
    """How long a function is switched off. Known to the parent only."""

    __slots__ = ("end", "seconds")

    def __init__(self) -> None:
        self.end = -math.inf
        self.seconds = 0.0

    def begin(self, now: float) -> None:
        """Twice as long as the last one, unless that is long ago."""
        recent = now < self.end + _MEMORY_SECONDS
        self.seconds = min(2 * self.seconds, _LONGEST_PAUSE) if recent else _FIRST_PAUSE
        self.end = now + self.seconds


class Breaker:
    """The switches of all functions of a catalogue.

    It is made before the ``workers`` are forked. A worker calls `begin` when it starts, then marks its calls, on its
    event loop only, so that no lock is needed, and calls `end` when it ends. The parent calls `blame`. ``clock`` must
    be the same in all processes.
    """

    def __init__(self, catalogue: Catalogue, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._places, self._names = _placed(catalogue)
        count = len(self._names)
        # By function: 0 where it is on, else the time when a call may be tried; negative while one is.
        self._off = _shared(count)
        # By worker and function: how many calls have begun, and how many have ended.
        self._begun = [_shared(count) for _ in range(workers)]
        self._ended = [_shared(count) for _ in range(workers)]
        self._tried: set[int] = set()  # what this process tries
        self._pauses = [_Pause() for _ in range(count)]
        self._deaths: list[tuple[float, frozenset[int]]] = []
        self.begin(0)

    def begin(self, worker: int) -> None:
        """Marks as this worker from now on."""
        self._mine_begun, self._mine_ended = self._begun[worker], self._ended[worker]
        self.end()

    def end(self) -> None:
        """Takes back the marks of this worker, which ends by itself: nobody is to blame."""
        self._mine_begun[:] = self._mine_ended

    def check(self, endpoint: Endpoint) -> None:
        """Raises 1030 while the endpoint's function is off. To be asked right before a call."""
        place = self._places[endpoint]
        if self._off[place]:
            self._try(place)

    def mark(self, endpoint: Endpoint) -> None:
        """A call of the function begins, or the writing of its result."""
        self._mine_begun[self._places[endpoint]] += 1

    def leave(self, endpoint: Endpoint) -> None:
        """What `mark` has marked has come to an end, be it by an exception."""
        place = self._places[endpoint]
        self._mine_ended[place] += 1
        if place in self._tried:
            self._switch_on(place)

    def run(self, endpoint: Endpoint, call: Callable[[*Given], Result], *given: *Given) -> Result:
        """Runs something for the endpoint between `mark` and `leave`, and gives its result."""
        place = self._places[endpoint]
        self._mine_begun[place] += 1
        try:
            return call(*given)
        finally:
            self._mine_ended[place] += 1
            if place in self._tried:
                self._switch_on(place)

    def blame(self, worker: int) -> bool:
        """Finds out why a worker died. True where the function that did it is known, and switched off."""
        begun, ended = self._begun[worker], self._ended[worker]
        suspects = frozenset(place for place in range(len(begun)) if begun[place] > ended[place])
        begun[:] = ended
        known = [place for place in suspects if self._off[place]]
        for place in known:
            if self._off[place] < 0:
                self._switch_off(place, "a worker died when it was tried again")
        if suspects and not known:
            now = self._clock()
            self._deaths = [death for death in self._deaths if now - death[0] < _MEMORY_SECONDS]
            self._deaths.append((now, suspects))
            known = self._judge()
        return bool(known)

    def _judge(self) -> list[int]:
        """Switches off the function with most deaths, where these are enough, and gives what it switched off."""
        counts = Counter(place for _, suspects in self._deaths for place in suspects)
        most = max(counts.values())
        if most < _DEATHS:
            return []
        ended = {place: sum(part[place] for part in self._ended) for place, count in counts.items() if count == most}
        found = [place for place, times in ended.items() if times == min(ended.values())]
        self._deaths = [death for death in self._deaths if death[1].isdisjoint(found)]
        for place in found:
            self._switch_off(place, f"it ran in {most} workers when they died")
        return found

    def _switch_on(self, place: int) -> None:
        self._tried.remove(place)
        self._off[place] = 0
        logger.warning("%s: a call was tried and came to an end, so it is back", self._names[place])

    def _switch_off(self, place: int, why: str) -> None:
        pause = self._pauses[place]
        pause.begin(self._clock())
        self._off[place] = pause.end
        logger.error("%s: %s; calls get 1030, in %g s one is tried", self._names[place], why, pause.seconds)

    def _try(self, place: int) -> None:
        """Lets one call pass when the pause is over. Raises 1030 before that."""
        left = abs(self._off[place]) - self._clock()
        if left > 0:
            raise ApiSysExceptions.service_busy("该方法暂时停用", headers={"Retry-After": str(math.ceil(left))})
        self._off[place] = -(self._clock() + _TRIAL_SECONDS)
        self._tried.add(place)


def _placed(catalogue: Catalogue) -> tuple[dict[Endpoint, int], list[str]]:
    """The number of each endpoint's function; and by number the methods of the function, for the log."""
    places: dict[Endpoint, int] = {}
    functions: dict[object, int] = {}
    names: list[list[str]] = []
    for methods in catalogue.methods.values():
        for endpoint in filter(None, methods.values()):
            place = places[endpoint] = functions.setdefault(_identity(endpoint), len(functions))
            if place == len(names):
                names.append([])
            names[place].append(f"{endpoint.version} {endpoint.name}")
    return places, [", ".join(each) for each in names]


def _identity(endpoint: Endpoint) -> object:
    """What is the same for the same function: a bound method is another object each time it is asked for."""
    function = endpoint.plan.function
    return (id(function.__self__), id(function.__func__)) if isinstance(function, MethodType) else id(function)


def _shared(count: int) -> memoryview[float]:
    """So many numbers, all 0, in memory that is shared with processes forked later."""
    return memoryview(mmap.mmap(-1, 8 * max(count, 1))).cast("d")[:count]
