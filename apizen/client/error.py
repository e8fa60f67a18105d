"""What a client raises for a call that did not succeed."""

from __future__ import annotations

__all__ = ["ApiError"]


class ApiError(Exception):
    """A call that did not succeed.

    ``code`` and ``message`` are the envelope's. Where there was no envelope ``code`` is 0: the connection failed
    (``http_status`` is 0 too, ``__cause__`` has httpx's exception), or something else answered, as a proxy.

    >>> print(ApiError(1013, '不存在的方法名', 404, 'order-17'))
    1013 不存在的方法名 (HTTP 404, request order-17)
    """

    __module__ = "apizen.client"  # its public place, which a traceback shows

    def __init__(self, code: int, message: str, http_status: int = 0, request_id: str = "") -> None:
        super().__init__(code, message, http_status, request_id)
        self.code = code
        self.message = message
        self.http_status = http_status
        self.request_id = request_id

    def __str__(self) -> str:
        request = f", request {self.request_id}" if self.request_id else ""
        return f"{self.code} {self.message} (HTTP {self.http_status}{request})"
