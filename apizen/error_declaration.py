"""How errors are declared: `ApiBaseExceptions` makes exception classes of the dicts in a class.

The errors themselves stand in `apizen.exception`, an application's in its own modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from apizen.error_texts import ErrorText
from apizen.suggestion import hint_at

__all__ = ["SUCCESS_CODE", "ApiBaseExceptions", "ApiException", "declared_errors", "printable"]

#: The code of an answer that is no error. No error may have it, or a lower one.
SUCCESS_CODE = 1000

# The keys of a declaration, and the attributes that they become. Some have two spellings, which may not be mixed.
_SPELLINGS = {
    "api_code": "err_code",
    "err_code": "err_code",
    "http_code": "status_code",
    "status_code": "status_code",
    "api_msg": "text",
    "message": "text",
    "ex_type": "ex_type",
    "joiner": "joiner",
    **{name: name for name in ErrorText._fields},
}
_TEXT_KEYS = frozenset(ErrorText._fields)
# RFC 9110, 15: answers that have no body can't carry an envelope.
_WITHOUT_BODY = frozenset({*range(100, 200), 204, 205, 304})


def printable(headers: Mapping[str, str]) -> dict[str, str]:
    """A copy of an error's headers. Raises ValueError for what can't be sent, or would begin another header."""
    for name, value in headers.items():
        if not (name + value).isascii() or not (name + value).isprintable():
            raise ValueError(f"header {name!r} of an error must be printable ASCII, not {value!r}")
    return dict(headers)


class ApiException(Exception):
    """One error answer. Raise the classes that a declaration makes, not this one.

    ``detail`` is added to the declared message; ``message`` replaces it. ``headers`` are sent with the
    answer, as the ``Allow`` of a 405. `apizen.error_texts` says what ``english`` to ``retryable`` mean.
    """

    err_code: ClassVar[int]
    status_code: ClassVar[int]
    text: ClassVar[str]
    joiner: ClassVar[str] = "，"
    english: ClassVar[str] = ""
    cause: ClassVar[str] = ""
    cause_english: ClassVar[str] = ""
    remedy: ClassVar[str] = ""
    remedy_english: ClassVar[str] = ""
    retryable: ClassVar[bool] = False

    def __init__(
        self, detail: object = None, *, message: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        text = self.text if message is None else message
        self.message = text if detail is None else f"{text}{self.joiner}{detail}"
        self.headers = printable(headers or {})
        # Not super().__init__(): an ex_type such as JSONDecodeError wants arguments of its own.
        Exception.__init__(self, self.message)

    def __str__(self) -> str:
        return self.message


class _Declarations(type):
    """Turns each dict in a class body into an exception class, and refuses a code declared twice."""

    declared: ClassVar[dict[int, type[ApiException]]] = {}

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _Declarations:
        made = {
            key: _exception_class(f"{name}.{key}", namespace["__module__"], value)
            for key, value in namespace.items()
            if isinstance(value, dict) and not key.startswith("__")
        }
        codes = dict(mcs.declared)
        for exception in made.values():
            other = codes.setdefault(exception.err_code, exception)
            if other is not exception:
                raise ValueError(
                    f"error code {exception.err_code} is declared twice: "
                    f"{other.__module__}.{other.__qualname__} and {exception.__module__}.{exception.__qualname__}"
                )
        mcs.declared.update(codes)
        return super().__new__(mcs, name, bases, {**namespace, **made})

    def __setattr__(cls, name: str, value: object) -> None:
        raise AttributeError(f"{cls.__name__}.{name}: a declared error can't be changed")


def _exception_class(place: str, module: str, declaration: dict[str, Any]) -> type[ApiException]:
    where = f"{module}.{place}"
    fields: dict[str, Any] = {}
    for key, value in declaration.items():
        if key not in _SPELLINGS:
            raise ValueError(f"{where}: unknown key {key!r}, {hint_at(key, list(_SPELLINGS))}")
        if _SPELLINGS[key] in fields:
            raise ValueError(f"{where}: {key!r} is given under both of its spellings")
        fields[_SPELLINGS[key]] = value
    ex_type = fields.pop("ex_type", Exception)
    fields.setdefault("status_code", 500)
    _check(where, fields, ex_type)
    _check_explanation(where, fields)
    bases = (ApiException,) if issubclass(ApiException, ex_type) else (ApiException, ex_type)
    try:
        made = type(place, bases, {**fields, "__module__": module, "__qualname__": place})
        made()
    except TypeError as error:
        raise ValueError(f"{where}: ex_type {ex_type.__name__} can't be raised like this: {error}") from error
    return made


def _check(where: str, fields: dict[str, Any], ex_type: object) -> None:
    code, status, text = fields.get("err_code"), fields["status_code"], fields.get("text")
    if not isinstance(code, int) or code <= SUCCESS_CODE:
        raise ValueError(f"{where}: api_code must be a whole number above {SUCCESS_CODE}, not {code!r}")
    if not isinstance(status, int) or not 200 <= status <= 599 or status in _WITHOUT_BODY:
        raise ValueError(f"{where}: http_code must be an HTTP status that has a body, not {status!r}")
    if not isinstance(text, str) or not text:
        raise ValueError(f"{where}: api_msg must be a text, not {text!r}")
    if not (isinstance(ex_type, type) and issubclass(ex_type, Exception)):
        raise ValueError(f"{where}: ex_type must be an exception class, not {ex_type!r}")
    if issubclass(ex_type, (StopIteration, StopAsyncIteration)):
        raise ValueError(f"{where}: ex_type {ex_type.__name__} can't be raised through a generator or a coroutine")


def _check_explanation(where: str, fields: dict[str, Any]) -> None:
    for name in fields.keys() & _TEXT_KEYS:
        kind, expected = (bool, "True or False") if name == "retryable" else (str, "a text")
        if not isinstance(fields[name], kind):
            raise ValueError(f"{where}: {name} must be {expected}, not {fields[name]!r}")


class ApiBaseExceptions(metaclass=_Declarations):
    """Base of the classes that declare errors.

    >>> class Errors(ApiBaseExceptions):
    ...     out_of_stock = {'api_code': 29900, 'http_code': 409, 'api_msg': '库存不足', 'ex_type': LookupError}
    >>> Errors.out_of_stock('A-17').message
    '库存不足，A-17'
    >>> issubclass(Errors.out_of_stock, LookupError)
    True
    """


def declared_errors() -> list[type[ApiException]]:
    """Every error that was declared until now, the gateway's and the application's, by code.

    >>> import apizen.exception
    >>> [error.err_code for error in declared_errors()][:3]
    [1001, 1002, 1003]
    """
    return [_Declarations.declared[code] for code in sorted(_Declarations.declared)]
