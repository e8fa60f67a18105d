"""The handlers, through real sockets: what a browser, a program, a slow and a vanished client get."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import screenshare.stream
from screenshare import channel, retry
from screenshare.framing import BOUNDARY, CONTENT_TYPE
from screenshare.picture import State, ViewerState
from screenshare.source import SourceError
from tests.screenshare.streaming import FPS, Painter, Part, Streaming, Watcher, number_of, streaming, whole
from tests.support import HOST, until

UNPLUGGED = SourceError("unplugged", "未连接", "plug it in", "请连接")
HOST_HEADER = {"X-Screen-Host": "1"}


@pytest.fixture
def moving() -> Iterator[Streaming]:
    with streaming(Painter()) as server:
        yield server


@pytest.fixture
def still() -> Iterator[Streaming]:
    with streaming(Painter(moving=False, told=True)) as server:
        yield server


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the server see another address."""
    return lambda address: monkeypatch.setattr(screenshare.stream, "peer_of", lambda request: address)


def watched_for(parts: Iterator[Part], seconds: float) -> list[Part]:
    end = time.monotonic() + seconds
    return list(itertools.takewhile(lambda _: time.monotonic() < end, parts))


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def memory() -> float:
    """Resident memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_browser_framing_in_order(moving: Streaming) -> None:
    with moving.watch() as client:
        parts = watched_for(client.browser_parts(), 0.7)
        newest = moving.source.number
    numbers = [part.number for part in parts]
    assert numbers == sorted(set(numbers))
    assert 0.5 * newest < len(parts) <= 0.7 * 1.3 * FPS
    assert newest - numbers[-1] <= 8


def test_length_framing_in_order_and_in_time(moving: Streaming) -> None:
    asked = time.time()
    with moving.watch("?framing=length&quality=medium") as client:
        parts = watched_for(client.length_parts(), 0.7)
    numbers = [part.number for part in parts]
    assert numbers == sorted(set(numbers))
    assert [part.length for part in parts] == [len(part.jpeg) for part in parts]
    taken = [part.timestamp or 0 for part in parts]
    assert taken[0] > asked - 0.01
    assert taken == sorted(set(taken))
    delays = sorted(part.arrived - (part.timestamp or 0) for part in parts)
    assert 0 < delays[0] < 1 / FPS  # not only with the next one
    assert delays[len(delays) // 2] < 0.6


def test_the_presets_are_streams_of_their_own(moving: Streaming) -> None:
    with moving.watch("?quality=low") as low, moving.watch("?quality=high") as high:
        first, second = next(low.browser_parts()), next(high.browser_parts())
    assert len(first.jpeg) < len(second.jpeg)


def test_a_still_picture_is_whole_at_once_and_repeated(still: Streaming, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screenshare.channel, "_REPEAT_SECONDS", 3.0)
    with still.watch() as client:
        parts = client.browser_parts()
        started = time.monotonic()
        first = next(parts)
        assert time.monotonic() - started < 2.5
        started = time.monotonic()
        assert next(parts).jpeg == first.jpeg
        assert 2 < time.monotonic() - started < 10
        still.source.touch()
        started = time.monotonic()
        changed = next(parts)
        assert time.monotonic() - started < 2.5
        assert changed.number == still.source.number
        with still.watch() as second:
            started = time.monotonic()
            assert next(second.browser_parts()).jpeg == changed.jpeg
            assert time.monotonic() - started < 2.5
    assert still.source.grabs == 2


def test_a_client_that_reads_late_gets_the_newest(moving: Streaming) -> None:
    """What lies in between is lost, but for the frames that the kernel holds."""
    moving.source.__init__(height=600, noisy=True)  # type: ignore[misc]
    with moving.watch("?framing=length", buffer=65536) as client:
        parts = client.length_parts()
        first = next(parts)
        time.sleep(1.0)
        missed = moving.source.number - first.number
        late = [next(parts) for _ in range(12)]
        assert late[-1].number - first.number > 0.7 * missed
        assert late[-1].arrived - (late[-1].timestamp or 0) < 0.9  # what came meanwhile is older
        numbers = [part.number for part in late]
        assert numbers == sorted(set(numbers))
        assert moving.state()["viewers"][0]["dropped"] > 0


@pytest.mark.second_chance("three of many viewers must see most of the pictures, in real time")
def test_viewers_that_never_read_are_dropped_and_disturb_nobody() -> None:
    with streaming(Painter(height=600, noisy=True), stall=1.5) as server:
        with contextlib.ExitStack() as stack:
            stalled = [stack.enter_context(server.watch(buffer=8192)) for _ in range(20)]
            readers = [stack.enter_context(server.watch()) for _ in range(3)]
            counts = [0, 0, 0]

            def read(index: int) -> None:
                counts[index] = len(watched_for(readers[index].browser_parts(), 2.2))

            threads = [threading.Thread(target=read, args=(index,)) for index in range(3)]
            grabs = server.source.grabs
            for thread in threads:
                thread.start()
            time.sleep(0.4)
            assert len(server.state()["viewers"]) == 23
            before = memory()
            time.sleep(0.4)
            assert memory() - before < 5
            for thread in threads:
                thread.join()
            assert min(counts) > 0.6 * (server.source.grabs - grabs)
            assert until(lambda: len(server.state()["viewers"]) == 3)
            for client in stalled:
                assert client.has_ended()
        assert until(lambda: not server.hub.viewers)


def test_a_slow_client_is_not_dropped_while_it_reads() -> None:
    with streaming(Painter(height=1200, noisy=True), stall=1.5) as server, server.watch(buffer=65536) as client:
        client.head()
        read = len(client._received)
        started = time.monotonic()
        while time.monotonic() - started < 3.5:
            read += len(client.socket.recv(8192))
            time.sleep(0.04)
        viewer = server.state()["viewers"][0]
        assert read < 1_000_000
        assert viewer["number"] == 1
        assert viewer["fps"] < 2


def test_a_write_that_is_dropped_frees_what_it_held() -> None:
    with streaming(Painter(height=600, noisy=True), stall=0.3) as server, server.watch(buffer=8192) as client:
        assert until(lambda: server.hub.viewers and server.hub.viewers[0].on_end)
        (viewer,) = server.hub.viewers
        stream = viewer.on_end.__self__  # type: ignore[union-attr]
        assert until(stream.writing)
        assert until(stream.closed)
        assert until(lambda: not server.hub.viewers)
        assert not stream.writing()
        assert client.has_ended()


def test_a_client_that_vanishes_is_noticed_though_nothing_is_sent(
    still: Streaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "_REPEAT_SECONDS", 60.0)
    client = still.watch()
    next(client.browser_parts())
    client.socket.close()
    assert until(lambda: not still.hub.viewers, 5)
    client = still.watch()
    next(client.browser_parts())
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.socket.close()
    assert until(lambda: not still.hub.viewers, 5)


def test_sockets_are_told_to_hold_little(still: Streaming) -> None:
    with still.watch() as client:
        next(client.browser_parts())
        (viewer,) = still.hub.viewers
        connection = viewer.on_end.__self__.socket  # type: ignore[union-attr]
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 65536
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000


def test_two_hundred_reconnects_leave_nothing(moving: Streaming) -> None:
    with moving.watch() as stays:
        parts = stays.browser_parts()
        next(parts)
        threads, before = threading.active_count(), descriptors()
        for times in range(200):
            client = moving.watch("?framing=length" if times % 2 else "")
            if times % 3:
                client.head()
            client.socket.close()
        assert until(lambda: len(moving.hub.viewers) == 1)
        assert until(lambda: descriptors() <= before)
        assert threading.active_count() <= threads
        next(parts)
    gc.collect()
    assert moving.source.opened == 1
    assert until(lambda: len(moving.access) >= 201)
    assert set(moving.access) == {200}


def test_fifty_quick_reloads_don_t_use_up_the_places() -> None:
    with streaming(Painter(height=200, noisy=True), max_viewers=2) as server, server.watch() as other:
        next(other.browser_parts())
        client = None
        for _ in range(50):
            if client is not None:
                client.socket.close()
            client = server.watch()
            next(client.browser_parts())
        assert len(server.hub.viewers) == 2
        client.socket.close()


def test_a_page_s_new_stream_takes_the_place_of_its_old_one() -> None:
    with streaming(Painter(), max_viewers=1) as server, server.watch("?viewer=page") as old:
        next(old.browser_parts())
        with server.watch("?viewer=page") as new:
            next(new.browser_parts())
            assert old.has_ended()


def test_who_comes_too_many_is_told_so() -> None:
    with streaming(Painter(), max_viewers=2) as server:
        with server.watch() as first, server.watch() as second:
            next(first.browser_parts())
            next(second.browser_parts())
            refused = server.send("GET", "/video_feed")
            assert refused.status == 503
            assert refused.headers["Retry-After"] == "2"
            assert refused.json["error"] == "all 2 places are taken"
            assert refused.json["error_zh"] == "2 个观看名额已满"
            assert server.state()["max_viewers"] == 2
        with server.watch() as third:
            next(third.browser_parts())


def test_who_comes_just_before_a_place_is_free_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screenshare.stream, "_PLACE_PAUSE", 0.25)
    with streaming(Painter(), max_viewers=1) as server:
        leaves = server.watch()
        next(leaves.browser_parts())
        with server.watch() as waits:
            time.sleep(0.07)
            leaves.socket.close()
            next(waits.browser_parts())


def test_kick_is_for_the_host(moving: Streaming, peer: Any) -> None:
    peer("192.0.2.7")
    with moving.watch() as kicked:
        parts = kicked.browser_parts()
        next(parts)
        peer(HOST)
        with moving.watch() as stays:
            next(stays.browser_parts())
            viewers = moving.send("GET", "/screen/viewers", headers=HOST_HEADER).json["viewers"]
            assert {viewer["address"] for viewer in viewers} == {"192.0.2.7", HOST}
            answer = moving.send("POST", "/screen/kick?address=::ffff:192.0.2.7", b"", HOST_HEADER)
            assert (answer.status, answer.json) == (200, {"kicked": 1})
            with pytest.raises((EOFError, ConnectionResetError)):
                watched_for(parts, 8)
            assert len(moving.hub.viewers) == 1
            assert moving.gate.enter("192.0.2.7", "1").status == 204  # an open gate asks for no PIN
            form = {**HOST_HEADER, "Content-Type": "application/x-www-form-urlencoded"}
            assert moving.send("POST", "/screen/kick", b"address=192.0.2.9", form).json == {"kicked": 0}
            assert moving.send("POST", "/screen/kick", b"address=everybody", form).status == 400
            assert moving.send("POST", "/screen/kick?address=127.0.0.1", b"", HOST_HEADER).json == {"kicked": 1}
            assert moving.state()["viewers"] == []


def test_who_was_kicked_is_kept_out(moving: Streaming) -> None:
    dismissed = []
    moving.gate.dismiss = dismissed.append
    for address in ["192.0.2.7", "127.0.0.1", "::1"]:
        moving.send("POST", f"/screen/kick?address={address}", b"", HOST_HEADER)
    assert dismissed == ["192.0.2.7"]


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_host_s_requests_are_refused_to_all_others(moving: Streaming, peer: Any, verb: str) -> None:
    path = "/screen/viewers" if verb == "GET" else f"/screen/kick?address={HOST}"
    body = b"" if verb == "POST" else None
    assert moving.send(verb, path, body).status == 403
    assert moving.send(verb, path, body, {"X-Screen-Host": "0"}).status == 403
    assert moving.send(verb, path, body, {**HOST_HEADER, "Host": "rebound.example"}).status == 421
    assert moving.send(verb, path, body, {**HOST_HEADER, "X-Forwarded-Host": HOST}).status == 403
    peer("192.0.2.7")
    refused = moving.send(verb, path, body, HOST_HEADER)
    assert refused.status == 403
    assert refused.json["error_zh"] == "仅限屏幕共享的主持人使用"


def test_state_is_complete_for_the_host(moving: Streaming) -> None:
    assert moving.state() == {
        "source": "", "width": 0, "height": 0, "captured_fps": 0.0, "capturing": False, "error": "", "error_zh": "",
        "advice": "", "advice_zh": "", "viewers": [], "max_viewers": 50, "you": None,
    }  # fmt: skip
    with moving.watch("?viewer=token") as client:
        watched_for(client.browser_parts(), 0.5)
        state = moving.state("token")
    assert set(state) == {*State._fields, "max_viewers", "you"}
    assert (state["source"], state["width"], state["height"], state["capturing"]) == ("painter", 256, 32, True)
    assert 0.3 * FPS < state["captured_fps"] < 1.4 * FPS
    (viewer,) = state["viewers"]
    assert set(viewer) == set(ViewerState._fields)
    assert (viewer["number"], viewer["address"], viewer["preset"]) == (1, HOST, "medium")
    assert viewer["fps"] == pytest.approx(state["captured_fps"], rel=0.4)
    assert 0 < viewer["latency"] < 5
    assert abs(time.time() - viewer["since"]) < 2
    assert set(state["you"]) == {*ViewerState._fields, "age"}
    assert state["you"]["age"] < 5


def test_state_tells_others_nothing_of_each_other(moving: Streaming, peer: Any) -> None:
    with moving.watch("?viewer=one") as one:
        next(one.browser_parts())
        two = moving.watch("?viewer=two")
        next(two.browser_parts())
        peer("192.0.2.7")
        answer = moving.send("GET", "/screen/state?viewer=one")
        assert answer.json["viewers"] == [{"number": 1}, {"number": 2}]
        assert answer.json["you"]["number"] == 1
        assert answer.body.count(HOST.encode()) == 1
        assert moving.state("three")["you"] is None
        assert moving.state()["you"] is None
        two.socket.close()


def test_head_starts_no_capture(moving: Streaming) -> None:
    for path, content_type in [("/video_feed", CONTENT_TYPE), ("/screen/snapshot.jpg", "image/jpeg")]:
        answer = moving.send("HEAD", path)
        assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, content_type, b"")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Accel-Buffering"] == "no"
        assert "Content-Length" not in answer.headers
        assert moving.send("HEAD", f"{path}?quality=best").status == 400
    assert moving.source.opened == 0


@pytest.mark.parametrize(
    "path", ["/video_feed?quality=best", "/video_feed?framing=none", "/screen/snapshot.jpg?quality="]
)
def test_unknown_values_are_refused_with_the_known_ones(moving: Streaming, path: str) -> None:
    answer = moving.send("GET", path)
    assert answer.status == 400
    known = "browser, length" if "framing" in path else "low, medium, high"
    assert answer.json["error"].endswith(f"must be one of: {known}")
    assert moving.source.opened == 0


def test_other_verbs_and_bad_queries_are_refused(moving: Streaming) -> None:
    for path in ["/video_feed", "/screen/snapshot.jpg", "/screen/state"]:
        assert moving.send("POST", path, b"").status == 405
    assert moving.send("GET", "/video_feed?quality=%ff").status == 400


def test_a_snapshot_is_fresh(still: Streaming) -> None:
    for _ in range(3):
        still.source.touch()
        asked = time.time()
        answer = still.send("GET", "/screen/snapshot.jpg")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert int(answer.headers["Content-Length"]) == len(answer.body)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Etag" not in answer.headers
        assert asked <= float(answer.headers["X-Timestamp"]) <= time.time()
        assert number_of(whole(answer.body)) == still.source.number
    assert not still.hub.viewers


def test_a_source_that_fails_is_seen_and_comes_back(moving: Streaming, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_FIRST_PAUSE", 0.3)
    with moving.watch() as client:
        parts = client.browser_parts()
        next(parts)
        moving.source.fails = UNPLUGGED
        assert until(lambda: moving.state()["error"] == "unplugged")
        refused = moving.send("GET", "/screen/snapshot.jpg")
        assert refused.status == 503
        assert refused.json == {
            "error": "unplugged", "error_zh": "未连接", "advice": "plug it in", "advice_zh": "请连接",
        }  # fmt: skip
        moving.source.fails = None
        assert until(lambda: moving.state()["error"] == "")
        assert until(lambda: next(parts).number == moving.source.number)


def test_a_snapshot_of_a_source_that_hangs_is_refused(moving: Streaming, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screenshare.stream, "_SNAPSHOT_SECONDS", 0.1)
    moving.source.stuck = threading.Event()
    assert moving.send("GET", "/screen/snapshot.jpg").json["error"] == "the source gives no picture in time"
    moving.source.stuck.set()


def test_the_gate_is_asked_first(moving: Streaming) -> None:
    moving.gate.__init__("123456", peer_of=lambda request: "192.0.2.7")
    for verb, path in [
        ("GET", "/video_feed?quality=best"), ("HEAD", "/video_feed"), ("GET", "/screen/snapshot.jpg"),
        ("HEAD", "/screen/snapshot.jpg"), ("GET", "/screen/state"), ("GET", "/screen/viewers"),
        ("POST", "/screen/kick"),
    ]:  # fmt: skip
        answer = moving.send(verb, path, b"" if verb == "POST" else None, HOST_HEADER)
        assert answer.status == 401
        assert b"source" not in answer.body
    assert moving.source.opened == 0
    cookie = {"Cookie": f"screen={moving.gate.new_cookie()}"}
    assert moving.send("GET", "/screen/snapshot.jpg", headers=cookie).status == 200


def test_a_closed_hub_ends_the_streams_and_takes_no_more() -> None:
    with streaming(Painter(height=600, noisy=True)) as server:
        with server.watch() as reads, server.watch(buffer=8192) as stalled:
            next(reads.browser_parts())
            time.sleep(0.3)
            started = time.monotonic()
            server.do(server.hub.close())
            assert time.monotonic() - started < 3
            assert reads.has_ended()
            assert stalled.has_ended()
        for path in ["/video_feed", "/screen/snapshot.jpg"]:
            refused = server.send("GET", path)
            assert (refused.status, refused.json["error_zh"]) == (503, "屏幕共享正在关闭")


def test_no_stream_is_left_when_the_server_goes() -> None:
    async def tasks() -> int:
        return len(asyncio.all_tasks())

    with streaming(Painter()) as server:
        idle = server.do(tasks())
        with server.watch() as client:
            next(client.browser_parts())
        assert until(lambda: server.do(tasks()) <= idle)


def test_the_boundary_is_in_no_picture(moving: Streaming) -> None:
    with Watcher(moving.port) as client:
        assert all(BOUNDARY not in part.jpeg for part in watched_for(client.browser_parts(), 0.2))
