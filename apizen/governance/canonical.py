"""What `hmac-sha256-v2` signs: a whole request as bytes that can be read in one way only.

It is lines, each ended by LF::

    hmac-sha256-v2
    POST
    /api/router/rest
    query 6:method 10:shop.stock
    form 5:fruit 4:pear
    file 5:photo 6:a.jpeg 10:image/jpeg 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    json 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a

the version, the verb as it was sent, the gateway's path; a line for each value of the query string, then of the form,
then for each file, with its name, its content type and the SHA-256 of its content; and one with the SHA-256 of a JSON
body as it came. Every text is preceded by the number of its bytes in UTF-8 and a colon, and is what it is after
percent-decoding. The order is that of sending; the values of a name that comes again stand together, where the first
one stands. ``sign`` is left out.

There is one way to read it. The first three lines are of a fixed form, since a verb has no LF. Each of the others says
by its first word how many texts and hashes follow, and each text by its number where it ends: what is in it is never
looked at, so no value can pass for another one, for a name, or for the end of its line. From the lines follow the
verb, every name and value with its place and order, and that a body was read as a form or as JSON, whatever the
Content-Type says. What is left out changes nothing of a call: headers that the gateway reads for the answer only, how
a text was percent-encoded, whether a form was sent urlencoded or as multipart, and where ``sign`` stands, which comes
once. Files and JSON are as good as their SHA-256.

>>> print(canonical('GET', [('query', 'a', '1'), ('query', 'b', '中\\n'), ('query', 'sign', 'AB12')]).decode(), end='')
hmac-sha256-v2
GET
/api/router/rest
query 1:a 1:1
query 1:b 4:中
<BLANKLINE>
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from apizen.request import GATEWAY_PATH
from apizen.schema import UploadFile

if TYPE_CHECKING:
    from apizen.values import Part

__all__ = ["VERSION", "canonical", "utf8"]

#: The first line, and the value of ``sign_method``.
VERSION = "hmac-sha256-v2"


def canonical(verb: str, parts: Iterable[Part], json: bytes = b"") -> bytes:
    """The bytes that are signed. ``json`` is a JSON body as it came, empty for none.

    The texts of ``parts`` come before its files. It takes a time that is linear in all that is sent.
    """
    lines = [f"{VERSION}\n{verb}\n{GATEWAY_PATH}\n"]
    for place, name, value in parts:
        if isinstance(value, UploadFile):
            texts = " ".join(f"{_length(text)}:{text}" for text in (name, value.name, value.content_type))
            lines.append(f"file {texts} {_hash(value.body)}\n")
        elif name != "sign":
            lines.append(f"{place} {_length(name)}:{name} {_length(value)}:{value}\n")
    if json:
        lines.append(f"json {_hash(json)}\n")
    return utf8("".join(lines))


def _length(text: str) -> int:
    return len(text) if text.isascii() else len(utf8(text))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def utf8(text: str) -> bytes:
    # Half a surrogate pair is no reason to fail: it can't be right, and then the signature isn't either.
    return text.encode("utf-8", "surrogatepass")
