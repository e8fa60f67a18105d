"""The hub without a network: who may watch, and what is left when they have gone."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from screenshare.capture import Capture
from screenshare.hub import Closing, Full, Hub, NoPicture
from screenshare.viewer import Ended, Viewer
from tests.screenshare.hubs import collect, holds, hub_of, soon
from tests.screenshare.streaming import PRESETS, Painter, capture_threads
from tests.support import until


def test_importing_loads_no_library_of_pictures() -> None:
    code = (
        "import sys, screenshare.stream; "
        "print([name for name in ('cv2', 'numpy', 'mss', 'PIL', 'Xlib') if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_viewers_the_thread_lingers_and_ends() -> None:
    async def main() -> None:
        source = Painter()
        async with hub_of(source, linger=0.5) as hub:
            assert not hub.state().capturing
            for times in range(1, 3):
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
        async with hub_of(source, linger=0.5) as hub:
            for _ in range(6):
                viewer = hub.watch("medium", "a")
                await soon(viewer.next())
                viewer.close()
                await asyncio.sleep(0.1)
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

            def left() -> list[Viewer]:
                gc.collect()
                return [thing for thing in gc.get_objects() if isinstance(thing, Viewer)]

            await holds(lambda: not left())  # what the loop has yet to call may still know one

    asyncio.run(main())


def test_kick_ends_the_streams_of_one_address() -> None:
    async def main() -> None:
        async with hub_of(Painter()) as hub:
            kicked = [hub.watch("medium", "a"), hub.watch("low", "a")]
            other = hub.watch("medium", "b")
            ended: list[int] = []
            for viewer in kicked:
                viewer.on_end = lambda: ended.append(1)
            waiting = [asyncio.create_task(collect(viewer, 8)) for viewer in kicked]
            await asyncio.sleep(0.1)
            assert hub.kick("a") == 2
            for task in waiting:
                with pytest.raises(Ended):
                    await asyncio.wait_for(task, 4)
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
        hub = Hub(partial(Capture, Painter().open), PRESETS, max_viewers=5, linger=10)
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


def test_a_hub_that_is_closed_while_snapshots_wait_does_not_capture_again() -> None:
    async def main() -> None:
        source = Painter()
        hub = Hub(partial(Capture, source.open), PRESETS, max_viewers=5)
        source.stuck = threading.Event()
        hub.watch("medium", "a")
        await holds(lambda: source.grabs)
        snapshots = [asyncio.create_task(hub.snapshot("medium", seconds)) for seconds in (0.2, 10, 10)]
        closing = asyncio.create_task(hub.close())
        with pytest.raises(TimeoutError):
            await snapshots[0]  # while the others wait
        source.stuck.set()
        await closing
        await asyncio.gather(*snapshots[1:], return_exceptions=True)
        await holds(lambda: not capture_threads())
        assert source.closed == source.opened

    asyncio.run(main())


def test_the_thread_ends_with_a_loop_that_was_not_closed_properly() -> None:
    async def main() -> None:
        await soon(Hub(partial(Capture, Painter().open), PRESETS, max_viewers=5).watch("medium", "a").next())

    asyncio.run(main())
    assert until(lambda: not capture_threads())
