"""A function's signature, compiled once into the call that a request makes.

`CallPlan.of(function)` looks at the parameters when the function is registered; `bind` turns a request's
parameters into arguments with one pass over a tuple. There is no `inspect` and no look at a type hint per
request.

>>> def area(width: int, /, height: int = 2, *, unit: str = 'cm', **rest): return f'{width * height} {unit}'
>>> plan = CallPlan.of(area)
>>> plan.bind({'width': '3', 'unit': 'mm', 'colour': 'red'}, {})
([3], {'unit': 'mm', 'colour': 'red'})
>>> plan.bind({'height': '3'}, {})
Traceback (most recent call last):
...
apizen.exception.ApiSysExceptions.missing_arguments: 缺少方法所需参数:width
>>> plan.bind({'width': 'wide'}, {})
Traceback (most recent call last):
...
apizen.exception.ApiSysExceptions.error_args_type: 参数类型错误：width <int>
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter
from types import SimpleNamespace
from typing import Any, NamedTuple

from apizen.exception import ApiException, ApiSysExceptions
from apizen.schema.conversion import AS_IT_CAME, Converter, nullable
from apizen.schema.converters import converter
from apizen.schema.named import NamedType
from apizen.schema.scalars import Mismatch, Missing, NotJson, Texts

__all__ = ["CREDENTIALS", "PUBLIC_PARAMETERS", "Arguments", "CallPlan", "SignatureError"]

PUBLIC_PARAMETERS = frozenset(
    {"v", "method", "format", "app_key", "timestamp", "sign", "sign_method", "nonce", "access_token"}
)
CREDENTIALS = frozenset({"sign", "access_token"})

_MISSING: Any = object()

Arguments = tuple[list[Any], dict[str, Any]]


class SignatureError(ValueError):
    """A function that can't be called with named parameters; the message names the parameter."""


class _Slot(NamedTuple):
    """One parameter. ``convert`` is None where the value is taken as it came."""

    name: str
    convert: Callable[[Any], Any] | None
    default: Any
    type_name: str


class CallPlan:
    """How to call one function with a request's parameters. Immutable after it is made."""

    __slots__ = (
        "_named",
        "_own",
        "_positional",
        "_rest",
        "_rest_lists",
        "accepted",
        "function",
        "repeatable",
        "signature",
    )

    def __init__(self, function: Callable[..., Any], signature: inspect.Signature) -> None:
        parameters = signature.parameters.values()
        hints = {parameter.name: _hint(function, parameter) for parameter in parameters}
        slots = [(p.kind, _slot(p, hints[p.name])) for p in parameters if p.kind is not Parameter.VAR_KEYWORD]
        names = frozenset(slot.name for _, slot in slots)
        rest = [parameter.name for parameter in parameters if parameter.kind is Parameter.VAR_KEYWORD]
        self.function = function
        self.signature = signature
        self._positional = tuple(slot for kind, slot in slots if kind is Parameter.POSITIONAL_ONLY)
        self._named = tuple(slot for kind, slot in slots if kind is not Parameter.POSITIONAL_ONLY)
        self._rest = _slot(signature.parameters[rest[0]], hints[rest[0]]) if rest else None
        self._own = names | CREDENTIALS | (_occupied(function) if rest else frozenset())
        self.repeatable = frozenset(name for name in names if hints[name].repeatable)
        self._rest_lists = bool(rest) and hints[rest[0]].repeatable
        #: The names that are not a typing error of the client.
        self.accepted = names | PUBLIC_PARAMETERS

    @classmethod
    def of(cls, function: Callable[..., Any]) -> CallPlan:
        """Compiles a function. Raises `SignatureError`."""
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError) as error:
            raise SignatureError(f"its signature can't be read: {error}") from error
        for name, parameter in signature.parameters.items():
            if parameter.kind is Parameter.VAR_POSITIONAL:
                raise SignatureError(f"parameter *{name}: positional parameters without a name are not supported")
        return cls(function, signature)

    @property
    def takes_any(self) -> bool:
        """Whether a ``**`` parameter takes every name."""
        return self._rest is not None

    def _takes_list(self, name: str) -> bool:
        return name in self.repeatable or (self._rest_lists and name not in self._own)

    def bind(
        self, values: Mapping[str, Any], repeated: Mapping[str, list[str]], public: Mapping[str, Any] | None = None
    ) -> Arguments:
        """The positional and the named arguments of one call.

        ``values`` has the last value of each name, ``repeated`` all of them for each name that came more
        than once, ``public`` the public parameters that a ``**`` parameter gets (else those in ``values``).
        Raises 1018 and 1022 for the first parameter, in the signature's order, that is missing or has
        another type, and 1021 for text that should be JSON.
        """
        if repeated:
            values = {**values, **{name: Texts(all_) for name, all_ in repeated.items() if self._takes_list(name)}}
        slot: _Slot
        positional: list[Any] = []
        named: dict[str, Any] = {}
        try:
            for slot in self._positional:
                if slot.name in values:
                    positional.append(_converted(slot, values[slot.name]))
                else:
                    positional.append(_default(slot))
            for slot in self._named:
                name = slot.name
                if name in values:
                    convert = slot.convert
                    named[name] = values[name] if convert is None else convert(values[name])
                elif slot.default is _MISSING:
                    raise Missing
        except Mismatch as mismatch:
            raise _api_error(slot, mismatch) from None
        except RecursionError:  # JSON texts within JSON texts, each within its limit
            raise ApiSysExceptions.invalid_json(slot.name) from None
        if self._rest is not None:
            named.update(self._bind_rest(self._rest, values, values if public is None else public))
        return positional, named

    def _bind_rest(self, rest: _Slot, values: Mapping[str, Any], public: Mapping[str, Any]) -> dict[str, Any]:
        """What the ``**`` parameter gets: public parameters as they came, all else in its type."""
        own = self._own
        bound = {name: public[name] for name in public if name in PUBLIC_PARAMETERS and name not in own}
        for name in values:
            if name not in own and name not in PUBLIC_PARAMETERS:
                try:
                    bound[name] = _converted(rest, values[name])
                except Mismatch as mismatch:
                    raise _api_error(rest._replace(name=name), mismatch) from None
        return bound


def _converted(slot: _Slot, value: Any) -> Any:
    return value if slot.convert is None else slot.convert(value)


def _default(slot: _Slot) -> Any:
    if slot.default is _MISSING:
        raise Missing
    return slot.default


def _api_error(slot: _Slot, mismatch: Mismatch) -> ApiException:
    where = slot.name + mismatch.path
    if isinstance(mismatch, Missing):
        return ApiSysExceptions.missing_arguments(where)
    if isinstance(mismatch, NotJson):
        return ApiSysExceptions.invalid_json(where)
    return ApiSysExceptions.error_args_type(f"{where} <{mismatch.name or slot.type_name}>")


def _slot(parameter: Parameter, hinted: Converter) -> _Slot:
    if parameter.default is None:
        hinted = nullable(hinted)
    convert = None if hinted.convert is AS_IT_CAME.convert else hinted.convert
    default = _MISSING if parameter.default is Parameter.empty else parameter.default
    return _Slot(parameter.name, convert, default, hinted.name)


def _hint(function: Callable[..., Any], parameter: Parameter) -> Converter:
    hint = parameter.annotation
    if hint is Parameter.empty:
        return AS_IT_CAME
    names = _namespace(function)
    try:
        if isinstance(hint, str):
            hint = eval(hint, names)  # noqa: S307 (the developer's own annotation, as typing does)
        if not isinstance(hint, NamedType):
            # Evaluates what is still a string inside, as in list["User"].
            holder = SimpleNamespace(__annotations__={"hint": hint})
            hint = typing.get_type_hints(holder, names, include_extras=True)["hint"]
        return converter(hint)
    except Exception as error:
        raise SignatureError(f"parameter {parameter.name}: its type hint {hint!r} can't be read: {error}") from error


def _layers(function: Any) -> Iterator[Any]:
    """The function and everything that a call of it goes through."""
    yield function
    if isinstance(function, functools.partial):
        yield from _layers(function.func)
    elif isinstance(function, type):
        yield from (type(function).__call__, function.__new__, getattr(function, "__init__", None))
    elif inspect.ismethod(function):
        yield from _layers(function.__func__)
    elif hasattr(function, "__wrapped__"):
        yield from _layers(function.__wrapped__)
    elif inspect.isfunction(type(function).__call__):
        yield from _layers(type(function).__call__)


def _namespace(function: Callable[..., Any]) -> dict[str, Any]:
    """The global names of the module where the function was written: that of the innermost layer."""
    found: dict[str, Any] = {}
    for layer in _layers(function):
        found = getattr(layer, "__globals__", found)
    return found


def _occupied(function: Callable[..., Any]) -> frozenset[str]:
    """Names that a ``**`` parameter can't receive, since the call fills them already.

    These are ``self`` of a bound method, what a partial has set, and the like.
    """
    names: set[str] = set()
    for layer in _layers(function):
        try:
            parameters = inspect.signature(layer, follow_wrapped=False).parameters.values()
        except (TypeError, ValueError):
            continue
        names.update(p.name for p in parameters if p.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY))
    return frozenset(names) - inspect.signature(function).parameters.keys()
