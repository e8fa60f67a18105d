"""Reads the generators in what a function gives, within the limits of one answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Generator
from contextlib import aclosing, closing, nullcontext
from time import perf_counter
from typing import Any

import msgspec

from apizen.exception import ApiSysExceptions
from apizen.faces.json_text import json_of
from apizen.faces.plain import KEPT, Unread, simpler

__all__ = ["AnswerTooLarge", "Reading"]

logger = logging.getLogger(__name__)

_KEPT_AND_READ = (*KEPT, msgspec.Raw)

# How long the items of an async generator may come without a pause, before others get their turn.
_TURN_SECONDS = 0.005


class AnswerTooLarge(ValueError):
    """An answer beyond the limit in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the answer has more than {limit} bytes, which is the setting max_answer")


class Reading:
    """Makes one answer plain that holds generators, which may have no end.

    ``name`` is for the log. ``limit`` is the most bytes of all its generators together, ``deadline`` a time of
    `time.perf_counter`. What was read is kept as JSON, so that it takes no more memory than in the answer.

    >>> reading = Reading('1.0 squares', 100, perf_counter() + 1)
    >>> bytes(reading.plain(number * number for number in range(4)))
    b'[0,1,4,9]'
    """

    def __init__(self, name: str, limit: int, deadline: float) -> None:
        self._name = name
        self._limit = limit
        self._deadline = deadline
        self._size = 0
        self._hook = self._simpler

    def plain(self, value: Any) -> Any:
        """As the function `plain`, but reads generators; what was read is JSON.

        Raises what that raises, whatever a generator raises, `AnswerTooLarge`, and 1029 after the deadline.
        """
        return msgspec.to_builtins(value, builtin_types=_KEPT_AND_READ, enc_hook=self._hook)

    async def gather(self, items: AsyncIterable[Any]) -> msgspec.Raw:
        """A list of what an async generator yields. Raises what `plain` raises."""
        written = bytearray(b"[")
        turn = perf_counter()
        async with aclosing(items) if isinstance(items, AsyncGenerator) else nullcontext():
            async for item in items:
                self._add(item, written)
                if perf_counter() - turn > _TURN_SECONDS:
                    await asyncio.sleep(0)
                    turn = perf_counter()
        return _list(written)

    def _simpler(self, value: Any) -> Any:
        try:
            return simpler(value)
        except Unread:
            written = bytearray(b"[")
            items = iter(value)
            # Closed here and now. Else it would be closed where an exception is dropped, as in the log's thread.
            with closing(items) if isinstance(items, Generator) else nullcontext():
                for item in items:
                    self._add(item, written)
            return _list(written)

    def _add(self, item: Any, written: bytearray) -> None:
        before = self._size
        text = json_of(self.plain(item))
        self._size = before + len(text) + 1  # what was read within the item is in its text
        if self._size > self._limit:
            raise AnswerTooLarge(self._limit)
        if perf_counter() > self._deadline:
            logger.warning("%s is not read any further: its time is up", self._name)
            raise ApiSysExceptions.call_timeout
        written += text
        written += b","


def _list(written: bytearray) -> msgspec.Raw:
    """The JSON of a list. ``written`` is its beginning, with a comma behind each item."""
    written[max(1, len(written) - 1) :] = b"]"
    return msgspec.Raw(written)
