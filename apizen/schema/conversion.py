"""What a converter is: how one hint takes a client's value, and the JSON Schema of what it takes.

A value may come in several forms: an int as ``12`` and as ``"12"``. Each converter lists its forms once, the
canonical one first, and a `SchemaWriter` makes one of two schemas (draft 2020-12) of the one list:

- the canonical form alone, for documentation: a reader wants ``integer``, and what a client generator makes of it
  is always taken;
- every form (``anyOf``), for what judges real requests: nothing that is taken breaks it.

So what the first accepts is taken, and what is taken the second accepts; the exceptions stand in `apizen.schema`.
Schemas are written when somebody asks, never while a value is converted.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from apizen.schema.scalars import Mismatch

__all__ = ["AS_IT_CAME", "Converter", "Lookup", "Schema", "SchemaWriter", "any_of", "fixed", "json_text", "nullable"]

Schema = dict[str, Any]
Forms = Sequence[Schema]


class SchemaWriter:
    """Writes the schemas of one document, which share the definitions of records.

    ``definitions`` has them by name, and the document keeps them at ``place``.
    """

    def __init__(self, every_form: bool = False, place: str = "#/$defs/") -> None:
        self.every_form = every_form
        self.definitions: dict[str, Schema] = {}
        self.place = place
        self._names: dict[Any, str] = {}

    def schema(self, converter: Converter, inside: bool = True) -> Schema:
        """The schema of a value inside a document, or of a parameter, whose text may be a document itself.

        Parts of it belong to the converters: it is to be written out, not to be changed.
        """
        return any_of(self.forms(converter, inside))

    def forms(self, converter: Converter, inside: bool = True) -> Forms:
        """The forms that the schema is made of, the canonical one first."""
        forms = converter.forms(self)
        if not self.every_form:
            return forms[:1]
        if inside and converter.structured:  # as `Converter.inner` refuses text
            return [form for form in forms if form.get("type") != "string"]
        return forms

    def names(self, converter: Converter) -> Schema:
        """The schema of an object's names, which are texts whatever they are converted to."""
        forms = [form for form in converter.forms(self) if form.get("type", "string") == "string"]
        return {"not": {}} if converter.structured or not forms else any_of(forms)

    def reference(self, key: Any, name: str, describe: Callable[[], Schema]) -> Schema:
        """The reference to a definition, which is written once for each ``key``; it may refer to itself."""
        if key not in self._names:
            plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)  # what OpenAPI allows as the name of a component
            unique, number = plain, 1
            while unique in self.definitions:
                number += 1
                unique = f"{plain}_{number}"
            self._names[key] = unique
            self.definitions[unique] = {}
            self.definitions[unique] = describe()
        return {"$ref": self.place + self._names[key]}


def anything(_: SchemaWriter) -> Forms:
    return ({},)


class Converter(NamedTuple):
    """How one hint takes a client's value.

    ``convert`` raises `Mismatch`; ``nullable`` says that null is a value of the type; ``repeatable``
    that a key which a query repeats is given as a list; ``structured`` that a text is read as JSON;
    ``forms`` lists the schemas of what is taken, the canonical one first.
    """

    name: str
    convert: Callable[[Any], Any]
    nullable: bool = False
    repeatable: bool = False
    structured: bool = False
    forms: Callable[[SchemaWriter], Forms] = anything

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

    def schema(self, every_form: bool = False) -> Schema:
        """The JSON Schema of a parameter of this type, a document of its own; the caller's to change."""
        writer = SchemaWriter(every_form)
        schema = writer.schema(self, inside=False)
        return copy.deepcopy({**schema, "$defs": writer.definitions} if writer.definitions else schema)


Lookup = Callable[[Any], Converter]


def unchanged(value: Any) -> Any:
    return value


AS_IT_CAME = Converter("any", unchanged, nullable=True)


def fixed(*forms: Schema) -> Callable[[SchemaWriter], Forms]:
    """Forms that are the same in each document."""
    return lambda _: forms


def any_of(forms: Iterable[Schema]) -> Schema:
    """The schema of what has one of the forms."""
    found: list[Schema] = []
    for form in forms:
        members = form["anyOf"] if form.keys() == {"anyOf"} else [form]
        found += [member for member in members if member not in found]
    if {} in found:
        return {}
    return found[0] if len(found) == 1 else {"anyOf": found}


def json_text(schema: Schema) -> Schema:
    """The schema of a text that is a JSON document."""
    return {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}


def nullable(converter: Converter) -> Converter:
    """The same converter, taking null as well."""
    if converter.nullable:
        return converter
    convert = converter.convert

    def forms(writer: SchemaWriter) -> Forms:
        canonical, *others = converter.forms(writer)
        return [any_of([canonical, {"type": "null"}]), *others]

    return converter._replace(
        convert=lambda value: None if value is None else convert(value), nullable=True, forms=forms
    )
