"""The names of sources, what they open, and what is said where they can't be opened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screenshare import source_choice
from screenshare.source import Region, SourceError
from screenshare.source_choice import check_spec, open_source

ROOT = Path(__file__).parent.parent.parent
EXPECTED = "screen, screen:2, screen:all, screen:X,Y,WIDTH,HEIGHT, camera:0, file:PATH, rtsp://…, or test"

GOOD = {
    "screen": ("_open_screen", 1),
    "screen:1": ("_open_screen", 1),
    "screen:12": ("_open_screen", 12),
    "screen:all": ("_open_screen", 0),
    "screen:0,0,800,600": ("_open_screen", Region(0, 0, 800, 600)),
    "screen:-1920,-5,1,1": ("_open_screen", Region(-1920, -5, 1, 1)),
    "camera:0": ("_open_camera", 0),
    "camera:12": ("_open_camera", 12),
    "file:clip.mp4": ("_open_file", "clip.mp4"),
    "file:C:\\clips\\a b.mp4": ("_open_file", "C:\\clips\\a b.mp4"),
    "rtsp://camera.local/live": ("_open_network", "rtsp://camera.local/live"),
    "rtsp://user:a:b@[::1]:8554/x?y=1": ("_open_network", "rtsp://user:a:b@[::1]:8554/x?y=1"),
}  # fmt: skip
NO_SOURCE = [
    "", " ", "Screen", "screens", "test:", "test:1", "tests", "camera", "camera:", "camera:x", "camera:-1",
    "camera:100", "camera:1 ", "camera:²", "file", "file:", "rtsp:", "rtsp://", "rtsp://:554/x", "rtsp:/host", "rtsp://[::1/x",
    "http://host/x", "/dev/video0",
]  # fmt: skip
NO_MONITOR = [
    "screen:", "screen:0", "screen:-1", "screen:100", "screen:1.0", "screen:ALL", "screen: 1", "screen:٢", "screen:1\n",
    "screen:0,0,800", "screen:0,0,0,600", "screen:0,0,800,-1", "screen:0,0,800,600,1", "screen:0, 0,8,6",
    "screen:0,0,123456,6",
]  # fmt: skip


@pytest.mark.parametrize("spec", GOOD)
def test_check_spec_takes(spec: str) -> None:
    check_spec(spec)


@pytest.mark.parametrize("spec", GOOD)
def test_open_source_opens(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opener, argument = GOOD[spec]
    opened: list[object] = []
    monkeypatch.setattr(source_choice, opener, opened.append)
    open_source(spec)
    assert opened == [argument]


@pytest.mark.parametrize("check", [check_spec, open_source])
@pytest.mark.parametrize("spec", NO_SOURCE)
def test_what_is_no_source(spec: str, check: object) -> None:
    with pytest.raises(ValueError) as caught:
        check(spec)  # type: ignore[operator]
    assert str(caught.value) == f"{spec!r} is no source: expected {EXPECTED}"


@pytest.mark.parametrize("check", [check_spec, open_source])
@pytest.mark.parametrize("spec", NO_MONITOR)
def test_what_is_no_monitor(spec: str, check: object) -> None:
    with pytest.raises(ValueError) as caught:
        check(spec)  # type: ignore[operator]
    assert (
        str(caught.value)
        == f"{spec!r} is no monitor: expected screen:1, screen:2, …, screen:all or screen:X,Y,WIDTH,HEIGHT"
    )


@given(st.text() | st.builds("screen:{}".format, st.text()) | st.builds("rtsp://{}".format, st.text()))
def test_check_spec_raises_nothing_but_value_error(spec: str) -> None:
    try:
        check_spec(spec)
    except ValueError as error:
        assert repr(spec) in str(error)  # noqa: PT017 (either outcome will do)


def test_source_error() -> None:
    error = SourceError("the reason", "原因", "the advice", "建议")
    assert str(error) == "the reason"
    assert (error.reason, error.reason_zh, error.advice, error.advice_zh) == (
        "the reason",
        "原因",
        "the advice",
        "建议",
    )


def fresh(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_and_checking_loads_no_library() -> None:
    code = (
        "import sys; from screenshare.source_choice import check_spec;"
        f"[check_spec(spec) for spec in {list(GOOD)}];"
        "print({'cv2', 'mss', 'numpy', 'PIL', 'Xlib'} & set(sys.modules) or 'none')"
    )
    assert fresh(code) == "none"


@pytest.mark.parametrize(
    ("spec", "missing", "library", "package"),
    [
        ("screen", ["numpy"], "numpy", "numpy"),
        ("test", ["cv2"], "cv2", "opencv-python-headless"),
        ("camera:0", ["cv2"], "cv2", "opencv-python-headless"),
        ("screen", ["cv2"], "cv2", "opencv-python-headless"),
        ("screen", ["mss", "PIL"], "mss", "mss"),
    ],
)
def test_a_missing_library(spec: str, missing: list[str], library: str, package: str) -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({missing}))\n"
        "from screenshare.source import SourceError\n"
        "from screenshare.source_choice import open_source\n"
        f"try: open_source({spec!r})\n"
        "except SourceError as e: print(e.reason, e.reason_zh, e.advice, e.advice_zh, sep='|')"
    )
    said = fresh(code).splitlines()[-1]  # after what a library says itself
    assert said == (
        f"the library {library} is not installed|没有安装 {library} 库|"
        f"Install it: pip install {package}|请安装：pip install {package}"
    )


def test_a_broken_import_of_our_own_is_no_missing_library() -> None:
    code = (
        "import sys; sys.modules['screenshare.pattern'] = None\n"
        "from screenshare.source_choice import open_source\n"
        "try: open_source('test')\n"
        "except ModuleNotFoundError as e: print(e.name)"
    )
    assert fresh(code) == "screenshare.pattern"
