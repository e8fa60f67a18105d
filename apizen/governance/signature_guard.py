"""The guard of signed calls: says who calls, and that nobody else made this call or made it before.

A call is judged in this order: app_key missing (1026), the caller locked out (1002), timestamp missing (1007), sign
missing (1009), app unknown or disabled (1031, the same answer for both), address not the app's (1003), sign_method
(1010), timestamp (1008), signature (1010), parameters that nobody takes (1010), method not the app's (1033), replay
(1032).

An unknown app and a wrong signature count as failed calls of the *address*. They never count for the app as such: an
app_key is no secret, and twenty bad calls from anywhere would lock its owner out. So an app is refused where it
failed, and works where it is used rightly. A clock that is wrong is a mistake and no attempt: 1008 does not count.

Any web page can make its visitor's browser fail here. So what has the marks of that (`apizen.governance.cross_site`)
counts by itself, and locks out nothing but calls with such marks. A program may send the marks, too: it gets as many
guesses once more, of 128 bits and more each.

While an address is locked out, an app that it has used well in the last hour is still looked at. A good signature
passes; everything else gets 1002, whatever it is, and does not count: who guesses behind the same address learns
nothing but that a guess was right.

A parameter that neither the function nor the gateway takes is refused, and so is a public one that comes twice, of
which one would count: names and values of the platform's forms are signed without anything in between, so that
``dry_run=true`` and ``dry_runt=rue`` have the same signature, and the second would be a call in earnest. That is
judged when the signature is right: strangers learn nothing of a method, and it is no failed call.

A signature is good once. It is remembered for as long as its timestamp could pass, and so is a nonce together with
its timestamp. The nonce alone would not do: ``nonce=a&num=1`` and ``nonce=anum1`` have the same signature, too, and
whoever overheard one could send the other.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Iterable
from copy import copy
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from apizen.body_size import LARGE_BODY
from apizen.call import Call
from apizen.call_plan import PUBLIC_PARAMETERS
from apizen.exception import ApiException, ApiSysExceptions
from apizen.governance.canonical import VERSION, canonical
from apizen.governance.cross_site import is_cross_site
from apizen.governance.error import CountersError
from apizen.governance.familiar import FamiliarApps
from apizen.governance.signature import (
    DEFAULT_METHOD,
    SIGN_METHODS,
    WINDOW,
    matches,
    parse_timestamp,
    signature,
    string_to_sign,
    zone_of,
)
from apizen.governance.stores.base import Outcome, begun
from apizen.suggestion import hint_at
from apizen.throttled_log import ThrottledLog
from apizen.values import Values

if TYPE_CHECKING:
    from apizen.governance.lockout import Lockout
    from apizen.governance.records.live import App, LiveRecords
    from apizen.governance.stores.base import Counters

__all__ = ["SignatureGuard"]

# By so many seconds the clocks of several servers may differ: what one still takes, no other has forgotten.
_SKEW = 10
_RETRY_AFTER = "5"
_SHOWN = 2000
_NAME_SHOWN = 64
_MASK = "******"


class SignatureGuard:
    """Lets a call pass whose signature is right.

    ``sign_methods`` are the ways to sign that are taken, ``time_zone`` is the zone of a timestamp that is written as
    a date. With ``debug``, 1010 shows what the server signed. ``fail_open`` lets calls pass, with no app proved,
    while the apps are not known, and without a look for replays while the store of nonces fails; otherwise they are
    answered 1030. Raises ValueError for a method or a zone that does not exist.
    """

    reads_body = True

    def __init__(
        self,
        records: LiveRecords,
        counters: Counters,
        lockout: Lockout,
        *,
        sign_methods: Iterable[str],
        time_zone: str,
        debug: bool,
        fail_open: bool,
    ) -> None:
        self._records = records
        self._counters = counters
        self._lockout = lockout
        self._familiar = FamiliarApps(counters)
        self._waits = counters.waits or lockout.waits
        self._sign_methods = _known(sign_methods)
        self._zone = zone_of(time_zone)
        self._expected = f"应为 yyyy-MM-dd HH:mm:ss（{time_zone}）、10 位秒数或 13 位毫秒数"
        self._debug = debug
        self._fail_open = fail_open
        self._log = ThrottledLog(logging.getLogger(__name__), 60)
        self._accepted: frozenset[str] | None = None

    def accepting(self, names: frozenset[str] | None) -> SignatureGuard:
        """The same for an endpoint whose parameters may have these names; None for any."""
        guard = copy(self)
        guard._accepted = names
        return guard

    def check(self, call: Call) -> Outcome[None]:
        """Proves the call's app. Raises what the module's docstring says, at once or when awaited."""
        app_key = call.values.public("app_key")
        if not app_key:
            raise ApiSysExceptions.anonymous_not_allowed("应有 app_key 及签名")
        refusal = self._refusal(call)
        proof = self._check_locked_out(call, app_key, refusal) if refusal else self._check_known(call, app_key)
        return begun(proof, waits=self._waits or call.values.size > LARGE_BODY)

    def foresee(self, call: Call) -> Outcome[None]:
        """Raises 1002 for a caller that is locked out, if the app is none that its address has used well."""
        app_key = call.values.public("app_key")
        refusal = self._refusal(call) if app_key else None  # a form may name it
        if refusal is None or not app_key:
            return None
        return begun(self._refuse_unfamiliar(call, app_key, refusal), waits=self._waits)

    def _refusal(self, call: Call) -> ApiException | None:
        """The 1002 of a caller that is locked out."""
        if self._lockout.active:
            try:
                self._lockout.refuse(call.caller.address, cross_site=is_cross_site(call.caller.headers))
            except ApiException as refusal:
                return refusal
        return None

    async def _refuse_unfamiliar(self, call: Call, app_key: str, refusal: ApiException) -> None:
        if not await self._familiar.has(call.caller.address, app_key):
            raise refusal

    async def _check_locked_out(self, call: Call, app_key: str, refusal: ApiException) -> None:
        """Lets a good call of a familiar app pass; whatever else it is, it is refused."""
        await self._refuse_unfamiliar(call, app_key, refusal)
        try:
            await self._check_known(call, app_key)
        except ApiException:
            if call.caller.app:
                raise
        if not call.caller.app:
            raise refusal

    async def _check_known(self, call: Call, app_key: str) -> None:
        timestamp, sign = _stamps(call)
        if not self._records.known:
            self._pass_unchecked("the apps could not be read")
            return
        app = self._app(app_key)
        if app is None:
            raise await self._counted(call, ApiSysExceptions.invalid_app_key())
        method, seconds_left = self._check_app(call, app, timestamp)
        if call.values.size > LARGE_BODY:  # megabytes would hold up everybody's calls
            string, expected = await (call.in_thread or asyncio.to_thread)(partial(_signed, call, method, app.secret))
        else:
            string, expected = _signed(call, method, app.secret)
        if not matches(expected, sign):
            raise await self._counted(call, self._wrong_signature(method, app.secret, string))
        self._prove(call, app)
        keys = [f"sign:{app_key}:{expected}"]
        if nonce := call.values.public("nonce"):
            keys.append(f"nonce:{app_key}:{timestamp}:{nonce}")
        try:
            first = self._counters.claim(keys, seconds_left + _SKEW)
            if not isinstance(first, bool):
                first = await first
        except CountersError as broken:
            self._pass_unchecked(broken)
            return
        if not first:
            raise ApiSysExceptions.repeated_request
        if not self._familiar.has_noted(call.caller.address, app_key):
            await self._familiar.add(call.caller.address, app_key)

    def _app(self, app_key: str) -> App | None:
        """The app, None for one that is unknown or disabled. Raises 1030 where that can't be told."""
        app = self._records.find(app_key)
        if app is None and self._records.is_unreadable(app_key):
            raise ApiSysExceptions.service_busy("暂时无法验证签名", headers={"Retry-After": _RETRY_AFTER})
        return app if app is not None and app.enabled else None

    def _check_app(self, call: Call, app: App, timestamp: str) -> tuple[str, float]:
        """What can be told without the signature; gives its method, and for how long its timestamp will pass."""
        if app.addresses and call.caller.address not in app.addresses:
            raise ApiSysExceptions.forbidden_request("此 app_key 不能从该地址调用")
        if call.values.size and (hidden := call.values.hidden_texts()):
            raise ApiSysExceptions.bad_request(f"签名的参数不能与文件同名：{hidden[0][:_NAME_SHOWN]}")
        return self._sign_method(call.values.public("sign_method")), self._seconds_left(timestamp)

    def _prove(self, call: Call, app: App) -> None:
        """Notes whose call it is, whose signature is right. Raises what else is wrong with it."""
        call.caller.app = app.app_key
        call.caller.rate = app.rate
        _refuse_extra(call.values, self._accepted)
        if app.methods and not _may_call(app.methods, call.method):
            raise ApiSysExceptions.permission_denied(f"此 app_key 不能调用 {call.method}")

    def _sign_method(self, given: str | None) -> str:
        method = DEFAULT_METHOD if given is None else given
        if method not in self._sign_methods:
            raise ApiSysExceptions.invalid_signature(f"sign_method 应为 {'、'.join(self._sign_methods)}")
        return method

    def _seconds_left(self, timestamp: str) -> float:
        """For how long this timestamp will pass."""
        try:
            ahead = parse_timestamp(timestamp, self._zone) - time.time()
        except ValueError:
            raise ApiSysExceptions.invalid_timestamp(self._expected) from None
        if abs(ahead) > WINDOW:
            off = f"比服务器时间{'快' if ahead > 0 else '慢'} {math.ceil(abs(ahead))} 秒，应在 {WINDOW} 秒以内"
            raise ApiSysExceptions.invalid_timestamp(f"{off}；{self._expected}")
        return ahead + WINDOW

    def _wrong_signature(self, method: str, secret: str, string: bytes) -> ApiException:
        if not self._debug:
            return ApiSysExceptions.invalid_signature()
        signed = string.decode(errors="replace").replace(secret, _MASK)
        if method == "md5":
            signed = f"{_MASK}{signed}{_MASK}"
        if len(signed) > _SHOWN:
            signed = f"{signed[:_SHOWN]}…（共 {len(signed)} 个字符）"
        return ApiSysExceptions.invalid_signature(f"服务器签名的字符串为 {signed}")

    async def _counted(self, call: Call, error: ApiException) -> ApiException:
        """The error of a failed call, which counts. Raises 1002 instead where the caller is locked out."""
        address, cross_site = call.caller.address, is_cross_site(call.caller.headers)
        self._lockout.refuse(address, cross_site=cross_site)  # a lock-out that goes on is not made longer
        await self._lockout.failed(address, cross_site=cross_site)
        return error

    def _pass_unchecked(self, reason: object) -> None:
        if self._fail_open:
            self._log.warning("signed calls pass unchecked: %s", reason)
        else:
            self._log.warning("signed calls are refused: %s", reason)
            raise ApiSysExceptions.service_busy("暂时无法验证签名", headers={"Retry-After": _RETRY_AFTER})


def _stamps(call: Call) -> tuple[str, str]:
    """The timestamp and the signature of a call. Raises 1007 and 1009 where they are missing."""
    timestamp, sign = call.values.public("timestamp"), call.values.public("sign")
    if timestamp is None:
        raise ApiSysExceptions.missing_timestamp("timestamp")
    if sign is None:
        raise ApiSysExceptions.missing_signature("sign")
    return timestamp, sign


def _signed(call: Call, method: str, secret: str) -> tuple[bytes, str]:
    """What is signed, and its signature."""
    values = call.values
    if method == VERSION:
        string = canonical(call.verb, values.parts(), values.document())
    else:
        string = string_to_sign(values.pairs(), values.document())
    return string, signature(method, secret, string)


def _refuse_extra(values: Values, accepted: frozenset[str] | None) -> None:
    """Raises 1010 for a parameter that nobody takes, and for a public one of which one value would be ignored."""
    if accepted is not None and not accepted.issuperset(values.named):
        name = min(values.named.keys() - accepted)
        raise ApiSysExceptions.invalid_signature(f"该方法没有参数 {name[:_NAME_SHOWN]}")
    if values.repeated or values.size:
        public = [name for _, name, _ in values.parts() if name in PUBLIC_PARAMETERS]
        if len(public) > len(set(public)):
            twice = next(name for name in public if public.count(name) > 1)
            raise ApiSysExceptions.invalid_signature(f"公共参数 {twice} 只能有一个")


def _known(sign_methods: Iterable[str]) -> tuple[str, ...]:
    found = tuple(sign_methods)
    for method in found:
        if method not in SIGN_METHODS:
            raise ValueError(f"there is no sign_method {method!r}, {hint_at(method, list(SIGN_METHODS))}")
    if not found:
        raise ValueError(f"sign_methods must name some of {', '.join(SIGN_METHODS)}")
    return found


@lru_cache(maxsize=4096)
def _may_call(patterns: tuple[str, ...], method: str) -> bool:
    return any(fnmatchcase(method, pattern) for pattern in patterns)
