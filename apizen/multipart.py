"""Multipart forms, read by Tornado's parser: it keeps limits on parts and headers and is looked after.

What would make it slow is refused before: the time it takes to look for a boundary grows with its length times that of
the body, and each parameter of a part's header takes it microseconds.
"""

from __future__ import annotations

import re

from tornado.httputil import HTTPFile, ParseMultipartConfig, parse_multipart_form_data

from apizen.schema import UploadFile

__all__ = ["parse_multipart"]

# RFC 2046, 5.1.1. Quotes, which Tornado would take off, are no part of one either.
_BOUNDARY = re.compile(r'[^"]{1,70}')
# As many as Tornado reads.
_MOST_PARTS = 100
# Lines and semicolons of a part's header, of which a form needs five.
_MOST_MARKS = 64
# More than Tornado reads of one.
_LONGEST_HEADER = 20_000
# Of our own: that of the process is for Tornado's handlers, see `apizen.servers.tornado.web_application`.
_CONFIG = ParseMultipartConfig(max_parts=_MOST_PARTS)


def parse_multipart(body: bytes, boundary: str) -> list[tuple[str, str | UploadFile]]:
    """The fields and files of a multipart/form-data body (RFC 7578).

    Raises ValueError for what is malformed, UnicodeDecodeError (one of them) for text that is not UTF-8.

    >>> part = b'Content-Disposition: form-data; name="city"\\r\\n\\r\\nTaipei'
    >>> parse_multipart(b'--x\\r\\n' + part + b'\\r\\n--x--\\r\\n', 'x')
    [('city', 'Taipei')]
    """
    if not _BOUNDARY.fullmatch(boundary):
        raise ValueError("a boundary has 1 to 70 characters")
    _check_headers(body, f"--{boundary}\r\n".encode("latin-1"))
    fields: dict[str, list[bytes]] = {}
    files: dict[str, list[HTTPFile]] = {}
    try:
        parse_multipart_form_data(boundary.encode("latin-1"), body, fields, files, config=_CONFIG)
    except UnicodeDecodeError:
        raise
    except Exception as error:  # HTTPInputError, and what parsing RFC 2231 parameters raises beside it
        raise ValueError(str(error)) from error
    return [
        *((name, value.decode()) for name, values in fields.items() for value in values),
        *(
            (name, UploadFile(file.filename, file.content_type, file.body))
            for name, uploads in files.items()
            for file in uploads
        ),
    ]


def _check_headers(body: bytes, delimiter: bytes) -> None:
    start = 0
    for _ in range(_MOST_PARTS):
        start = body.find(delimiter, start)
        if start < 0:
            return
        end = body.find(b"\r\n\r\n", start, start + _LONGEST_HEADER)
        if end >= 0 and body.count(b";", start, end) + body.count(b"\n", start, end) > _MOST_MARKS:
            raise ValueError("the header of a part has too many parameters")
        start += len(delimiter)
    raise ValueError("too many parts")
