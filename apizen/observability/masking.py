"""Keeps secrets out of the log: the values of what is named as one, in parameters and in free text.

A name is that of a secret if it contains one of these texts, in any case: password, passwd, pwd, passcode, secret,
token, authorization, cookie, credential, apikey, authkey, passphrase, privatekey, sessionid, 密码, 口令; if one of its
words is ``pass``, ``pin``, ``otp``, ``totp`` or ``signature``; if its last word is ``session``; or if it is ``sign``.
Words end at ``_``, ``-``, digits and capitals: ``db_pass``, ``userPin`` and ``pin2`` have one of those, ``compass``,
``passenger`` and ``shipping`` have none. The password of a URL is masked by its place.

In doubt too much is masked: an unquoted value reaches to the next blank or ``&``, one in brackets to the end
of its line, the password of a URL to the last ``@`` before a blank.

>>> masked("GET /?v=1.0&sign=66987CB1&access_token=abc {'Password': 'x y', 'name': 'jack'}")
"GET /?v=1.0&sign=***&access_token=*** {'Password': '***', 'name': 'jack'}"
>>> masked('Authorization: Bearer abc')
'Authorization: ***'
>>> masked_parameters({'name': 'jack', 'login': {'password': 'x', 'pages': [1, 2]}})
{'name': 'jack', 'login': {'password': '***', 'pages': [1, 2]}}
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import quote, unquote

__all__ = ["MaskedFormatter", "is_secret", "masked", "masked_parameters", "masked_path", "masked_sent", "shortened"]

_MASK = "***"

_TEXTS = (
    r"passw(?:or)?d|pwd|passcode|passphrase|secret|token|authorization|cookie|credential"
    r"|(?:api|auth|private)[_-]?key|sess(?:ion)?[_-]?id"
)
_WORDS = ("pass", "pin", "otp", "totp", "signature")
_CHINESE = ("密码", "口令")
# A text with none of these is not searched any further.
_MARKS = (
    "pass", "secret", "token", "auth", "cookie", "credential", "api", "sign", "sess", "pwd", "pin", "otp", "priv",
    "://", *_CHINESE, *(quote(word[0]).lower() for word in _CHINESE), *(f"u{ord(word[0]):x}" for word in _CHINESE),
)  # fmt: skip


def _as_word(words: Iterable[str]) -> str:
    """What finds one of the words in a name: between delimiters in any case, or as capitals divide it."""
    lower = "|".join(words)
    title, upper = lower.title(), lower.upper()
    return (
        rf"(?i:(?<![a-z])(?:{lower})(?![a-z]))|(?<![A-Za-z])(?:{lower})(?=[A-Z])|(?:{title})(?![a-z])"
        rf"|(?<![A-Z])(?:{upper})(?=[A-Z][a-z])|(?<=[a-z])(?:{upper})(?![A-Za-z])"
    )


_SECRET = re.compile(rf"(?i:{_TEXTS}|{'|'.join(_CHINESE)}|^sign$|(?:^|[_-])session$)|{_as_word(_WORDS)}")

# Possessive quantifiers (++) keep the time linear, whatever the text is, and so does that no name begins within an
# escape. Quotes may have backslashes before them, as in a text within a text; a comma separates a name and its
# value in a pair. In a name may be the bytes of UTF-8, percent-encoded, and characters as JSON in ASCII has them.
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
# A URL from where its password would begin, as that of a database.
_LOGIN = re.compile(r"(://[^\s/:]*+:)(\S++)")
_PRIVATE_KEY = re.compile(r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----).*?(?=-----END|\Z)", re.DOTALL)

# What is sent as a path may be an address with a login, or that of a proxy's.
_ORIGIN = re.compile(r"^[a-z][a-z0-9+.-]*+://(?:[^/:]*+:.*@)?[^/?#]*+", re.IGNORECASE | re.DOTALL)
_USER = re.compile(r"(//)?[^/]*@")
# So often is it decoded, and so much of it looked at.
_TIMES_ENCODED = 4
_SENT_CHARACTERS = 4_000

# How much of the parameters a line shows: it is made while calls wait.
_DEPTH = 4
_VALUES = 30
_CHARACTERS = 800
_TEXT_CHARACTERS = 200


def is_secret(name: str) -> bool:
    """Whether what bears this name must not be shown.

    >>> [name for name in ('sign', 'Access-Token', 'app_secret', 'sign_method', 'app_key') if is_secret(name)]
    ['sign', 'Access-Token', 'app_secret']
    """
    return _has_mark(name) and _SECRET.search(name) is not None


def _has_mark(text: str) -> bool:
    lower = text.lower()
    return any(mark in lower for mark in _MARKS)


def masked(text: str) -> str:
    """The text with the values of secrets replaced."""
    if not _has_mark(text):
        return text
    text = _PRIVATE_KEY.sub(rf"\1{_MASK}", text)
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
    return f"{found[1]}{_MASK}@{host}" if password else found[0]


def masked_sent(text: str) -> str:
    """What a client sent as a name, masked, whether it is percent-encoded or not; decoded where that hid a secret.

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
    """A request's path, masked. One that is a whole address is shown without scheme, host and login.

    >>> masked_path('http://joe:hush@localhost/foo'), masked_path('/foo;password=hush')
    ('/foo', '/foo;password=***')
    """
    if not path.startswith("/"):
        path = _ORIGIN.sub("", path, count=1) or "/"
    return masked_sent(_USER.sub(rf"\1{_MASK}@", path, count=1) if _USER.match(path) else path)


class MaskedFormatter(logging.Formatter):
    """Formats for the logging module as its base does, tracebacks included, and masks it."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def _value_after(found: re.Match[str], name: str) -> re.Match[str]:
    """What follows a name. Each of the patterns matches an empty text, too."""
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
        return _MASK if value[0] else ""
    return f"{quote}{_MASK}{quote if parts['end'] else ''}"


def shortened(text: str, characters: int) -> str:
    """The text, and where it is too long, its beginning.

    >>> shortened('set-user', 8), shortened('set-users', 8)
    ('set-user', 'set-use…')
    """
    return text if len(text) <= characters else text[: characters - 1] + "…"


def masked_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as a line shows them: without secrets, of long texts the beginning, of many values the first."""
    try:
        return _Excerpt().mapping(parameters, 1)
    except RuntimeError:  # a function that overran its time still changes what it was given
        return {"…": "they change"}


class _Excerpt:
    """Copies a value until it has seen enough of it."""

    __slots__ = ("_characters", "_values")

    def __init__(self) -> None:
        self._values = _VALUES
        self._characters = _CHARACTERS

    def of(self, value: Any, depth: int) -> Any:
        self._values -= 1
        if value is None or isinstance(value, (bool, float)):
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int):
            return value if value.bit_length() < 64 else "…"
        if isinstance(value, dict):
            return self.mapping(value, depth + 1)
        if isinstance(value, (list, tuple)):
            return self._list(value, depth + 1)
        return f"<{type(value).__name__}>"

    def _text(self, text: str) -> str:
        shown = shortened(text, max(1, min(_TEXT_CHARACTERS, self._characters)))
        self._characters -= len(shown)
        return masked(shown)

    def mapping(self, value: Mapping[str, Any], depth: int) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for key, item in value.items():
            if self._values <= 0 or depth > _DEPTH:
                shown["…"] = f"{len(value) - len(shown)} more"
                break
            name = str(key)
            shown[self._text(name)] = _MASK if len(name) > _TEXT_CHARACTERS or is_secret(name) else self.of(item, depth)
        return shown

    def _list(self, value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        shown: list[Any] = []
        for item in value:
            if self._values <= 0 or depth > _DEPTH:
                shown.append(f"… {len(value) - len(shown)} more")
                break
            shown.append(self.of(item, depth))
        return shown
