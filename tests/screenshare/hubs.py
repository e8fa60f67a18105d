"""A hub without a network, and viewers that send at once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import pytest

import screenshare.encoder
from screenshare.capture import Capture
from screenshare.hub import Hub
from screenshare.picture import Frame, Preset
from screenshare.source import SourceError
from screenshare.viewer import Viewer
from tests.screenshare.streaming import PRESETS, Painter, capture_threads

UNPLUGGED = SourceError("unplugged", "未连接", "plug it in", "请连接")


@contextlib.asynccontextmanager
async def hub_of(source: Painter, presets: Mapping[str, Preset] = PRESETS, **options: Any) -> AsyncIterator[Hub]:
    hub = Hub(partial(Capture, source.open), presets, **{"max_viewers": 50, "linger": 0.1, **options})
    try:
        yield hub
    finally:
        started = time.monotonic()
        await hub.close()
        assert time.monotonic() - started < 4
    assert not capture_threads()
    assert source.closed == source.opened


async def soon(frame: Awaitable[Frame], seconds: float = 30) -> Frame:
    return await asyncio.wait_for(frame, seconds)


async def holds(condition: Callable[[], object], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def newer(viewer: Viewer, number: int) -> Frame:
    """The next frame above a number; a viewer gets the last one again while a busy machine makes the next."""
    while (frame := await soon(viewer.next())).number <= number:
        pass
    return frame


async def collect(viewer: Viewer, seconds: float) -> list[Frame]:
    """What a viewer gets that sends at once."""
    frames = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                frames.append(await viewer.next())
                viewer.sent()
    return frames


def encoding(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The presets of the frames that are encoded, in order."""
    presets: list[str] = []
    encode = screenshare.encoder.encode

    def counting(image: Any, preset: Any) -> Any:
        presets.append(preset.name)
        return encode(image, preset)

    monkeypatch.setattr(screenshare.encoder, "encode", counting)
    return presets
