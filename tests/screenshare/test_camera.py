"""Cameras, files and network cameras: real files, and a real server for what comes over the network."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy
import pytest

from screenshare import camera
from screenshare.camera import CameraSource
from screenshare.pattern import draw_clock, read_clock
from screenshare.source import Source, SourceError
from screenshare.source_choice import open_source
from tests.support import until

CAMERA_ADVICE = (
    "Plug it in, close other programs that use it, or choose another number, as in --screen-source camera:1",
    "请连接摄像头，关闭占用它的其他程序，或选择其他编号，例如 --screen-source camera:1",
)
FILE_ADVICE = (
    "Give a video file that OpenCV can read, such as MP4 with H.264",
    "请使用 OpenCV 能读取的视频文件，例如 H.264 编码的 MP4",
)
PATH_ADVICE = (
    "Give the path of a video file: --screen-source file:PATH",
    "请给出视频文件的路径：--screen-source file:PATH",
)
NETWORK_ADVICE = (
    "Check that the camera is on, and its address, user and password",
    "请检查摄像头是否开启，以及地址、用户名和密码",
)


def picture(number: int) -> numpy.ndarray:
    """A picture that bears its number."""
    image = numpy.full((240, 640, 3), 90, numpy.uint8)
    draw_clock(image, number)
    return image


def number_of(image: numpy.ndarray) -> int:
    number = read_clock(image)
    assert number is not None
    return number


def write_video(path: Path, count: int, rate: float) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (640, 240))
    assert writer.isOpened()
    for number in range(count):
        writer.write(picture(number))
    writer.release()
    return path


def numbers(source: Source, seconds: float) -> list[int]:
    """The numbers of the pictures that come within some seconds."""
    end = time.monotonic() + seconds
    seen = []
    while time.monotonic() < end:
        if source.wait(0.1):
            seen.append(number_of(source.grab()))
    return seen


def some_numbers(source: Source, count: int) -> list[int]:
    """The numbers of the next pictures."""
    seen = []
    for _ in range(count):
        assert source.wait(5)
        seen.append(number_of(source.grab()))
    return seen


def grab_for_ever(source: Source) -> None:
    while True:
        source.grab()


def say(error: SourceError) -> tuple[str, str, tuple[str, str]]:
    return error.reason, error.reason_zh, (error.advice, error.advice_zh)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_file_from_the_start(tmp_path: Path) -> None:
    source = open_source(f"file:{write_video(tmp_path / 'a clip.avi', 10, 25)}")
    assert (source.name, source.size) == ("file a clip.avi", (640, 240))
    assert source.wait(0)
    image = source.grab()
    assert image.shape == (240, 640, 3)
    assert image.dtype == numpy.uint8
    assert image.flags.c_contiguous
    assert number_of(image) in (0, 1)
    source.close()
    source.close()


@pytest.mark.second_chance("of ten pictures a second it must see most, in real time")
@pytest.mark.parametrize(("rate", "shown"), [(10, 0.7), (50, 0.4)])
def test_file_at_its_own_rate(tmp_path: Path, rate: int, shown: float) -> None:
    path = write_video(tmp_path / "clip.avi", 100, rate)
    begin = time.monotonic()
    source = open_source(f"file:{path}")
    seen = numbers(source, 0.6)
    expected = rate * (time.monotonic() - begin)
    source.close()
    assert seen[0] <= 0.2 * expected
    assert 0.6 * expected - 1 <= seen[-1] <= expected + 1
    assert len(seen) >= shown * seen[-1]
    assert seen == sorted(set(seen))


def test_file_starts_again_at_its_end(tmp_path: Path) -> None:
    source = open_source(f"file:{write_video(tmp_path / 'clip.avi', 5, 25)}")
    seen = some_numbers(source, 16)
    source.close()
    assert set(seen) == set(range(5))
    steps = [(second - first) % 5 for first, second in itertools.pairwise(seen)]
    assert steps.count(1) >= 0.6 * len(steps)


def test_file_with_one_picture(tmp_path: Path) -> None:
    source = open_source(f"file:{write_video(tmp_path / 'clip.avi', 1, 50)}")
    seen = some_numbers(source, 5)
    source.close()
    assert set(seen) == {0}


def test_file_that_says_no_rate(tmp_path: Path) -> None:
    # A sequence of pictures has 25 a second; one picture is a video of one.
    path = tmp_path / "picture.jpg"
    assert cv2.imwrite(str(path), picture(7))
    begin = time.monotonic()
    source = open_source(f"file:{path}")
    seen = some_numbers(source, 11)
    taken = time.monotonic() - begin
    source.close()
    assert set(seen) == {7}
    assert 9 / 25 < taken < 4


def test_a_slow_reader_gets_the_present_picture(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", 200, 50)
    begin = time.monotonic()
    source = open_source(f"file:{path}")
    opened = time.monotonic()
    for _ in range(3):
        time.sleep(0.15)
        assert source.wait(1)
        time.sleep(0.1)
        asked = time.monotonic()
        number = number_of(source.grab())
        assert 0.5 * 50 * (asked - opened) < number <= 50 * (time.monotonic() - begin) + 1
    source.close()


def test_wait_in_vain(tmp_path: Path) -> None:
    source = open_source(f"file:{write_video(tmp_path / 'clip.avi', 10, 1)}")
    source.grab()
    begin = time.monotonic()
    assert not source.wait(0.1)
    assert time.monotonic() - begin >= 0.09
    assert source.wait(5)
    source.close()


def test_wake_ends_one_wait(tmp_path: Path) -> None:
    source = open_source(f"file:{write_video(tmp_path / 'slow.avi', 10, 1)}")
    source.grab()
    for waker in (lambda: threading.Timer(0.05, source.wake).start(), source.wake):
        waker()
        begin = time.monotonic()
        told = source.wait(30)
        assert time.monotonic() - begin < 10 or told  # on a slow machine the next picture may be there
        if told:
            source.grab()
    assert source.wait(10)
    source.close()
    source.wake()


def test_a_file_that_vanishes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", 3, 50)
    source = open_source(f"file:{path}")
    path.unlink()
    with pytest.raises(SourceError) as caught:
        numbers(source, 5)
    assert say(caught.value) == ("file clip.avi has stopped", "文件 clip.avi 已停止", FILE_ADVICE)
    with pytest.raises(SourceError):
        source.grab()
    assert source.wait(0)
    source.close()


@pytest.mark.parametrize("content", [b"", b"no video", b"RIFF\x00\x00\x00\x00AVI "])
def test_a_file_that_is_no_video(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.avi"
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        open_source(f"file:{path}")
    assert say(caught.value) == ("file clip.avi can't be opened", "文件 clip.avi 无法打开", FILE_ADVICE)


@pytest.mark.parametrize("name", ["missing.avi", ""])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(f"file:{tmp_path / name}")
    name = name or tmp_path.name
    assert say(caught.value) == (f"there is no file {name}", f"文件 {name} 不存在", PATH_ADVICE)


def test_a_camera_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError) as caught:
        open_source("camera:63")
    assert say(caught.value) == ("camera 63 can't be opened", "摄像头 63 无法打开", CAMERA_ADVICE)
    assert capfd.readouterr() == ("", "")


def test_an_address_that_nobody_serves(capfd: pytest.CaptureFixture[str]) -> None:
    begin = time.monotonic()
    with pytest.raises(SourceError) as caught:
        open_source("rtsp://somebody:secret@127.0.0.1:1/live?key=hidden")
    assert time.monotonic() - begin < 15  # the library would give up after 30 s
    name = "rtsp://127.0.0.1:1/live"
    assert say(caught.value) == (f"{name} can't be opened", f"{name} 无法打开", NETWORK_ADVICE)
    assert capfd.readouterr() == ("", "")


class NetworkCamera:
    """A server that sends numbered JPEGs, 50 a second, until it is told to hang or to stop."""

    def __init__(self) -> None:
        self.mode = "send"
        self.sent = 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
                self.end_headers()
                number = 0
                while owner.mode != "stop":
                    if owner.mode == "send":
                        jpeg = cv2.imencode(".jpg", picture(number))[1].tobytes()
                        head = f"--b\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                        try:
                            self.wfile.write(head.encode() + jpeg + b"\r\n")
                        except OSError:
                            return
                        number += 1
                        owner.sent = number
                    time.sleep(0.02)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = False
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))

    def open(self) -> CameraSource:
        address = f"http://127.0.0.1:{self.server.server_port}/"
        words = camera._Words("camera x", "摄像头 x", "the advice", "建议")
        return CameraSource(words, lambda: cv2.VideoCapture(address, cv2.CAP_FFMPEG, camera._NETWORK))


@pytest.fixture
def network_camera() -> Iterator[NetworkCamera]:
    served = NetworkCamera()
    served.thread.start()
    yield served
    served.mode = "stop"
    served.server.shutdown()
    served.thread.join()
    served.server.server_close()


def test_live_pictures(network_camera: NetworkCamera) -> None:
    source = network_camera.open()
    seen = some_numbers(source, 15)
    source.close()
    assert seen == sorted(set(seen))


def test_live_pictures_are_not_queued(network_camera: NetworkCamera) -> None:
    source = network_camera.open()
    source.grab()
    first, sent = number_of(source.grab()), network_camera.sent
    assert until(lambda: network_camera.sent >= sent + 20)
    assert number_of(source.grab()) >= first + 12
    source.close()


def test_live_pictures_that_end(network_camera: NetworkCamera) -> None:
    source = network_camera.open()
    network_camera.mode = "stop"
    with pytest.raises(SourceError) as caught:
        numbers(source, 10)
    assert say(caught.value) == ("camera x has stopped", "摄像头 x 已停止", ("the advice", "建议"))
    source.close()


def test_live_pictures_that_stall(network_camera: NetworkCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "_STALL", 0.6)
    source = network_camera.open()
    network_camera.mode = "hang"
    begin = time.monotonic()
    with pytest.raises(SourceError) as caught:
        numbers(source, 10)
    assert 0.3 <= time.monotonic() - begin < 4
    assert say(caught.value) == (
        "camera x has given no picture for 1 seconds", "摄像头 x 已有 1 秒没有画面", ("the advice", "建议"),
    )  # fmt: skip
    network_camera.mode = "send"
    assert source.wait(5)
    source.grab()
    source.close()


def test_grab_waits_for_a_live_picture(network_camera: NetworkCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "_STALL", 0.6)
    source = network_camera.open()
    seen = [number_of(source.grab()) for _ in range(5)]
    assert seen == sorted(set(seen))
    network_camera.mode = "hang"
    with pytest.raises(SourceError):
        grab_for_ever(source)
    network_camera.mode = "stop"
    source.close()
