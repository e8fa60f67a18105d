"""What msgspec converts, strictly, from a text or a JSON value: dates and times, UUID, bytes, tagged Structs, …"""

from __future__ import annotations

import datetime
import json
import uuid
from typing import Any

import msgspec

from apizen.schema import scalars
from apizen.schema.conversion import AS_IT_CAME, Converter, Forms, Schema, SchemaWriter, json_text, unchanged
from apizen.schema.scalars import Mismatch

__all__ = ["by_msgspec", "described_by_msgspec"]

_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})?"
_AMOUNT = r"[0-9]+(?:\.[0-9]+)?"
_SPAN = (
    f"[+-]?[Pp](?!$)(?:{_AMOUNT}[Dd])?"
    f"(?:[Tt](?!$)(?:{_AMOUNT}[Hh])?(?:{_AMOUNT}[Mm])?(?:{_AMOUNT}[Ss])?)?"
)  # fmt: skip


def _text(pattern: str) -> Schema:
    return {"type": "string", "pattern": f"^{pattern}$"}


# Where msgspec's own schema does not say it all; the canonical form first.
_FORMS: dict[Any, Forms] = {
    datetime.datetime: ({"type": "string", "format": "date-time"}, _text(f"{_DAY}[Tt ]{_CLOCK}")),
    datetime.time: ({"type": "string", "format": "time"}, _text(_CLOCK)),
    # Without years, months and weeks, of which nobody can say how long they are.
    datetime.timedelta: (
        {"type": "string", "format": "duration", "pattern": "^P[^YMW]*(?:T[^YW]*)?$"},
        _text(_SPAN),
    ),
    uuid.UUID: ({"type": "string", "format": "uuid"}, _text("[0-9A-Fa-f]{32}")),
}


def by_msgspec(hint: Any) -> Converter:
    """The converter of a hint that msgspec knows; `AS_IT_CAME` for others. Raises TypeError for what is no type."""
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

    def forms(writer: SchemaWriter) -> Forms:
        described = _FORMS.get(hint) or (described_by_msgspec(hint, writer),)
        return [*described, json_text(described[0])] if structured else described

    return Converter(getattr(hint, "__name__", str(hint)), convert, structured=structured, forms=forms)


def described_by_msgspec(hint: Any, writer: SchemaWriter) -> Schema:
    """The schema that msgspec writes, whose definitions become the writer's; ``{}`` where it writes none."""
    try:
        (schema,), definitions = msgspec.json.schema_components([hint], ref_template="{name}")
    except TypeError:
        return {}

    def placed(part: Any) -> Any:
        """The same, with references into the writer's definitions."""
        if isinstance(part, list):
            return [placed(one) for one in part]
        if not isinstance(part, dict):
            return part
        name = part.get("$ref")
        if isinstance(name, str):
            definition = _without_tag(definitions[name]) if writer.every_form else definitions[name]
            return writer.reference(json.dumps([name, definition]), name, lambda: placed(definition))
        # A set takes what repeats.
        left_out = {"uniqueItems"} if writer.every_form else set()
        return {key: placed(one) for key, one in part.items() if key not in left_out}

    found: Schema = placed(schema)
    return found


def _without_tag(definition: Schema) -> Schema:
    """The same, where a tag may be left out: msgspec needs it only to choose between types."""
    tags = [name for name, part in definition.get("properties", {}).items() if part.keys() == {"enum"}]
    required = [name for name in definition.get("required", ()) if name not in tags]
    return {**definition, "required": required} if tags else definition
