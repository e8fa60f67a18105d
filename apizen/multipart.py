"""Multipart forms, read by Tornado's parser: it keeps limits on parts and headers and is looked after."""

from __future__ import annotations

from tornado.httputil import HTTPFile, parse_multipart_form_data

from apizen.schema import UploadFile

__all__ = ["parse_multipart"]


def parse_multipart(body: bytes, boundary: str) -> list[tuple[str, str | UploadFile]]:
    """The fields and files of a multipart/form-data body (RFC 7578).

    Raises ValueError for what is malformed, UnicodeDecodeError (one of them) for text that is not UTF-8.

    >>> part = b'Content-Disposition: form-data; name="city"\\r\\n\\r\\nTaipei'
    >>> parse_multipart(b'--x\\r\\n' + part + b'\\r\\n--x--\\r\\n', 'x')
    [('city', 'Taipei')]
    """
    if not boundary:
        raise ValueError("a multipart body needs a boundary")
    fields: dict[str, list[bytes]] = {}
    files: dict[str, list[HTTPFile]] = {}
    try:
        parse_multipart_form_data(boundary.encode("latin-1"), body, fields, files)
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
