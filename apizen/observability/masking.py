"""Keeps secrets out of texts: the values behind names of secrets, and the passwords of URLs.

In doubt too much is masked: an unquoted value reaches to the next blank or ``&``, one in brackets to the end
of its line, the password of a URL to the last ``@`` before a blank.

>>> masked("GET /?v=1.0&sign=66987CB1&access_token=abc {'Password': 'x y', 'name': 'jack'}")
"GET /?v=1.0&sign=***&access_token=*** {'Password': '***', 'name': 'jack'}"
>>> masked('Authorization: Bearer abc')
'Authorization: ***'
"""

from __future__ import annotations

import logging
import re
from typing import cast
from urllib.parse import unquote

from apizen.observability.secret_name import MASK, is_secret, may_tell_secret

__all__ = ["MaskedFormatter", "masked", "masked_path", "masked_sent"]

# A name, and what stands between it and its value. Possessive quantifiers (++) keep the time linear, whatever the text
# is. So does the rule that no name begins within an escape. Quotes may have backslashes before them, where one text is
# quoted in another. In a pair a comma separates a name and its value. A name may hold percent-encoded bytes of UTF-8,
# and characters escaped as in JSON.
_NAME = re.compile(
    r"""(?<![\w-]) (?! (?<=%)[89a-f][0-9a-f] | (?<=\\)(?:\\|u[0-9a-f]{4}) )
    ( (?: [\w-]++ | %[89a-f][0-9a-f] | \\++u[0-9a-f]{4} )++ )
    (?: \\*+["'] \s*+ [:=,：] | \s*+ (?: [:=：]++ | %3d ) ) \s*+""",
    re.VERBOSE | re.IGNORECASE,
)
_JSON_ESCAPE = re.compile(r"\\++u([0-9a-f]{4})", re.IGNORECASE)
_VALUE = re.compile(
    r"""
      (?: b | r | br | rb | f | u )? (?P<quote> \\*+["'] )
        (?: (?! (?<!\\) (?P=quote) ) . )*+ (?P<end> (?P=quote) [^\s&,;:)\]}>]*+ )?
    | [\[({] [^\r\n]*+
    | [^\s&]*+
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_HEADER_VALUE = re.compile(r"[^\r\n]*+")
_ENCODED_VALUE = re.compile(r"(?: (?!%26) [^\s&] )*+", re.VERBOSE)
_HEADERS = re.compile("authorization|cookie", re.IGNORECASE)
# A URL from its login on: what stands before the last @ is the password.
_LOGIN = re.compile(r"(://[^\s/:]*+:)(\S++)")
_PRIVATE_KEY = re.compile(r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----).*?(?=-----END|\Z)", re.DOTALL)

# A path that was sent may be a whole URL, as proxies get it, or begin with a login.
_ORIGIN = re.compile(r"^[a-z][a-z0-9+.-]*+://(?:[^/:]*+:.*@)?[^/?#]*+", re.IGNORECASE | re.DOTALL)
_USER = re.compile(r"(//)?[^/]*@")
# How often a text is decoded, and how much of it is looked at.
_TIMES_ENCODED = 4
_SENT_CHARACTERS = 4_000


def masked(text: str) -> str:
    """The text with the values of secrets replaced."""
    if not may_tell_secret(text):
        return text
    text = _PRIVATE_KEY.sub(rf"\1{MASK}", text)
    pieces = []
    copied = position = 0
    while (found := _NAME.search(text, position)) is not None:
        position = found.end()
        name = _name(found)
        if is_secret(name):
            value = _value_after(found, name)
            pieces += [text[copied:position], _replacement(value)]
            copied = position = value.end()
    pieces.append(text[copied:])
    return _LOGIN.sub(_without_password, "".join(pieces))


def _name(found: re.Match[str]) -> str:
    name = found[1]
    if found.start() and found.string[found.start() - 1] == "%":
        name = name[2:]  # the digits of a percent-encoded & or ?
    if "%" not in name and "\\" not in name:
        return name
    decoded = _JSON_ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), unquote(name))
    return re.split(r"[^\w-]", decoded)[-1]


def _without_password(found: re.Match[str]) -> str:
    password, _, host = found[2].rpartition("@")
    return f"{found[1]}{MASK}@{host}" if password else found[0]


def masked_sent(text: str) -> str:
    """A name that a client sent, masked. It is shown decoded where percent-encoding hid a secret.

    >>> masked_sent('x.open%26access_token%3Dabc'), masked_sent('100%25')
    ('x.open&access_token=***', '100%25')
    """
    text = text[:_SENT_CHARACTERS]
    shown = masked(text)
    hidden = shown != text
    for _ in range(_TIMES_ENCODED):
        if "%" not in shown:
            break
        decoded = unquote(shown)
        shown = masked(decoded)
        hidden = hidden or shown != decoded
    return shown if hidden else text


def masked_path(path: str) -> str:
    """A request's path, masked. Of a whole URL only the path is shown.

    >>> masked_path('http://joe:hush@localhost/foo'), masked_path('/foo;password=hush')
    ('/foo', '/foo;password=***')
    """
    if not path.startswith("/"):
        path = _ORIGIN.sub("", path, count=1) or "/"
    return masked_sent(_USER.sub(rf"\1{MASK}@", path, count=1) if _USER.match(path) else path)


class MaskedFormatter(logging.Formatter):
    """Formats as its base does, tracebacks included, and masks the text."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def _value_after(found: re.Match[str], name: str) -> re.Match[str]:
    """The value behind a name. The patterns match an empty text, too, so that one is always found."""
    text, position = found.string, found.end()
    if found[0][-3:].lower() == "%3d":
        return cast(re.Match[str], _ENCODED_VALUE.match(text, position))
    value = cast(re.Match[str], _VALUE.match(text, position))
    if value["quote"] is None and _HEADERS.search(name) is not None:
        return cast(re.Match[str], _HEADER_VALUE.match(text, position))
    return value


def _replacement(value: re.Match[str]) -> str:
    parts = value.groupdict()
    quote = parts.get("quote")
    if quote is None:
        return MASK if value[0] else ""
    return f"{quote}{MASK}{quote if parts['end'] else ''}"
