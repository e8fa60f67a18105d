"""What browsers send for the pages of other sites, and what everybody else sends."""

from __future__ import annotations

import pytest
from tornado.httputil import HTTPHeaders

from apizen.governance.cross_site import is_cross_site

HOST = {"Host": "192.0.2.1:8010"}
FIREFOX = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
OLD = {"User-Agent": "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)"}


@pytest.mark.parametrize(
    ("headers", "cross_site"),
    [
        # An image of another site: HTTPS, this machine, plain HTTP with and without a Referer, an old browser.
        ({**FIREFOX, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, True),
        ({**FIREFOX, "Sec-Fetch-Site": "same-site", "Referer": "http://192.0.2.1:9000/"}, True),
        ({**FIREFOX, "Referer": "http://evil.example/"}, True),
        ({**FIREFOX}, True),
        ({**OLD}, True),
        ({**FIREFOX, "Referer": ""}, True),
        ({**FIREFOX, "Referer": "about:blank"}, True),
        # Its form and its script.
        ({**FIREFOX, "Origin": "http://evil.example", "Referer": "http://evil.example/"}, True),
        ({**FIREFOX, "Origin": "null"}, True),
        ({"Origin": "http://evil.example", "User-Agent": "curl/8.5.0"}, True),
        # Other ports, names and what only looks like the host.
        ({**FIREFOX, "Origin": "http://192.0.2.1:8011"}, True),
        ({**FIREFOX, "Origin": "http://192.0.2.1"}, True),
        ({**FIREFOX, "Referer": "http://evil.example/192.0.2.1:8010"}, True),
        ({**FIREFOX, "Referer": "http://192.0.2.1:8010.evil.example/"}, True),
        ({**FIREFOX, "Referer": "http://192.0.2.1:8010@evil.example/"}, True),
        ({**FIREFOX, "Referer": "http://[/"}, True),
        ({**FIREFOX, "Sec-Fetch-Site": "", "Origin": "http://192.0.2.1:8010"}, True),
        # A page of the server's own, and what a person typed.
        ({**FIREFOX, "Sec-Fetch-Site": "same-origin", "Referer": "http://evil.example/"}, False),
        ({**FIREFOX, "Sec-Fetch-Site": "none"}, False),
        ({**FIREFOX, "Origin": "http://192.0.2.1:8010"}, False),
        ({**OLD, "Referer": "HTTP://192.0.2.1:8010/page?a=1"}, False),
        # Programs.
        ({}, False),
        ({"User-Agent": ""}, False),
        ({"User-Agent": "python-httpx/0.28.1"}, False),
        ({"User-Agent": "Java/17.0.2"}, False),
    ],
)  # fmt: skip
def test_is_cross_site(headers: dict[str, str], cross_site: bool) -> None:
    assert is_cross_site(HTTPHeaders({**HOST, **headers})) is cross_site


@pytest.mark.parametrize("headers", [{"Origin": ""}, {"Origin": "null"}, {"Referer": "x"}])
def test_no_host_is_nobodys_own(headers: dict[str, str]) -> None:
    assert is_cross_site(headers)
