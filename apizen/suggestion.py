"""What a message about an unknown word says in its end."""

from __future__ import annotations

import difflib

__all__ = ["hint_at"]


def hint_at(word: str, known: list[str]) -> str:
    """The word that was probably meant, else all that are known.

    >>> hint_at('enabel', ['func', 'method', 'enable'])
    "did you mean 'enable'?"
    >>> hint_at('xyz', ['func', 'enable'])
    'known are: enable, func'
    """
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(sorted(known))}"
