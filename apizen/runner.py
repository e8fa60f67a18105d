"""Where functions run: plain ones in a bounded thread pool, async ones on the event loop, each with a
timeout, and none able to stall another.

The pool's slots are shared by dynamic threshold (Choudhury and Hahne, 1998): a method may take one more
slot while it holds fewer than are free. A method alone gets half of the pool; another one always finds a
slot. Places in the queue are shared in the same way. A thread that overruns its timeout can't be killed:
it is written off (its slot is free again), counted for its method, and from ``overrun_limit`` on that
method alone is refused until some of its threads have come back.

All accounting happens on the event loop, so it needs no locks; threads only take jobs and send outcomes.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from apizen.breaker import Breaker
from apizen.endpoint import Endpoint
from apizen.exception import ApiException, ApiSysExceptions

__all__ = ["Runner", "as_exception"]

logger = logging.getLogger(__name__)

Work = Callable[[], Any]


class _Lane:
    """One method's share of the pool: how many of its calls run, wait, and have overrun."""

    __slots__ = ("overrun", "running", "waiting")

    def __init__(self) -> None:
        self.running = 0
        self.overrun = 0
        self.waiting: deque[_Job] = deque()


class _Job:
    """One call of a plain function. ``started`` and ``overrun`` are set on the event loop only."""

    __slots__ = ("context", "endpoint", "future", "lane", "overrun", "started", "work")

    def __init__(self, endpoint: Endpoint, lane: _Lane, work: Work, future: asyncio.Future[Any]) -> None:
        self.endpoint = endpoint
        self.lane = lane
        self.work = work
        self.future = future
        self.context = contextvars.copy_context()
        self.started = False
        self.overrun = False


class Runner:
    """Runs calls for one event loop. ``threads`` and ``queue_limit`` bound what runs and what waits.

    ``breaker`` is told what runs, and switches off what may not.
    """

    def __init__(self, threads: int, queue_limit: int, overrun_limit: int, breaker: Breaker | None = None) -> None:
        self._threads = threads
        self._queue_limit = queue_limit
        self._overrun_limit = overrun_limit
        self._breaker = breaker
        self._lanes: dict[Endpoint, _Lane] = {}
        self._hungry: deque[_Lane] = deque()  # the lanes with waiting jobs, next to be served first
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._workers = 0
        self._running = 0
        self._waiting = 0
        self._overrun = 0

    async def on_loop(self, endpoint: Endpoint, work: Work) -> Any:
        """The result of an async function. Raises 1029 after the endpoint's timeout."""
        task = asyncio.ensure_future(_settle(work))
        breaker = self._breaker
        if breaker is not None:
            breaker.mark(endpoint)
            task.add_done_callback(lambda _: breaker.leave(endpoint))
        # Not asyncio.timeout: a function that swallows its cancellation would hold back the answer.
        try:
            await asyncio.wait({task}, timeout=endpoint.timeout)
        finally:
            overran = not task.done()
            if overran:
                task.cancel()
                task.add_done_callback(_forget)
        if not overran:
            return _result(task)
        logger.warning("%s %s overran its timeout of %g s and was cancelled", *_names(endpoint), endpoint.timeout)
        raise ApiSysExceptions.call_timeout

    async def in_thread(self, endpoint: Endpoint, work: Work) -> Any:
        """The result of a plain function.

        Raises 1029 after the endpoint's timeout, waiting included, and 1030 where the queue is full, too
        many of the method's threads have overrun, or the method is switched off.
        """
        loop = asyncio.get_running_loop()
        lane = self._lanes.get(endpoint)
        if lane is None:
            lane = self._lanes[endpoint] = _Lane()
        if lane.overrun >= self._overrun_limit:
            raise ApiSysExceptions.service_busy
        job = _Job(endpoint, lane, work, loop.create_future())
        if self._may_start(lane):
            self._start(job)
        elif len(lane.waiting) < self._queue_limit - self._waiting:
            self._wait(job)
        else:
            raise ApiSysExceptions.service_busy
        timer = loop.call_later(endpoint.timeout, self._on_timeout, job)
        try:
            return await job.future
        finally:
            timer.cancel()

    @property
    def waiting(self) -> int:
        """Calls that wait for a thread."""
        return self._waiting

    @property
    def overrun(self) -> int:
        """Threads that are stuck in a call whose time is up."""
        return self._overrun

    def close(self) -> None:
        """Lets the idle threads end. A thread that still runs a function ends with the process."""
        for _ in range(self._workers):
            self._jobs.put(None)

    def _may_start(self, lane: _Lane) -> bool:
        return lane.running < self._threads - self._running and lane.overrun < self._overrun_limit

    def _wait(self, job: _Job) -> None:
        if not job.lane.waiting:
            self._hungry.append(job.lane)
        job.lane.waiting.append(job)
        self._waiting += 1

    def _start(self, job: _Job) -> None:
        try:
            self._take_thread(job)
        except ApiException as error:
            job.future.set_exception(error)
            return
        job.started = True
        job.lane.running += 1
        self._running += 1
        self._jobs.put(job)

    def _take_thread(self, job: _Job) -> None:
        """Sees to it that a thread is there. Raises 1030."""
        if self._workers <= self._running + self._overrun and not self._add_worker():
            raise ApiSysExceptions.service_busy
        if self._breaker is not None:  # asked now: it may have been switched off while the job waited
            self._breaker.check(job.endpoint)
            self._breaker.mark(job.endpoint)

    def _add_worker(self) -> bool:
        # A daemon: a function that never returns must not keep the process from ending.
        thread = threading.Thread(
            target=_work, args=(self._jobs, self._report), name=f"apizen-{self._workers}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads for this process
            logger.exception("no thread could be started beside the %d that run", self._workers)
            return False
        self._workers += 1
        return True

    def _report(self, job: _Job, result: Any, error: BaseException | None) -> None:
        """Called by a thread with the outcome of its job."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for the outcome
            job.future.get_loop().call_soon_threadsafe(self._on_done, job, result, error)

    def _on_done(self, job: _Job, result: Any, error: BaseException | None) -> None:
        if self._breaker is not None:
            self._breaker.leave(job.endpoint)
        if job.overrun:
            job.lane.overrun -= 1
            self._overrun -= 1
            if self._workers > self._threads + self._overrun:
                self._workers -= 1
                self._jobs.put(None)
        else:
            self._release(job)
        if job.future.done():
            return
        if error is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(as_exception(error))

    def _release(self, job: _Job) -> None:
        job.lane.running -= 1
        self._running -= 1
        self._serve()

    def _serve(self) -> None:
        """Starts waiting jobs, lane by lane, while there are slots for them."""
        for _ in range(len(self._hungry)):
            lane = self._hungry.popleft()
            while lane.waiting and lane.waiting[0].future.done():
                lane.waiting.popleft()  # its time was up, or its client is gone
                self._waiting -= 1
            if lane.waiting and self._may_start(lane):
                self._waiting -= 1
                self._start(lane.waiting.popleft())
            if lane.waiting:
                self._hungry.append(lane)

    def _on_timeout(self, job: _Job) -> None:
        if job.future.done():
            return
        if job.started:
            job.overrun = True
            job.lane.overrun += 1
            self._overrun += 1
            logger.warning(
                "%s %s overran its timeout of %g s; %d of its threads are stuck",
                *_names(job.endpoint), job.endpoint.timeout, job.lane.overrun,
            )  # fmt: skip
        job.future.set_exception(ApiSysExceptions.call_timeout())
        if job.started:
            self._release(job)
        else:
            self._serve()


def _work(jobs: queue.SimpleQueue[_Job | None], report: Callable[[_Job, Any, BaseException | None], None]) -> None:
    while (job := jobs.get()) is not None:
        result, failure = None, None
        try:
            result = job.context.run(job.work)
        except BaseException as error:  # SystemExit of a function must not end the thread
            failure = error
        report(job, result, failure)
        del job, result, failure  # an idle thread holds on to nobody's result


def _names(endpoint: Endpoint) -> tuple[str, str]:
    return endpoint.version, endpoint.name


def as_exception(error: BaseException) -> Exception:
    """The error, or in its place a RuntimeError where a future must not carry it.

    A function's StopIteration or CancelledError would end the loop's own coroutine, and its SystemExit the server.
    """
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"the function raised {type(error).__name__}")
    wrapped.__cause__ = error
    return wrapped


async def _settle(work: Work) -> Any:
    """Runs an async function to its end."""
    try:
        result = work()
        return await result if inspect.isawaitable(result) else result
    except (Exception, asyncio.CancelledError):
        raise
    except BaseException as error:
        raise as_exception(error) from error


def _result(task: asyncio.Future[Any]) -> Any:
    if task.cancelled():
        raise as_exception(asyncio.CancelledError())
    return task.result()


def _forget(task: asyncio.Future[Any]) -> None:
    """Takes the exception of a task that nobody awaits any more."""
    if not task.cancelled():
        task.exception()
