"""The page that shows the picture, what it loads, and where its PIN form is sent.

The page is three files in ``page/``, served as they are; only who may watch gets it with the picture in view.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

from tornado.httputil import HTTPServerRequest
from tornado.routing import URLSpec
from tornado.web import RequestHandler

from screenshare.gate import Gate, Verdict, refuse

__all__ = ["AssetHandler", "LoginHandler", "PageHandler", "page_rules"]

_FOLDER = Path(__file__).parent / "page"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_PIN_VIEW, _WATCH_VIEW = b'data-view="pin"', b'data-view="watch"'
_LARGEST_TRY = 1024

# blob: is the picture that stays while the stream is paused.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def page_rules(gate: Gate) -> list[URLSpec]:
    """The page's rules for an `Application`."""
    return [
        URLSpec(r"/screen/?", PageHandler, {"gate": gate}),
        URLSpec(r"/screen/pin", LoginHandler, {"gate": gate}),
        URLSpec(r"/screen/(page\.css|page\.js|icon\.svg)", AssetHandler),
    ]


class _Handler(RequestHandler):
    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("X-Frame-Options", "DENY")
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")


class PageHandler(_Handler):
    """GET /screen: the page; with the PIN form, and nothing of the screen, for who has yet to enter it."""

    def initialize(self, gate: Gate) -> None:
        self.gate = gate

    def get(self) -> None:
        verdict = self.gate.judge(self.request)
        if verdict.status == 421:
            refuse(self, verdict)
            return
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        page = _content("index.html")
        # Who was sent away sees the page say so, as soon as it asks for the state.
        self.finish(page if verdict.status in (401, 429) else page.replace(_PIN_VIEW, _WATCH_VIEW, 1))

    head = get

    def compute_etag(self) -> None:
        return None


class AssetHandler(_Handler):
    """GET /screen/page.css and its like. Kept by the browser, and asked for anew each time with the ETag."""

    def get(self, name: str) -> None:
        self.set_header("Content-Type", f"{_TYPES[Path(name).suffix]}; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.finish(_content(name))

    head = get


class LoginHandler(_Handler):
    """POST /screen/pin, a form or JSON with ``pin``, or with the ``key`` of the host's link: 204 and the cookie, 403
    wrong, 429 or 503 locked (see Retry-After).
    """

    def initialize(self, gate: Gate) -> None:
        self.gate = gate

    def post(self) -> None:
        self.set_header("Cache-Control", "no-store")
        # Another site's page must not use up the tries of whoever looks at it.
        if _is_of_another_site(self.request):
            refuse(self, Verdict(403, "Another site's page can't send the PIN\n不能从其他网站发送 PIN 码\n"))
        elif (key := self._sent("key")) is not None:
            self.gate.try_key(self, key)
        else:
            self.gate.try_pin(self, self._sent("pin") or "")

    def _sent(self, name: str) -> str | None:
        """What was sent under this name, if anything."""
        body = self.request.body
        if len(body) > _LARGEST_TRY:
            return None
        if not self.request.headers.get("Content-Type", "").startswith("application/json"):
            return self.get_body_argument(name, None)
        try:
            sent = json.loads(body)[name]
        except (ValueError, TypeError, LookupError, RecursionError):
            return None
        return str(sent)


def _is_of_another_site(request: HTTPServerRequest) -> bool:
    """Whether the browser says so. Sec-Fetch-Site is its own judgement, which it gives to https and localhost only."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is not None and origin.partition("://")[2] != request.host.lower()


@functools.cache
def _content(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()
