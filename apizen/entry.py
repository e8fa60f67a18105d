"""An entry of a version: what its dict says about one method.

Each key is declared once, by the part that reads it: what its values can be, and what counts where an entry does not
have it. A guard declares keys of its own.

>>> from apizen.settings import Settings
>>> TIMEOUT, ENABLE = Key('timeout', float, setting='timeout'), Key('enable', bool, default=True)
>>> entry = Entry({'timeout': 5}, [TIMEOUT, ENABLE], Settings(timeout=30))
>>> entry[TIMEOUT], entry[ENABLE], entry.has(ENABLE)
(5.0, True, False)
>>> Entry({'timeuot': 5}, [TIMEOUT, ENABLE], Settings())
Traceback (most recent call last):
ValueError: unknown key 'timeuot' in its entry, did you mean 'timeout'?
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from apizen.settings import Settings
from apizen.suggestion import hint_at

__all__ = ["Entry", "Key", "flag"]

Value = TypeVar("Value")

_ABSENT: Any = object()


@dataclass(frozen=True, eq=False)
class Key(Generic[Value]):
    """One key of an entry.

    ``read`` checks what an entry says, and gives the value to use; it raises ValueError for what can't be. An entry
    without the key gets the value of the setting ``setting``, or the ``default`` where there is no such setting or it
    is empty; they are read in the same way. ``also`` is a second spelling of the name.
    """

    name: str
    read: Callable[[Any], Value]
    default: Any = None
    setting: str = ""
    also: str = ""


class Entry:
    """One entry as it was written. A key is read when it is asked for. Raises ValueError for unknown keys."""

    def __init__(self, written: Mapping[Any, Any], keys: Iterable[Key[Any]], settings: Settings) -> None:
        self._written = written
        self._settings = settings
        known: dict[str, Key[Any]] = {}
        for key in keys:
            for name in filter(None, (key.name, key.also)):
                if known.setdefault(name, key) is not key:
                    raise ValueError(f"the key {name!r} of an entry is declared twice")
        for name in written:
            if name not in known:
                raise ValueError(f"unknown key {name!r} in its entry, {hint_at(str(name), list(known))}")

    def has(self, key: Key[Any]) -> bool:
        """Whether the entry itself has the key."""
        return self._found(key) is not _ABSENT

    def __getitem__(self, key: Key[Value]) -> Value:
        """What counts: the entry's value, else the setting's, else the default. Raises ValueError for a wrong one."""
        found = self._found(key)
        if found is _ABSENT:
            set_ = getattr(self._settings, key.setting) if key.setting else ""
            found = key.default if set_ == "" else set_
        return key.read(found)

    def _found(self, key: Key[Any]) -> Any:
        if not key.also or key.also not in self._written:
            return self._written.get(key.name, _ABSENT)
        if key.name in self._written:
            raise ValueError(f"{key.name} is given under both of its spellings")
        return self._written[key.also]


def flag(name: str) -> Callable[[Any], bool]:
    """The ``read`` of a key that is True or False."""

    def read(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, not {value!r}")
        return value

    return read
