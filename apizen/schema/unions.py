"""Converters that choose: Optional and Union, Literal and Enum."""

from __future__ import annotations

import enum
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from apizen.schema import scalars
from apizen.schema.conversion import Converter, Forms, Lookup, Schema, SchemaWriter, any_of, nullable
from apizen.schema.scalars import Mismatch

__all__ = ["enumeration", "literal", "union"]


class _Misfits(threading.local):
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


_misfits = _Misfits()


def union(arguments: tuple[Any, ...], converter: Lookup) -> Converter:
    members = [converter(argument) for argument in arguments if argument is not types.NoneType]
    optional = types.NoneType in arguments
    if len(members) == 1:
        return nullable(members[0])
    plain = frozenset(argument for argument in arguments if isinstance(argument, type)) - {str}

    def convert(value: Any) -> Any:
        if type(value) in plain:
            return value
        with _misfits.at(members, value):
            mismatches = set()
            for member in members:
                try:
                    return member.convert(value)
                except Mismatch as mismatch:
                    mismatches.add(type(mismatch))
            raise scalars.NotJson if mismatches == {scalars.NotJson} else Mismatch

    def forms(writer: SchemaWriter) -> Forms:
        of_members = [writer.forms(member, inside=False) for member in members]
        return [any_of(forms[0] for forms in of_members), *(form for forms in of_members for form in forms[1:])]

    name = " | ".join(member.name for member in members)
    found = Converter(
        name,
        convert,
        nullable=any(member.nullable for member in members),
        repeatable=any(member.repeatable for member in members),
        structured=all(member.structured for member in members),
        forms=forms,
    )
    return nullable(found) if optional else found


def literal(values: tuple[Any, ...], converter: Lookup) -> Converter:
    return _one_of(_written(values), values, values, converter)


def enumeration(choices: type[enum.Enum], converter: Lookup) -> Converter:
    members = list(choices)
    values = [member.value for member in members]
    found = _one_of(f"{choices.__name__}: {_written(values)}", values, members, converter)
    described = vars(choices).get("__doc__")
    if not described:
        return found

    def forms(writer: SchemaWriter) -> Forms:
        canonical, *others = found.forms(writer)
        return [{**canonical, "description": described}, *others]

    return found._replace(forms=forms)


def _written(values: Iterable[Any]) -> str:
    return " | ".join(map(repr, values))


def _one_of(name: str, values: Iterable[Any], results: Iterable[Any], converter: Lookup) -> Converter:
    """A Literal or an Enum: the value is converted to the type of each choice and compared."""
    kinds = [(converter(type(value)), value, result) for value, result in zip(values, results, strict=True)]
    choices: list[tuple[Callable[[Any], Any], Any, Any]]
    choices = [(kind.convert, value, result) for kind, value, result in kinds]

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

    def forms(writer: SchemaWriter) -> Forms:
        found = [_choice([value for _, value, _ in kinds])]
        for kind, value, _ in kinds:
            # A value that JSON does not have, such as a date or a tuple, is described by its type.
            plain = type(value) in _JSON_TYPES
            found += scalars.other_forms(value) if plain else writer.forms(kind, inside=False)
        return found

    return Converter(name, convert, nullable=any(choice is None for _, choice, _ in choices), forms=forms)


_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", types.NoneType: "null"}


def _choice(values: list[Any]) -> Schema:
    kinds = {_JSON_TYPES.get(type(value)) for value in values}
    try:
        schema: Schema = {"enum": msgspec.to_builtins(values)}
    except TypeError:  # a value that JSON does not have
        return {}
    # One type is said beside the values, for readers who look there first.
    return {"type": kinds.pop(), **schema} if len(kinds) == 1 and None not in kinds else schema
