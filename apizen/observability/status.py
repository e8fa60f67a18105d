"""What a machine asks the server: its numbers, whether it lives, and whether it should get calls.

These answers are on the event loop: they come while every thread of the pool is stuck. They are asked for
every few seconds and so are not logged.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from tornado.routing import URLSpec

from apizen.faces.rpc import Gateway
from apizen.servers.tornado.pages import EnvelopeHandler

if TYPE_CHECKING:
    from apizen.observability.metrics import Metrics

__all__ = ["status_rules"]


def status_rules(gateway: Gateway, metrics: Metrics | None, why_not_ready: Callable[[], str]) -> list[URLSpec]:
    """The rules for an `Application`: ``/healthz``, ``/readyz``, and with ``metrics`` also ``/metrics``.

    ``why_not_ready`` gives the reason why the server should get no calls now, empty where it should.
    """
    rules = [
        URLSpec("/healthz", _HealthHandler, {"gateway": gateway}),
        URLSpec("/readyz", _ReadyHandler, {"gateway": gateway, "why_not_ready": why_not_ready}),
    ]
    if metrics is not None:
        rules.append(URLSpec("/metrics", _MetricsHandler, {"gateway": gateway, "metrics": metrics}))
    return rules


class _Handler(EnvelopeHandler):
    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("Cache-Control", "no-store")

    def _log(self) -> None:
        """Nothing: Tornado has this method for those who override it."""

    def answer(self, **members: str) -> None:
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(members))


class _HealthHandler(_Handler):
    """200 while the event loop turns."""

    def get(self) -> None:
        self.answer(status="ok")

    head = get


class _ReadyHandler(_Handler):
    """200 while the server should get calls, else 503 and the reason."""

    def initialize(self, gateway: Gateway, why_not_ready: Callable[[], str]) -> None:  # type: ignore[override]
        super().initialize(gateway)
        self._why_not_ready = why_not_ready

    def get(self) -> None:
        reason = "shutting down" if self.gateway.pipeline.draining else self._why_not_ready()
        if reason:
            self.set_status(503)
            self.answer(status="not ready", reason=reason)
        else:
            self.answer(status="ready")

    head = get


class _MetricsHandler(_Handler):
    def initialize(self, gateway: Gateway, metrics: Metrics) -> None:  # type: ignore[override]
        super().initialize(gateway)
        self._metrics = metrics

    async def get(self) -> None:
        self._metrics.publish()
        accept = self.request.headers.get("Accept", "")
        # In a thread, since with a thousand methods it takes a tenth of a second.
        content_type, body = await asyncio.to_thread(self._metrics.exposition, accept)
        self.set_header("Content-Type", content_type)
        self.finish(body)

    head = get
