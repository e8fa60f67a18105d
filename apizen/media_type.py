"""The Content-Type of a request (RFC 9110, 8.3.1): what its body is.

Read here and not by the package `email`, whose parser takes quadratic time: a header of 60 kB took it five seconds.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from apizen.exception import ApiSysExceptions

__all__ = ["MAX_BOUNDARY", "MAX_CONTENT_TYPE", "MediaType", "media_type"]

#: Characters of a Content-Type, and of a boundary (RFC 2046, 5.1.1): the longer one is, the longer a search for it.
MAX_CONTENT_TYPE = 256
MAX_BOUNDARY = 70

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"  # noqa: S105 (RFC 9110, 5.6.2)
_TYPE = re.compile(rf"\s*+({_TOKEN}/{_TOKEN})\s*+")
_PARAMETER = re.compile(rf';\s*+(?:({_TOKEN})(?:\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^;"\s]*+)))?)?\s*+', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class MediaType(NamedTuple):
    """``name`` and ``charset`` are in lower case. ``name`` is empty for what is no media type."""

    name: str
    charset: str = ""
    boundary: str = ""


def media_type(content_type: str) -> MediaType:
    """What a Content-Type says. Raises 1024 where it or its boundary is too long.

    >>> media_type('multipart/form-data; charset=UTF-8; boundary="a;b"')
    MediaType(name='multipart/form-data', charset='utf-8', boundary='a;b')
    >>> media_type('application/json, text/plain')
    MediaType(name='', charset='', boundary='')
    """
    if len(content_type) > MAX_CONTENT_TYPE:
        raise ApiSysExceptions.unacceptable_content_type(f"Content-Type 超过 {MAX_CONTENT_TYPE} 个字符")
    found = _parsed(content_type)
    if len(found.boundary) > MAX_BOUNDARY:
        raise ApiSysExceptions.unacceptable_content_type(f"boundary 超过 {MAX_BOUNDARY} 个字符")
    return found


@lru_cache(maxsize=256)
def _parsed(content_type: str) -> MediaType:
    found = _TYPE.match(content_type)
    if found is None:
        return MediaType("")
    parameters: dict[str, str] = {}
    position = found.end()
    while (parameter := _PARAMETER.match(content_type, position)) is not None:
        position = parameter.end()
        name, quoted, plain = parameter.groups()
        value = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
        if value is not None:  # of a name that comes twice the first counts, as in browsers
            parameters.setdefault(name.lower(), value)
    if position < len(content_type):
        return MediaType("")
    return MediaType(found[1].lower(), parameters.get("charset", "").lower(), parameters.get("boundary", ""))
