"""The face of plain pages, which are asked for with GET and are no calls: health, metrics, the list of errors."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter, time
from typing import Any, NamedTuple

from apizen.clock import http_date
from apizen.exception import ApiException, ApiSysExceptions
from apizen.request import Request, Response

__all__ = ["Page", "Pages"]

logger = logging.getLogger(__name__)

#: Is told of an answer: the request, the HTTP status, the bytes of the body, and the seconds that it took.
PageLog = Callable[[Request, int, int, float], None]


class Page(NamedTuple):
    """What answers one path.

    ``answer`` may raise an `ApiException`. Its first header is the Content-Type, ``headers`` come after that, with
    errors, too. ``logged`` is false where a machine asks every few seconds.
    """

    path: str
    answer: Callable[[Request], Response | Awaitable[Response]]
    headers: tuple[tuple[str, str], ...] = ()
    logged: bool = True


class Pages:
    """Answers GET and HEAD for some paths.

    ``refuse`` writes the answer to an error, ``log`` is told of the pages that are logged.

    >>> page = Page('/hello', lambda request: Response(200, [('Content-Type', 'text/plain')], b'hello'))
    >>> pages = Pages([page], lambda request, error: Response(error.status_code, [], b''), lambda *facts: None)
    >>> pages.owns('/hello'), pages.handle(Request('GET', '', {}, path='/hello')).body
    (True, b'hello')
    """

    #: These answers end no connection while the server stops: it does, when they are sent.
    draining = False
    reads_bodies = False

    def __init__(
        self, pages: Iterable[Page], refuse: Callable[[Request, ApiException], Response], log: PageLog
    ) -> None:
        self._pages = {page.path: page for page in pages}
        self._log = log
        self.refuse = refuse

    def owns(self, path: str) -> bool:
        return path in self._pages

    def handle(self, request: Request, foreseen: Any = None, /) -> Response | Awaitable[Response]:
        started = perf_counter()
        page = self._pages[request.path]
        try:
            if request.verb not in ("GET", "HEAD"):
                raise ApiSysExceptions.not_allowed_request
            answer = page.answer(request)
        except Exception as error:
            answer = self._failure(request, error)
        if isinstance(answer, Response):
            return self._finish(page, request, answer, started)
        return self._finish_later(page, request, answer, started)

    async def foresee(self, request: Request, length: int, /) -> Any:
        raise TypeError("pages have no bodies")

    async def _finish_later(
        self, page: Page, request: Request, pending: Awaitable[Response], started: float
    ) -> Response:
        try:
            answer = await pending
        except Exception as error:
            answer = self._failure(request, error)
        return self._finish(page, request, answer, started)

    def _failure(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, ApiException):
            logger.error("the page %s failed", request.path, exc_info=error)
            error = ApiSysExceptions.system_error()
        return self.refuse(request, error)

    def _finish(self, page: Page, request: Request, answer: Response, started: float) -> Response:
        kind, *others = answer.headers
        headers = dict([kind, ("Date", http_date(time())), *page.headers])
        headers.update(others)
        if page.logged:
            self._log(request, answer.status, len(answer.body), perf_counter() - started)
        return Response(answer.status, [*headers.items()], answer.body)
