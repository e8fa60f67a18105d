"""Which form of the answer an Accept header asks for (RFC 9110, 12.5.1)."""

from __future__ import annotations

from functools import lru_cache

__all__ = ["accepts_xml"]

# Of more nobody makes a choice; a header of commas alone would take the event loop's time.
_MOST_ITEMS = 100


@lru_cache(maxsize=256)
def accepts_xml(accept: str) -> bool | None:
    """Whether an Accept header asks for XML; None where it takes neither XML nor JSON.

    >>> accepts_xml('application/xml'), accepts_xml('*/*'), accepts_xml('image/png')
    (True, False, None)

    A browser's header names text/html, application/xml and */*: a person who opens the URL wants the
    default, JSON.
    """
    quality: dict[str, float] = {}
    for item in accept.lower().split(",", _MOST_ITEMS)[:_MOST_ITEMS]:
        name, *parameters = (part.strip() for part in item.split(";"))
        weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            quality[name] = float(weight)
        except ValueError:
            quality[name] = 1.0
    anything = quality.get("application/*", quality.get("*/*", 0.0))
    json = quality.get("application/json", anything)
    xml = max(quality.get("application/xml", anything), quality.get("text/xml", quality.get("text/*", 0.0)))
    if json <= 0 and xml <= 0 and accept.strip():
        return None
    return xml > json and "text/html" not in quality
