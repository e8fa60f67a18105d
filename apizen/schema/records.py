"""Records: dataclasses, TypedDicts and msgspec Structs, made of JSON objects field by field."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, NamedTuple

import msgspec

from apizen import docstring
from apizen.schema import scalars
from apizen.schema.conversion import Converter, Forms, Lookup, Schema, SchemaWriter, json_text, nullable
from apizen.schema.scalars import Mismatch, Missing

__all__ = ["Record"]


class _Field(NamedTuple):
    """A field of a record: its name in documents, its name in Python, its hint, whether it must be there,
    and its default where it is a plain value: with None it takes null."""

    wire: str
    name: str
    hint: Any
    required: bool
    default: Any = msgspec.NODEFAULT

    @property
    def nullable(self) -> bool:
        return self.default is None


def _fields(hint: Any) -> list[_Field] | None:
    """The fields of a record type, None where the hint is no record or msgspec has to decide on its shape."""
    if not isinstance(hint, type):
        return None
    if issubclass(hint, msgspec.Struct):
        if hint.__struct_config__.tag is not None or hint.__struct_config__.array_like:
            return None
        return [_Field(f.encode_name, f.name, f.type, f.required, f.default) for f in msgspec.structs.fields(hint)]
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        return [
            _Field(f.name, f.name, hints[f.name], _required(f), _default(f)) for f in dataclasses.fields(hint) if f.init
        ]
    if typing.is_typeddict(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        required: frozenset[str] = vars(hint)["__required_keys__"]
        return [_Field(name, name, _bare(of), name in required) for name, of in hints.items()]
    return None


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _default(field: dataclasses.Field[Any]) -> Any:
    return msgspec.NODEFAULT if field.default is dataclasses.MISSING else field.default


def _bare(hint: Any) -> Any:
    """The hint inside Required[…] or NotRequired[…]."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) in (typing.Required, typing.NotRequired) else hint


class Record:
    """A record type's converter.

    The fields' converters come with `compile`, since a record may have fields of its own type.
    """

    def __init__(self, record: type, fields: list[_Field]) -> None:
        self._record = record
        self._fields = fields
        self._closed = issubclass(record, msgspec.Struct) and record.__struct_config__.forbid_unknown_fields
        self._parts: dict[str, tuple[_Field, Converter]] = {}
        self.converter = Converter(record.__name__, self._convert, structured=True, forms=self._forms)

    @classmethod
    def of(cls, hint: Any) -> Record | None:
        """The record that a hint is, None where it is none."""
        fields = _fields(hint)
        return None if fields is None else cls(hint, fields)

    def compile(self, converter: Lookup) -> None:
        for field in self._fields:
            part = converter(field.hint)
            self._parts[field.wire] = (field, nullable(part) if field.nullable else part)

    def _convert(self, value: Any) -> Any:
        return _build(self._record, scalars.mapping(value), self._parts, self._closed)

    def _forms(self, writer: SchemaWriter) -> Forms:
        reference = writer.reference(self._record, self._record.__name__, lambda: self._schema(writer))
        return [reference, json_text(reference)]

    def _schema(self, writer: SchemaWriter) -> Schema:
        said = docstring.read(_docstring(self._record))
        properties = {}
        for wire, (field, part) in self._parts.items():
            properties[wire] = writer.schema(part) | _told(field, said.parameters.get(field.name))
        schema: Schema = {"type": "object", "properties": properties}
        required = [wire for wire, (field, _) in self._parts.items() if field.required]
        if required:
            schema["required"] = required
        if self._closed:
            schema["additionalProperties"] = False
        description = f"{said.summary}\n\n{said.description}".strip()
        return {"description": description, **schema} if description else schema


def _docstring(record: type) -> str | None:
    """Its own, unless it was written by dataclass, which repeats the signature."""
    text = vars(record).get("__doc__")
    return None if text is None or text.startswith(f"{record.__name__}(") else text


def _told(field: _Field, description: str | None) -> Schema:
    """What is said of a field, beside its type."""
    told: Schema = {"description": description} if description else {}
    if field.default is not msgspec.NODEFAULT:
        try:
            told["default"] = msgspec.to_builtins(field.default)
        except TypeError:  # a value that JSON does not have
            return told
    return told


def _build(record: type, members: dict[str, Any], parts: dict[str, tuple[_Field, Converter]], closed: bool) -> Any:
    values: dict[str, Any] = {}
    for wire, (field, part) in parts.items():
        if wire in members:
            try:
                values[field.name] = part.inner(members[wire])
            except Mismatch as mismatch:
                raise mismatch.within(f".{wire}", part.name) from None
        elif field.required:
            raise Missing(f".{wire}", part.name)
    if closed:
        for unknown in members.keys() - parts.keys():
            raise Mismatch(f".{unknown}", "not a field")
    try:
        return record(**values)
    except (TypeError, ValueError):  # what __post_init__ says, as msgspec reads it
        raise Mismatch from None
