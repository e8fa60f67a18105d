"""What one viewer gets, in time and in order, and what is known of it."""

from __future__ import annotations

import asyncio
import time

import pytest

from screenshare import meter
from screenshare import viewer as viewer_module
from tests.screenshare.hubs import collect, hub_of, soon
from tests.screenshare.streaming import FPS, Painter, number_of


def test_numbers_and_pictures_rise() -> None:
    async def main() -> None:
        async with hub_of(Painter()) as hub:
            viewer = hub.watch("medium", "a")
            started = time.monotonic()
            frames = await collect(viewer, 0.8)
            seconds = time.monotonic() - started
            numbers = [frame.number for frame in frames]
            assert numbers[0] == 1
            assert numbers == sorted(set(numbers))
            assert 0.4 * FPS * seconds < len(frames) < 1.1 * FPS * seconds + 2
            pictures = [number_of(frame.jpeg) for frame in frames]
            assert pictures == sorted(set(pictures))
            assert (frames[0].width, frames[0].height) == (256, 32)
            assert viewer.dropped == numbers[-1] - len(frames)
            assert 0 < viewer.latency < seconds
            assert viewer.state().fps == pytest.approx(len(frames) / seconds, rel=0.3)
            assert hub.state().captured_fps == pytest.approx(numbers[-1] / seconds, rel=0.3)

    asyncio.run(main())


def test_a_busy_viewer_gets_only_the_newest() -> None:
    async def main() -> None:
        async with hub_of(Painter()) as hub:
            viewer = hub.watch("medium", "a")
            last = await soon(viewer.next())
            for _ in range(2):
                await asyncio.sleep(0.5)
                viewer.sent()
                asked, wall_time = time.monotonic(), time.time()
                frame = await soon(viewer.next())
                assert frame.taken_at > asked - 0.25
                assert frame.wall_time > wall_time - 0.25
                assert frame.number - last.number >= 3
                last = frame
            viewer.sent()
            assert viewer.dropped == last.number - 1 - 2

    asyncio.run(main())


@pytest.mark.second_chance("compares the rates of viewers in real time")
def test_slow_viewers_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "_WINDOW", 1.0)
    monkeypatch.setattr(viewer_module, "_SLOW_AFTER", 1.0)

    async def main() -> None:
        async with hub_of(Painter()) as hub:
            quick, slow, stuck, still = (hub.watch("medium", name) for name in "abcd")
            tasks = [asyncio.create_task(collect(viewer, 1.6)) for viewer in (quick, still)]
            await soon(stuck.next())
            end = time.monotonic() + 1.2
            while time.monotonic() < end:
                await soon(slow.next())
                await asyncio.sleep(4 / FPS)
                slow.sent()
            state = {viewer.address: viewer for viewer in hub.state().viewers}
            assert {name: state[name].slow for name in "abcd"} == {"a": False, "b": True, "c": False, "d": False}
            assert state["b"].fps < 0.6 * state["a"].fps
            assert state["b"].dropped > 0
            stuck.sent()
            await asyncio.sleep(0.3)
            assert {viewer.address: viewer.slow for viewer in hub.state().viewers}["c"]
            assert not hub.state(viewers=False).viewers
            await asyncio.gather(*tasks)

    asyncio.run(main())
