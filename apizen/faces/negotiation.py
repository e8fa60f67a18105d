"""What a client would rather have: the form that Accept asks for, the language that Accept-Language does.

Both headers are lists of names, each with a quality, as ``text/html, application/xml;q=0.9`` (RFC 9110, 12.4.2).
"""

from __future__ import annotations

from functools import lru_cache

__all__ = ["accepts_xml", "preferred"]

# Of more nobody makes a choice; a header of commas alone would take the event loop's time.
_MOST_ITEMS = 100


def _qualities(header: str) -> list[tuple[str, float]]:
    """What a header names, in lower case, each with its quality: 1 where none is given, or none that is a number.

    >>> _qualities('text/HTML, application/xml;q=0.9, */*;q=x')
    [('text/html', 1.0), ('application/xml', 0.9), ('*/*', 1.0)]
    """
    found = []
    for item in header.lower().split(",", _MOST_ITEMS)[:_MOST_ITEMS]:
        name, *parameters = (part.strip() for part in item.split(";"))
        given = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            quality = float(given)
        except ValueError:
            quality = 1.0
        found.append((name, quality))
    return found


@lru_cache(maxsize=256)
def accepts_xml(accept: str) -> bool | None:
    """Whether an Accept header asks for XML; None where it takes neither XML nor JSON.

    >>> accepts_xml('application/xml'), accepts_xml('*/*'), accepts_xml('image/png')
    (True, False, None)

    A browser's header names text/html, application/xml and */*: a person who opens the URL wants the
    default, JSON.
    """
    quality = dict(_qualities(accept))
    anything = quality.get("application/*", quality.get("*/*", 0.0))
    json = quality.get("application/json", anything)
    xml = max(quality.get("application/xml", anything), quality.get("text/xml", quality.get("text/*", 0.0)))
    if json <= 0 and xml <= 0 and accept.strip():
        return None
    return xml > json and "text/html" not in quality


def preferred(header: str, choices: tuple[str, str]) -> str:
    """The one of two subtypes or languages that a header names with more quality; of equal ones the first.

    >>> preferred('text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', ('json', 'html'))
    'html'
    >>> preferred('*/*', ('json', 'html')), preferred('zh-CN,zh;q=0.9,en;q=0.8', ('en', 'zh'))
    ('json', 'zh')
    """
    best = dict.fromkeys(choices, 0.0)
    for name, quality in _qualities(header):
        for part in name.replace("-", "/").split("/"):
            if part in best:
                best[part] = max(best[part], quality)
    first, second = choices
    return second if best[second] > best[first] else first
