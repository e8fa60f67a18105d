"""The access log: one JSON line for each call, for each request of another path, and for each error.

The line of a call is made where the call is answered, in a few microseconds. A thread writes it, with many others at a
time, so that no call waits for a disk or a pipe. That thread does not make the line: a thread that computes keeps the
event loop from running for up to 5 ms at a time (`sys.getswitchinterval`). It does make the text of a traceback, since
that reads files.

A line that can't be written, because the disk is full or stuck, is dropped and counted. A later line says how many were
lost.

>>> import json, os
>>> from apizen.caller import Caller
>>> from apizen.observability.log_file import Stream
>>> reader, descriptor = os.pipe()
>>> log = AccessLog(Stream(descriptor))
>>> log.log_call(Call(Caller('192.0.2.7', 'order-17')), 'GET', 200, 0, 120, 0.00125)
>>> log.close()
>>> line = json.loads(os.read(reader, 1000))
>>> line['event'], line['request_id'], line['total_ms']
('call', 'order-17', 1.25)
"""

from __future__ import annotations

import logging
import time
import traceback
from functools import partial
from types import TracebackType
from typing import Any

from apizen.call import Call
from apizen.observability.excerpt import masked_parameters, shortened
from apizen.observability.log_file import LogFile
from apizen.observability.log_line import line_of, milliseconds, time_text
from apizen.observability.log_writer import LogWriter
from apizen.observability.masking import masked, masked_path, masked_sent

__all__ = ["AccessLog"]

_NAME_CHARACTERS = 128
_MESSAGE_CHARACTERS = 4_000
_TRACEBACK_CHARACTERS = 16_000

_ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None] | None


class AccessLog:
    """Writes lines to ``file``. With ``parameters`` the line of a call shows its parameters, without secrets."""

    def __init__(self, file: LogFile, *, parameters: bool = False) -> None:
        self._parameters = parameters
        self._writer = LogWriter(file, _lost_line)

    @property
    def lost(self) -> int:
        """How many lines could not be written until now."""
        return self._writer.lost

    def log_call(self, call: Call, verb: str, status: int, bytes_in: int, bytes_out: int, seconds: float) -> None:
        """Logs a call that was answered."""
        # The name of a method that is there holds no secret; a name that the client made up may.
        name = _name if call.registered else _sent
        app = call.claimed or call.caller.app
        members: dict[str, Any] = {
            "time": time_text(time.time()),
            "level": "info",
            "request_id": call.caller.request_id,
            "address": call.caller.address,
            "app_key": (_name if app.isalnum() else _sent)(app),
            "v": name(call.version),
            "method": name(call.method),
            "verb": _name(verb),
            "code": call.code,
            "status": status,
            "waited_ms": milliseconds(call.waited),
            "ran_ms": milliseconds(call.ran),
            "total_ms": milliseconds(seconds),
            "bytes_in": bytes_in,
            "bytes_out": bytes_out,
            "event": "call",
        }
        if self._parameters and call.logged_values is not None:
            members["parameters"] = masked_parameters(call.logged_values)
        self._writer.put(line_of(members))

    def log_request(self, address: str, verb: str, path: str, status: int, bytes_out: int, seconds: float) -> None:
        """Logs a request for another path than the gateway's. ``path`` is without the query."""
        members = {
            "time": time_text(time.time()),
            "level": "info",
            "address": address,
            "verb": _name(verb),
            "path": _name(masked_path(path)),
            "status": status,
            "total_ms": milliseconds(seconds),
            "bytes_out": bytes_out,
            "event": "request",
        }
        self._writer.put(line_of(members))

    def handler(self) -> logging.Handler:
        """A handler for the logging module: what it logs from WARNING on comes here."""
        return _Handler(self)

    def log_error(self, record: logging.LogRecord) -> None:
        """Logs what the logging module was told; its ``extra`` may hold a ``request_id``."""
        # The message is made now: the values in it may be others in a moment.
        self._writer.do(partial(self._write_error, record, record.getMessage(), record.exc_info))

    def _write_error(self, record: logging.LogRecord, message: str, error: _ErrorInfo) -> None:
        members: dict[str, Any] = {
            "time": time_text(record.created),
            "level": record.levelname.lower(),
            "request_id": getattr(record, "request_id", ""),
            "logger": record.name,
        }
        if error is not None and error[0] is not None:
            text = "".join(traceback.format_exception(*error)).rstrip()
            members["exception"] = masked(_middle_out(text, _TRACEBACK_CHARACTERS))
        members["event"] = masked(shortened(message, _MESSAGE_CHARACTERS))
        self._writer.put(line_of(members))

    def flush(self, seconds: float = 3.0) -> None:
        """Waits until all lines are written, but no longer than that."""
        self._writer.flush(seconds)

    def close(self) -> None:
        """Writes all lines and ends the thread."""
        self._writer.close()


class _Handler(logging.Handler):
    def __init__(self, log: AccessLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._log.log_error(record)
        except Exception:  # a message whose values don't fit it
            self.handleError(record)

    def flush(self) -> None:
        """Called by `logging.shutdown` when the process ends."""
        self._log.flush()


def _name(text: str) -> str:
    """A name that a client sent, or its beginning where it is long."""
    return text if len(text) <= _NAME_CHARACTERS else shortened(text, _NAME_CHARACTERS)


def _sent(text: str) -> str:
    """The same of what may be no name and hold a secret."""
    return _name(masked_sent(text)) if text else text


def _lost_line(lost: int) -> bytes:
    members = {"time": time_text(time.time()), "level": "warning", "lost": lost, "event": "log lines were lost"}
    return line_of(members)


def _middle_out(text: str, characters: int) -> str:
    """A text, and where it is too long, without its middle: of a traceback the beginning and the end matter.

    >>> _middle_out('abcdefghij', 4)
    'ab\\n…\\nij'
    """
    half = characters // 2
    return text if len(text) <= characters else f"{text[:half]}\n…\n{text[-half:]}"
