"""What browsers must be told before pages of another origin may call (Fetch standard, 3.2)."""

from __future__ import annotations

from apizen.endpoint import VERBS

__all__ = ["CrossOrigin"]

_EXPOSED = "X-Request-Id, X-Ignored-Params, Allow, Retry-After, RateLimit, RateLimit-Policy"
_VERBS = ", ".join([*VERBS, "HEAD", "OPTIONS"])


class CrossOrigin:
    """The headers for one ``origin`` whose pages may call, ``*`` for all, empty for none.

    >>> CrossOrigin('https://shop.example').headers[0]
    ('Access-Control-Allow-Origin', 'https://shop.example')
    """

    def __init__(self, origin: str) -> None:
        #: The headers of every answer.
        self.headers: tuple[tuple[str, str], ...] = ()
        if origin:
            self.headers = (("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", _EXPOSED))
            if origin != "*":
                self.headers += (("Vary", "Origin"),)

    def preflight(self, asked: str | None) -> list[tuple[str, str]]:
        """The headers of the answer to OPTIONS: every verb and every header may be used, also those ``asked`` for."""
        if not self.headers:
            return [("Allow", _VERBS)]
        return [
            ("Allow", _VERBS),
            *self.headers,
            ("Access-Control-Allow-Methods", _VERBS),
            ("Access-Control-Allow-Headers", asked or "*"),
            ("Access-Control-Max-Age", "86400"),
        ]
