"""What a docstring says, for those who read the documentation: its summary, and the line on each parameter.

Google's, NumPy's and Sphinx's styles are understood; of any other text all is the description.

>>> said = read('''Find a user.
...
... Args:
...     name: the name as it is
...         written in the passport
... ''')
>>> said.summary, said.parameters
('Find a user.', {'name': 'the name as it is written in the passport'})
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Docstring", "read"]


class Docstring(NamedTuple):
    """``description`` is what follows the summary; ``result`` what the docstring says of it. Empty where nothing is."""

    summary: str = ""
    description: str = ""
    parameters: Mapping[str, str] = {}
    result: str = ""


def read(text: str | None) -> Docstring:
    """The parts of a docstring. Never fails."""
    if not text or not text.strip():
        return Docstring()
    # Loaded where documentation is wanted: importing it takes longer than starting the gateway's core.
    from docstring_parser import ParseError, parse

    try:
        found = parse(text)
    except (ParseError, ValueError, LookupError):  # half a style
        return Docstring(*_paragraphs(inspect.cleandoc(text)))
    return Docstring(
        *_paragraphs(found.description or ""),
        {one.arg_name: _line(one.description) for one in found.params if one.description},
        _line(found.returns.description) if found.returns else "",
    )


def _paragraphs(text: str) -> tuple[str, str]:
    """The first paragraph as a line, and all others."""
    first, _, rest = text.partition("\n\n")
    return _line(first), rest.strip()


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
