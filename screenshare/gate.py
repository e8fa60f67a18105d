"""Who may watch: a PIN typed once or the key of the host's link, then a signed cookie. A browser on this machine
itself needs neither, unless ``pin_local`` says so.

Every handler that gives away something of the screen asks first, and is done if the answer is no:

    def get(self) -> None:
        if self.gate.admit(self):
            self.write(...)

The refusals: 421 for a name that is none of this machine's, 401 without a valid cookie, 429 while the network is
locked after too many wrong PINs, 403 for an address that the host has sent away. The last two carry Retry-After
in seconds.

The PIN is short, so wrong ones are counted, see `screenshare.attempts`. The key has 128 random bits: nobody guesses
it, so nothing is counted and no lock holds it up.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
import time
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler

from screenshare.attempts import Attempts
from screenshare.names import HostNames
from screenshare.peer import canonical, is_local, network_of, peer_of

__all__ = ["COOKIE", "Gate", "Verdict", "new_pin", "refuse"]

COOKIE = "screen"
_DISMISSED_SECONDS = 60.0
_KEY_DIGITS = 32  # hexadecimal: 128 bits

_NEEDED = "PIN needed: open /screen in a browser\n需要 PIN 码：请用浏览器打开 /screen\n"
_WRONG = "Wrong PIN\nPIN 码错误\n"
_LOCKED = "Too many wrong PINs: wait {wait} s\nPIN 码错误次数过多：请等待 {wait} 秒\n"
_CLOSED = (
    "Too many wrong PINs from many places: no PIN is taken for {wait} s. The host's link and QR code still work\n"
    "多处输错 PIN 码次数过多：{wait} 秒内不接受 PIN 码，主持人的链接和二维码仍可使用\n"
)
_OLD_LINK = "This link is not valid any more\n此链接已失效\n"
_DISMISSED = "The host has ended your viewing\n主持人已结束您的观看\n"
_UNKNOWN_NAME = (
    "The screen is not shared under this name: ask for it by an address, or name it with --screen-hosts\n"
    "屏幕未以此名称共享：请用 IP 地址访问，或用 --screen-hosts 指定此名称\n"
)


class Verdict(NamedTuple):
    """An HTTP status with its text, and the whole seconds to wait before asking again."""

    status: int
    text: str = ""
    wait: int = 0


def new_pin() -> str:
    """Six random digits."""
    return f"{secrets.randbelow(10**6):06d}"


class Gate:
    """Knows the PIN, the cookies it gave and whom it holds something against.

    Without a PIN everybody is admitted, except who was dismissed. ``names`` are those of the Host header that are
    answered. ``pin_local``: what comes from this machine may be from strangers, through a tunnel, and is treated
    as theirs. Cookies and the key end with this object. ``clock`` gives seconds. Raises ValueError for a PIN that is
    not 4 to 12 digits.

    >>> gate = Gate('246810')
    >>> gate.enter('192.0.2.7', '000000').status, gate.enter('192.0.2.7', '246 810').status
    (403, 204)
    >>> gate.enter_by_key('192.0.2.7', gate.key).status
    204
    """

    def __init__(
        self,
        pin: str | None,
        *,
        names: HostNames | None = None,
        pin_local: bool = False,
        clock: Callable[[], float] = time.monotonic,
        peer_of: Callable[[HTTPServerRequest], str] = peer_of,
    ) -> None:
        if pin is not None and not re.fullmatch("[0-9]{4,12}", pin):
            raise ValueError("a PIN has 4 to 12 digits")
        self._secret = secrets.token_bytes(32)
        self._pin = None if pin is None else self._sign(pin)
        self._names = names or HostNames()
        self._pin_local = pin_local
        self._clock = clock
        self._peer_of = peer_of
        self._attempts = Attempts(clock)
        self._dismissed: dict[str, float] = {}  # until when

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
        if not self._names.know(request):
            return Verdict(421, _UNKNOWN_NAME)
        address = self._peer_of(request)
        if (wait := self._dismissed_for(address)) > 0:
            return _refusal(403, _DISMISSED, wait)
        if self._pin is None or self.is_host(address, request) or self._is_ours(request):
            return Verdict(200)
        if (wait := self._attempts.locked(network_of(address))) > 0:
            return _refusal(429, _LOCKED, wait)
        return Verdict(401, _NEEDED)

    def is_host(self, address: str, request: HTTPServerRequest) -> bool:
        """Whether the one who shares the screen asks: somebody at this machine, where that can be told."""
        return not self._pin_local and is_local(address, request)

    def enter(self, address: str, pin: str) -> Verdict:
        """One try at the PIN: 204 right, 403 wrong; whether right or wrong 429 while the network is locked, 503
        while no PIN is taken from anybody, 403 with a time to wait for who was dismissed.

        Blanks, dashes and full-width digits are taken as people type them.
        """
        network = network_of(address)
        signed = self._sign(_plain(pin))
        if (refusal := self._closed_to(address, network)) is not None:
            return refusal
        if self._pin is None or hmac.compare_digest(signed, self._pin):
            self._attempts.clear(network)
            return Verdict(204)
        self._attempts.add(network, signed)
        return Verdict(403, _WRONG)

    def enter_by_key(self, address: str, key: str) -> Verdict:
        """Like `enter`, with the key of the host's link: however often, it can't be guessed."""
        if (wait := self._dismissed_for(address)) > 0:
            return _refusal(403, _DISMISSED, wait)
        if self._pin is None or hmac.compare_digest(key.encode("utf-8", "replace"), self.key.encode()):
            return Verdict(204)
        return Verdict(403, _OLD_LINK)

    def try_pin(self, handler: RequestHandler, pin: str) -> None:
        """Answers a try at the PIN; the right one gets the cookie."""
        self._try(handler, self.enter, pin)

    def try_key(self, handler: RequestHandler, key: str) -> None:
        """Answers a try at the key; the right one gets the cookie."""
        self._try(handler, self.enter_by_key, key)

    def dismiss(self, address: str) -> None:
        """Admits nothing from an address for a minute: a page whose stream was ended would just ask again."""
        now = self._clock()
        self._dismissed = {address: until for address, until in self._dismissed.items() if until > now}
        self._dismissed[canonical(address)] = now + _DISMISSED_SECONDS

    @property
    def key(self) -> str:
        """The key of the host's link, which is as good as the PIN."""
        return self._sign("key")[:_KEY_DIGITS]

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

    def _try(self, handler: RequestHandler, enter: Callable[[str, str], Verdict], value: str) -> None:
        request = handler.request
        known = self._names.know(request)
        verdict = enter(self._peer_of(request), value) if known else Verdict(421, _UNKNOWN_NAME)
        if verdict.status != 204:
            refuse(handler, verdict)
            return
        secure = request.protocol == "https"
        handler.set_cookie(COOKIE, self.new_cookie(), path="/", httponly=True, samesite="Strict", secure=secure)
        handler.set_status(204)
        handler.finish()

    def _closed_to(self, address: str, network: str) -> Verdict | None:
        """Why a try at the PIN is not even looked at; of several reasons the one that lasts longest."""
        if self._pin is None:
            return None
        reasons = [
            (self._dismissed_for(address), 403, _DISMISSED),
            (self._attempts.locked(network), 429, _LOCKED),
            (self._attempts.closed(), 503, _CLOSED),
        ]
        wait, status, text = max(reasons)
        return _refusal(status, text, wait) if wait > 0 else None

    def _dismissed_for(self, address: str) -> float:
        return self._dismissed.get(address, 0.0) - self._clock()


def refuse(handler: RequestHandler, verdict: Verdict) -> None:
    """Ends a request with a refusal in words, English and Chinese."""
    handler.clear()
    handler.set_status(verdict.status)
    handler.set_header("Content-Type", "text/plain; charset=utf-8")
    handler.set_header("Cache-Control", "no-store")
    if verdict.wait:
        handler.set_header("Retry-After", str(verdict.wait))
    handler.finish(verdict.text)


def _refusal(status: int, text: str, wait: float) -> Verdict:
    """A refusal that ends by itself after ``wait`` seconds."""
    seconds = max(1, math.ceil(wait))
    return Verdict(status, text.format(wait=seconds), seconds)


def _plain(pin: str) -> str:
    """
    >>> _plain(' 123-４５６ ')
    '123456'
    """
    return re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", pin))
