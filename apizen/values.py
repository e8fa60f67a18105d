"""What comes with a call: the values of its arguments, and the public parameters beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from apizen.call_plan import PUBLIC_PARAMETERS
from apizen.schema import UploadFile

__all__ = ["Part", "Values"]

#: A value that is signed: where it came from (``query`` or ``form``), its name, and the value itself.
Part = tuple[str, str, str | UploadFile]


class Values:
    """The values of one call.

    ``named`` has the last value of each name, ``repeated`` all of them for each name that came more than once.
    ``public`` gives a public parameter (``app_key``, ``timestamp``, …), None where it did not come. ``size`` is the
    number of bytes that came as the call's body.

    This class takes them as the members of one JSON document, whose bytes are ``document``: that is what a signature
    covers. A face whose values come in another way has a subclass, and what it names must be in `parts` or `document`.

    >>> values = Values({'a': 1}, {'app_key': '12345678'}, b'{"a":1}')
    >>> values.public('app_key'), values.public('sign'), list(values.parts())
    ('12345678', None, [('query', 'app_key', '12345678')])
    """

    __slots__ = ("_document", "_public", "named", "public", "repeated", "size")

    def __init__(self, named: Mapping[str, Any], public: dict[str, str], document: bytes) -> None:
        self._public = public
        self._document = document
        self.named = named
        self.repeated: Mapping[str, list[Any]] = {}
        self.public: Callable[[str], str | None] = self._public.get
        self.size = len(document)

    def public_values(self) -> dict[str, str]:
        """The public parameters that came, as they came."""
        found = ((name, self.public(name)) for name in PUBLIC_PARAMETERS)
        return {name: value for name, value in found if value is not None}

    def parts(self) -> Iterator[Part]:
        """What is signed beside the document, in order: texts of the query string, of a form, then files."""
        for name, value in self._public.items():
            yield "query", name, value

    def pairs(self) -> dict[str, str] | list[tuple[str, str]]:
        """The texts of `parts`, in order. A dict where no name came twice."""
        return self._public

    def document(self) -> bytes:
        """The call's JSON document as it came, empty where there is none."""
        return self._document

    def hidden_texts(self) -> list[str]:
        """The names of texts that reach no function, since a file of the same name takes their place."""
        return []
