"""Networks, and the caller's address behind proxies."""

from __future__ import annotations

import pytest

from apizen.governance.address import CallerAddress, Networks, caller_of, network_of
from apizen.request import Request


@pytest.mark.parametrize(
    ("texts", "address", "inside"),
    [
        ([], "192.0.2.7", False),
        (["192.0.2.7"], "192.0.2.7", True),
        (["192.0.2.7"], "192.0.2.8", False),
        (["192.0.2.7/24"], "192.0.2.200", True),
        (["10.0.0.0/8", "192.0.2.0/24"], "192.0.2.1", True),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["2001:db8::/32"], "2001:db8::1", True),
        (["192.0.2.0/24"], "::ffff:192.0.2.1", True),
        (["192.0.2.0/24"], "", False),
        (["192.0.2.0/24"], "no address", False),
        (["0.0.0.0/0", "::/0"], "１９２.0.2.1", False),
    ],
)
def test_networks(texts: list[str], address: str, inside: bool) -> None:
    assert (address in Networks.of(texts)) is inside


@pytest.mark.parametrize("text", ["", "192.0.2", "192.0.2.0/33", "office", "192.0.2.7-9"])
def test_no_network(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no address and no network, as 192\.0\.2\.7 or 10\.0\.0\.0/8"):
        Networks.of([text])


def test_networks_are_texts_again() -> None:
    assert list(Networks.of([" 10.1.2.3/8 ", "2001:db8::7"])) == ["10.0.0.0/8", "2001:db8::7/128"]


PROXIES = ["10.0.0.0/8", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("192.0.2.7", None, "192.0.2.7"),
        ("192.0.2.7", "203.0.113.9", "192.0.2.7"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9,10.0.0.3 , 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "[2001:db9::7]:4711", "2001:db9::7"),
        ("10.0.0.1", "2001:db9::7", "2001:db9::7"),
        ("10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("2001:db8::1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", ", ".join(["203.0.113.9", *["10.0.0.2"] * 50]), "10.0.0.2"),
    ],
)
def test_caller(peer: str, forwarded: str | None, caller: str) -> None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    assert CallerAddress(Networks.of(PROXIES)).of(Request("GET", "", headers, peer=peer)) == caller


def test_nobody_is_trusted_by_default() -> None:
    request = Request("GET", "", {"X-Forwarded-For": "203.0.113.9"}, peer="127.0.0.1")
    assert CallerAddress(Networks.of([])).of(request) == "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("/run/socket:1", "/run/socket:1"),
        ("", ""),
    ],
)
def test_caller_of(address: str, caller: str) -> None:
    assert caller_of(address) == caller


@pytest.mark.parametrize(
    ("caller", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("192.0.2.0", "192.0.2.0/24"),
        ("2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("fe80::/64", "fe80::/48"),
        ("/run/socket:1", "/run/socket:1"),
        ("no address", "no address"),
        ("", ""),
    ],
)
def test_network_of(caller: str, network: str) -> None:
    assert network_of(caller) == network
