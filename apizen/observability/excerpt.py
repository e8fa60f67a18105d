"""A call's parameters as a line of the log shows them: no secrets, and no more than a line holds.

>>> masked_parameters({'name': 'jack', 'login': {'password': 'x', 'pages': [1, 2]}})
{'name': 'jack', 'login': {'password': '***', 'pages': [1, 2]}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apizen.observability.masking import masked
from apizen.observability.secret_name import MASK, is_secret

__all__ = ["masked_parameters", "shortened"]

# How much of the parameters a line shows: other calls wait while it is made.
_DEPTH = 4
_VALUES = 30
_CHARACTERS = 800
_TEXT_CHARACTERS = 200


def shortened(text: str, characters: int) -> str:
    """The text, or its beginning where it is too long.

    >>> shortened('set-user', 8), shortened('set-users', 8)
    ('set-user', 'set-use…')
    """
    return text if len(text) <= characters else text[: characters - 1] + "…"


def masked_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters without secrets: of long texts the beginning, of many values the first."""
    try:
        return _Excerpt().mapping(parameters, 1)
    except RuntimeError:  # a function that overran its time still changes what it was given
        return {"…": "they change"}


class _Excerpt:
    """Copies a value until it has seen enough of it."""

    __slots__ = ("_characters", "_values")

    def __init__(self) -> None:
        self._values = _VALUES
        self._characters = _CHARACTERS

    def of(self, value: Any, depth: int) -> Any:
        self._values -= 1
        if value is None or isinstance(value, (bool, float)):
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int):
            return value if value.bit_length() < 64 else "…"
        if isinstance(value, dict):
            return self.mapping(value, depth + 1)
        if isinstance(value, (list, tuple)):
            return self._list(value, depth + 1)
        return f"<{type(value).__name__}>"

    def _text(self, text: str) -> str:
        shown = shortened(text, max(1, min(_TEXT_CHARACTERS, self._characters)))
        self._characters -= len(shown)
        return masked(shown)

    def mapping(self, value: Mapping[str, Any], depth: int) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for key, item in value.items():
            if self._values <= 0 or depth > _DEPTH:
                shown["…"] = f"{len(value) - len(shown)} more"
                break
            name = str(key)
            shown[self._text(name)] = MASK if len(name) > _TEXT_CHARACTERS or is_secret(name) else self.of(item, depth)
        return shown

    def _list(self, value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        shown: list[Any] = []
        for item in value:
            if self._values <= 0 or depth > _DEPTH:
                shown.append(f"… {len(value) - len(shown)} more")
                break
            shown.append(self.of(item, depth))
        return shown
