"""The screen share of the real program, with the test picture as its source."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from screenshare.share import ScreenShare
from tests.process import ROOT, Program, environment, run, running
from tests.support import HOST
from webapi import AppSettings, make_app

SCREEN = ("--screen", "--screen-source", "test", "--screen-pin", "246810")
JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with running(*SCREEN) as started:
        yield started


def stream(program: Program, query: str = "") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(HOST, program.port, timeout=10)
    connection.request("GET", f"/video_feed?{query}")
    return connection.getresponse()


def read_pictures(answer: http.client.HTTPResponse, count: int) -> list[bytes]:
    """The first pictures of a stream, cut out by where a JPEG begins and ends."""
    received, pictures = b"", []
    while len(pictures) < count:
        received += answer.read1(65536)
        start, end = received.find(JPEG_START), received.find(JPEG_END)
        if 0 <= start < end:
            pictures.append(received[start : end + 2])
            received = received[end + 2 :]
    return pictures


def test_it_is_off_by_default() -> None:
    with running() as program:
        for path in ("/screen", "/video_feed", "/screen/state", "/screen/snapshot.jpg"):
            assert program.send("GET", path).meta == (1035, "不存在的路径")


# The program in an interpreter that has none of the screen share's libraries.
WITHOUT_LIBRARIES = """
import runpy, sys
sys.modules.update(dict.fromkeys(["cv2", "mss", "numpy", "PIL", "segno", "Xlib"]))
sys.path.insert(0, sys.argv[1])
runpy.run_path(f"{sys.argv.pop(1)}/run.py", run_name="__main__")
"""


def run_without_libraries(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_LIBRARIES, str(ROOT), *arguments],
        env=environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_the_gateway_needs_none_of_the_libraries() -> None:
    done = run_without_libraries("call", "matrix.api.class-func", "v=1.0", "name=jim")
    assert (done.returncode, json.loads(done.stdout)["response"]) == (0, {"name": "jim"}), done.stderr


def test_without_the_libraries_the_start_says_what_to_install() -> None:
    done = run_without_libraries("--screen", "--lan")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == (
        'Error: the screen share needs libraries that are not installed (cv2, numpy, segno): pip install ".[screen]"'
    )


def test_start_prints_the_address_and_the_pin(program: Program) -> None:
    assert program.process.stdout is not None
    lines = [program.process.stdout.readline() for _ in range(2)]
    assert lines == [f"  http://127.0.0.1:{program.port}/screen\n", "  PIN 246810\n"]
    assert "246810" not in program.send("GET", "/screen").body.decode()


def test_a_link_with_the_key_opens_to_who_looks_like_this_machine() -> None:
    with running(*SCREEN, "--screen-pin-local") as program:
        assert program.process.stdout is not None
        link = [program.process.stdout.readline() for _ in range(3)][2]
        address, key = link.strip().split("#key=")
        assert address == f"http://127.0.0.1:{program.port}/screen"
        assert program.send("GET", "/screen/state").status == 401
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        opened = program.send("POST", "/screen/pin", f"key={key}".encode(), form)
        assert opened.status == 204
        cookie = {"Cookie": opened.headers["Set-Cookie"].partition(";")[0]}
        state = json.loads(program.send("GET", "/screen/state", headers=cookie).body)
        assert state["viewers"] == []
        # Nobody at this machine is known to be its host.
        assert program.send("GET", "/screen/viewers", headers={**cookie, "X-Screen-Host": "1"}).status == 403
        listed = run("viewers", "--port", str(program.port))
        assert (listed.returncode, listed.stdout) == (1, "")
        assert "the server answered 401: PIN needed" in listed.stderr


@pytest.mark.parametrize("mode", [("--screen-open",), ("--screen-pin", "246810")])
def test_no_page_of_another_name_gets_the_screen(mode: tuple[str, ...]) -> None:
    names = ("--screen-hosts", "share.example,desk.example")
    with running("--screen", "--screen-source", "test", *mode, *names) as program:
        for path in ("/screen", "/video_feed", "/screen/snapshot.jpg", "/screen/state", "/screen/viewers"):
            for host in ("evil.example", f"evil.example:{program.port}"):
                assert program.send("GET", path, headers={"Host": host}).status == 421
        for host in ("share.example", "desk.example:443", f"[::1]:{program.port}", "192.0.2.7", socket.gethostname()):
            assert program.send("GET", "/screen", headers={"Host": host}).status == 200
        # The API has nothing to do with it.
        called = "/api/router/rest?v=1.0&method=matrix.api.class-func&name=jim"
        assert program.send("GET", called, headers={"Host": "evil.example"}).status == 200


@pytest.mark.parametrize(("host", "status"), [("desk.example", 200), ("evil.example", 421), ("", 421)])
def test_the_name_it_listens_on_is_known(tmp_path: Path, host: str, status: int) -> None:
    for listens_on in ("desk.example", "desk.example."):
        settings = AppSettings(host=listens_on, screen=True, screen_source="test", screen_open=True, data=str(tmp_path))
        [share] = [service for service in make_app(settings).services if isinstance(service, ScreenShare)]
        line = RequestStartLine("GET", "/screen", "HTTP/1.1")
        asked = HTTPServerRequest(start_line=line, headers=HTTPHeaders({"Host": host}))
        assert share.gate.judge(asked).status == status


def test_stream_moves(program: Program) -> None:
    answer = stream(program)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("multipart/x-mixed-replace;")
    assert answer.headers["Cache-Control"] == "no-store"
    first, second, third = read_pictures(answer, 3)
    assert len({first, second, third}) == 3
    answer.close()


def test_snapshot_and_state(program: Program) -> None:
    snapshot = program.send("GET", "/screen/snapshot.jpg")
    assert (snapshot.status, snapshot.headers["Content-Type"]) == (200, "image/jpeg")
    assert snapshot.body.startswith(JPEG_START)
    state = json.loads(program.send("GET", "/screen/state").body)
    assert (state["width"], state["height"], state["error"]) == (1280, 720, "")


def test_host_sees_and_ends_viewers(program: Program) -> None:
    answer = stream(program)
    read_pictures(answer, 2)
    listed = run("viewers", "--port", str(program.port))
    assert listed.returncode == 0
    assert listed.stdout.startswith("127.0.0.1 ")
    assert "medium" in listed.stdout
    assert run("kick", "--port", str(program.port), "127.0.0.1").stdout == "1 streams ended\n"
    while answer.read1(65536):
        pass  # the stream has an end
    assert run("viewers", "--port", str(program.port)).stdout == "0 viewers\n"
    answer.close()


def test_host_commands_need_a_server() -> None:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    done = run("viewers", "--port", str(port))
    assert done.returncode == 1
    assert f"no server answers on port {port}" in done.stderr


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no /proc here to look into")
def test_the_server_loads_no_library_of_pictures(program: Program) -> None:
    answer = stream(program)
    read_pictures(answer, 1)
    loaded = Path(f"/proc/{program.process.pid}/maps").read_text()
    assert "/cv2/" not in loaded
    assert "/numpy/" not in loaded
    answer.close()


def test_gateway_answers_beside_the_stream(program: Program) -> None:
    answer = stream(program)
    read_pictures(answer, 1)
    assert program.get("v=1.0&method=matrix.api.class-func&name=jim").response == {"name": "jim"}
    answer.close()


def test_signal_ends_it_while_somebody_watches() -> None:
    with running(*SCREEN) as program:
        answer = stream(program)
        read_pictures(answer, 1)
        started = time.monotonic()
        program.signal(signal.SIGTERM)
        assert program.wait() == 0
        assert time.monotonic() - started < 8  # calls get 10 s to finish, streams none
        answer.close()


WRONG = [
    (("--screen-source", "scren"), "screen"),
    (("--screen-pin", "abc"), "a PIN has 4 to 12 digits"),
    (("--screen-fps", "0"), "screen_fps must be 0.1 to 60, not 0.0"),
    (("--screen-quality", "101"), "screen_quality must be 1 to 100, not 101"),
    (("--screen-hosts", "https://share.example"), "'https://share.example' is no name of a host"),
    (("--screen-max-viewers", "0"), "screen_max_viewers must be at least 1, not 0"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_setting(arguments: tuple[str, ...], message: str) -> None:
    done = run("serve", "--port", "0", "--screen", *arguments)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_machine_without_a_screen_says_so(tmp_path: Path) -> None:
    env = {name: "" for name in ("DISPLAY", "WAYLAND_DISPLAY") if name in environment()}
    with running("--screen", env=env) as program:
        answer = stream(program)
        (notice,) = read_pictures(answer, 1)
        assert notice.startswith(JPEG_START)
        state = json.loads(program.send("GET", "/screen/state").body)
        assert state["error"]
        assert "--screen-source test" in state["advice"]
        assert program.send("GET", "/screen/snapshot.jpg").status == 503
        assert program.get("v=1.0&method=matrix.api.class-func&name=jim").meta[0] == 1000
        answer.close()


def test_several_processes_share_no_screen() -> None:
    ended = run("--screen", "--workers", "2")
    assert ended.returncode == 2
    assert "the screen is shared by one process: serve it with --workers 1" in ended.stderr
