"""The registration of types: `converter(hint)` gives what turns a client's value into that type, `register` adds one.

A hint in the table has the converter that stands there; a composed one (``list[int]``, a union, an Enum, a record) is
put together from those of its parts; everything else that msgspec knows is msgspec's; `AS_IT_CAME` is for the rest.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal, Union

from apizen.schema import constraints, scalars
from apizen.schema.containers import ARRAY, OBJECT, SEQUENCES, dictionary, sequence
from apizen.schema.conversion import AS_IT_CAME, Converter, Forms, Schema, SchemaWriter, fixed
from apizen.schema.named import NamedType, UploadFile, upload
from apizen.schema.records import Record
from apizen.schema.scalars import Mismatch
from apizen.schema.standard import by_msgspec
from apizen.schema.unions import enumeration, literal, union

__all__ = ["converter", "register"]

_CONVERTERS: dict[Any, Converter] = {
    int: Converter("int", scalars.integer, forms=fixed(*scalars.INTEGER)),
    float: Converter("float", scalars.floating, forms=fixed(*scalars.FLOAT)),
    str: Converter("str", scalars.text, forms=fixed(*scalars.TEXT)),
    bool: Converter("bool", scalars.boolean, forms=fixed(*scalars.BOOLEAN)),
    list: Converter("list", scalars.array, repeatable=True, structured=True, forms=fixed(*ARRAY)),
    tuple: Converter(
        "tuple", lambda value: tuple(scalars.array(value)), repeatable=True, structured=True, forms=fixed(*ARRAY)
    ),
    dict: Converter("dict", scalars.mapping, structured=True, forms=fixed(*OBJECT)),
    Decimal: Converter("Decimal", scalars.decimal, forms=fixed(*scalars.DECIMAL)),
    UploadFile: upload,
    Any: AS_IT_CAME,
    object: AS_IT_CAME,
}

# The record types that functions take, by type; they may refer to themselves and to each other.
_RECORDS: dict[Any, Converter] = {}


def register(hint: Any, convert: Callable[[Any], Any], name: str | None = None, schema: Schema | None = None) -> None:
    """Registers a converter for a hint. ``convert`` raises ValueError for what it does not take.

    ``schema`` is the JSON Schema (draft 2020-12) of what it takes, anything where there is none.
    """

    def checked(value: Any) -> Any:
        try:
            return convert(value)
        except Mismatch:
            raise
        except ValueError:
            raise Mismatch from None

    if hint in _CONVERTERS:
        raise ValueError(f"{hint!r} has a converter already")
    _CONVERTERS[hint] = Converter(name or str(getattr(hint, "__name__", hint)), checked, forms=fixed(schema or {}))


def converter(hint: Any) -> Converter:
    """The converter of a hint. Raises TypeError for a hint that is no type at all."""
    if isinstance(hint, NamedType):
        return hint.converter
    try:
        found = _CONVERTERS.get(hint) or _RECORDS.get(hint)
    except TypeError:  # not hashable, as Annotated with a list in it
        found = None
    return found or _record(hint) or _composed(hint)


def _record(hint: Any) -> Converter | None:
    record = Record.of(hint)
    if record is None:
        return None
    before = dict(_RECORDS)
    _RECORDS[hint] = record.converter
    try:
        record.compile(converter)
    except BaseException:
        # Records that were compiled on the way may refer to this one, which is not whole.
        _RECORDS.clear()
        _RECORDS.update(before)
        raise
    return record.converter


def _composed(hint: Any) -> Converter:
    """The converter of a hint that no table lists; `AS_IT_CAME` where nothing converts it.

    Raises TypeError for a constraint that can't apply to its type.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _constrained(hint, converter(arguments[0]))
    if origin is Union or origin is types.UnionType:
        return union(arguments, converter)
    if origin is Literal:
        return literal(arguments, converter)
    if origin in (list, tuple, dict) and not arguments:  # typing.List and its like, bare
        return converter(origin)
    if origin in SEQUENCES or hint in (set, frozenset):
        return sequence(origin or hint, arguments or (Any,), converter)
    if origin is dict:
        return dictionary(arguments, converter)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return enumeration(hint, converter)
    supertype = getattr(hint, "__supertype__", None)  # typing.NewType
    return by_msgspec(hint) if supertype is None else converter(supertype)


def _constrained(hint: Any, base: Converter) -> Converter:
    found = constraints.constraint(hint.__origin__, hint.__metadata__)
    keywords = constraints.keywords(hint.__origin__, hint.__metadata__)
    if keywords:
        base = base._replace(forms=_limited(base, keywords))
    if found is None:
        return base

    def convert(value: Any) -> Any:
        converted = base.convert(value)
        if found.allows(converted):
            return converted
        raise Mismatch

    return base._replace(name=f"{base.name} {found.name}", convert=convert)


def _limited(base: Converter, keywords: Schema) -> Callable[[SchemaWriter], Forms]:
    """The forms of a type with limits. Those of its texts stay as they are: no keyword looks into a text."""

    def forms(writer: SchemaWriter) -> Forms:
        canonical, *others = base.forms(writer)
        # A keyword that is there already, such as the pattern of an Email, must hold as well; a format is replaced.
        twice = keywords.keys() & canonical.keys() - {"format"}
        limited = {"allOf": [canonical], **keywords} if twice else {**canonical, **keywords}
        if len([form for form in canonical.get("anyOf", ()) if form != {"type": "null"}]) > 1:
            # A limit counts for one member of a union, and another may take the same JSON without it.
            return [limited, canonical, *others]
        if canonical.get("format") == "decimal":
            others = [{**form, **keywords} if form["type"] == "number" else form for form in others]
        return [limited, *others]

    return forms
