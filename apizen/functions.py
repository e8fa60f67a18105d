"""What a function says of itself: its parameters and result, its docstring, and what a call of it goes through."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

from apizen.schema.conversion import AS_IT_CAME, Converter, nullable
from apizen.schema.converters import converter
from apizen.schema.named import NamedType

__all__ = [
    "MISSING", "Parameter", "Result", "SignatureError", "docstring_of", "occupied", "parameter_of", "result_of",
]  # fmt: skip


#: Where there is no default, or no hint.
MISSING: Any = object()


class SignatureError(ValueError):
    """A function that can't be called with named parameters; the message names the parameter."""


class Parameter(NamedTuple):
    """One parameter. ``description`` is the docstring's line on it, empty where there is none."""

    name: str
    kind: inspect._ParameterKind
    hint: Any
    converter: Converter
    default: Any
    description: str = ""


class Result(NamedTuple):
    """What a function gives: `MISSING` and anything where it has no hint, or one that can't be read."""

    hint: Any
    converter: Converter
    description: str = ""


def parameter_of(function: Callable[..., Any], written: inspect.Parameter) -> Parameter:
    """A parameter, not described yet. Raises `SignatureError` for a hint that can't be read."""
    hint, hinted = _hint(function, written)
    if written.default is None:
        hinted = nullable(hinted)
    default = MISSING if written.default is inspect.Parameter.empty else written.default
    return Parameter(written.name, written.kind, hint, hinted, default)


def _hint(function: Callable[..., Any], parameter: inspect.Parameter) -> tuple[Any, Converter]:
    hint = parameter.annotation
    if hint is inspect.Parameter.empty:
        return MISSING, AS_IT_CAME
    try:
        hint = _unquoted(hint, function)
        hint = _resolved(hint, function)
        return hint, converter(hint)
    except Exception as error:
        raise SignatureError(f"parameter {parameter.name}: its type hint {hint!r} can't be read: {error}") from error


def result_of(function: Callable[..., Any], signature: inspect.Signature, description: str) -> Result:
    """The result. Reading its hint never fails: no call needs it, so it may be a name for type checkers only."""
    hint = signature.return_annotation
    if hint is not inspect.Signature.empty:
        try:
            hint = _resolved(_unquoted(hint, function), function)
            return Result(hint, converter(hint), description)
        except Exception:  # noqa: S110 (as said above)
            pass
    return Result(MISSING, AS_IT_CAME, description)


def _unquoted(hint: Any, function: Callable[..., Any]) -> Any:
    """A hint as it was written, also where it was written as a string. Raises whatever its evaluation raises."""
    if isinstance(hint, str):
        return eval(hint, _namespace(function))  # noqa: S307 (the developer's own annotation, as typing does)
    return hint


def _resolved(hint: Any, function: Callable[..., Any]) -> Any:
    """A hint without strings inside, as in list["User"]. Raises whatever their evaluation raises."""
    if isinstance(hint, NamedType):
        return hint
    holder = SimpleNamespace(__annotations__={"hint": hint})
    return typing.get_type_hints(holder, _namespace(function), include_extras=True)["hint"]


def docstring_of(function: Any) -> str | None:
    """The docstring of what is called in the end, not of a partial of it."""
    if isinstance(function, functools.partial):
        return docstring_of(function.func)
    if inspect.isroutine(function):
        return inspect.getdoc(function)
    if isinstance(function, type):
        return function.__doc__ or _written(getattr(function, "__init__", None))
    return _written(type(function).__call__) or function.__doc__


def _written(method: Any) -> str | None:
    """The docstring that a method has of its own, and not Python's for its kind."""
    return method.__doc__ if inspect.isfunction(method) else None


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


def occupied(function: Callable[..., Any]) -> frozenset[str]:
    """Names that a ``**`` parameter can't receive, since the call fills them already.

    These are ``self`` of a bound method, what a partial has set, and the like.
    """
    names: set[str] = set()
    for layer in _layers(function):
        try:
            parameters = inspect.signature(layer, follow_wrapped=False).parameters.values()
        except (TypeError, ValueError):
            continue
        names.update(
            p.name
            for p in parameters
            if p.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        )
    return frozenset(names) - inspect.signature(function).parameters.keys()
