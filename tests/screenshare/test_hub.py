"""The hub and its capture thread, without a network: what viewers get, and what is left when they have gone."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import screenshare.encoder
from screenshare import capture, meter
from screenshare import hub as hub_module
from screenshare.hub import Closing, Ended, Full, Hub, NoPicture, Viewer
from screenshare.picture import Frame
from screenshare.source import SourceError
from tests.screenshare.streaming import FPS, PRESETS, Painter, capture_threads, number_of

UNPLUGGED = SourceError("unplugged", "未连接", "plug it in", "请连接")


@contextlib.asynccontextmanager
async def hub_of(source: Painter, **options: Any) -> AsyncIterator[Hub]:
    hub = Hub(source.open, PRESETS, **{"max_viewers": 50, "linger": 0.1, **options})
    try:
        yield hub
    finally:
        started = time.monotonic()
        await hub.close()
        assert time.monotonic() - started < 1
    assert not capture_threads()
    assert source.closed == source.opened


async def soon(frame: Awaitable[Frame], seconds: float = 2) -> Frame:
    return await asyncio.wait_for(frame, seconds)


async def holds(condition: Callable[[], object], seconds: float = 3) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def collect(viewer: Viewer, seconds: float) -> list[Frame]:
    """What a viewer gets that sends at once."""
    frames = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                frames.append(await viewer.next())
                viewer.sent()
    return frames


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The presets of the frames that are encoded, in order."""
    presets: list[str] = []
    encode = screenshare.encoder.encode

    def counting(image: Any, preset: Any) -> Any:
        presets.append(preset.name)
        return encode(image, preset)

    monkeypatch.setattr(screenshare.encoder, "encode", counting)
    return presets


def test_importing_loads_no_library_of_pictures() -> None:
    code = (
        "import sys, screenshare.stream; "
        "print([name for name in ('cv2', 'numpy', 'mss', 'PIL', 'Xlib') if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_numbers_and_pictures_rise() -> None:
    async def main() -> None:
        async with hub_of(Painter()) as hub:
            viewer = hub.watch("medium", "a")
            frames = await collect(viewer, 0.8)
            numbers = [frame.number for frame in frames]
            assert numbers[0] == 1
            assert numbers == sorted(set(numbers))
            assert 0.6 * FPS < len(frames) / 0.8 < 1.1 * FPS
            pictures = [number_of(frame.jpeg) for frame in frames]
            assert pictures == sorted(set(pictures))
            assert (frames[0].width, frames[0].height) == (256, 32)
            assert viewer.dropped == numbers[-1] - len(frames)
            assert 0 < viewer.latency < 0.1
            assert 0.6 * FPS < viewer.state().fps < 1.2 * FPS
            assert 0.6 * FPS < hub.state().captured_fps < 1.2 * FPS

    asyncio.run(main())


def test_a_busy_viewer_gets_only_the_newest() -> None:
    async def main() -> None:
        async with hub_of(Painter()) as hub:
            viewer = hub.watch("medium", "a")
            last = await soon(viewer.next())
            for _ in range(3):
                await asyncio.sleep(0.2)
                viewer.sent()
                frame = await soon(viewer.next())
                assert time.monotonic() - frame.taken_at < 3 / FPS
                assert time.time() - frame.wall_time < 3 / FPS
                assert frame.number - last.number >= 3
                last = frame
            viewer.sent()
            assert viewer.dropped == last.number - 1 - 3

    asyncio.run(main())


def test_a_picture_is_encoded_once_for_all_who_watch_it(encoded: list[str]) -> None:
    async def main() -> None:
        source = Painter()
        async with hub_of(source) as hub:
            many = [hub.watch("medium", "a") for _ in range(20)]
            one = hub.watch("low", "b")
            results = await asyncio.gather(*(collect(viewer, 0.7) for viewer in [*many, one]))
            medium, low = results[0], results[-1]
            assert encoded.count("medium") <= 0.8 * FPS + 3
            assert encoded.count("low") <= 0.8 * FPS / 4 + 3
            assert len(medium) > 0.4 * FPS
            assert len(low) == pytest.approx(0.7 * FPS / 4, abs=3)
            assert source.grabs <= 0.8 * FPS + 3
            assert (low[0].width, low[0].height) == (64, 8)
            for frames in results[:20]:
                assert {id(frame) for frame in frames[2:-2]} <= {id(frame) for frame in medium}
            assert "high" not in encoded

    asyncio.run(main())


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
def test_a_still_picture_is_encoded_once_and_repeated(encoded: list[str], told: bool) -> None:
    async def main() -> None:
        source = Painter(moving=False, told=told)
        async with hub_of(source) as hub:
            viewer = hub.watch("medium", "a")
            first = await soon(viewer.next(), 1)
            viewer.sent()
            started = time.monotonic()
            second = await soon(viewer.next())
            assert second is first
            assert 0.7 < time.monotonic() - started < 1.3
            viewer.sent()
            assert viewer.state().fps == 0
            assert viewer.age < 0.1
            assert encoded == ["medium"]
            source.touch()
            touched = time.monotonic()
            third = await soon(viewer.next())
            assert third.number == first.number + 1
            assert time.monotonic() - touched < 0.15
            assert source.grabs == 2 if told else source.grabs > 10

    asyncio.run(main())


@pytest.mark.parametrize("told", [False, True])
def test_a_new_viewer_gets_a_frame_at_once(told: bool) -> None:
    """Also of a screen that stays as it is: beside another viewer, after one, and of another preset."""

    async def main() -> None:
        async with hub_of(Painter(moving=False, told=told), linger=5) as hub:
            first = hub.watch("medium", "a")
            await soon(first.next())
            await asyncio.sleep(0.2)
            for preset in ["medium", "low", "high"]:
                started = time.monotonic()
                viewer = hub.watch(preset, "b")
                frame = await soon(viewer.next(), 0.3)
                assert time.time() - frame.wall_time < 0.5
                assert time.monotonic() - started < 0.25
                viewer.close()
            first.close()
            await asyncio.sleep(0.3)
            started = time.monotonic()
            frame = await soon(hub.watch("medium", "c").next(), 0.3)
            assert frame.taken_at >= started

    asyncio.run(main())


def test_a_told_source_is_grabbed_when_it_changes_but_not_more_often_than_asked() -> None:
    async def main() -> None:
        source = Painter(moving=False, told=True)
        async with hub_of(source) as hub:
            viewer = hub.watch("medium", "a")
            reading = asyncio.create_task(collect(viewer, 0.8))
            started = time.monotonic()
            while time.monotonic() - started < 0.6:
                source.touch()
                await asyncio.sleep(0.005)
            frames = await reading
            assert 0.6 * FPS * 0.5 < len(frames) <= 0.6 * FPS * 1.15 + 2
            assert number_of(frames[-1].jpeg) == source.number

    asyncio.run(main())


def test_a_change_after_a_pause_is_grabbed_at_once() -> None:
    async def main() -> None:
        source = Painter(moving=False, told=True)
        async with hub_of(source) as hub:
            viewer = hub.watch("low", "a")
            await soon(viewer.next())
            for _ in range(4):
                await asyncio.sleep(0.19)
                touched = time.monotonic()
                source.touch()
                frame = await soon(viewer.next())
                assert time.monotonic() - touched < 0.07
                assert frame.taken_at > touched

    asyncio.run(main())


def test_the_last_of_quick_changes_reaches_every_preset() -> None:
    async def main() -> None:
        source = Painter(moving=False, told=True)
        async with hub_of(source) as hub:
            viewers = [hub.watch(preset, "a") for preset in PRESETS]
            reading = [asyncio.create_task(collect(viewer, 0.6)) for viewer in viewers]
            await asyncio.sleep(0.2)
            for _ in range(4):
                source.touch()
                await asyncio.sleep(0.01)
            for frames in await asyncio.gather(*reading):
                assert number_of(frames[-1].jpeg) == source.number

    asyncio.run(main())


def test_without_viewers_the_thread_lingers_and_ends() -> None:
    async def main() -> None:
        source = Painter()
        async with hub_of(source, linger=0.2) as hub:
            assert not hub.state().capturing
            for times in range(1, 4):
                viewer = hub.watch("medium", "a")
                await soon(viewer.next())
                assert hub.state().capturing
                viewer.close()
                viewer.close()
                grabs = source.grabs
                await asyncio.sleep(0.1)
                assert len(capture_threads()) == 1
                assert source.grabs <= grabs + 1
                assert not hub.state().capturing
                await holds(lambda: not capture_threads())
                assert (source.opened, source.closed) == (times, times)

    asyncio.run(main())


def test_a_viewer_that_comes_back_in_time_finds_the_source_open() -> None:
    async def main() -> None:
        source = Painter()
        async with hub_of(source, linger=0.2) as hub:
            for _ in range(5):
                viewer = hub.watch("medium", "a")
                await soon(viewer.next())
                viewer.close()
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.05)
            assert source.opened == 1
            assert len(source.threads) == 1

    asyncio.run(main())


def test_hundreds_of_quick_viewers_leave_nothing() -> None:
    async def main() -> None:
        source = Painter()
        async with hub_of(source, linger=0) as hub:
            for _ in range(300):
                viewer = hub.watch("medium", "a")
                await asyncio.sleep(0)
                viewer.close()
            last = hub.watch("medium", "a")
            await soon(last.next())
            assert len(hub.viewers) == 1
            assert len(capture_threads()) <= 2
            last.close()
            del viewer, last
            gc.collect()
            assert not [thing for thing in gc.get_objects() if isinstance(thing, Viewer)]

    asyncio.run(main())


def test_idle_thread_uses_no_processor_time() -> None:
    async def main() -> None:
        async with hub_of(Painter(), linger=5) as hub:
            viewer = hub.watch("medium", "a")
            await soon(viewer.next())
            viewer.close()
            await asyncio.sleep(0.1)
            before = time.process_time()
            await asyncio.sleep(0.5)
            assert time.process_time() - before < 0.02

    asyncio.run(main())


@pytest.mark.parametrize("failure", [UNPLUGGED, TypeError("secret detail")])
def test_a_source_that_fails_shows_the_reason_and_recovers(
    failure: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "_FIRST_DELAY", 0.3)
    monkeypatch.setattr(hub_module, "_REPEAT_SECONDS", 0.1)

    async def main() -> None:
        source = Painter(height=240)
        async with hub_of(source) as hub:
            viewer = hub.watch("medium", "a")
            good = await soon(viewer.next())
            source.fails = failure
            await holds(lambda: hub.state().error)
            notice = (await collect(viewer, 0.4))[-1]
            state = hub.state()
            assert notice.number > good.number
            assert (notice.width, notice.height) == (256, 240)
            assert state.viewers[0].number == viewer.number
            if failure is UNPLUGGED:
                assert (state.error, state.error_zh, state.advice, state.advice_zh) == (
                    "unplugged", "未连接", "plug it in", "请连接",
                )  # fmt: skip
            else:
                assert state.error == "the picture can't be taken (TypeError)"
                assert "secret" not in str(state)
            with pytest.raises(NoPicture):
                await hub.snapshot("medium", 1)
            source.fails = None
            await holds(lambda: not hub.state().error)
            await collect(viewer, 0.2)
            source.moving = False
            assert number_of((await collect(viewer, 0.3))[-1].jpeg) == source.number
            assert 2 <= source.opened <= 4

    asyncio.run(main())
    records = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(records) == 1
    assert (records[0].exc_info is not None) == (failure is not UNPLUGGED)


def test_a_source_that_can_not_be_opened_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_FIRST_DELAY", 0.6)
    monkeypatch.setattr(hub_module, "_REPEAT_SECONDS", 0.2)

    async def main() -> None:
        source = Painter()
        source.fails_to_open = UNPLUGGED
        async with hub_of(source) as hub:
            viewer = hub.watch("low", "a")
            notice = await soon(viewer.next())
            viewer.sent()
            assert (notice.width, notice.height) == (64, 36)
            assert hub.state().error == "unplugged"
            late = hub.watch("medium", "b")
            assert (await soon(late.next(), 0.3)).width == 1280
            assert await soon(viewer.next(), 0.5) is notice
            source.fails_to_open = None
            await holds(lambda: not hub.state().error)
            assert hub.state().source == "painter"
            assert (hub.state().width, hub.state().height) == (256, 32)

    asyncio.run(main())


def test_delays_grow_and_start_anew_after_a_good_time(monkeypatch: pytest.MonkeyPatch) -> None:
    delays: list[float] = []
    works = False

    class Clock:
        now = 0.0

        def monotonic(self) -> float:
            return self.now

        time = monotonic

    clock = Clock()
    monkeypatch.setattr(capture, "time", clock)
    source = Painter()
    capturing = capture.Capture(source.open, PRESETS, lambda name, frame: None)
    task = capture._Task([capturing._tracks["medium"]], [], 0.0)
    for works in [False] * 7 + [True, False, False]:
        source.fails = None if works else UNPLUGGED
        capturing._serve(task)
        if works:
            clock.now += 40
        else:
            delays.append(capturing._retry_at - clock.now)
            clock.now = capturing._retry_at
    assert delays == [1, 2, 4, 8, 16, 30, 30, 1, 2]


def test_a_broken_encoder_is_no_busy_loop(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    def broken(*arguments: Any) -> Any:
        calls.append(arguments)
        raise ImportError("no cv2")

    async def main() -> None:
        async with hub_of(Painter()) as hub:
            for name in ["encode", "notice", "same"]:
                monkeypatch.setattr(screenshare.encoder, name, broken)
            viewer = hub.watch("medium", "a")
            assert not await collect(viewer, 0.5)
            assert hub.state().error == "the picture can't be taken (ImportError)"
            assert len(calls) < 8
            with pytest.raises(NoPicture):
                await hub.snapshot("low", 1)
            monkeypatch.undo()
            await soon(viewer.next(), 3)
            assert not hub.state().error

    asyncio.run(main())


def test_what_can_be_drawn_but_not_encoded_is_no_busy_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def broken(*arguments: Any) -> Any:
        calls.append(arguments)
        raise ValueError("not a picture")

    async def main() -> None:
        async with hub_of(Painter()) as hub:
            monkeypatch.setattr(screenshare.encoder, "encode", broken)
            assert not await collect(hub.watch("medium", "a"), 0.4)
            assert len(calls) == 2
            assert "ValueError" in hub.state().error

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


def test_a_source_that_hangs_is_told_and_its_picture_not_repeated(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(capture, "_HANGS_AFTER", 0.3)
    monkeypatch.setattr(hub_module, "_REPEAT_SECONDS", 0.2)

    async def main() -> None:
        source = Painter(moving=False)
        hub = Hub(source.open, PRESETS, max_viewers=5, linger=0.1)
        viewer = hub.watch("medium", "a")
        await soon(viewer.next())
        source.stuck = threading.Event()
        await asyncio.sleep(0.5)
        assert "has not answered" in hub.state().error
        assert not await collect(viewer, 0.5)
        new = hub.watch("medium", "b")
        assert not await collect(new, 0.2)
        with pytest.raises(TimeoutError):
            await hub.snapshot("medium", 0.1)
        started = time.monotonic()
        await hub.close()
        assert time.monotonic() - started < 1
        assert "left behind" in caplog.text
        source.stuck.set()
        await holds(lambda: not capture_threads())

    asyncio.run(main())


def test_a_source_that_hung_for_a_while_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_HANGS_AFTER", 0.2)
    monkeypatch.setattr(hub_module, "_REPEAT_SECONDS", 0.2)

    async def main() -> None:
        source = Painter(moving=False)
        async with hub_of(source) as hub:
            viewer = hub.watch("medium", "a")
            frame = await soon(viewer.next())
            stuck = source.stuck = threading.Event()
            await asyncio.sleep(0.4)
            new = hub.watch("medium", "b")
            source.stuck = None
            stuck.set()
            assert (await soon(viewer.next())).number == frame.number
            assert (await soon(new.next())).number == frame.number
            assert not hub.state().error

    asyncio.run(main())


def test_a_source_is_closed_before_it_is_opened_again() -> None:
    async def main() -> None:
        source = Painter()
        source.closes_in = 0.2
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


def test_a_source_that_nobody_asked_for_a_while_does_not_count_as_hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_HANGS_AFTER", 0.1)

    async def main() -> None:
        source = Painter()
        async with hub_of(source, linger=5) as hub:
            viewer = hub.watch("medium", "a")
            await soon(viewer.next())
            viewer.close()
            await asyncio.sleep(0.2)
            assert not hub.state().error
            hub.watch("medium", "a")
            assert not hub.state().error

    asyncio.run(main())


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
                frame = await hub.snapshot(preset, 2)
                assert frame.taken_at >= asked
                assert time.time() - frame.wall_time < 0.5
                assert number_of(frame.jpeg) >= number
            assert len(hub.viewers) == watched

    asyncio.run(main())


def test_snapshots_share_grabs_and_leave_nothing(encoded: list[str]) -> None:
    async def main() -> None:
        source = Painter()
        async with hub_of(source, linger=0.1) as hub:
            frames = await asyncio.gather(*(hub.snapshot("medium", 2) for _ in range(50)))
            assert len({frame.number for frame in frames}) <= 2
            assert len(encoded) <= 2
            started = time.monotonic()
            for _ in range(10):
                await hub.snapshot("medium", 2)
            assert time.monotonic() - started > 8 / FPS
            await holds(lambda: not capture_threads())
            with pytest.raises(KeyError):
                await hub.snapshot("best", 1)

    asyncio.run(main())


def test_a_snapshot_does_not_disturb_the_viewers() -> None:
    async def main() -> None:
        async with hub_of(Painter()) as hub:
            reading = asyncio.create_task(collect(hub.watch("medium", "a"), 0.4))
            for _ in range(5):
                await hub.snapshot("high", 1)
            numbers = [frame.number for frame in await reading]
            assert numbers == sorted(set(numbers))
            assert len(numbers) > 0.6 * 0.4 * FPS

    asyncio.run(main())


def test_kick_ends_the_streams_of_one_address() -> None:
    async def main() -> None:
        async with hub_of(Painter()) as hub:
            kicked = [hub.watch("medium", "a"), hub.watch("low", "a")]
            other = hub.watch("medium", "b")
            ended: list[int] = []
            for viewer in kicked:
                viewer.on_end = lambda: ended.append(1)
            waiting = [asyncio.create_task(collect(viewer, 2)) for viewer in kicked]
            await asyncio.sleep(0.1)
            assert hub.kick("a") == 2
            for task in waiting:
                with pytest.raises(Ended):
                    await asyncio.wait_for(task, 0.1)
            assert ended == [1, 1]
            assert [viewer.number for viewer in hub.viewers] == [other.number]
            assert hub.kick("a") == 0
            await soon(other.next())

    asyncio.run(main())


def test_there_are_only_so_many_places() -> None:
    async def main() -> None:
        async with hub_of(Painter(), max_viewers=3) as hub:
            viewers = [hub.watch("medium", "a") for _ in range(3)]
            with pytest.raises(Full):
                hub.watch("low", "b")
            with pytest.raises(KeyError):
                hub.watch("best", "b")
            viewers[0].close()
            hub.watch("low", "b")

    asyncio.run(main())


def test_the_same_token_takes_the_same_place() -> None:
    async def main() -> None:
        async with hub_of(Painter(), max_viewers=2) as hub:
            other = hub.watch("medium", "b", "other")
            for _ in range(5):
                viewer = hub.watch("medium", "a", "page")
                assert hub.find("page") is viewer
            assert set(hub.viewers) == {other, viewer}
            assert hub.find("") is hub.find("unknown") is None

    asyncio.run(main())


def test_close_ends_everything() -> None:
    async def main() -> None:
        hub = Hub(Painter().open, PRESETS, max_viewers=5, linger=10)
        waiting = asyncio.create_task(collect(hub.watch("medium", "a"), 5))
        snapshot = asyncio.create_task(hub.snapshot("low", 5))
        await asyncio.sleep(0)
        await hub.close()
        with pytest.raises(Ended):
            await waiting
        with contextlib.suppress(NoPicture):
            await snapshot
        assert not capture_threads()
        with pytest.raises(Closing):
            hub.watch("medium", "a")
        with pytest.raises(Closing):
            await hub.snapshot("medium", 1)
        await hub.close()

    asyncio.run(main())


def test_the_thread_ends_with_a_loop_that_was_not_closed_properly() -> None:
    async def main() -> None:
        await soon(Hub(Painter().open, PRESETS, max_viewers=5).watch("medium", "a").next())

    asyncio.run(main())
    end = time.monotonic() + 2
    while capture_threads() and time.monotonic() < end:
        time.sleep(0.01)
    assert not capture_threads()


def test_slow_viewers_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "_WINDOW", 1.0)
    monkeypatch.setattr(hub_module, "_SLOW_AFTER", 1.0)

    async def main() -> None:
        async with hub_of(Painter()) as hub:
            quick, slow, stuck, still = (hub.watch("medium", name) for name in "abcd")
            tasks = [asyncio.create_task(collect(viewer, 1.6)) for viewer in (quick, still)]
            await soon(stuck.next())
            end = time.monotonic() + 1.2
            while time.monotonic() < end:
                await soon(slow.next())
                await asyncio.sleep(2 / FPS)
                slow.sent()
            state = {viewer.address: viewer for viewer in hub.state().viewers}
            assert {name: state[name].slow for name in "abcd"} == {"a": False, "b": True, "c": False, "d": False}
            assert state["b"].fps < 0.7 * FPS < state["a"].fps
            assert state["b"].dropped > 8
            stuck.sent()
            await asyncio.sleep(0.3)
            assert {viewer.address: viewer.slow for viewer in hub.state().viewers}["c"]
            assert not hub.state(viewers=False).viewers
            await asyncio.gather(*tasks)

    asyncio.run(main())
