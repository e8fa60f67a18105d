"""Type hints to converters: what each hint takes from a request. Knows no call, and no protocol but JSON."""

from apizen.schema.named import (
    AS_IT_CAME,
    Bool,
    Converter,
    Date,
    DateTime,
    Dict,
    Email,
    Float,
    Integer,
    List,
    Money,
    String,
    UploadFile,
    converter,
    register,
)

__all__ = [
    "AS_IT_CAME", "Bool", "Converter", "Date", "DateTime", "Dict", "Email", "Float", "Integer", "List",
    "Money", "String", "UploadFile", "converter", "register",
]  # fmt: skip
