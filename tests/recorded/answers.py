"""What came from a server, as the record keeps it: complete, but for what is never twice the same."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.recorded.cases import Case, Credentials

FILE = Path(__file__).parent / "answers.json"

#: An answer as JSON: ``status``, ``headers`` and ``body``, or ``base64``, or ``sha256`` of a long body.
Answer = dict[str, Any]

# What varies in a head: the pattern, and what stands in its place.
_VARYING_HEADERS = (
    (re.compile(r"^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$"), "Date: <now>"),
    (re.compile(r"^X-Request-Id: [0-9a-f]{12}-[0-9a-f]+$"), "X-Request-Id: <of the server>"),
    (re.compile(r"^(RateLimit: .*);t=\d+$"), r"\1;t=<seconds>"),
    (re.compile(r"^Retry-After: (?:\d{3}|\d{5})$"), "Retry-After: <seconds>"),
)
# And in a body.
_VARYING_TEXTS = (
    (re.compile(r"请在 \d+ 秒后重试"), "请在 <seconds> 秒后重试"),
    (re.compile(r"比服务器时间([快慢]) \d+ 秒"), r"比服务器时间\1 <seconds> 秒"),
    (re.compile(r"timestamp(\W*(?:10:)?)\d{10}"), r"timestamp\1<now>"),
    (re.compile(r'"nonce":"[0-9a-f]{16}"'), '"nonce":"<once>"'),
    # Public parameters come in any order.
    (re.compile(r'("method":"matrix\.api\.send-kwargs"),("v":"1\.1")'), r"\2,\1"),
)
_METRICS = re.compile(r"^Content-Type: .*(?:version=|openmetrics)")
_LENGTH = re.compile(rb"^Content-Length: (\d+)\r?$", re.MULTILINE | re.IGNORECASE)
_LONG = 20_000


def answers_of(raw: bytes, case: Case, apps: Mapping[str, Credentials]) -> list[Answer]:
    """The answers that came on one connection, one after the other; none where the server just ended it."""
    found = []
    bodiless = case.request.startswith(b"HEAD ")
    while raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is not None and not bodiless:
            size = int(length[1])
        else:
            size = 0 if head.startswith(b"HTTP/1.1 1") else len(rest)
        body, raw = rest[:size], rest[size:]
        found.append(_answer(head.decode("latin-1"), body, apps))
    return found


def _answer(head: str, body: bytes, apps: Mapping[str, Credentials]) -> Answer:
    status, *headers = head.split("\r\n")
    if any(map(_METRICS.match, headers)):
        body = b""
        headers = [line for line in headers if not line.startswith("Content-Length")]
    for pattern, replacement in _VARYING_HEADERS:
        headers = [pattern.sub(replacement, line) for line in headers]
    return {"status": status, "headers": headers, **_body(body, headers, apps)}


def _body(body: bytes, headers: list[str], apps: Mapping[str, Credentials]) -> Answer:
    if len(body) > _LONG:
        return {"sha256": hashlib.sha256(body).hexdigest()}
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}
    for pattern, replacement in _VARYING_TEXTS:
        text = pattern.sub(replacement, text)
    for name, app in apps.items():
        text = text.replace(app.app_key, f"<key of {name}>")
    return {"body": text}


def recorded() -> dict[str, list[Answer]]:
    """The record: the answers by the name of the case."""
    found: dict[str, list[Answer]] = json.loads(FILE.read_text("utf-8"))
    return found
