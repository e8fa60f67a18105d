"""The answer's body: one envelope, as JSON or as XML.

``{"meta": {"code": 1000, "message": "执行成功"}, "response": …}``. What a function gives is made plain before, where
the function ran (`apizen.faces.plain`): to read a generator runs more of the function.

>>> Envelope('response').success([{'id': 1}], xml=False).decode()
'{"meta":{"code":1000,"message":"执行成功"},"response":[{"id":1}]}'
>>> Envelope('response').error(1013, '不存在的方法名', xml=True).decode()[38:]
'<root><meta><code>1013</code><message>不存在的方法名</message></meta><response></response></root>'
"""

from __future__ import annotations

from typing import Any

from apizen.exception import SUCCESS_CODE, SUCCESS_MESSAGE
from apizen.faces.json_text import json_of
from apizen.faces.xml_text import xml_of

__all__ = ["Envelope"]


class Envelope:
    """Writes the bodies. ``response_key`` is the name of the member with the result."""

    def __init__(self, response_key: str) -> None:
        self._key = response_key
        meta = json_of({"code": SUCCESS_CODE, "message": SUCCESS_MESSAGE})
        self._success = b'{"meta":' + meta + b"," + json_of(response_key) + b":"

    def success(self, result: Any, *, xml: bool) -> bytes:
        """The envelope of a plain result. Raises TypeError and ValueError for what can't be written."""
        if not xml:
            return self._success + json_of(result) + b"}"
        return xml_of({"meta": {"code": SUCCESS_CODE, "message": SUCCESS_MESSAGE}, self._key: result})

    def error(self, code: int, message: str, *, xml: bool) -> bytes:
        """The envelope of an error; its result is null."""
        written = message.encode("utf-8", "replace").decode()  # half a surrogate pair has no UTF-8
        tree = {"meta": {"code": code, "message": written}, self._key: None}
        return xml_of(tree) if xml else json_of(tree)
