"""Which names are those of secrets.

A name is that of a secret if it contains one of these texts, in any case: password, passwd, pwd, passcode, secret,
token, authorization, cookie, credential, apikey, authkey, passphrase, privatekey, sessionid, 密码, 口令; if one of its
words is ``pass``, ``pin``, ``otp``, ``totp`` or ``signature``; if its last word is ``session``; or if it is ``sign``.
Words end at ``_``, ``-``, digits and capitals. So ``db_pass``, ``userPin`` and ``pin2`` are names of secrets, and
``compass``, ``passenger`` and ``shipping`` are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

__all__ = ["MASK", "is_secret", "may_tell_secret"]

#: What is shown in place of a secret.
MASK = "***"

_TEXTS = (
    r"passw(?:or)?d|pwd|passcode|passphrase|secret|token|authorization|cookie|credential"
    r"|(?:api|auth|private)[_-]?key|sess(?:ion)?[_-]?id"
)
_WORDS = ("pass", "pin", "otp", "totp", "signature")
_CHINESE = ("密码", "口令")
# A text with none of these in it tells no secret, and is not searched any further.
_MARKS = (
    "pass", "secret", "token", "auth", "cookie", "credential", "api", "sign", "sess", "pwd", "pin", "otp", "priv",
    "://", *_CHINESE, *(quote(word[0]).lower() for word in _CHINESE), *(f"u{ord(word[0]):x}" for word in _CHINESE),
)  # fmt: skip


def _as_word(words: Iterable[str]) -> str:
    """A pattern of these words in a name: in any case between delimiters, or as capitals divide the name."""
    lower = "|".join(words)
    title, upper = lower.title(), lower.upper()
    return (
        rf"(?i:(?<![a-z])(?:{lower})(?![a-z]))|(?<![A-Za-z])(?:{lower})(?=[A-Z])|(?:{title})(?![a-z])"
        rf"|(?<![A-Z])(?:{upper})(?=[A-Z][a-z])|(?<=[a-z])(?:{upper})(?![A-Za-z])"
    )


_SECRET = re.compile(rf"(?i:{_TEXTS}|{'|'.join(_CHINESE)}|^sign$|(?:^|[_-])session$)|{_as_word(_WORDS)}")


def is_secret(name: str) -> bool:
    """Whether a value of this name must not be shown.

    >>> [name for name in ('sign', 'Access-Token', 'app_secret', 'sign_method', 'app_key') if is_secret(name)]
    ['sign', 'Access-Token', 'app_secret']
    """
    return may_tell_secret(name) and _SECRET.search(name) is not None


def may_tell_secret(text: str) -> bool:
    """False where a text surely tells no secret, so that nothing needs to be searched for in it."""
    lower = text.lower()
    return any(mark in lower for mark in _MARKS)
