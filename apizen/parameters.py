"""The parameters of a request: query string, form and JSON body, merged.

Business parameters come from the query string, then the form, then the JSON object; the later wins.
Public parameters come from the query string, else from the form, never from JSON.

>>> parameters = Parameters(Request('GET', 'v=1.0&name=%E5%BC%A0&id=1&id=2', {}), no_multipart)
>>> parameters.public('v'), parameters.named['name'], parameters.repeated
('1.0', '张', {'id': ['1', '2']})
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from apizen.exception import ApiException, ApiSysExceptions
from apizen.media_type import MediaType, media_type
from apizen.request import Request, header
from apizen.schema import UploadFile
from apizen.schema.strict_json import MAX_WEIGHT, InvalidDocument, decode
from apizen.values import Part, Values

__all__ = [
    "FORM",
    "FORMS",
    "MAX_FIELDS",
    "MAX_FORM",
    "MAX_QUERY",
    "WEIGHT",
    "MultipartParser",
    "Parameters",
    "body_type",
    "no_multipart",
]

#: The media types of forms. Only they can say ``v`` and ``method`` where the query does not.
FORM = "application/x-www-form-urlencoded"
FORMS = frozenset({FORM, "multipart/form-data"})

#: Characters of a query string, bytes of an urlencoded form, and fields of either.
MAX_QUERY = 32 * 1024
MAX_FORM = 1024 * 1024
#: The values of a JSON body may take so many times ``max_body`` in memory, or `MAX_WEIGHT` where that is more.
WEIGHT = 24
MAX_FIELDS = 1000

#: Takes a body and its boundary, gives text fields and files in order. Raises ValueError.
MultipartParser = Callable[[bytes, str], list[tuple[str, str | UploadFile]]]

# With these verbs a Content-Type without a body is taken for none.
_BODILESS = frozenset({"GET", "HEAD", "DELETE"})


def no_multipart(body: bytes, boundary: str) -> list[tuple[str, str | UploadFile]]:
    """The parser of a gateway that takes no files."""
    raise ValueError("multipart is not supported here")


class Parameters(Values):
    """The parameters of one request, whose body may have ``max_body`` bytes.

    The form is parsed at once, since it may hold public parameters. What is wrong with it is raised by `check_form` and
    `read_body` only, so that what is wrong with the query is reported first.
    """

    __slots__ = (
        "_form",
        "_form_error",
        "_form_repeated",
        "_max_body",
        "_query",
        "_query_repeated",
        "_request",
    )

    def __init__(self, request: Request, multipart: MultipartParser, max_body: int = 0) -> None:
        if len(request.query) > MAX_QUERY:
            raise ApiSysExceptions.bad_request(f"查询串超过 {MAX_QUERY} 个字符")
        self._request = request
        self._max_body = max_body
        self._query_repeated: dict[str, list[Any]] = {}
        self._query: dict[str, str] = _fields(request.query, self._query_repeated, "查询串")
        self.repeated = self._query_repeated
        self.named = self._query
        self._form: Mapping[str, Any] = {}
        self._form_repeated: dict[str, list[Any]] = {}
        self._form_error: ApiException | None = None
        if request.body:
            try:
                self._form = self._read_form(multipart)
            except ApiException as error:
                self._form_error = error
        public = {**_texts(self._form), **self._query} if self._form else self._query
        self.public = public.get
        self.size = len(request.body)

    def pairs(self) -> dict[str, str] | list[tuple[str, str]]:
        if not self._form and not self._query_repeated:
            return self._query
        return [(name, value) for _, name, value in self.parts() if isinstance(value, str)]

    def parts(self) -> Iterator[Part]:
        files = []
        sources = (("query", self._query, self._query_repeated), ("form", self._form, self._form_repeated))
        for place, fields, repeated in sources:
            for name, last in fields.items():
                for value in repeated.get(name, (last,)):
                    if isinstance(value, str):
                        yield place, name, value
                    else:
                        files.append((place, name, value))
        yield from files

    def hidden_texts(self) -> list[str]:
        files = [name for name, last in self._form.items() if isinstance(last, UploadFile)]
        return [
            name
            for name in files
            if name in self._query or any(isinstance(value, str) for value in self._form_repeated[name])
        ]

    def document(self) -> bytes:
        return b"" if self._form or self.named is self._query else self._request.body

    def check_form(self) -> None:
        """Raises what is wrong with the form: 1011, 1024, 1025 or 1028."""
        if self._form_error is not None:
            raise self._form_error

    def read_body(self) -> None:
        """Adds the body's parameters. Raises 1011, 1021, 1023, 1024, 1025 and 1028 for a body that can't be read."""
        self.check_form()
        request = self._request
        content_type = header(request.headers, "Content-Type")
        if not request.body and (content_type is None or request.verb in _BODILESS):
            return
        media = body_type(request.headers)
        if media.name == "application/json":
            self._add(_json_object(request.body, max(MAX_WEIGHT, WEIGHT * self._max_body)))
        elif self._form:
            self._add(self._form)

    def _add(self, later: Mapping[str, Any]) -> None:
        self.named = {**self._query, **later}
        kept = {name: values for name, values in self._query_repeated.items() if name not in later}
        self.repeated = {**kept, **(self._form_repeated if later is self._form else {})}

    def _read_form(self, multipart: MultipartParser) -> Mapping[str, Any]:
        request = self._request
        media = media_type(header(request.headers, "Content-Type") or "text/plain")
        if media.name not in FORMS:
            return {}
        _refuse_encoding(request.headers, media)
        if media.name != FORM:
            return _parts(multipart, request.body, media.boundary, self._form_repeated)
        if len(request.body) > MAX_FORM:
            raise ApiSysExceptions.body_too_large(f"urlencoded 表单上限为 {MAX_FORM} 字节")
        return _fields(request.body.decode("latin-1"), self._form_repeated, "表单")


def body_type(headers: Mapping[str, str]) -> MediaType:
    """The media type of a body, one of those that are read. Raises 1023 and 1024."""
    content_type = header(headers, "Content-Type")
    if content_type is None:
        raise ApiSysExceptions.missing_content_type()
    media = media_type(content_type)
    if media.name != "application/json" and media.name not in FORMS:
        raise ApiSysExceptions.unacceptable_content_type(
            "应为 application/json、application/x-www-form-urlencoded 或 multipart/form-data"
        )
    _refuse_encoding(headers, media)
    return media


def _texts(form: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a form that are no files."""
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _fields(text: str, repeated: dict[str, list[Any]], source: str) -> dict[str, Any]:
    """The fields of a query string or a form (WHATWG URL, 5.1), percent-decoded as UTF-8."""
    values: dict[str, Any] = {}
    if not text:
        return values
    if text.count("&") >= MAX_FIELDS:
        raise ApiSysExceptions.bad_request(f"{source}超过 {MAX_FIELDS} 个参数")
    plain = "%" not in text and "+" not in text and text.isascii()
    for field in text.split("&"):
        if field:
            name, _, value = field.partition("=")
            if not plain:
                name, value = _unquote(name, source), _unquote(value, source)
            if name in values:
                repeated.setdefault(name, [values[name]]).append(value)
            values[name] = value
    return values


def _unquote(text: str, source: str) -> str:
    if "%" not in text and "+" not in text and text.isascii():
        return text
    try:
        return _percent_decoded(text.encode("latin-1").replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise ApiSysExceptions.invalid_format(f"{source}不是 UTF-8") from None


# Not by urllib, which makes an object of each percent sign: for a megabyte of them it took 190 MB.
_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})++")
_WINDOW = 64 * 1024


def _percent_decoded(text: bytes) -> bytes:
    """Percent-decodes (WHATWG URL, 1.3): a percent sign without two digits stays. In windows, which bound the memory.

    >>> _percent_decoded(b'%E5%BC%A0%')
    b'\\xe5\\xbc\\xa0%'
    """
    pieces = []
    start = 0
    while start < len(text):
        end = start + _WINDOW
        cut = text.rfind(b"%", end - 2, end)  # an escape belongs to one window
        end = cut if cut != -1 and end < len(text) else end
        pieces.append(_ESCAPES.sub(_bytes_of, text[start:end]))
        start = end
    return b"".join(pieces)


def _bytes_of(escapes: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escapes[0].replace(b"%", b"").decode())


def _parts(multipart: MultipartParser, body: bytes, boundary: str, repeated: dict[str, list[Any]]) -> dict[str, Any]:
    try:
        parts = multipart(body, boundary)
    except UnicodeDecodeError:
        raise ApiSysExceptions.invalid_format("表单不是 UTF-8") from None
    except ValueError:
        raise ApiSysExceptions.bad_request("multipart/form-data 格式错误") from None
    values: dict[str, Any] = {}
    for name, value in parts:
        # A single file, too, counts as repeated: it may be for a list of files.
        if name in values or isinstance(value, UploadFile):
            repeated.setdefault(name, [values[name]] if name in values else []).append(value)
        values[name] = value
    return values


def _refuse_encoding(headers: Mapping[str, str], media: MediaType) -> None:
    if media.charset not in ("", "utf-8", "utf8"):
        raise ApiSysExceptions.unacceptable_content_type("charset 应为 utf-8")
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ApiSysExceptions.unacceptable_content_type("不支持 Content-Encoding")


def _json_object(body: bytes, most: int) -> dict[str, Any]:
    try:
        document = decode(body, most)
    except InvalidDocument as error:
        raise ApiSysExceptions.invalid_json(error) from None
    if not isinstance(document, dict):
        raise ApiSysExceptions.invalid_json("应为 JSON 对象")
    return document
