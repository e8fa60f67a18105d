"""Who may watch: a PIN typed once, then a signed cookie. A browser on this machine itself needs neither.

Every handler that gives away something of the screen asks first, and is done if the answer is no:

    def get(self) -> None:
        if self.gate.admit(self):
            self.write(...)

The refusals: 401 without a valid cookie, 429 while the address is locked after too many wrong PINs, 403 for
an address that the host has sent away. The latter two carry Retry-After in seconds.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import math
import re
import secrets
import time
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler

__all__ = ["COOKIE", "Gate", "Verdict", "is_host", "new_pin", "peer_of", "refuse"]

logger = logging.getLogger(__name__)

COOKIE = "screen"
_WRONG_PINS = 5
_LOCKED_SECONDS = 60.0
# Bounds the memory, and how many guesses a minute somebody with many addresses has: while as many
# are remembered, an address that is not among them is treated as locked.
_ADDRESSES = 256
# What a proxy adds. Behind one on this machine every client would look like this machine.
_PROXY_HEADERS = ("Forwarded", "Via", "X-Forwarded-For", "X-Real-IP")

_NEEDED = "PIN needed: open /screen in a browser\n需要 PIN 码：请用浏览器打开 /screen\n"
_WRONG = "Wrong PIN\nPIN 码错误\n"
_LOCKED = "Too many wrong PINs: wait\nPIN 码错误次数过多：请稍候\n"
_DISMISSED = "The host has ended your viewing\n主持人已结束您的观看\n"


class Verdict(NamedTuple):
    """An HTTP status with its text, and the whole seconds to wait before asking again."""

    status: int
    text: str = ""
    wait: int = 0


class _Record(NamedTuple):
    """What is held against an address until ``until``, in seconds of the gate's clock."""

    until: float
    wrong: int = 0
    dismissed: bool = False


def new_pin() -> str:
    """Six random digits."""
    return f"{secrets.randbelow(10**6):06d}"


def peer_of(request: HTTPServerRequest) -> str:
    """The address that a request is judged by; a test hands the gate another function in its place.

    An IPv4 address that came through an IPv6 socket (``::ffff:192.0.2.7``) is given as IPv4.
    """
    return _canonical(request.remote_ip or "")


def is_host(address: str, request: HTTPServerRequest) -> bool:
    """Whether somebody at this machine asks this machine.

    Not so where a proxy passes the request on, nor where the browser asked for another name: a web page
    can let its own name point here (DNS rebinding) and would read the screen.
    """
    if not _is_loopback(address) or any(name in request.headers for name in _PROXY_HEADERS):
        return False
    name = request.host_name.strip("[]")
    return name == "localhost" or name.endswith(".localhost") or _is_loopback(name)


class Gate:
    """Knows the PIN, the cookies it gave and the addresses it holds something against.

    Without a PIN everybody is admitted, except who was dismissed. A cookie ends with this object. ``clock``
    gives seconds. Raises ValueError for a PIN that is not 4 to 12 digits.

    >>> gate = Gate('246810')
    >>> gate.enter('192.0.2.7', '000000').status, gate.enter('192.0.2.7', '246 810').status
    (403, 204)
    """

    def __init__(
        self,
        pin: str | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        peer_of: Callable[[HTTPServerRequest], str] = peer_of,
    ) -> None:
        if pin is not None and not re.fullmatch("[0-9]{4,12}", pin):
            raise ValueError("a PIN has 4 to 12 digits")
        self._secret = secrets.token_bytes(32)
        self._pin = None if pin is None else self._sign(pin)
        self._clock = clock
        self._peer_of = peer_of
        self._records: dict[str, _Record] = {}

    def admit(self, handler: RequestHandler) -> bool:
        """Whether the request may go on. If not, it is answered here."""
        verdict = self.judge(handler.request)
        if verdict.status != 200:
            refuse(handler, verdict)
            return False
        if self._pin is not None:
            # A page of another site, open in a browser that may watch, can't embed the picture.
            handler.set_header("Cross-Origin-Resource-Policy", "same-origin")
        return True

    def judge(self, request: HTTPServerRequest) -> Verdict:
        """200 for who may watch, else the refusal."""
        address = self._peer_of(request)
        record = self._record(address)
        if record is not None and record.dismissed:
            return Verdict(403, _DISMISSED, self._wait(record))
        if self._pin is None or is_host(address, request) or self._is_ours(request):
            return Verdict(200)
        if record is not None and record.wrong >= _WRONG_PINS:
            return Verdict(429, _LOCKED, self._wait(record))
        return Verdict(401, _NEEDED)

    def enter(self, address: str, pin: str) -> Verdict:
        """One try at the PIN: 204 right, 403 wrong, 429 locked, whether right or wrong.

        Blanks, dashes and full-width digits are taken as people type them.
        """
        if self._pin is None:
            return Verdict(204)
        self._forget_old()
        record = self._records.get(address)
        if record is None and len(self._records) >= _ADDRESSES:
            return Verdict(429, _LOCKED, math.ceil(_LOCKED_SECONDS))
        if record is not None and record.dismissed:
            return Verdict(429, _DISMISSED, self._wait(record))
        if record is not None and record.wrong >= _WRONG_PINS:
            return Verdict(429, _LOCKED, self._wait(record))
        if hmac.compare_digest(self._sign(_plain(pin)), self._pin):
            self._records.pop(address, None)
            return Verdict(204)
        self._count_wrong(address, 1 if record is None else record.wrong + 1)
        return Verdict(403, _WRONG)

    def try_pin(self, handler: RequestHandler, pin: str) -> None:
        """Answers a try at the PIN; the right one gets the cookie."""
        verdict = self.enter(self._peer_of(handler.request), pin)
        if verdict.status != 204:
            refuse(handler, verdict)
            return
        secure = handler.request.protocol == "https"
        handler.set_cookie(COOKIE, self.new_cookie(), path="/", httponly=True, samesite="Strict", secure=secure)
        handler.set_status(204)
        handler.finish()

    def dismiss(self, address: str) -> None:
        """Admits nothing from an address for a minute: a page whose stream was ended would just ask again."""
        self._forget_old()
        self._records[_canonical(address)] = _Record(self._clock() + _LOCKED_SECONDS, dismissed=True)

    def new_cookie(self) -> str:
        """The value of a cookie that this gate takes as proof."""
        name = secrets.token_hex(16)
        return f"{name}.{self._sign(f'cookie {name}')}"

    def _is_ours(self, request: HTTPServerRequest) -> bool:
        cookie = request.cookies.get(COOKIE)
        name, _, signature = ("" if cookie is None else cookie.value).partition(".")
        return hmac.compare_digest(self._sign(f"cookie {name}").encode(), signature.encode())

    def _sign(self, text: str) -> str:
        return hmac.new(self._secret, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def _record(self, address: str) -> _Record | None:
        record = self._records.get(address)
        return record if record is not None and record.until > self._clock() else None

    def _forget_old(self) -> None:
        now = self._clock()
        self._records = {address: record for address, record in self._records.items() if record.until > now}

    def _count_wrong(self, address: str, wrong: int) -> None:
        self._records[address] = _Record(self._clock() + _LOCKED_SECONDS, wrong)
        if wrong == _WRONG_PINS:
            logger.warning("%s is locked for %d s after %d wrong PINs", address, _LOCKED_SECONDS, wrong)

    def _wait(self, record: _Record) -> int:
        return max(1, math.ceil(record.until - self._clock()))


def refuse(handler: RequestHandler, verdict: Verdict) -> None:
    """Ends a request with a refusal in words, English and Chinese."""
    handler.clear()
    handler.set_status(verdict.status)
    handler.set_header("Content-Type", "text/plain; charset=utf-8")
    handler.set_header("Cache-Control", "no-store")
    if verdict.wait:
        handler.set_header("Retry-After", str(verdict.wait))
    handler.finish(verdict.text)


def _plain(pin: str) -> str:
    """
    >>> _plain(' 123-４５６ ')
    '123456'
    """
    return re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", pin))


def _canonical(address: str) -> str:
    """
    >>> _canonical('::FFFF:192.0.2.7'), _canonical('FE80::1%eth0'), _canonical('?')
    ('192.0.2.7', 'fe80::1%eth0', '?')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
