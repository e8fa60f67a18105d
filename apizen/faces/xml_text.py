"""Writes plain values as XML.

Each item of a list is an element with the name of the list, as dict2xml does it. A list directly inside a list has
``<item>`` elements. In a key that is no XML name characters are escaped as ``_x0020_`` (ISO 9075-14). A character that
XML 1.0 can't hold becomes U+FFFD, and null is an empty element.

>>> xml_of({'rows': [{'a b': 1}, {'a b': None}]}).decode()[38:]
'<root><rows><a_x0020_b>1</a_x0020_b></rows><rows><a_x0020_b></a_x0020_b></rows></root>'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from dict2xml import DataSorter, dict2xml

from apizen.faces.json_text import key_of, text_of

__all__ = ["xml_of"]


class _InOrder(DataSorter):
    """Members keep their order."""

    def keys_from(self, data: Mapping[str, object]) -> Mapping[str, object]:
        return data


_IN_ORDER = _InOrder()


def xml_of(tree: dict[str, Any]) -> bytes:
    """The XML of a plain dict: its root is ``<root>``. Raises TypeError and ValueError for what has none."""
    document = dict2xml(_element(tree), wrap="root", newlines=False, data_sorter=_IN_ORDER)
    # XML 1.0, 2.11: a parser reads a bare carriage return as a line feed.
    written = document.replace("\r", "&#13;")
    return f'<?xml version="1.0" encoding="UTF-8"?>{written}'.encode()


def _element(value: Any) -> Any:
    if isinstance(value, dict):
        return {_name(key_of(key)): _element(item) for key, item in value.items()}
    if isinstance(value, msgspec.Raw):
        return _element(msgspec.json.decode(value))
    if isinstance(value, (list, tuple)):
        return [_element({"item": item}) if isinstance(item, (list, tuple)) else _element(item) for item in value]
    return _NOT_XML.sub("\ufffd", text_of(value))


_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_NOT_NAME = re.compile(
    r"_(?=x[0-9A-Fa-f]{0,6}(?:_|[^A-Za-z0-9_.\-\u4e00-\u9fa5]))|[^A-Za-z0-9_.\-\u4e00-\u9fa5]|^[^A-Za-z_\u4e00-\u9fa5]|^[xX](?=[mM][lL])"
)


def _name(key: str) -> str:
    return _NOT_NAME.sub(lambda match: f"_x{ord(match[0]):04X}_", key) or "_x_"
