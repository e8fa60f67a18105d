"""The newest frame for all who watch one preset, at once, again, and made only once."""

from __future__ import annotations

import asyncio
import time

import pytest

from screenshare import channel
from screenshare.picture import Frame
from tests.screenshare.hubs import encoding, hub_of, soon
from tests.screenshare.streaming import Painter


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return encoding(monkeypatch)


def test_what_is_made_of_a_frame_is_made_once() -> None:
    async def main() -> None:
        async with hub_of(Painter(moving=False)) as hub:
            viewers = [hub.watch("medium", "a") for _ in range(2)]
            frames = [await soon(viewer.next()) for viewer in viewers]
            made = [viewer.made(frame, part) for viewer, frame in zip(viewers, frames, strict=True)]
            assert made[0] is made[1]
            old = frames[0]._replace(jpeg=b"old")
            assert viewers[0].made(old, part) == b"part of old"

    def part(frame: Frame) -> bytes:
        return b"part of " + frame.jpeg

    asyncio.run(main())


@pytest.mark.parametrize("told", [False, True])
def test_a_still_picture_is_encoded_once_and_repeated(
    encoded: list[str], told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "_REPEAT_SECONDS", 3.0)

    async def main() -> None:
        source = Painter(moving=False, told=told)
        async with hub_of(source) as hub:
            viewer = hub.watch("medium", "a")
            first = await soon(viewer.next())
            viewer.sent()
            started = time.monotonic()
            second = await soon(viewer.next())
            assert second is first
            assert 2 < time.monotonic() - started < 10
            viewer.sent()
            assert viewer.state().fps == 0
            assert viewer.age < 2
            assert encoded == ["medium"]
            source.touch()
            touched = time.monotonic()
            third = await soon(viewer.next())
            assert third.number == first.number + 1
            assert time.monotonic() - touched < 2.5  # the old one is repeated after three seconds
            assert source.grabs == 2 if told else source.grabs > 5

    asyncio.run(main())


@pytest.mark.parametrize("told", [False, True])
def test_a_new_viewer_gets_a_frame_at_once(told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a screen that stays as it is: beside another viewer, after one, and of another preset."""
    monkeypatch.setattr(channel, "_REPEAT_SECONDS", 60.0)

    async def main() -> None:
        async with hub_of(Painter(moving=False, told=told), linger=5) as hub:
            first = hub.watch("medium", "a")
            await soon(first.next())
            await asyncio.sleep(0.2)
            for preset in ["medium", "low", "high"]:
                viewer = hub.watch(preset, "b")
                frame = await soon(viewer.next(), 2)
                assert time.time() - frame.wall_time < 2
                viewer.close()
            first.close()
            await asyncio.sleep(0.3)
            started = time.monotonic()
            frame = await soon(hub.watch("medium", "c").next(), 2)
            assert frame.taken_at >= started

    asyncio.run(main())
