"""The rate limit: how many calls a caller may make in a time, 1027 beyond it.

A method's limit counts each caller by itself, an app by its app_key, else an address, and all versions of the
method together. The total counts a caller's calls to all methods. An app with a rate of its own has that
instead of the total. A call that one limit refuses does not count under the other.

Where the store has no place for one more address, that address counts as its network, which shares one limit;
apps have places of their own.

Every answer of a limited method tells what is left (draft-ietf-httpapi-ratelimit-headers-11)::

    RateLimit-Policy: "method";q=100;w=60, "total";q=1000;w=60
    RateLimit: "method";r=99;t=60, "total";r=999;t=60
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from apizen.call import Call
from apizen.call_plan import CallPlan
from apizen.entry import Entry, Key
from apizen.exception import ApiException, ApiSysExceptions
from apizen.governance.address import caller_of, network_of
from apizen.governance.auth import AUTH
from apizen.governance.error import CountersError, CountersFull
from apizen.governance.limit import parse_rate
from apizen.governance.stores.base import Counters, Group, Hit, Outcome, begun
from apizen.governance.stores.window import Decision
from apizen.guard import Guard
from apizen.throttled_log import ThrottledLog

if TYPE_CHECKING:
    import limits

__all__ = ["RateGuards", "Rates"]

logger = logging.getLogger(__name__)


class _Rule(NamedTuple):
    """A limit, its name in the headers, and what its 1027 says is limited."""

    name: str
    limit: limits.RateLimitItem
    what: str


class _Rules:
    """The limits of one call, strictest scope first; ``policy`` is their header."""

    __slots__ = ("_policy", "rules")

    def __init__(self, *rules: _Rule) -> None:
        self.rules = rules
        policy = ", ".join(f'"{name}";q={limit.amount};w={limit.get_expiry()}' for name, limit, _ in rules)
        self._policy = ("RateLimit-Policy", policy)

    def hits(self, caller: str, method: str) -> list[Hit]:
        return [
            (limit, f"method:{caller}:{method}" if name == "method" else f"{name}:{caller}")
            for name, limit, _ in self.rules
        ]

    def answer(self, call: Call, decisions: list[Decision]) -> None:
        """Adds the headers to the call's answer. Raises 1027 for a call that was not counted."""
        states = [
            f'"{rule[0]}";r={decision[1]};t={math.ceil(decision[2])}'
            for rule, decision in zip(self.rules, decisions, strict=True)
        ]
        call.headers += (self._policy, ("RateLimit", ", ".join(states)))
        for decision in decisions:
            if not decision[0]:
                raise self._refusal(decisions)

    def _refusal(self, decisions: list[Decision]) -> ApiException:
        refusing = [pair for pair in zip(self.rules, decisions, strict=True) if not pair[1].allowed]
        rule, decision = max(refusing, key=lambda pair: pair[1].reset)
        wait = max(1, math.ceil(decision.reset))
        return ApiSysExceptions.too_many_requests(
            f"{rule.what}每 {rule.limit.get_expiry()} 秒最多调用 {rule.limit.amount} 次，请在 {wait} 秒后重试",
            headers={"Retry-After": str(wait)},
        )


@lru_cache(maxsize=4096)
def _rules(method: str, total: str, app: str) -> _Rules:
    """The limits of three rates, of which each may be empty. Raises ValueError."""
    scopes = [("method", method, "该方法"), ("app", app, "该应用")]
    if not app:
        scopes.append(("total", total, "所有方法合计"))
    return _Rules(*(_Rule(name, parse_rate(rate), what) for name, rate, what in scopes if rate))


class Rates:
    """Makes the guards of rates. Raises ValueError for a rate that is none.

    ``default``, the rate of a method whose entry has no key ``rate``, is only checked: `guard` is given the rate of its
    method. ``total`` is that of a caller over all methods. Both are empty for none. ``fail_open`` lets calls pass while
    the store fails, else they are answered 1030.
    """

    def __init__(self, counters: Counters, *, default: str, total: str, fail_open: bool) -> None:
        _rules(default, total, "")
        self._counters = counters
        self._total = total
        self._fail_open = fail_open
        self._throttled_log = ThrottledLog(logger, 60)

    def guard(self, rate: str | None, *, signed: bool = True) -> Guard | None:
        """The guard of a method, of which ``rate`` is that of its entry, or the default.

        None where nothing limits it: for the rate None, which takes it out of the total too, and where there
        is neither a rate nor a total, unless ``signed`` calls may come from an app with a rate of its own.
        Raises ValueError.
        """
        if rate is None:
            return None
        rules = _rules(rate, self._total, "")
        return _RateGuard(self, rate, only_apps=not rules.rules) if rules.rules or signed else None

    def check(self, call: Call, rate: str) -> Outcome[None]:
        """Counts a call to a method of this rate. Raises 1027, at once or when awaited."""
        rules = self._rules_of(rate, call.caller.rate)
        if not rules.rules:
            return None
        return begun(self._count(rules, call), waits=self._counters.waits)

    async def _count(self, rules: _Rules, call: Call) -> None:
        try:
            decisions = self._hit(rules, call)
            if not isinstance(decisions, list):
                decisions = await decisions
        except CountersError as error:
            self._failed(error)
        else:
            rules.answer(call, decisions)

    def _hit(self, rules: _Rules, call: Call) -> Outcome[list[Decision]]:
        app, method = call.caller.app, call.method
        if app:
            return self._counters.hit(rules.hits(f"app:{app}", method), Group.APPS)
        caller = caller_of(call.caller.address)
        try:
            return self._counters.hit(rules.hits(f"address:{caller}", method))
        except CountersFull:
            return self._counters.hit(rules.hits(f"address:{network_of(caller)}", method), Group.NETWORKS)

    def _rules_of(self, rate: str, app_rate: str) -> _Rules:
        try:
            return _rules(rate, self._total, app_rate)
        except ValueError as error:
            self._throttled_log.warning("an app's rate is ignored: %s", error)
            return _rules(rate, self._total, "")

    def _failed(self, error: CountersError) -> None:
        then = "calls pass unlimited" if self._fail_open else "calls are refused"
        self._throttled_log.warning("the store of rate limits fails, %s: %s", then, error)
        if not self._fail_open:
            raise ApiSysExceptions.service_busy("限流暂不可用，请稍后重试", headers={"Retry-After": "1"})


def _rate(rate: Any) -> str | None:
    if not isinstance(rate, (str, type(None))):
        raise ValueError(f"rate must be a text, as '100/minute', or None, not {rate!r}")
    return rate


RATE = Key("rate", _rate, default="", setting="rate")


class RateGuards:
    """Makes the guard of a method whose entry has a rate, or takes signed calls, and of all where ``every`` has one.

    ``rates`` is called for the first of them.
    """

    keys = (RATE,)

    def __init__(self, rates: Callable[[], Rates], *, every: bool) -> None:
        self._rates = rates
        self._every = every

    def guard(self, entry: Entry, plan: CallPlan) -> Guard | None:
        signed = entry[AUTH] is not None
        if self._every or signed or entry.has(RATE):
            return self._rates().guard(entry[RATE], signed=signed)
        return None


class _RateGuard:
    """Counts the calls of one method."""

    __slots__ = ("_only_apps", "_rate", "_rates")

    reads_body = False

    def __init__(self, rates: Rates, rate: str, *, only_apps: bool) -> None:
        self._rates = rates
        self._rate = rate
        # Whether there is nothing to count but for apps with a rate of their own.
        self._only_apps = only_apps

    def check(self, call: Call) -> Outcome[None]:
        if self._only_apps and not call.caller.rate:
            return None
        return self._rates.check(call, self._rate)

    foresee = check
