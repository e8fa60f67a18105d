"""The capture thread: when it looks, what it encodes, and how it begins and ends."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from screenshare import capture, source_status
from screenshare.picture import Frame, Preset
from tests.screenshare.hubs import UNPLUGGED, collect, encoding, holds, hub_of, soon
from tests.screenshare.streaming import FPS, PRESETS, Painter, capture_threads, number_of
from tests.support import until


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return encoding(monkeypatch)


def test_a_picture_is_encoded_once_for_all_who_watch_it(encoded: list[str]) -> None:
    async def main() -> None:
        source = Painter()
        async with hub_of(source) as hub:
            many = [hub.watch("medium", "a") for _ in range(20)]
            one = hub.watch("low", "b")
            started = time.monotonic()
            *medium, low = await asyncio.gather(*(collect(viewer, 0.7) for viewer in [*many, one]))
            pictures = FPS * (time.monotonic() - started)
            assert source.grabs <= 1.15 * pictures + 3
            assert encoded.count("medium") <= source.grabs
            assert encoded.count("low") <= 1.15 * pictures / 4 + 3
            assert min(len(frames) for frames in medium) > 0.5 * encoded.count("medium") > 0.2 * pictures
            assert 1 <= len(low) <= encoded.count("low")
            assert (low[0].width, low[0].height) == (64, 8)
            assert len({id(frame.jpeg) for frames in medium for frame in frames}) <= encoded.count("medium")
            assert "high" not in encoded

    asyncio.run(main())


def test_a_told_source_is_grabbed_when_it_changes_but_not_more_often_than_asked() -> None:
    async def main() -> None:
        source = Painter(moving=False, told=True)
        async with hub_of(source) as hub:
            viewer = hub.watch("medium", "a")
            reading = asyncio.create_task(collect(viewer, 1.1))
            started = time.monotonic()
            while time.monotonic() - started < 0.6:
                source.touch()
                await asyncio.sleep(0.005)
            frames = await reading
            assert 0.6 * FPS * 0.3 < len(frames) <= (time.monotonic() - started) * FPS * 1.15 + 2
            assert number_of(frames[-1].jpeg) == source.number

    asyncio.run(main())


def test_a_change_after_a_pause_is_grabbed_at_once() -> None:
    async def main() -> None:
        source = Painter(moving=False, told=True)
        async with hub_of(source, {"rare": Preset("rare", 64, 60, 0.5)}) as hub:
            viewer = hub.watch("rare", "a")
            await soon(viewer.next())
            await asyncio.sleep(2.1)
            touched = time.monotonic()
            source.touch()
            frame = await soon(viewer.next())
            assert time.monotonic() - touched < 1.5  # a time to look passes every two seconds
            assert frame.taken_at > touched

    asyncio.run(main())


def test_what_is_told_but_not_seen_is_looked_at_once_in_an_interval() -> None:
    async def main() -> None:
        source = Painter(moving=False, told=True)
        async with hub_of(source) as hub:
            viewer = hub.watch("medium", "a")
            await soon(viewer.next())
            started, grabs = time.monotonic(), source.grabs
            while time.monotonic() - started < 0.5:
                source.touch(seen=False)
                await asyncio.sleep(0.002)
            assert 3 <= source.grabs - grabs <= (time.monotonic() - started) * FPS + 2
            await asyncio.sleep(0.1)
            source.touch()
            assert (await soon(viewer.next())).number == 2

    asyncio.run(main())


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not woken waits for ever."""
    monkeypatch.setattr(capture, "_PATIENCE", 60.0)
    monkeypatch.setattr(source_status, "_HANGS_AFTER", 60.0)


@pytest.mark.usefixtures("patient")
def test_who_comes_is_not_kept_waiting_by_a_still_source() -> None:
    async def main() -> None:
        source = Painter(moving=False, told=True)
        async with hub_of(source, linger=0) as hub:
            first = hub.watch("medium", "a")
            await soon(first.next())
            for preset in ("medium", "low", "high"):
                await asyncio.sleep(0.05)
                viewer = hub.watch(preset, "b")
                await soon(viewer.next())
                await asyncio.sleep(0.05)
                asked = time.monotonic()
                assert (await hub.snapshot(preset, 10)).taken_at >= asked
                await asyncio.sleep(0.05)
                viewer.close()
            await asyncio.sleep(0.05)
            source.touch()
            assert number_of((await soon(first.next())).jpeg) == 2
            await asyncio.sleep(0.05)
            first.close()
            await holds(lambda: not capture_threads())  # `hub_of` then closes one that waits
            await soon(hub.watch("medium", "a").next())
            await asyncio.sleep(0.05)

    asyncio.run(main())


@pytest.mark.usefixtures("patient")
def test_quick_viewers_of_a_still_source_all_get_a_frame() -> None:
    """They come at any moment between two waits."""

    async def main() -> None:
        presets = {name: Preset(name, 64, 60, 500.0) for name in "ab"}
        async with hub_of(Painter(moving=False, told=True), presets) as hub:
            for number in range(300):
                viewer = hub.watch("ab"[number % 2], "a")
                await soon(viewer.next())
                viewer.close()

    asyncio.run(main())


def test_a_still_source_is_hardly_asked() -> None:
    async def main() -> None:
        source = Painter(moving=False, told=True)
        async with hub_of(source) as hub:
            viewers = [hub.watch("medium", "a") for _ in range(3)]
            reading = [asyncio.create_task(collect(viewer, 2.5)) for viewer in viewers]
            await asyncio.sleep(0.5)
            started, waits = time.monotonic(), source.waits
            await asyncio.gather(*reading)
            assert source.waits - waits <= (time.monotonic() - started) + 2

    asyncio.run(main())


def test_the_last_of_quick_changes_reaches_every_preset() -> None:
    async def main() -> None:
        source = Painter(moving=False, told=True)
        async with hub_of(source) as hub:
            viewers = [hub.watch(preset, "a") for preset in PRESETS]
            reading = [asyncio.create_task(collect(viewer, 1.0)) for viewer in viewers]
            await asyncio.sleep(0.2)
            for _ in range(4):
                source.touch()
                await asyncio.sleep(0.01)
            for frames in await asyncio.gather(*reading):
                assert number_of(frames[-1].jpeg) == source.number

    asyncio.run(main())


def test_idle_thread_uses_no_processor_time() -> None:
    async def main() -> None:
        source = Painter()
        async with hub_of(source, linger=5) as hub:
            viewer = hub.watch("medium", "a")
            await soon(viewer.next())
            viewer.close()
            await asyncio.sleep(0.1)
            grabs, before = source.grabs, time.process_time()
            await asyncio.sleep(0.5)
            assert source.grabs == grabs
            assert time.process_time() - before < 0.1

    asyncio.run(main())


def test_an_exception_while_nobody_watches_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        source = Painter()
        source.fails_to_close = RuntimeError("still in use")
        async with hub_of(source, linger=0) as hub:
            for _ in range(3):
                viewer = hub.watch("medium", "a")
                await soon(viewer.next())
                viewer.close()
                await holds(lambda: not capture_threads())
            source.fails = UNPLUGGED
            viewer = hub.watch("medium", "a")
            viewer.close()
            await holds(lambda: not capture_threads())
            assert not hub.state().error
            source.fails = None
            assert number_of((await soon(hub.watch("medium", "a").next())).jpeg) == source.number

    asyncio.run(main())
    assert "the source could not be closed" in caplog.text


def test_a_source_is_closed_before_it_is_opened_again() -> None:
    async def main() -> None:
        source = Painter()
        source.closes_in = 0.4
        async with hub_of(source, linger=0) as hub:
            for _ in range(2):
                viewer = hub.watch("medium", "a")
                await soon(viewer.next())
                viewer.close()
                await asyncio.sleep(0.1)
                assert source.closed < source.opened
            assert not hub.state().error

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_was_ended_is_replaced() -> None:
    async def main() -> None:
        source = Painter()
        async with hub_of(source) as hub:
            viewer = hub.watch("medium", "a")
            await soon(viewer.next())
            source.fails = SystemExit()
            await holds(lambda: not capture_threads())
            source.fails = None
            new = hub.watch("low", "b")
            assert (await soon(new.next())).width == 64
            assert number_of((await collect(viewer, 0.2))[-1].jpeg) > 1

    asyncio.run(main())


def test_a_thread_that_is_replaced_leaves_what_was_asked_to_its_successor() -> None:
    source, answers = Painter(), []
    here = capture.Capture(source.open, PRESETS, lambda name, frame: None)
    here.start()
    stuck = source.stuck = threading.Event()
    here.watch(["medium"])
    assert until(lambda: source.grabs)
    here.ask("medium", answers.append)
    here.stop(goes_on=True)
    stuck.set()
    assert until(lambda: not here.alive)
    assert not answers
    here.start()
    assert until(lambda: answers)
    assert isinstance(answers[0], Frame)
    here.stop()
    assert until(lambda: not here.alive)


def test_a_source_that_returns_late_is_not_opened_twice() -> None:
    async def main() -> None:
        source = Painter()
        async with hub_of(source, linger=0) as hub:
            viewer = hub.watch("medium", "a")
            await soon(viewer.next())
            stuck = source.stuck = threading.Event()
            await asyncio.sleep(0.1)
            viewer.close()
            await asyncio.sleep(0.1)
            again = hub.watch("medium", "a")
            await asyncio.sleep(0.1)
            assert source.opened - source.closed == 1
            assert len(capture_threads()) == 1
            source.stuck = None
            stuck.set()
            await soon(again.next())
            assert source.opened - source.closed == 1

    asyncio.run(main())


@pytest.mark.parametrize(("moving", "told"), [(True, False), (False, False), (False, True)])
@pytest.mark.parametrize("watched", [False, True])
def test_a_snapshot_is_taken_after_it_was_asked_for(moving: bool, told: bool, watched: bool) -> None:
    async def main() -> None:
        source = Painter(moving=moving, told=told)
        async with hub_of(source) as hub:
            if watched:
                await soon(hub.watch("medium", "a").next())
            for preset in ["medium", "low"]:
                await asyncio.sleep(0.05)
                source.touch()
                asked, number = time.monotonic(), source.number
                frame = await hub.snapshot(preset, 10)
                assert frame.taken_at >= asked
                assert time.time() - frame.wall_time < 2
                assert number_of(frame.jpeg) >= number
            assert len(hub.viewers) == watched

    asyncio.run(main())


def test_snapshots_share_grabs_and_leave_nothing(encoded: list[str]) -> None:
    async def main() -> None:
        source = Painter()
        async with hub_of(source, linger=0.1) as hub:
            frames = await asyncio.gather(*(hub.snapshot("medium", 10) for _ in range(50)))
            assert len({frame.number for frame in frames}) <= 2
            assert len(encoded) <= 2
            started = time.monotonic()
            for _ in range(10):
                await hub.snapshot("medium", 10)
            assert time.monotonic() - started > 8 / FPS
            await holds(lambda: not capture_threads())
            with pytest.raises(KeyError):
                await hub.snapshot("best", 1)

    asyncio.run(main())


def test_a_snapshot_does_not_disturb_the_viewers() -> None:
    async def main() -> None:
        async with hub_of(Painter()) as hub:
            reading = asyncio.create_task(collect(hub.watch("medium", "a"), 0.6))
            for _ in range(5):
                await hub.snapshot("high", 10)
            numbers = [frame.number for frame in await reading]
            assert numbers == sorted(set(numbers))
            assert len(numbers) > 0.3 * 0.6 * FPS

    asyncio.run(main())
