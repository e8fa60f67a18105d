"""Converters of composed hints, made once from the converters of their parts.

`compose` is handed ``converter``, the function that knows every hint (`apizen.schema.converter`), and
asks it for the parts; so nothing here depends on which types are registered.
"""

from __future__ import annotations

import enum
import threading
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal, NamedTuple, Union

import msgspec

from apizen.schema import scalars
from apizen.schema.constraints import constraint
from apizen.schema.scalars import Mismatch

__all__ = ["AS_IT_CAME", "Converter", "Lookup", "compose", "nullable", "unchanged"]


class Converter(NamedTuple):
    """How one hint takes a client's value.

    ``convert`` raises `Mismatch`; ``nullable`` says that null is a value of the type; ``repeatable``
    that a key which a query repeats is given as a list; ``structured`` that a text is read as JSON.
    """

    name: str
    convert: Callable[[Any], Any]
    nullable: bool = False
    repeatable: bool = False
    structured: bool = False

    @property
    def inner(self) -> Callable[[Any], Any]:
        """``convert`` for a value inside a document, where a text is a text and no further document."""
        if not self.structured:
            return self.convert
        convert = self.convert

        def refuse_text(value: Any) -> Any:
            if isinstance(value, str):
                raise Mismatch
            return convert(value)

        return refuse_text


Lookup = Callable[[Any], Converter]


def unchanged(value: Any) -> Any:
    return value


AS_IT_CAME = Converter("any", unchanged, nullable=True)


def compose(hint: Any, converter: Lookup) -> Converter:
    """The converter of a hint that no table lists; `AS_IT_CAME` where nothing converts it.

    Raises TypeError for a constraint that can't apply to its type.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _constrained(hint, converter(arguments[0]))
    if origin is Union or origin is types.UnionType:
        return _union(arguments, converter)
    if origin is Literal:
        return _one_of(repr_of(arguments), arguments, arguments, converter)
    if origin in (list, tuple, dict) and not arguments:  # typing.List and its like, bare
        return converter(origin)
    if origin in _SEQUENCES or hint in (set, frozenset):
        return _sequence(origin or hint, arguments or (Any,), converter)
    if origin is dict:
        return _dictionary(arguments, converter)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        members = list(hint)
        values = [member.value for member in members]
        return _one_of(f"{hint.__name__}: {repr_of(values)}", values, members, converter)
    supertype = getattr(hint, "__supertype__", None)  # typing.NewType
    return _by_msgspec(hint) if supertype is None else converter(supertype)


def repr_of(values: Iterable[Any]) -> str:
    return " | ".join(map(repr, values))


def nullable(converter: Converter) -> Converter:
    """The same converter, taking null as well."""
    if converter.nullable:
        return converter
    convert = converter.convert
    return converter._replace(convert=lambda value: None if value is None else convert(value), nullable=True)


def _constrained(hint: Any, base: Converter) -> Converter:
    found = constraint(hint.__origin__, hint.__metadata__)
    if found is None:
        return base

    def convert(value: Any) -> Any:
        converted = base.convert(value)
        if found.allows(converted):
            return converted
        raise Mismatch

    return base._replace(name=f"{base.name} {found.name}", convert=convert)


class _Attempts(threading.local):
    """What is known to fit no member of a union, while the outermost union is being tried.

    Without it a document of nested unions would be tried again for each member at each level.
    """

    def __init__(self) -> None:
        self._failed: set[tuple[int, int]] = set()
        self._depth = 0

    @contextmanager
    def at(self, members: list[Converter], value: Any) -> Iterator[None]:
        # Both are alive until the outermost union is done, so that their ids stay theirs.
        attempt = (id(members), id(value))
        if attempt in self._failed:
            raise Mismatch
        self._depth += 1
        try:
            yield
        except Mismatch:
            self._failed.add(attempt)
            raise
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._failed.clear()


_attempts = _Attempts()


def _union(arguments: tuple[Any, ...], converter: Lookup) -> Converter:
    members = [converter(argument) for argument in arguments if argument is not types.NoneType]
    optional = types.NoneType in arguments
    if len(members) == 1:
        return nullable(members[0])
    plain = frozenset(argument for argument in arguments if isinstance(argument, type)) - {str}

    def convert(value: Any) -> Any:
        if type(value) in plain:
            return value
        with _attempts.at(members, value):
            mismatches = set()
            for member in members:
                try:
                    return member.convert(value)
                except Mismatch as mismatch:
                    mismatches.add(type(mismatch))
            raise scalars.NotJson if mismatches == {scalars.NotJson} else Mismatch

    name = " | ".join(member.name for member in members)
    union = Converter(
        name,
        convert,
        nullable=any(member.nullable for member in members),
        repeatable=any(member.repeatable for member in members),
        structured=all(member.structured for member in members),
    )
    return nullable(union) if optional else union


def _one_of(name: str, values: Iterable[Any], results: Iterable[Any], converter: Lookup) -> Converter:
    """A Literal or an Enum: the value is converted to the type of each choice and compared."""
    choices = [(converter(type(value)).convert, value, result) for value, result in zip(values, results, strict=True)]

    def convert(value: Any) -> Any:
        for as_choice, choice, result in choices:
            if value is choice:
                return result
            try:
                converted = as_choice(value)
            except Mismatch:
                continue
            if converted == choice and type(converted) is type(choice):
                return result
        raise Mismatch

    return Converter(name, convert, nullable=any(choice is None for _, choice, _ in choices))


_SEQUENCES: dict[Any, Callable[[Iterable[Any]], Any]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    tuple: tuple,
}


def _sequence(origin: Any, arguments: tuple[Any, ...], converter: Lookup) -> Converter:
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is ...):
        return _fixed_tuple(arguments, converter)
    item = converter(arguments[0])
    convert_item = item.inner
    name = f"{origin.__name__}[{item.name}{', ...' if origin is tuple else ''}]"

    def convert(value: Any) -> Any:
        # One single value in a query is a list of one: ids=1 as ids=1&ids=2.
        single = isinstance(value, str) and not value.lstrip().startswith("[")
        values = scalars.Texts([value]) if single else scalars.array(value)
        convert_one = item.convert if isinstance(values, scalars.Texts) else convert_item
        converted: list[Any] = []
        try:
            for one in values:
                converted.append(convert_one(one))
        except Mismatch as mismatch:
            raise mismatch.within(f"[{len(converted)}]", item.name) from None
        try:
            return origin(converted)
        except TypeError:  # a set of what can't be hashed
            raise Mismatch from None

    return Converter(name, convert, repeatable=True, structured=True)


def _fixed_tuple(arguments: tuple[Any, ...], converter: Lookup) -> Converter:
    items = [converter(argument) for argument in arguments]
    name = f"tuple[{', '.join(item.name for item in items)}]"
    converts = [item.inner for item in items]

    def convert(value: Any) -> Any:
        values = scalars.array(value)
        if len(values) != len(items):
            raise Mismatch
        converted: list[Any] = []
        try:
            for convert_item, one in zip(converts, values, strict=True):
                converted.append(convert_item(one))
        except Mismatch as mismatch:
            raise mismatch.within(f"[{len(converted)}]", items[len(converted)].name) from None
        return tuple(converted)

    return Converter(name, convert, repeatable=True, structured=True)


def _dictionary(arguments: tuple[Any, ...], converter: Lookup) -> Converter:
    key, item = map(converter, arguments)
    convert_key, convert_item = key.inner, item.inner

    def convert(value: Any) -> Any:
        members = scalars.mapping(value)
        converted = {}
        name, part = "", key
        try:
            for name, one in members.items():
                part = key
                converted_key = convert_key(name)
                part = item
                converted[converted_key] = convert_item(one)
        except Mismatch as mismatch:
            raise mismatch.within(f"[{name!r}]", part.name) from None
        except TypeError:  # keys that can't be hashed
            raise Mismatch from None
        return converted

    return Converter(f"dict[{key.name}, {item.name}]", convert, structured=True)


def _by_msgspec(hint: Any) -> Converter:
    """Everything else that msgspec converts strictly, from a text or a JSON value."""
    try:
        known = msgspec.inspect.type_info(hint)
    except TypeError:
        if isinstance(hint, (bool, int, float, str, bytes, list, tuple, dict, set)):
            raise TypeError("it is no type") from None
        return AS_IT_CAME
    if isinstance(known, (msgspec.inspect.CustomType, msgspec.inspect.AnyType)):
        return AS_IT_CAME
    documents = (
        msgspec.inspect.StructType, msgspec.inspect.NamedTupleType, msgspec.inspect.ListType, msgspec.inspect.DictType,
    )  # fmt: skip
    structured = isinstance(known, documents)
    from_text = scalars.document if structured else unchanged

    def convert(value: Any) -> Any:
        try:
            return msgspec.convert(from_text(value), hint)
        except msgspec.ValidationError:
            raise Mismatch from None

    return Converter(getattr(hint, "__name__", str(hint)), convert, structured=structured)
