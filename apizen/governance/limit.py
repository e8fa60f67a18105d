"""A limit as a text says it, as ``100/minute``: read by the library `limits`, and bounded."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import limits

__all__ = ["parse_rate"]

_MOST_CALLS = 1_000_000_000
_LONGEST = 366 * 24 * 60 * 60
_NO_TIME = re.compile(r"(/|per)\s*0+\s*[a-z]", re.IGNORECASE)


@lru_cache(maxsize=1024)
def parse_rate(text: str) -> limits.RateLimitItem:
    """The limit that a text says. Raises ValueError.

    >>> parse_rate('100/minute'), parse_rate('5 per 10 seconds').get_expiry()
    (100 per 1 minute, 10)
    >>> parse_rate('100')
    Traceback (most recent call last):
    ValueError: a rate is written as 100/minute or 5/10 seconds, with second, minute, hour or day, not '100'
    """
    import limits  # takes a tenth of a second: only where there is a limit

    try:
        (limit,) = limits.parse_many(text)
    except ValueError:
        raise ValueError(
            "a rate is written as 100/minute or 5/10 seconds, with second, minute, hour or day, not " + repr(text)
        ) from None
    # limits reads a time of 0 as 1.
    if not 1 <= limit.amount <= _MOST_CALLS or limit.get_expiry() > _LONGEST or _NO_TIME.search(text):
        raise ValueError(f"a rate must be of 1 to {_MOST_CALLS} calls in 1 second to 366 days, not {text!r}")
    return limit
