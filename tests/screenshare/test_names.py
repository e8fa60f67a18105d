from __future__ import annotations

import socket

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from screenshare.names import HostNames


def knows(names: HostNames, host: str, forwarded: str | None = None) -> bool:
    """Whether a request for a host is answered."""
    headers = HTTPHeaders({"Host": host})
    if forwarded is not None:
        headers["X-Forwarded-Host"] = forwarded
    return names.know(HTTPServerRequest(start_line=RequestStartLine("GET", "/screen", "HTTP/1.1"), headers=headers))


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> HostNames:
    """Those of the machine Desk.office.example, which has one name more."""
    monkeypatch.setattr(socket, "gethostname", lambda: "Desk.office.example")
    return HostNames(["Share.example.com.", "2001:db8::7", "0.0.0.0"])


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("192.0.2.1", True),
        ("192.0.2.1:8010", True),
        ("[2001:db8::1]:8010", True),
        ("[::1]", True),
        ("localhost:8010", True),
        ("LOCALHOST.", True),
        ("screen.localhost", True),
        ("desk", True),
        ("Desk:8010", True),
        ("desk.local", True),
        ("desk.local.:8010", True),
        ("desk.office.example", True),
        ("share.example.com:443", True),
        ("evil.example", False),
        ("desk.evil.example", False),
        ("desk.local.evil.example", False),
        ("xdesk", False),
        ("local", False),
        ("192.0.2.1.evil.example", False),
        ("192.0.2", False),
        ("0xc0000201", False),
        ("evillocalhost", False),
        ("localhost.evil.example", False),
        ("share.example.com.evil.example", False),
        ("evil.share.example.com", False),
        ("", False),
        (".", False),
        ("..", False),
        ("[]", False),
        (":8010", False),
    ],
)
def test_names(names: HostNames, host: str, known: bool) -> None:
    assert knows(names, host) == known


@pytest.mark.parametrize(
    ("forwarded", "known"),
    [
        ("share.example.com", True),
        ("Share.Example.com:443, 192.0.2.1", True),
        ("evil.example", False),
        ("share.example.com, evil.example:80", False),
        ("evil.example,share.example.com", False),
        ("", False),
    ],
)
def test_what_a_proxy_was_asked_for_counts_too(names: HostNames, forwarded: str, known: bool) -> None:
    assert knows(names, "127.0.0.1:8010", forwarded) == known
    assert not knows(names, "evil.example", forwarded)


@pytest.mark.parametrize("name", ["http://share.example.com", "share.example.com:443", "a b", "", "*", "é.example"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a host"):
        HostNames([name])


def test_a_machine_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "")
    names = HostNames()
    assert knows(names, "localhost")
    for host in ("", ".", ".local"):
        assert not knows(names, host)
