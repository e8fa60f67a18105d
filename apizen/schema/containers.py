"""Converters of lists, sets, tuples and dicts, made once from the converters of their parts.

Each is handed ``converter``, the function that knows every hint (`apizen.schema.converter`), and asks it for
the parts; so nothing here depends on which types are registered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from apizen.schema import scalars
from apizen.schema.conversion import AS_IT_CAME, Converter, Forms, Lookup, Schema, SchemaWriter, json_text
from apizen.schema.scalars import Mismatch

__all__ = ["ARRAY", "OBJECT", "SEQUENCES", "dictionary", "sequence"]

# The forms of the bare types, as of those in `apizen.schema.scalars`.
ARRAY = ({"type": "array"}, json_text({"type": "array"}))
OBJECT = ({"type": "object"}, json_text({"type": "object"}))

SEQUENCES: dict[Any, Callable[[Iterable[Any]], Any]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    tuple: tuple,
}


def sequence(origin: Any, arguments: tuple[Any, ...], converter: Lookup) -> Converter:
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

    def forms(writer: SchemaWriter) -> Forms:
        schema: Schema = {"type": "array", "items": writer.schema(item)}
        if issubclass(origin, (set, frozenset)):
            if item is AS_IT_CAME:
                schema["items"] = {"type": ["string", "number", "boolean", "null"]}  # what can be hashed
            return [{**schema, "uniqueItems": True}, schema, json_text(schema), _single(writer, item)]
        return [schema, json_text(schema), _single(writer, item)]

    return Converter(name, convert, repeatable=True, structured=True, forms=forms)


def _single(writer: SchemaWriter, item: Converter) -> Schema:
    """The schema of a text that is one item, and no JSON array."""
    text = writer.schema(item, inside=False)
    return {"type": "string", "not": {"pattern": r"^\s*\["}, **({"allOf": [text]} if text else {})}


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

    def forms(writer: SchemaWriter) -> Forms:
        schema: Schema = {"type": "array", "minItems": len(items), "maxItems": len(items)}
        if items:
            schema["prefixItems"] = [writer.schema(item) for item in items]
        return [schema, json_text(schema)]

    return Converter(name, convert, repeatable=True, structured=True, forms=forms)


def dictionary(arguments: tuple[Any, ...], converter: Lookup) -> Converter:
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

    def forms(writer: SchemaWriter) -> Forms:
        schema: Schema = {"type": "object", "additionalProperties": writer.schema(item)}
        names = writer.names(key)
        if names not in ({}, {"type": "string"}):
            schema["propertyNames"] = names
        return [schema, json_text(schema)]

    return Converter(f"dict[{key.name}, {item.name}]", convert, structured=True, forms=forms)
