from __future__ import annotations

import http.client
import itertools
import logging
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from screenshare.gate import COOKIE, Gate, Verdict, new_pin
from screenshare.names import HostNames
from screenshare.peer import peer_of
from tests.screenshare.stand_in import StandIn
from tests.support import HOST

PIN = "246810"
ROOT = Path(__file__).parents[2]
NEAR, FAR, OTHER = "127.0.0.1", "192.0.2.77", "192.0.2.78"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Clock:
    """Seconds that a test moves on."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class _Context:
    protocol = "http"

    def __init__(self, remote_ip: str) -> None:
        self.remote_ip = remote_ip


class _Connection:
    def __init__(self, remote_ip: str) -> None:
        self.context = _Context(remote_ip)


def request(address: str, headers: Mapping[str, str] | None = None) -> HTTPServerRequest:
    """A request from an address, as Tornado makes it."""
    return HTTPServerRequest(
        start_line=RequestStartLine("GET", "/screen", "HTTP/1.1"),
        headers=HTTPHeaders({"Host": "192.0.2.1:8010", **(headers or {})}),
        connection=_Connection(address),  # type: ignore[arg-type]
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> Gate:
    return Gate(PIN, clock=clock)


def with_cookie(value: str, address: str = FAR) -> HTTPServerRequest:
    return request(address, {"Cookie": f"{COOKIE}={value}"})


# ---- The PIN ----


def test_new_pin_is_six_digits_and_random() -> None:
    pins = {new_pin() for _ in range(50)}
    assert len(pins) > 40
    assert all(len(pin) == 6 and pin.isascii() and pin.isdigit() for pin in pins)


@pytest.mark.parametrize("pin", ["", "123", "1234567890123", "12345a", "１２３４５６", "-12345", "1234\n"])
def test_a_pin_that_is_none_is_refused_unnamed(pin: str) -> None:
    with pytest.raises(ValueError) as caught:
        Gate(pin)
    assert str(caught.value) == "a PIN has 4 to 12 digits"


@pytest.mark.parametrize("typed", [PIN, " 246810 ", "246 810", "246-810", "２４６８１０", "246810\n"])
def test_pin_is_taken_as_people_type_it(gate: Gate, typed: str) -> None:
    assert gate.enter(FAR, typed) == Verdict(204)


@pytest.mark.parametrize(
    "typed", ["", "246811", "24681", "2468100", "x", "٢٤٦٨١٠ ", "\ud800", "cookie x", "9" * 5000, "None"]
)
def test_any_other_pin_is_wrong(gate: Gate, typed: str) -> None:
    assert gate.enter(FAR, typed).status == 403


@given(st.text())
def test_only_the_pin_is_right(typed: str) -> None:
    expected = 204 if "".join(typed.split()).replace("-", "") == PIN else 403
    assert Gate(PIN).enter(FAR, typed).status == expected


def test_an_open_gate_takes_any_pin_and_admits_all() -> None:
    gate = Gate(None)
    assert gate.enter(FAR, "") == Verdict(204)
    assert gate.judge(request(FAR)) == Verdict(200)


# ---- The lock ----


def guesses(start: int = 0) -> Iterator[str]:
    """Wrong PINs, each another one."""
    return (f"{number:06d}" for number in itertools.count(start))


def guess(gate: Gate, count: int, address: str = FAR, start: int = 0) -> list[int]:
    """The answers to wrong PINs, each another one."""
    return [gate.enter(address, pin).status for pin in itertools.islice(guesses(start), count)]


def test_five_wrong_pins_lock_an_address_for_a_minute(gate: Gate, clock: Clock) -> None:
    assert guess(gate, 5) == [403] * 5
    for typed in ("000000", "999999", PIN):
        assert gate.enter(FAR, typed) == Verdict(
            429, "Too many wrong PINs: wait 60 s\nPIN 码错误次数过多：请等待 60 秒\n", 60
        )
    assert gate.enter(OTHER, PIN).status == 204
    clock.now += 59.5
    assert gate.enter(FAR, PIN)[::2] == (429, 1)
    clock.now += 0.5
    assert gate.enter(FAR, PIN).status == 204


def test_tries_while_locked_do_not_lengthen_it(gate: Gate, clock: Clock) -> None:
    for pin in itertools.islice(guesses(), 40):
        gate.enter(FAR, pin)
        clock.now += 1
    clock.now += 24
    assert gate.enter(FAR, PIN).status == 204


def test_a_right_pin_clears_the_wrong_ones(gate: Gate) -> None:
    for start in (0, 10, 20):
        assert guess(gate, 4, start=start) == [403] * 4
        assert gate.enter(FAR, PIN).status == 204


def test_a_locked_address_with_a_cookie_watches_on(gate: Gate) -> None:
    cookie = gate.new_cookie()
    guess(gate, 5)
    assert gate.judge(with_cookie(cookie)) == Verdict(200)
    assert gate.judge(request(FAR))[::2] == (429, 60)


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::1"),
        ("fe80::1%eth0", "fe80::2%eth0", "fe80:0:0:1::1"),
        ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.8"),
        ("::ffff:192.0.2.7", "192.0.2.7", "::ffff:192.0.2.8"),
    ],
)
def test_pins_are_counted_by_network(gate: Gate, one: str, same: str, other: str) -> None:
    for number, pin in enumerate(itertools.islice(guesses(), 5)):
        assert gate.enter([one, same][number % 2], pin).status == 403
    for address in (one, same):
        assert gate.enter(address, PIN)[::2] == (429, 60)
        assert gate.judge(request(address))[::2] == (429, 60)
    assert gate.enter(other, PIN).status == 204


def test_a_swarm_closes_the_form_for_typed_pins_only(gate: Gate, clock: Clock) -> None:
    cookie = gate.new_cookie()
    answers = [gate.enter(f"2001:db8:0:{n:x}::1", pin).status for n, pin in zip(range(300), guesses(), strict=False)]
    assert answers == [403] * 100 + [503] * 200
    closed = gate.enter(FAR, PIN)
    assert closed[::2] == (503, 3600)
    assert "no PIN is taken for 3600 s. The host's link and QR code still work\n" in closed.text
    assert gate.judge(request(FAR)).status == 401
    assert gate.judge(with_cookie(cookie)) == Verdict(200)
    assert gate.judge(request(NEAR, {"Host": "localhost"})) == Verdict(200)
    assert gate.enter_by_key(FAR, gate.key) == Verdict(204)
    clock.now += 3599.5
    assert gate.enter(FAR, PIN)[::2] == (503, 1)
    clock.now += 0.5
    assert gate.enter(FAR, PIN) == Verdict(204)


def test_the_longer_wait_is_told(gate: Gate, clock: Clock) -> None:
    guess(gate, 5)
    for number in range(95):
        guess(gate, 1, f"198.51.100.{number}", 10 + number)
    assert gate.enter(FAR, PIN)[::2] == (503, 3600)
    clock.now += 3595
    assert gate.enter(FAR, PIN)[::2] == (503, 5)
    gate.dismiss(FAR)
    assert gate.enter(FAR, PIN)[::2] == (403, 60)


def test_a_dismissed_address_is_out_for_a_minute(gate: Gate, clock: Clock) -> None:
    cookie = gate.new_cookie()
    gate.dismiss(f"::ffff:{FAR}")
    assert gate.judge(with_cookie(cookie))[::2] == (403, 60)
    assert gate.judge(with_cookie(cookie, OTHER)) == Verdict(200)
    assert gate.enter(FAR, PIN)[::2] == (403, 60)
    assert gate.enter_by_key(FAR, gate.key)[::2] == (403, 60)
    clock.now += 60
    assert gate.judge(with_cookie(cookie)) == Verdict(200)
    assert gate.enter_by_key(FAR, gate.key) == Verdict(204)


def test_those_sent_away_are_forgotten(gate: Gate, clock: Clock) -> None:
    for number in range(100):
        gate.dismiss(f"192.0.2.{number}")
    clock.now += 60
    gate.dismiss(FAR)
    assert list(gate._dismissed) == [FAR]


@pytest.mark.parametrize("address", [NEAR, FAR])
def test_an_open_gate_dismisses_too(clock: Clock, address: str) -> None:
    gate = Gate(None, clock=clock)
    gate.dismiss(address)
    assert gate.judge(request(address, {"Host": "localhost"}))[::2] == (403, 60)


# ---- This machine ----


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        (NEAR, {"Host": "127.0.0.1:8010"}, 200),
        (NEAR, {"Host": "localhost:8010"}, 200),
        (NEAR, {"Host": "LOCALHOST"}, 200),
        (NEAR, {"Host": "screen.localhost:8010"}, 200),
        ("127.8.9.10", {"Host": "127.8.9.10"}, 200),
        ("::1", {"Host": "[::1]:8010"}, 200),
        ("::ffff:127.0.0.1", {"Host": "127.0.0.1"}, 200),
        (FAR, {"Host": "127.0.0.1:8010"}, 401),
        (FAR, {"Host": "localhost", "X-Forwarded-For": "127.0.0.1"}, 401),
        ("::ffff:192.0.2.77", {"Host": "localhost"}, 401),
        ("::127.0.0.1", {"Host": "localhost"}, 401),
        ("fe80::1%eth0", {"Host": "localhost"}, 401),
        ("128.0.0.1", {"Host": "localhost"}, 401),
        ("", {"Host": "localhost"}, 401),
        ("127.0.0.1.evil.example", {"Host": "localhost"}, 401),
        # Names that a web page lets point here
        (NEAR, {"Host": "evil.example:8010"}, 421),
        (NEAR, {"Host": "127.0.0.1.evil.example"}, 421),
        (NEAR, {"Host": "localhost.evil.example"}, 421),
        (NEAR, {"Host": "evillocalhost"}, 421),
        (NEAR, {"Host": ""}, 421),
        # A proxy on this machine
        (NEAR, {"Host": "localhost", "X-Forwarded-For": FAR}, 401),
        (NEAR, {"Host": "localhost", "x-forwarded-host": "localhost"}, 401),
        (NEAR, {"Host": "localhost", "X-Forwarded-Proto": "https"}, 401),
        (NEAR, {"Host": "localhost", "X-Forwarded": f"for={FAR}"}, 401),
        (NEAR, {"Host": "localhost", "x-real-ip": FAR}, 401),
        (NEAR, {"Host": "localhost", "Forwarded": f"for={FAR}"}, 401),
        (NEAR, {"Host": "localhost", "Via": "1.1 proxy"}, 401),
    ],
)
def test_only_this_machine_needs_no_pin(gate: Gate, address: str, headers: dict[str, str], status: int) -> None:
    assert gate.judge(request(address, headers)).status == status
    assert gate.is_host(peer_of(request(address, headers)), request(address, headers)) == (status == 200)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8010", "[::1]"])
def test_this_machine_may_be_asked_for_the_pin_too(host: str) -> None:
    gate = Gate(PIN, pin_local=True)
    local = request(NEAR, {"Host": host})
    assert gate.judge(local).status == 401
    assert not gate.is_host(NEAR, local)
    assert gate.judge(request(NEAR, {"Host": host, "Cookie": f"{COOKIE}={gate.new_cookie()}"})) == Verdict(200)


# ---- The name that is asked for ----


@pytest.mark.parametrize("pin", [None, PIN])
def test_only_known_names_are_answered(pin: str | None) -> None:
    gate = Gate(pin, names=HostNames(["share.example"]))
    cookie = f"{COOKIE}={gate.new_cookie()}"
    for host, status in [("share.example:8010", 200), ("192.0.2.1", 200), ("localhost", 200), ("evil.example", 421)]:
        for address in (NEAR, FAR):
            assert gate.judge(request(address, {"Host": host, "Cookie": cookie})).status == status


# ---- The key of the link ----


def test_the_key_can_not_be_guessed(gate: Gate) -> None:
    assert re.fullmatch("[0-9a-f]{32}", gate.key)
    assert gate.key == gate.key
    assert len({Gate(PIN).key for _ in range(50)}) == 50


@pytest.mark.parametrize(
    "forge",
    [
        lambda key: "",
        lambda key: key[:-1],
        lambda key: key + "0",
        lambda key: f" {key}",
        lambda key: PIN,
        lambda key: "é" * 32,
        lambda key: "\ud800",
        lambda key: Gate(PIN).key,
    ],
)
def test_any_other_key_is_refused_and_not_counted(gate: Gate, forge: Callable[[str], str]) -> None:
    for _ in range(200):
        assert gate.enter_by_key(FAR, forge(gate.key)) == Verdict(
            403, "This link is not valid any more\n此链接已失效\n"
        )
    assert gate.enter(FAR, PIN) == Verdict(204)


def test_the_key_opens_while_the_network_is_locked(gate: Gate) -> None:
    guess(gate, 5)
    assert gate.enter(FAR, PIN).status == 429
    assert gate.enter_by_key(FAR, gate.key) == Verdict(204)
    assert gate.enter(FAR, gate.key).status == 429  # it is no PIN


# ---- The cookie ----


def _flip(cookie: str) -> str:
    return cookie[:-1] + ("0" if cookie[-1] != "0" else "1")


@pytest.mark.parametrize(
    "forge",
    [
        lambda good: "",
        lambda good: ".",
        lambda good: PIN,
        lambda good: good.partition(".")[0],
        lambda good: f".{good.partition('.')[2]}",
        lambda good: f"other.{good.partition('.')[2]}",
        lambda good: good[:-1],
        lambda good: good + "0",
        lambda good: good.upper(),
        lambda good: f"{good}.{good}",
        _flip,
        lambda good: f"{good.partition('.')[0]}.é",
        lambda good: "x" * 4000,
        lambda good: Gate(PIN).new_cookie(),
    ],
)
def test_forged_cookies_are_refused(gate: Gate, forge: Callable[[str], str]) -> None:
    good = gate.new_cookie()
    assert gate.judge(with_cookie(good)) == Verdict(200)
    assert gate.judge(with_cookie(forge(good))).status == 401


def test_cookies_differ(gate: Gate) -> None:
    assert len({gate.new_cookie() for _ in range(100)}) == 100


@pytest.mark.parametrize("header", ["screen", "=;;", "screen=1; screen=2", 'screen="', "\x00", "a" * 3000])
def test_odd_cookie_headers_are_refused(gate: Gate, header: str) -> None:
    assert gate.judge(request(FAR, {"Cookie": header})).status == 401


# ---- Through a server ----


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def constant(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """All of it that does not depend on the time of day."""
        return self.status, [item for item in self.headers.items() if item[0] != "Date"], self.body


def send(
    server: StandIn, verb: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Reply:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=5)
    try:
        connection.request(verb, path, body, dict(headers or {}))
        answer = connection.getresponse()
        stream = answer.headers.get_content_type() == "multipart/x-mixed-replace"
        return Reply(answer.status, answer.headers, answer.read(100) if stream else answer.read())
    finally:
        connection.close()


def try_key(server: StandIn, key: str, headers: Mapping[str, str] | None = None) -> Reply:
    return send(server, "POST", "/screen/pin", f'{{"key": "{key}"}}'.encode(), {**JSON, **(headers or {})})


def try_pin(server: StandIn, pin: str, headers: Mapping[str, str] | None = None) -> Reply:
    return send(server, "POST", "/screen/pin", f'{{"pin": "{pin}"}}'.encode(), {**JSON, **(headers or {})})


@pytest.fixture
def server(clock: Clock) -> Iterator[StandIn]:
    """A server to which every client seems to come from FAR, or from where its X-From says."""
    with StandIn(Gate(PIN, clock=clock, peer_of=lambda request: request.headers.get("X-From", FAR))) as stand_in:
        yield stand_in


GUARDED = ["/video_feed?quality=low&viewer=a", "/screen/snapshot.jpg?quality=low", "/screen/state?viewer=a"]


@pytest.mark.parametrize("path", GUARDED)
def test_nothing_is_shown_without_a_cookie(server: StandIn, path: str) -> None:
    refused = send(server, "GET", path)
    assert refused.status == 401
    assert refused.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert refused.headers["Cache-Control"] == "no-store"
    assert refused.body.decode() == "PIN needed: open /screen in a browser\n需要 PIN 码：请用浏览器打开 /screen\n"
    assert server.streams == {}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"pin": "246810"}', JSON),
        (b'{"pin": 246810}', {"Content-Type": "application/json; charset=utf-8"}),
        (b"pin=246810", FORM),
        (b"pin=246+810", FORM),
    ],
)
def test_the_pin_gives_a_cookie_that_opens_all(server: StandIn, body: bytes, headers: dict[str, str]) -> None:
    answer = send(server, "POST", "/screen/pin", body, headers)
    assert (answer.status, answer.body) == (204, b"")
    name_and_value, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=Strict"]
    for path in GUARDED:
        reply = send(server, "GET", path, headers={"Cookie": name_and_value})
        assert reply.status == 200
        assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert b'data-view="watch"' in send(server, "GET", "/screen", headers={"Cookie": name_and_value}).body


def test_a_cookie_ends_with_the_server(server: StandIn) -> None:
    cookie = {"Cookie": try_pin(server, PIN).headers["Set-Cookie"].partition(";")[0]}
    assert send(server, "GET", "/screen/state", headers=cookie).status == 200
    with StandIn(Gate(PIN, peer_of=lambda request: FAR)) as restarted:
        assert send(restarted, "GET", "/screen/state", headers=cookie).status == 401


def test_locked_through_http(server: StandIn, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    assert [try_pin(server, pin).status for pin in itertools.islice(guesses(), 5)] == [403] * 5
    assert [record.getMessage() for record in caplog.records] == [f"{FAR} is locked for 60 s after 5 wrong PINs"]
    clock.now += 20.5
    locked = try_pin(server, PIN)
    assert (locked.status, locked.headers["Retry-After"], locked.headers["Set-Cookie"]) == (429, "40", None)
    assert locked.body.decode() == "Too many wrong PINs: wait 40 s\nPIN 码错误次数过多：请等待 40 秒\n"
    stream = send(server, "GET", GUARDED[0])
    assert (stream.status, stream.headers["Retry-After"]) == (429, "40")
    assert b'data-view="pin"' in send(server, "GET", "/screen").body
    assert try_pin(server, PIN, {"X-From": OTHER}).status == 204
    clock.now += 40
    assert try_pin(server, PIN).status == 204


def test_closed_through_http(server: StandIn) -> None:
    cookie = {"Cookie": try_pin(server, PIN).headers["Set-Cookie"].partition(";")[0]}
    for number, pin in enumerate(itertools.islice(guesses(), 100)):
        assert server.gate.enter(f"198.51.100.{number}", pin).status == 403
    closed = try_pin(server, PIN)
    assert (closed.status, closed.headers["Set-Cookie"]) == (503, None)
    assert 0 < int(closed.headers["Retry-After"]) <= 3600
    assert send(server, "GET", "/screen/state", headers=cookie).status == 200
    opened = try_key(server, server.gate.key)
    assert opened.status == 204
    cookie = {"Cookie": opened.headers["Set-Cookie"].partition(";")[0]}
    assert send(server, "GET", "/screen/state", headers=cookie).status == 200


@pytest.mark.parametrize(("body", "headers"), [('{"key": "%s"}', JSON), ("key=%s", FORM), ("key=%s&pin=1", FORM)])
def test_the_key_gives_a_cookie(server: StandIn, body: str, headers: dict[str, str]) -> None:
    assert send(server, "POST", "/screen/pin", (body % server.gate.key).encode(), headers).status == 204
    wrong = send(server, "POST", "/screen/pin", (body % "0").encode(), headers)
    assert (wrong.status, wrong.body.decode()) == (403, "This link is not valid any more\n此链接已失效\n")


@pytest.mark.parametrize("pin", [None, PIN])
def test_a_page_that_let_its_name_point_here_gets_nothing(pin: str | None) -> None:
    with StandIn(Gate(pin)) as server:
        rebound = {"Host": f"evil.example:{server.port}", "Origin": f"http://evil.example:{server.port}"}
        for path in ("/screen", "/screen/", *GUARDED):
            refused = send(server, "GET", path, headers=rebound)
            assert refused.status == 421
            assert refused.body.decode().startswith(
                "The screen is not shared under this name: ask for it by an address"
            )
        for answer in (try_pin(server, "000000", rebound), try_pin(server, PIN, rebound)):
            assert (answer.status, answer.headers["Set-Cookie"]) == (421, None)
        assert try_key(server, server.gate.key, rebound).status == 421
        assert server.gate._attempts._records == {}
        assert server.streams == {}
        through_a_proxy = {"X-Forwarded-Host": "evil.example"}
        assert send(server, "GET", "/screen/state", headers=through_a_proxy).status == 421


WRONG_TRIES = [
    (b'{"pin": "246811"}', JSON),
    (b'{"pin": "2"}', JSON),
    (b'{"pin": ""}', JSON),
    (b'{"pin": null}', JSON),
    (b'{"pin": ["246810"]}', JSON),
    (b'{"pin": "' + b"2" * 2000 + b'"}', JSON),
    (b"[" * 1000, JSON),
    (b"\xff", JSON),
    (b"246810", JSON),
    (b"{}", JSON),
    (b"", JSON),
    (b"", {}),
    (b"pin=", FORM),
    (b"other=246810", FORM),
    (b"pin=246810", {"Content-Type": "text/plain"}),
]


def test_every_wrong_try_gets_the_same_answer(server: StandIn) -> None:
    answers = [
        send(server, "POST", "/screen/pin", body, {**headers, "X-From": f"192.0.2.{number}"}).constant
        for number, (body, headers) in enumerate(WRONG_TRIES)
    ]
    assert answers[0][0] == 403
    assert answers[0][2].decode() == "Wrong PIN\nPIN 码错误\n"
    assert all(answer == answers[0] for answer in answers)


def test_another_sites_page_can_not_use_up_the_tries(server: StandIn) -> None:
    own = f"http://{HOST}:{server.port}"
    others = [{"Origin": origin} for origin in ("http://evil.example", f"http://{HOST}:1", "null", "http://[")]
    others += [{"Sec-Fetch-Site": site} for site in ("cross-site", "same-site", "")]
    others.append({"Sec-Fetch-Site": "cross-site", "Origin": own})
    for headers, pin in zip(others, guesses(), strict=False):
        refused = try_pin(server, pin, headers)
        assert (refused.status, refused.body.decode()) == (
            403, "Another site's page can't send the PIN\n不能从其他网站发送 PIN 码\n",
        )  # fmt: skip
    assert server.gate._attempts._records == {}
    # Behind a proxy that puts another Host in the place of the browser's, only the browser can tell.
    for headers in ({"Origin": own}, {"Sec-Fetch-Site": "same-origin", "Origin": "https://share.example"}):
        assert try_pin(server, PIN, headers).status == 204


def test_the_pin_is_in_no_answer_and_no_log(server: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    replies = [try_pin(server, "111111"), try_pin(server, PIN)]
    cookie = {"Cookie": replies[1].headers["Set-Cookie"].partition(";")[0]}
    for headers in ({}, cookie):
        for path in ("/screen", "/screen/page.js", "/screen/page.css", "/screen/icon.svg", *GUARDED[1:]):
            replies.append(send(server, "GET", path, headers=headers))
    replies += [try_pin(server, pin) for pin in ("111111", *itertools.islice(guesses(), 6))]
    assert replies[-1].status == 429
    replies += [try_key(server, server.gate.key), try_key(server, f"{server.gate.key}0")]
    told = [caplog.text, repr(vars(server.gate)), *server.requests]
    told += [text for reply in replies for text in (str(reply.headers), reply.body.decode("latin-1"))]
    for secret in (PIN, "111111", server.gate.key):
        assert not any(secret in text for text in told)


def test_the_pin_is_only_posted(server: StandIn) -> None:
    assert send(server, "GET", f"/screen/pin?pin={PIN}").status == 405
    assert send(server, "POST", f"/screen/pin?pin={PIN}", b"").status == 403


def test_an_address_that_is_not_loopback_needs_the_pin() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1: chooses a route, sends nothing
        except OSError:
            pytest.skip("this machine has no address but loopback")
        own = probe.getsockname()[0]
    with StandIn(Gate(PIN), host=own) as server:
        assert send(server, "GET", "/screen/state").status == 401
        assert try_pin(server, "000000").status == 403
        assert list(server.gate._attempts._records) == [own]
        cookie = {"Cookie": try_pin(server, PIN).headers["Set-Cookie"].partition(";")[0]}
        assert send(server, "GET", "/screen/state", headers=cookie).status == 200


def test_loopback_needs_none() -> None:
    with StandIn(Gate(PIN)) as server:
        assert send(server, "GET", "/screen/state").status == 200
        assert b'data-view="watch"' in send(server, "GET", "/screen").body
        assert send(server, "GET", "/screen/state", headers={"Host": "evil.example"}).status == 421


@pytest.mark.parametrize("module", ["cv2", "numpy", "mss", "Xlib", "PIL"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, screenshare.gate, screenshare.page; print({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("False", "")


# ---- The page's files ----


def test_page_without_a_cookie_is_the_form(server: StandIn) -> None:
    for path in ("/screen", "/screen/"):
        page = send(server, "GET", path)
        assert page.status == 200
        assert b'data-view="pin"' in page.body
        assert b"video_feed" not in page.body
    assert server.streams == {}


HEADERS: dict[str, Any] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Server": None,
}


@pytest.mark.parametrize(
    ("path", "content_type", "cache"),
    [
        ("/screen", "text/html; charset=utf-8", "no-store"),
        ("/screen/page.css", "text/css; charset=utf-8", "no-cache"),
        ("/screen/page.js", "text/javascript; charset=utf-8", "no-cache"),
        ("/screen/icon.svg", "image/svg+xml; charset=utf-8", "no-cache"),
    ],
)
@pytest.mark.parametrize("verb", ["GET", "HEAD"])
def test_headers_of_the_page(server: StandIn, verb: str, path: str, content_type: str, cache: str) -> None:
    reply = send(server, verb, path)
    assert reply.status == 200
    assert (reply.body == b"") == (verb == "HEAD")
    assert {name: reply.headers[name] for name in HEADERS} == HEADERS
    assert (reply.headers["Content-Type"], reply.headers["Cache-Control"]) == (content_type, cache)


def test_an_asset_is_not_sent_again(server: StandIn) -> None:
    etag = send(server, "GET", "/screen/page.js").headers["ETag"]
    assert send(server, "GET", "/screen/page.js", headers={"If-None-Match": etag}).status == 304


@pytest.mark.parametrize("path", ["/screen/index.html", "/screen/page.py", "/screen/..%2fgate.py", "/screen/page.js/"])
def test_nothing_else_is_served(server: StandIn, path: str) -> None:
    assert send(server, "GET", path).status == 404
