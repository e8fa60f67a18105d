"""HTTP requests as bytes, and their signatures: written anew, so that nothing of the program checks itself."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import quote, urlencode

GATEWAY = "/api/router/rest"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
BOUNDARY = "recorded-boundary"
#: The id that requests have where a case says nothing.
REQUEST_ID = "recorded-1"

Pairs = Sequence[tuple[str, str]]
Headers = Sequence[tuple[str, str]]


class Credentials(NamedTuple):
    """What an app signs with."""

    app_key: str
    secret: str


class File(NamedTuple):
    """A file of a multipart form, in the field ``field``."""

    field: str
    name: str
    content: bytes
    content_type: str = "text/plain"


def request(
    verb: str = "GET",
    target: str = GATEWAY,
    headers: Headers = (),
    body: bytes = b"",
    *,
    http: str = "HTTP/1.1",
    common: bool = True,
) -> bytes:
    """A request. ``common`` adds Host, Connection: close and X-Request-Id, and the length of a body.

    A header of ``headers`` takes the place of the common one of its name.
    """
    given = {name.lower() for name, _ in headers}
    added = [("Host", "recorded.test"), ("Connection", "close"), ("X-Request-Id", REQUEST_ID)]
    if body and "transfer-encoding" not in given:
        added.append(("Content-Length", str(len(body))))
    lines = [(name, value) for name, value in added if common and name.lower() not in given]
    head = "".join(f"{name}: {value}\r\n" for name, value in [*lines, *headers])
    return f"{verb} {target} {http}\r\n{head}\r\n".encode() + body


def query(v: str, method: str, **parameters: str) -> str:
    """The target of a call."""
    return f"{GATEWAY}?{urlencode({'v': v, 'method': method, **parameters}, quote_via=quote)}"


def multipart(fields: Pairs, files: Iterable[File] = ()) -> bytes:
    """The body of a multipart form with the boundary `BOUNDARY`."""
    parts = [(f'form-data; name="{name}"', b"", value.encode()) for name, value in fields]
    for file in files:
        disposition = f'form-data; name="{file.field}"; filename="{file.name}"'
        parts.append((disposition, f"Content-Type: {file.content_type}\r\n".encode(), file.content))
    written = [
        f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n".encode() + more + b"\r\n" + content + b"\r\n"
        for disposition, more, content in parts
    ]
    return b"".join(written) + f"--{BOUNDARY}--\r\n".encode()


MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


class Call(NamedTuple):
    """A call that is signed: its query string, and one of form, multipart form with files, and JSON."""

    verb: str = "GET"
    query: Pairs = ()
    form: Pairs = ()
    files: Sequence[File] = ()
    json: bytes = b""

    def bytes(self, headers: Headers = ()) -> bytes:
        """The request."""
        target = f"{GATEWAY}?{urlencode(self.query, quote_via=quote)}"
        if self.files:
            return request(self.verb, target, [("Content-Type", MULTIPART), *headers], multipart(self.form, self.files))
        if self.form:
            body = urlencode(self.form, quote_via=quote).encode()
            return request(self.verb, target, [("Content-Type", FORM), *headers], body)
        kind = [("Content-Type", JSON)] if self.json else []
        return request(self.verb, target, [*kind, *headers], self.json)


def sign(call: Call, sign_method: str, secret: str) -> str:
    """The signature of a call."""
    key = secret.encode()
    if sign_method == "hmac-sha256-v2":
        derived = hmac.new(key, b"hmac-sha256-v2", "sha256").digest()
        return hmac.new(derived, _canonical(call), "sha256").hexdigest().upper()
    text = _platform(call)
    if sign_method == "md5":
        return hashlib.md5(key + text + key).hexdigest().upper()
    return hmac.new(key, text, "md5" if sign_method == "hmac" else "sha256").hexdigest().upper()


def _platform(call: Call) -> bytes:
    pairs = [(name.encode(), value.encode()) for name, value in [*call.query, *call.form] if name != "sign"]
    return b"".join(name + value for name, value in sorted(pairs, key=lambda pair: pair[0])) + call.json


def _canonical(call: Call) -> bytes:
    lines = ["hmac-sha256-v2", call.verb, GATEWAY]
    for place, pairs in (("query", call.query), ("form", call.form)):
        lines += [f"{place} {_counted(name)} {_counted(value)}" for name, value in _together(pairs) if name != "sign"]
    for file in call.files:
        texts = " ".join(map(_counted, (file.field, file.name, file.content_type)))
        lines.append(f"file {texts} {hashlib.sha256(file.content).hexdigest()}")
    if call.json:
        lines.append(f"json {hashlib.sha256(call.json).hexdigest()}")
    return "".join(f"{line}\n" for line in lines).encode()


def _together(pairs: Pairs) -> list[tuple[str, str]]:
    """The values of a name that comes again stand where the first one stands."""
    names = list(dict.fromkeys(name for name, _ in pairs))
    return [(name, value) for name in names for other, value in pairs if other == name]


def _counted(text: str) -> str:
    return f"{len(text.encode())}:{text}"


def public(app: Credentials, method: str, sign_method: str = "", **others: str) -> list[tuple[str, str]]:
    """The public parameters of a signed call but ``sign``; an empty text in ``others`` takes one away."""
    parameters = {
        "v": "9.0",
        "method": method,
        "app_key": app.app_key,
        "timestamp": str(int(time.time())),
        "nonce": secrets.token_hex(8),
        "sign_method": sign_method,
        **others,
    }
    return [(name, value) for name, value in parameters.items() if value]


def signed(call: Call, sign_method: str, secret: str) -> Call:
    """The call with its signature in the query string."""
    return call._replace(query=[*call.query, ("sign", sign(call, sign_method or "hmac-sha256", secret))])
