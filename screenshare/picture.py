"""The values that the parts of the screen share hand to each other. Times are seconds."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Frame", "Preset", "State", "ViewerState", "presets_of"]


class Preset(NamedTuple):
    """One quality: at most ``width`` pixels wide, JPEG ``quality`` of 100, at most ``fps`` frames a second."""

    name: str
    width: int
    quality: int
    fps: float
    chroma_444: bool = False


class Frame(NamedTuple):
    """One encoded picture. Numbers rise by one for each new picture of a preset.

    ``taken_at`` is the monotonic clock when the capture began, ``wall_time`` the wall clock then.
    """

    number: int
    jpeg: bytes
    taken_at: float
    wall_time: float
    width: int
    height: int


class ViewerState(NamedTuple):
    """What is known of one viewer. ``latency`` is from capture to the socket."""

    number: int
    address: str
    since: float
    preset: str
    fps: float
    dropped: int
    latency: float
    slow: bool


class State(NamedTuple):
    """The screen share as it is now. ``error`` is empty while pictures come."""

    source: str
    width: int
    height: int
    captured_fps: float
    capturing: bool
    error: str
    error_zh: str
    advice: str
    advice_zh: str
    viewers: tuple[ViewerState, ...]


def presets_of(width: int, quality: int, fps: float) -> dict[str, Preset]:
    """The three presets around the middle one.

    >>> {name: preset.width for name, preset in presets_of(1366, 80, 15).items()}
    {'low': 683, 'medium': 1366, 'high': 1920}
    """
    return {
        "low": Preset("low", width // 2, max(30, quality - 25), max(1.0, fps / 2)),
        "medium": Preset("medium", width, quality, fps),
        "high": Preset("high", max(width, 1920), min(95, quality + 5), fps * 2, chroma_444=True),
    }
