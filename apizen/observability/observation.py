"""Puts together what observes one application: the access log and the metrics."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from apizen.catalogue import Catalogue
from apizen.faces.face import Observer
from apizen.governance.error import FolderError
from apizen.pipeline import Pipeline
from apizen.request import Request
from apizen.service import Service
from apizen.settings import Settings, SettingsError
from apizen.worker import worker_index

if TYPE_CHECKING:
    from apizen.observability.access_log import AccessLog
    from apizen.observability.metrics import Metrics

__all__ = ["Observation"]


class Observation(Service):
    """The access log and the metrics, each None where the settings want none.

    Make it before the workers are forked; each of them calls `start`. ``address_of`` finds the address of a request's
    caller, ``times_full`` says how often the counters were full. Raises `SettingsError` where the log can't be opened.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        pipeline: Pipeline,
        address_of: Callable[[Request], str] = attrgetter("peer"),
        times_full: Callable[[], int] = lambda: 0,
    ) -> None:
        #: How many connections are open. A server says it.
        self.connections: Callable[[], int] = lambda: 0
        self._address_of = address_of
        self.access_log = _access_log(settings)
        self.metrics = self._metrics_of(settings, catalogue, pipeline, times_full)
        self._handler: logging.Handler | None = None
        self._publishing: asyncio.Task[None] | None = None

    @property
    def observers(self) -> tuple[Observer, ...]:
        """Those that the gateway tells of each of its answers."""
        found: list[Observer] = [] if self.metrics is None else [self.metrics.observe]
        if self.access_log is not None:
            found.append(self.access_log.log_call)
        return tuple(found)

    def log(self, request: Request, status: int, bytes_out: int, seconds: float) -> None:
        """Logs a request that is no call, and its answer."""
        if self.access_log is not None:
            address = self._address_of(request)
            self.access_log.log_request(address, request.verb, request.path, status, bytes_out, seconds)

    async def start(self) -> None:
        if self.access_log is not None:
            self._handler = self.access_log.handler()
            logging.getLogger().addHandler(self._handler)
        if self.metrics is not None:
            self.metrics.begin(worker_index())
            self._publishing = asyncio.create_task(self.metrics.watch())

    async def close(self) -> None:
        if self._publishing is not None:
            self._publishing.cancel()
        if self.access_log is not None:
            if self._handler is not None:
                logging.getLogger().removeHandler(self._handler)
            await asyncio.to_thread(self.access_log.close)

    def _metrics_of(
        self, settings: Settings, catalogue: Catalogue, pipeline: Pipeline, times_full: Callable[[], int]
    ) -> Metrics | None:
        if not settings.metrics:
            return None
        from apizen.observability.metrics import Gauge, Metrics, Total

        methods = [
            (endpoint.version, endpoint.name)
            for endpoints in catalogue.methods.values()
            for endpoint in endpoints.values()
            if endpoint is not None
        ]
        runner = pipeline.runner
        gauges = [
            Gauge("apizen_calls_in_flight", "Calls that are being answered", lambda: pipeline.in_flight),
            Gauge("apizen_calls_waiting", "Calls that wait for a thread", lambda: runner.waiting),
            Gauge("apizen_connections", "Open connections", lambda: self.connections()),
            Gauge("apizen_threads_overrun", "Threads stuck in a call whose time is up", lambda: runner.overrun),
        ]
        full = Total("apizen_counters_full", "Times that there was no place in which to count a caller", times_full)
        return Metrics(methods, gauges, settings.workers, [full])


def _access_log(settings: Settings) -> AccessLog | None:
    if settings.access_log == "off":
        return None
    from apizen.observability.access_log import AccessLog
    from apizen.observability.log_file import RotatingFile, Stream

    if settings.access_log == "stdout":
        stdout = Stream(sys.stdout.fileno(), shared=settings.workers > 1)
        return AccessLog(stdout, parameters=settings.log_parameters)
    path = Path(settings.data) / settings.access_log
    try:
        return AccessLog(RotatingFile(path), parameters=settings.log_parameters)
    except FolderError as error:
        raise SettingsError(str(error)) from error
    except OSError as error:
        raise SettingsError(f"the access log {path} can't be opened: {error.strerror}") from error
