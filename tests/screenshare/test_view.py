"""Sources that fail, hang and come back."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from functools import partial
from typing import Any

import pytest

import screenshare.encoder
from screenshare import channel, retry, source_status, view
from screenshare.capture import Capture
from screenshare.hub import Hub, NoPicture
from screenshare.source import SourceError
from screenshare.view import View
from tests.screenshare.hubs import UNPLUGGED, collect, holds, hub_of, soon
from tests.screenshare.streaming import PRESETS, Painter, capture_threads, number_of


@pytest.mark.parametrize("failure", [UNPLUGGED, TypeError("secret detail")])
def test_a_source_that_fails_shows_the_reason_and_recovers(
    failure: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "_FIRST_PAUSE", 0.3)
    monkeypatch.setattr(channel, "_REPEAT_SECONDS", 0.1)

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
                await hub.snapshot("medium", 10)
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
    monkeypatch.setattr(retry, "_FIRST_PAUSE", 1.2)
    monkeypatch.setattr(channel, "_REPEAT_SECONDS", 0.2)

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
            assert (await soon(late.next(), 0.8)).width == 1280  # before it is tried again
            assert await soon(viewer.next()) is notice
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
    monkeypatch.setattr(view, "time", clock)
    source = Painter()
    viewing = View(source.open)
    for works in [False] * 7 + [True, False, False]:
        source.fails = None if works else UNPLUGGED
        try:
            viewing.look(0)
        except SourceError as error:
            viewing.fail(error, draws=True)
        if works:
            clock.now += 40
        else:
            delays.append(viewing.retry_at - clock.now)
            clock.now = viewing.retry_at
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
            await holds(lambda: hub.state().error)
            assert not await collect(viewer, 0.5)
            assert hub.state().error == "the picture can't be taken (ImportError)"
            assert len(calls) < 8
            with pytest.raises(NoPicture):
                await hub.snapshot("low", 10)
            monkeypatch.undo()
            await soon(viewer.next())
            assert not hub.state().error

    asyncio.run(main())


def test_what_can_be_drawn_but_not_encoded_is_no_busy_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_FIRST_PAUSE", 30)
    calls = []

    def broken(*arguments: Any) -> Any:
        calls.append(arguments)
        raise ValueError("not a picture")

    async def main() -> None:
        async with hub_of(Painter()) as hub:
            monkeypatch.setattr(screenshare.encoder, "encode", broken)
            viewer = hub.watch("medium", "a")
            await holds(lambda: len(calls) == 2)
            assert not await collect(viewer, 0.4)
            assert len(calls) == 2
            assert "ValueError" in hub.state().error

    asyncio.run(main())


def test_a_source_that_hangs_is_told_and_its_picture_not_repeated(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(source_status, "_HANGS_AFTER", 0.3)
    monkeypatch.setattr(channel, "_REPEAT_SECONDS", 0.2)

    async def main() -> None:
        source = Painter(moving=False)
        hub = Hub(partial(Capture, source.open), PRESETS, max_viewers=5, linger=0.1)
        viewer = hub.watch("medium", "a")
        await soon(viewer.next())
        source.stuck = threading.Event()
        await holds(lambda: "has not answered" in hub.state().error)
        assert not await collect(viewer, 0.5)
        new = hub.watch("medium", "b")
        assert not await collect(new, 0.2)
        with pytest.raises(TimeoutError):
            await hub.snapshot("medium", 0.1)
        started = time.monotonic()
        await hub.close()
        assert time.monotonic() - started < 5  # a grab that is stuck ends after 10 s
        assert "left behind" in caplog.text
        source.stuck.set()
        await holds(lambda: not capture_threads())

    asyncio.run(main())


def test_a_source_that_hung_for_a_while_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_status, "_HANGS_AFTER", 0.2)
    monkeypatch.setattr(channel, "_REPEAT_SECONDS", 0.2)

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
            await holds(lambda: not hub.state().error)

    asyncio.run(main())


def test_a_source_that_nobody_asked_for_a_while_does_not_count_as_hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_status, "_HANGS_AFTER", 0.3)

    async def main() -> None:
        source = Painter()
        async with hub_of(source, linger=5) as hub:
            viewer = hub.watch("medium", "a")
            await soon(viewer.next())
            viewer.close()
            await asyncio.sleep(0.5)
            assert not hub.state().error
            hub.watch("medium", "a")
            assert not hub.state().error

    asyncio.run(main())
