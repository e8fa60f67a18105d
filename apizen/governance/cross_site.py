"""Whether the page of another site may have made a browser send a request.

A page needs no permission for that, and no JavaScript: an image whose address is the gateway's will do. It can choose
the address, and a form can choose the body; what a browser says of itself it can't choose.

- ``Sec-Fetch-Site`` says it (Fetch Metadata Request Headers, 2.3). Browsers send it over HTTPS and to this machine
  only, old ones never.
- Else ``Origin`` is that of the page (RFC 6454, 7), and ``Referer`` its address. A page can leave out the latter, and
  images have no former.
- Else it is a browser's by its ``User-Agent``, which has begun with ``Mozilla/`` in all of them for thirty years.

A program can send all of these headers, too, or none. So whoever asks must not let through what it would refuse
otherwise.

>>> is_cross_site({'Sec-Fetch-Site': 'cross-site'}), is_cross_site({'User-Agent': 'python-httpx/0.28.1'})
(True, False)
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from apizen.request import header

__all__ = ["is_cross_site"]

_OWN = frozenset({"same-origin", "none"})


def is_cross_site(headers: Mapping[str, str]) -> bool:
    """Whether a request has the marks of one that another site's page caused. ``none`` is what a person typed."""
    site = header(headers, "Sec-Fetch-Site")
    if site is not None:
        return site.strip().lower() not in _OWN
    for name in ("Origin", "Referer"):
        page = header(headers, name)
        if page is not None:
            return _host(page) != (header(headers, "Host") or "").strip().lower()
    return (header(headers, "User-Agent") or "").startswith("Mozilla/")


def _host(url: str) -> str | None:
    try:
        return urlsplit(url.strip().lower()).netloc or None
    except ValueError:
        return None
