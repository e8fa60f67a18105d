"""Types: what a type hint takes from a client, and its JSON Schema; no call, no server, and no protocol but JSON.

What each plain type takes, from text (query, form) and from a JSON value, at every depth. A JSON string is read as
text. ASCII blanks around numbers and bools are ignored. No surprises: a value that means the type is taken, a value
that could be made into it is not.

======= ============================================================== ================================
hint    takes                                                          does not take
======= ============================================================== ================================
int     ``12`` ``" 12 "`` ``"+12"`` ``"-5"`` ``"007"``, up to 4300     ``12.2`` ``12.0`` ``"12.0"``
        digits                                                         ``"1e3"`` ``"1_000"`` ``true``
                                                                       ``""`` ``null``
float   ``1.5`` ``12`` ``"1.5"`` ``"1e3"`` ``".5"``                    ``"nan"`` ``"inf"`` ``1e400``
                                                                       ``true`` ``""`` ``"1_0"``
str     text as it is, never stripped; a JSON number as its JSON text  ``true`` ``null`` ``[]`` ``{}``
bool    ``true/false 1/0 yes/no on/off 是/否`` as text in any case,    ``""`` ``"2"`` ``"t"`` ``1``
        JSON ``true`` and ``false``
list    a JSON array, or its text; a repeated key                      text that is no JSON is 1021,
dict    a JSON object, or its text                                     JSON of another shape is 1022
tuple   a JSON array, or its text; a repeated key
Decimal as float, and exact                                            as float
======= ============================================================== ================================

Containers, unions, enums and records (dataclass, TypedDict, msgspec.Struct) are put together from them; a limit
(``Annotated[int, msgspec.Meta(ge=0)]``) is checked on the converted value; everything else that msgspec knows (date,
datetime, UUID, bytes, a tagged Struct, …) is msgspec's, strictly. A hint that nothing converts passes the value as it
came, and so does no hint.

- ``list[int]``, ``set[str]``, ``tuple[int, ...]``: a repeated key, a JSON array, or one single value.
- The text of a document is read where a parameter stands; inside a document a text is a text.
- A union takes what already is one of its members, else the first member, in the order written, that converts.
- A Literal or an Enum takes what its choices' types take, where that is one of them.
- A record ignores members that it does not declare, unless a Struct forbids them; a missing one is 1018.

The named types do the same under their own name in error messages:

======== =============== ==========================================================================
Integer  ``int``         as int
String   ``str``         as str
Float    ``float``       as float
Bool     ``bool``        as bool
List     ``list``        as list
Dict     ``dict``        as dict
Date     ``date``        ``2017-05-20``; ``Date('%d.%m.%Y')`` has a format of its own (strptime)
DateTime ``datetime``    ``2017-05-20 12:00:00``; ``DateTime('%Y/%m/%d %H:%M')`` likewise
Email    ``str``         ``name@example.com``
Money    ``Decimal``     not negative, at most two places: ``12`` ``"12.5"`` ``"12.50"``
======== =============== ==========================================================================

>>> converter(list[int]).convert('[1, "2"]')
[1, 2]

A converter's ``schema()`` is the canonical one, which documentation shows: what it accepts is taken. With
``every_form=True`` it accepts all that is taken. Formats and content keywords count, as if a validator judged them.

>>> converter(int).schema()
{'type': 'integer'}
>>> [form['type'] for form in converter(int).schema(every_form=True)['anyOf']]
['integer', 'string']

JSON Schema can't say everything. What the schemas accept beyond what is taken:

- int: ``12.0``, which JSON Schema counts among the integers; a text of more than 4300 digits.
- float: a number or text beyond what a float holds.
- Money: a text with an exponent, and ``-0.0``.
- A limit, where the value comes as a text, as a number for a str, in a set with repetitions, or in a union (of every
  form; the canonical one knows it); of bytes always, since it counts them and not their text.
- Days and times that the calendar does not have, a timedelta beyond 999999999 days, any text for a Date or DateTime of
  a format with names or other parts than numbers in it.
- A set whose items can't be hashed, as of ``set[list[int]]``; it takes the empty array only.
- An Enum with a float, as any text of a number; with a value that JSON does not have, as any value of its type.
- A datetime or time inside what msgspec alone converts (a tagged Struct, a NamedTuple, a Sequence): any text.
- What a record's ``__post_init__`` refuses; what a ``register`` without a schema refuses.
- UploadFile: the canonical schema is that of a form's file; no JSON is taken, and the schema of every form says so.

A type of one's own is registered once, before the functions that use it are::

    register(Colour, Colour.parse, schema={"type": "string", "pattern": "^#[0-9a-f]{6}$"})

where ``parse`` raises ValueError for what it does not take.
"""

from apizen.schema.conversion import AS_IT_CAME, Converter, SchemaWriter
from apizen.schema.converters import converter, register
from apizen.schema.named import (
    Bool,
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
)

__all__ = [
    "AS_IT_CAME", "Bool", "Converter", "Date", "DateTime", "Dict", "Email", "Float", "Integer", "List",
    "Money", "SchemaWriter", "String", "UploadFile", "converter", "register",
]  # fmt: skip
