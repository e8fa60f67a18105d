"""A function's signature, compiled once into the call that a request makes.

`CallPlan.of(function)` looks at the parameters when the function is registered; `bind` turns a request's
parameters into arguments with one pass over a tuple. There is no `inspect` and no look at a type hint per
request. What the documentation asks for (`parameters`, `result`, `summary`) is kept beside it.

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
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from apizen import docstring
from apizen.exception import ApiException, ApiSysExceptions
from apizen.functions import (
    MISSING,
    Parameter,
    Result,
    SignatureError,
    docstring_of,
    occupied,
    parameter_of,
    result_of,
)
from apizen.schema import AS_IT_CAME
from apizen.schema.scalars import Mismatch, Missing, NotJson, Texts

__all__ = [
    "CREDENTIALS", "MISSING", "PUBLIC_PARAMETERS", "Arguments", "CallPlan", "Parameter", "Result", "SignatureError",
]  # fmt: skip

PUBLIC_PARAMETERS = frozenset(
    {"v", "method", "format", "app_key", "timestamp", "sign", "sign_method", "nonce", "access_token"}
)
CREDENTIALS = frozenset({"sign", "access_token"})

Arguments = tuple[list[Any], dict[str, Any]]


class _Slot(NamedTuple):
    """One parameter. ``convert`` is None where the value is taken as it came."""

    name: str
    convert: Callable[[Any], Any] | None
    default: Any
    type_name: str


class CallPlan:
    """How to call one function with a request's parameters. Immutable after it is made."""

    __slots__ = (
        "__dict__",
        "_named",
        "_own",
        "_parameters",
        "_positional",
        "_rest",
        "_rest_lists",
        "accepted",
        "function",
        "repeatable",
        "signature",
    )

    def __init__(self, function: Callable[..., Any], signature: inspect.Signature) -> None:
        rest_kind = inspect.Parameter.VAR_KEYWORD
        parameters = tuple(parameter_of(function, one) for one in signature.parameters.values())
        slots = [(one.kind, _slot(one)) for one in parameters if one.kind is not rest_kind]
        rest = [one for one in parameters if one.kind is rest_kind]
        names = frozenset(slot.name for _, slot in slots)
        self.function = function
        self.signature = signature
        self._parameters = parameters
        self._positional = tuple(slot for kind, slot in slots if kind is inspect.Parameter.POSITIONAL_ONLY)
        self._named = tuple(slot for kind, slot in slots if kind is not inspect.Parameter.POSITIONAL_ONLY)
        self._rest = _slot(rest[0]) if rest else None
        self._own = names | CREDENTIALS | (occupied(function) if rest else frozenset())
        self.repeatable = frozenset(
            one.name for one in parameters if one.kind is not rest_kind and one.converter.repeatable
        )
        self._rest_lists = bool(rest) and rest[0].converter.repeatable
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
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                raise SignatureError(f"parameter *{name}: positional parameters without a name are not supported")
        return cls(function, signature)

    # The documentation is read when somebody asks for it, so that a start does not wait for it.

    @functools.cached_property
    def _said(self) -> docstring.Docstring:
        return docstring.read(docstring_of(self.function))

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return self._said.summary

    @property
    def description(self) -> str:
        """What the docstring says beside its summary and its parts on parameters and the like."""
        return self._said.description

    @functools.cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters in the signature's order, that of ``**`` as well."""
        told = self._said.parameters
        return tuple(one._replace(description=told.get(one.name, "")) for one in self._parameters)

    @functools.cached_property
    def result(self) -> Result:
        """What the function gives."""
        return result_of(self.function, self.signature, self._said.result)

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
                elif slot.default is MISSING:
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
    if slot.default is MISSING:
        raise Missing
    return slot.default


def _api_error(slot: _Slot, mismatch: Mismatch) -> ApiException:
    where = slot.name + mismatch.path
    if isinstance(mismatch, Missing):
        return ApiSysExceptions.missing_arguments(where)
    if isinstance(mismatch, NotJson):
        return ApiSysExceptions.invalid_json(where)
    return ApiSysExceptions.error_args_type(f"{where} <{mismatch.name or slot.type_name}>")


def _slot(parameter: Parameter) -> _Slot:
    hinted = parameter.converter
    convert = None if hinted.convert is AS_IT_CAME.convert else hinted.convert
    return _Slot(parameter.name, convert, parameter.default, hinted.name)
