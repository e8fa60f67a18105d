"""The parameters of a request: query string, form and JSON body, merged.

Business parameters come from the query string, then the form, then the JSON object; the later wins.
Public parameters come from the query string, else from the form, never from JSON.

>>> parameters = Parameters(Request('GET', 'v=1.0&name=%E5%BC%A0&id=1&id=2', {}), no_multipart)
>>> parameters.public('v'), parameters.values['name'], parameters.repeated
('1.0', '张', {'id': ['1', '2']})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.message import Message
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from apizen.document import InvalidDocument, decode
from apizen.exception import ApiException, ApiSysExceptions
from apizen.message import Request, header
from apizen.schema import UploadFile
from apizen.signature import PUBLIC_PARAMETERS

__all__ = ["MAX_FIELDS", "MAX_QUERY", "MultipartParser", "Parameters", "no_multipart"]

#: Characters of a query string, and fields of a query string or a form.
MAX_QUERY = 32 * 1024
MAX_FIELDS = 1000

#: Takes a body and its boundary, gives text fields and files in order. Raises ValueError.
MultipartParser = Callable[[bytes, str], list[tuple[str, str | UploadFile]]]

# What a client may leave out of a request without a body: it says nothing about anything.
_BODILESS = frozenset({"GET", "HEAD", "DELETE"})


def no_multipart(body: bytes, boundary: str) -> list[tuple[str, str | UploadFile]]:
    """The parser of a gateway that takes no files."""
    raise ValueError("multipart is not supported here")


class _MediaType(NamedTuple):
    name: str
    charset: str
    boundary: str


@lru_cache(maxsize=256)
def _media_type(header: str) -> _MediaType:
    message = Message()
    message["Content-Type"] = header
    try:
        charset, boundary = (message.get_param(name) or "" for name in ("charset", "boundary"))
    except Exception:  # email raises what it likes for parameters that RFC 2231 does not know
        charset, boundary = "", ""
    # get_content_type() answers text/plain for what it can't read, and that is not accepted either.
    return _MediaType(message.get_content_type(), str(charset).lower(), str(boundary))


class Parameters:
    """The parameters of one request.

    The form is parsed at once, since it may hold public parameters; a form that can't be parsed is
    reported by `read_body`, so that what is wrong with the query is reported first.
    """

    __slots__ = (
        "_form",
        "_form_error",
        "_form_repeated",
        "_query",
        "_query_repeated",
        "_request",
        "public",
        "repeated",
        "values",
    )

    def __init__(self, request: Request, multipart: MultipartParser) -> None:
        if len(request.query) > MAX_QUERY:
            raise ApiSysExceptions.bad_request(f"查询串超过 {MAX_QUERY} 个字符")
        self._request = request
        self._query_repeated: dict[str, list[Any]] = {}
        self._query: dict[str, str] = _fields(request.query, self._query_repeated, "查询串")
        #: All the values of each name that came more than once in its source.
        self.repeated: dict[str, list[Any]] = self._query_repeated
        #: The last value of each business parameter.
        self.values: Mapping[str, Any] = self._query
        self._form: Mapping[str, Any] = {}
        self._form_repeated: dict[str, list[Any]] = {}
        self._form_error: ApiException | None = None
        if request.body:
            try:
                self._form = self._read_form(multipart)
            except ApiException as error:
                self._form_error = error
        public = {**_texts(self._form), **self._query} if self._form else self._query
        #: Gives a public parameter as it came, None where there is none.
        self.public: Callable[[str], str | None] = public.get

    def public_values(self) -> dict[str, str]:
        """The public parameters that were sent, as they came."""
        found = ((name, self.public(name)) for name in PUBLIC_PARAMETERS)
        return {name: value for name, value in found if value is not None}

    def pairs(self) -> dict[str, str] | list[tuple[str, str]]:
        """Every text that came in the query string and then in the form, in order; no files.

        A dict where there is no form and no name came twice.
        """
        if not self._form and not self._query_repeated:
            return self._query
        sources = ((self._query, self._query_repeated), (self._form, self._form_repeated))
        return [
            (name, value)
            for fields, repeated in sources
            for name, last in fields.items()
            for value in repeated.get(name, (last,))
            if isinstance(value, str)
        ]

    def hidden_texts(self) -> list[str]:
        """The names of texts that a file of the same name takes the place of."""
        files = [name for name, last in self._form.items() if isinstance(last, UploadFile)]
        return [
            name
            for name in files
            if name in self._query or any(isinstance(value, str) for value in self._form_repeated[name])
        ]

    def json_body(self) -> bytes:
        """The body as it came if it is a JSON document, else nothing."""
        return b"" if self._form or self.values is self._query else self._request.body

    def check_form(self) -> None:
        """Raises what is wrong with the form: 1011, 1024 or 1025."""
        if self._form_error is not None:
            raise self._form_error

    def read_body(self) -> None:
        """Adds the body's parameters. Raises 1011, 1021, 1023, 1024 and 1025 for a body that can't be read."""
        self.check_form()
        request = self._request
        content_type = header(request.headers, "Content-Type")
        if not request.body and (content_type is None or request.verb in _BODILESS):
            return
        if content_type is None:
            raise ApiSysExceptions.missing_content_type()
        media = _media_type(content_type)
        if media.name == "application/json":
            _refuse_encoding(request.headers, media)
            self._add(_json_object(request.body))
        elif self._form:
            self._add(self._form)
        elif request.body and media.name not in _FORMS:
            raise ApiSysExceptions.unacceptable_content_type(
                "应为 application/json、application/x-www-form-urlencoded 或 multipart/form-data"
            )

    def _add(self, later: Mapping[str, Any]) -> None:
        self.values = {**self._query, **later}
        kept = {name: values for name, values in self._query_repeated.items() if name not in later}
        self.repeated = {**kept, **(self._form_repeated if later is self._form else {})}

    def _read_form(self, multipart: MultipartParser) -> Mapping[str, Any]:
        request = self._request
        media = _media_type(header(request.headers, "Content-Type") or "text/plain")
        if media.name not in _FORMS:
            return {}
        _refuse_encoding(request.headers, media)
        if media.name == "application/x-www-form-urlencoded":
            return _fields(request.body.decode("latin-1"), self._form_repeated, "表单")
        return _parts(multipart, request.body, media.boundary, self._form_repeated)


_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


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
        return unquote_to_bytes(text.encode("latin-1").replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise ApiSysExceptions.invalid_format(f"{source}不是 UTF-8") from None


def _parts(multipart: MultipartParser, body: bytes, boundary: str, repeated: dict[str, list[Any]]) -> dict[str, Any]:
    try:
        parts = multipart(body, boundary)
    except UnicodeDecodeError:
        raise ApiSysExceptions.invalid_format("表单不是 UTF-8") from None
    except ValueError:
        raise ApiSysExceptions.bad_request("multipart/form-data 格式错误") from None
    values: dict[str, Any] = {}
    for name, value in parts:
        # One single file is a list of one where a list of files is wanted.
        if name in values or isinstance(value, UploadFile):
            repeated.setdefault(name, [values[name]] if name in values else []).append(value)
        values[name] = value
    return values


def _refuse_encoding(headers: Mapping[str, str], media: _MediaType) -> None:
    if media.charset not in ("", "utf-8", "utf8"):
        raise ApiSysExceptions.unacceptable_content_type("charset 应为 utf-8")
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ApiSysExceptions.unacceptable_content_type("不支持 Content-Encoding")


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = decode(body)
    except InvalidDocument as error:
        raise ApiSysExceptions.invalid_json(error) from None
    if not isinstance(document, dict):
        raise ApiSysExceptions.invalid_json("应为 JSON 对象")
    return document
