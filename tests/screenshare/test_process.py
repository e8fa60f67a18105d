"""The capture in a process of its own: it gives what the one in this process does, and is never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from screenshare import process, retry, source_status
from screenshare.failure import Failure
from screenshare.hub import Hub, NoPicture
from screenshare.picture import Frame
from screenshare.process import CaptureProcess
from tests.screenshare.hubs import collect, holds, newer, soon
from tests.screenshare.streaming import PRESETS, capture_threads
from tests.support import until

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc here to find processes in")

ROOT = Path(__file__).parents[2]


def workers(parent: int | None = None) -> list[int]:
    """The processes that capture for a process, those that wait to be reaped included."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == (parent or os.getpid()):
                command = (path.parent / "cmdline").read_bytes()
                if b"worker" in command or not command:
                    found.append(int(path.parent.name))
    return found


@contextlib.asynccontextmanager
async def capturing(source: str = "test", **options: Any) -> AsyncIterator[Hub]:
    hub = Hub(partial(CaptureProcess, source), PRESETS, **{"max_viewers": 50, "linger": 0.1, **options})
    try:
        yield hub
    finally:
        await hub.close()
    assert until(lambda: not workers())
    assert until(lambda: not capture_threads())


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "WORKER", "tests.screenshare.odd_worker")
    monkeypatch.setattr(retry, "_FIRST_PAUSE", 0.1)


def test_there_is_a_process_only_while_somebody_watches() -> None:
    async def main() -> None:
        async with capturing(linger=1) as hub:
            number = 0
            for _ in range(2):
                assert not workers()
                viewer = hub.watch("medium", "a")
                for _ in range(5):
                    frame = await newer(viewer, number)
                    assert time.monotonic() - 30 < frame.taken_at <= time.monotonic()
                    assert (frame.width, frame.height, frame.jpeg[:2]) == (1280, 720, b"\xff\xd8")
                    number = frame.number
                (worker,) = workers()
                await holds(lambda: not hub.state().error)  # that it is silent, while the machine is busy
                state = hub.state()
                assert (state.source, state.width, state.height, state.error) == ("test", 1280, 720, "")
                assert state.capturing
                viewer.close()
                await asyncio.sleep(0.1)
                assert workers() == [worker]
                await holds(lambda: not workers())

    asyncio.run(main())


def test_each_preset_and_each_snapshot_gets_its_own() -> None:
    async def main() -> None:
        async with capturing() as hub:
            viewers = {name: hub.watch(name, "a") for name in PRESETS}
            widths = {name: (await soon(viewer.next())).width for name, viewer in viewers.items()}
            assert widths == {"low": 64, "medium": 1280, "high": 1280}
            for name, viewer in viewers.items():
                started = time.monotonic()
                shots = await asyncio.gather(*(hub.snapshot(name, 10) for _ in range(5)))
                assert all(shot.taken_at >= started for shot in shots)
                assert {shot.width for shot in shots} == {widths[name]}
                viewer.close()

    asyncio.run(main())


def test_a_source_that_fails_is_told_and_drawn() -> None:
    async def main() -> None:
        async with capturing("file:/nowhere/at/all.mp4") as hub:
            viewer = hub.watch("medium", "a")
            notice = await soon(viewer.next())
            assert notice.width == 1280
            assert hub.state().error == "there is no file all.mp4"
            with pytest.raises(NoPicture, match="no file"):
                await hub.snapshot("medium", 10)

    asyncio.run(main())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_was_killed_is_replaced_and_viewers_stay(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retry, "_FIRST_PAUSE", 0.5)

    async def main() -> None:
        async with capturing() as hub:
            viewer = hub.watch("medium", "a")
            before = await soon(viewer.next())
            (killed,) = workers()
            os.kill(killed, number)
            await holds(lambda: hub.state().error == "the process that captures has ended")
            with pytest.raises(NoPicture, match="has ended"):
                await hub.snapshot("medium", 10)
            while (after := await soon(viewer.next())).taken_at < before.taken_at + 0.5:
                before = after
            assert after.number > before.number
            assert not hub.state().error
            assert workers() != [killed]
            assert f"code {-number}" in caplog.text

    asyncio.run(main())


def test_control_c_is_for_the_server() -> None:
    async def main() -> None:
        async with capturing() as hub:
            viewer = hub.watch("medium", "a")
            number = (await soon(viewer.next())).number
            (worker,) = workers()
            assert os.getpgid(worker) != os.getpgid(0)
            os.kill(worker, signal.SIGINT)
            for _ in range(3):
                number = (await newer(viewer, number)).number
            assert workers() == [worker]

    asyncio.run(main())


@pytest.mark.usefixtures("odd")
def test_a_process_that_crashes_again_and_again_is_started_less_and_less(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    delays: list[float] = []
    monkeypatch.setattr(retry, "_LONGEST_PAUSE", 0.4)

    async def main() -> None:
        async with capturing("crash") as hub:
            capture: Any = hub._capture
            hub.watch("medium", "a")
            while len(delays) < 4:
                seen = len(caplog.records)
                await holds(lambda: len(caplog.records) > seen, 30)  # noqa: B023
                delays.append(capture._pause)

    asyncio.run(main())
    assert delays == [0.1, 0.2, 0.4, 0.4]


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize("source", ["stuck", "slow to close"])
def test_a_source_that_hangs_is_told_and_ended(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_status, "_HANGS_AFTER", 0.5)

    async def main() -> None:
        async with capturing(source) as hub:
            viewer = hub.watch("medium", "a")
            await soon(viewer.next())
            if source == "stuck":
                await holds(lambda: "has not answered" in hub.state().error)
                with pytest.raises(TimeoutError):
                    await hub.snapshot("medium", 0.1)
            started = time.monotonic()
            await hub.close()
            assert time.monotonic() - started < 30
            await holds(lambda: not workers())  # the source would hold it up for longer

    asyncio.run(main())


@pytest.mark.usefixtures("odd")
def test_what_the_process_says_is_in_the_log(caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    async def main() -> None:
        async with capturing("talk") as hub:
            viewer = hub.watch("medium", "a")
            for _ in range(6):
                await soon(viewer.next())

    asyncio.run(main())
    assert ("screenshare.odd", logging.WARNING, "talk is odd") in caplog.record_tuples
    assert capfd.readouterr().err == "printed\n"


@pytest.mark.usefixtures("odd")
def test_an_exception_is_no_end_of_the_process(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with capturing("fail") as hub:
            viewer = hub.watch("medium", "a")
            await soon(viewer.next())
            (worker,) = workers()
            await holds(lambda: "(ValueError)" in hub.state().error)
            assert "ValueError: odd" in caplog.text
            await holds(lambda: not hub.state().error)
            assert workers() == [worker]

    asyncio.run(main())


def test_a_process_that_stands_still_holds_up_nobody() -> None:
    async def main() -> None:
        async with capturing() as hub:
            viewer = hub.watch("medium", "a")
            await soon(viewer.next())
            (worker,) = workers()
            os.kill(worker, signal.SIGSTOP)
            started = time.monotonic()
            for _ in range(3000):
                hub.watch("low", "b").close()
            assert time.monotonic() - started < 30
            os.kill(worker, signal.SIGCONT)
            await soon(hub.watch("low", "b").next())
            os.kill(worker, signal.SIGSTOP)
            started = time.monotonic()
            await hub.close()
            assert time.monotonic() - started < 30

    asyncio.run(main())


def test_who_was_busy_gets_the_newest() -> None:
    frames: list[Frame] = []

    def deliver(name: str, frame: Frame) -> None:
        frames.append(frame)
        if len(frames) == 1:
            time.sleep(3)

    capture = CaptureProcess("test", PRESETS, deliver)
    capture.start()
    capture.watch(["medium"], "medium")
    try:
        assert until(lambda: frames and frames[-1].taken_at > frames[0].taken_at + 4, 60)
    finally:
        capture.stop()
        assert until(lambda: not capture.alive)
    assert len(frames) < 90  # of 100 to 120


def test_quick_viewers_leave_nothing() -> None:
    async def main() -> None:
        async with capturing(linger=0) as hub:
            descriptors, threads = len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208 (a count)
            for times in range(30):
                viewer = hub.watch("medium", "a")
                await asyncio.sleep(0.02 * (times % 3))
                viewer.close()
            last = hub.watch("medium", "a")
            await soon(last.next())
            assert len(workers()) == 1
            last.close()
            await holds(lambda: not capture_threads())
            assert len(os.listdir("/proc/self/fd")) <= descriptors  # noqa: PTH208 (a count)
            assert threading.active_count() <= threads

    asyncio.run(main())


def test_who_comes_while_it_ends_waits_for_the_next_one(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with capturing(linger=0) as hub:
            first = hub.watch("medium", "a")
            await soon(first.next())
            (ending,) = workers()
            first.close()
            await asyncio.sleep(0.005)
            second = hub.watch("medium", "a")
            await holds(lambda: workers() and ending not in workers())
            await soon(second.next())
            assert not hub.state().error

    asyncio.run(main())
    assert "has ended" not in caplog.text


def test_who_asks_while_it_ends_is_answered_by_the_next_one() -> None:
    delivered: list[Frame] = []
    answers: list[Frame | Failure] = []
    capture = CaptureProcess("test", PRESETS, lambda name, frame: delivered.append(frame))
    capture.start()
    capture.watch(["medium"], "medium")
    try:
        assert until(lambda: delivered and not capture._unheard, 60)
        (ending,) = workers()
        capture.stop()
        asked_at = time.monotonic()
        capture.start()
        capture.ask("medium", answers.append)
        assert until(lambda: answers, 60)
        (answer,) = answers
        assert isinstance(answer, Frame)
        assert answer.taken_at >= asked_at
        assert workers() != [ending]
    finally:
        capture.stop()
        assert until(lambda: not capture.alive, 60)


PARENT = """
import sys, threading
from screenshare.picture import presets_of
from screenshare.process import CaptureProcess
capture = CaptureProcess("test", presets_of(640, 80, 15), lambda name, frame: print(frame.number, flush=True))
capture.start()
capture.watch(["medium"])
threading.Event().wait()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_process_ends_with_its_parent(number: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"1\n"
        (worker,) = workers(parent.pid)
        parent.send_signal(number)
        assert until(lambda: not Path(f"/proc/{worker}").exists(), 5)


def policies(worker: int) -> list[int]:
    tasks = [int(path.name) for path in Path(f"/proc/{worker}/task").iterdir()]
    return sorted(os.sched_getscheduler(task) for task in tasks)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has idle threads")
@pytest.mark.second_chance("it stays idle only where the machine has time left, which a busy one has not")
def test_it_is_idle_unless_that_starves_it() -> None:
    """A core of its own with a busy loop on it."""

    async def main() -> None:
        async with capturing() as hub:
            viewer = hub.watch("medium", "a")
            await soon(viewer.next())
            (worker,) = workers()
            await holds(lambda: os.SCHED_IDLE in policies(worker))
            assert os.SCHED_OTHER in policies(worker)
            assert len(await collect(viewer, 1)) > 2
            assert os.SCHED_IDLE in policies(worker)
            core = {min(os.sched_getaffinity(0))}
            loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            try:
                for task in [loop.pid, *(int(path.name) for path in Path(f"/proc/{worker}/task").iterdir())]:
                    os.sched_setaffinity(task, core)
                await holds(lambda: os.SCHED_IDLE not in policies(worker), 60)
                await soon(viewer.next())
                assert len(await collect(viewer, 3)) > 2
                assert os.SCHED_IDLE not in policies(worker)
                assert workers() == [worker]
            finally:
                loop.kill()
                loop.wait()

    asyncio.run(main())
