"""Where something was written, for a message to its developer."""

from __future__ import annotations

import functools
import inspect
from typing import Any

__all__ = ["place_of"]


def place_of(thing: Any) -> str:
    """The name of a class or a function, with its file and line where these can be found.

    >>> place_of(functools.partial(place_of)).partition(' ')[0]
    'apizen.place.place_of'
    """
    inner: Any = thing
    while isinstance(inner, functools.partial):
        inner = inner.func
    inner = inspect.unwrap(getattr(inner, "__func__", inner)) if callable(inner) else inner
    name = f"{getattr(inner, '__module__', '')}.{getattr(inner, '__qualname__', type(inner).__qualname__)}"
    try:
        return f"{name} ({inspect.getsourcefile(inner)}:{inspect.getsourcelines(inner)[1]})"
    except (OSError, TypeError):
        return name
