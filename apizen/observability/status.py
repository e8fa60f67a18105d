"""The pages that machines ask for: the metrics, whether the server lives, and whether it should get calls.

The event loop answers them, so the answers come even while every thread of the pool is stuck. They are asked for every
few seconds, so they are not logged.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from apizen.faces.pages import Page
from apizen.request import Request, Response, header

if TYPE_CHECKING:
    from apizen.observability.metrics import Metrics

__all__ = ["status_pages"]

_HEADERS = (("Cache-Control", "no-store"),)


def status_pages(metrics: Metrics | None, draining: Callable[[], bool], why_not_ready: Callable[[], str]) -> list[Page]:
    """``/healthz``, ``/readyz``, and with ``metrics`` also ``/metrics``.

    ``draining`` says whether the server is shutting down. ``why_not_ready`` gives the reason why the server should get
    no calls now, and an empty text where it should.
    """

    def ready(request: Request) -> Response:
        """200 while the server should get calls, else 503 and the reason."""
        reason = "shutting down" if draining() else why_not_ready()
        return _answer(503, status="not ready", reason=reason) if reason else _answer(200, status="ready")

    pages = [Page("/healthz", _health, _HEADERS, logged=False), Page("/readyz", ready, _HEADERS, logged=False)]
    if metrics is not None:
        pages.append(Page("/metrics", _exposition_of(metrics), _HEADERS, logged=False))
    return pages


def _health(request: Request) -> Response:
    """200 while the event loop turns."""
    return _answer(200, status="ok")


def _answer(status: int, /, **members: str) -> Response:
    return Response(status, [("Content-Type", "application/json; charset=utf-8")], json.dumps(members).encode())


def _exposition_of(metrics: Metrics) -> Callable[[Request], Awaitable[Response]]:
    async def exposition(request: Request) -> Response:
        metrics.publish()
        accept = header(request.headers, "Accept") or ""
        # In a thread, since with a thousand methods it takes a tenth of a second.
        content_type, body = await asyncio.to_thread(metrics.exposition, accept)
        return Response(200, [("Content-Type", content_type)], body)

    return exposition
