"""The pages about governance tell the truth, in both languages."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from urllib.parse import urlencode

import pytest

from apizen.exception import ApiException, ApiSysExceptions
from apizen.governance.canonical import canonical
from apizen.governance.signature import SIGN_METHODS, request_to_sign, signature
from apizen.multipart import parse_multipart
from apizen.parameters import Parameters
from apizen.request import Request
from tests.process import ROOT
from tests.support import serving

PAGES = ["docs/governance.md", "docs/governance.zh-CN.md"]

each_page = pytest.mark.parametrize("page", PAGES)


def text_of(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


@each_page
def test_signatures(page: str) -> None:
    pairs = re.findall(r"`(\w+)=([^`]+)`", text_of(page).rpartition("`helloworld`")[2].split("| `sign_method`")[0])
    shown = dict(re.findall(r"^\| `([\w-]+)` \| `([0-9A-F]{32,})` \|$", text_of(page), re.MULTILINE))
    assert set(shown) == set(SIGN_METHODS)
    for method, sign in shown.items():
        parts = [("query", name, value) for name, value in [*pairs, ("sign_method", method)]]
        assert signature(method, "helloworld", request_to_sign(method, "GET", parts)) == sign


def measured(text: str) -> bytes:
    return f"{len(text.encode())}:{text}".encode()


def sign_of(lines: list[bytes]) -> str:
    """As the page says it, with nothing of the server's."""
    key = hmac.new(b"helloworld", b"hmac-sha256-v2", hashlib.sha256).digest()
    return hmac.new(key, b"".join(line + b"\n" for line in lines), hashlib.sha256).hexdigest().upper()


QUERY = {"method": "shop.photo", "v": "2.2", "app_key": "12345678", "timestamp": "1451620800"}
JSON = '{"fruit": "梨"}'.encode()
FORM = (
    '--x\r\nContent-Disposition: form-data; name="photo"; filename="pear.txt"\r\n'
    "Content-Type: text/plain\r\n\r\npear\r\n"
    '--x\r\nContent-Disposition: form-data; name="fruit"\r\n\r\n梨\r\n--x--\r\n'
).encode()


@each_page
def test_the_signature_of_a_whole_request(page: str) -> None:
    query = {**QUERY, "sign_method": "hmac-sha256-v2"}
    lines = [b"hmac-sha256-v2", b"POST", b"/api/router/rest"]
    lines += [b"query %b %b" % (measured(name), measured(value)) for name, value in query.items()]
    form = b"form %b %b" % (measured("fruit"), measured("梨"))
    content = hashlib.sha256(b"pear").hexdigest().encode()
    file = b"file %b %b %b %b" % (measured("photo"), measured("pear.txt"), measured("text/plain"), content)
    json = b"json " + hashlib.sha256(JSON).hexdigest().encode()
    text = text_of(page)
    assert re.findall(r"^```text\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL) == [
        b"\n".join([*lines, form, file]).decode()
    ]
    assert f"`{json.decode()}`" in text
    shown = re.findall(r"`([0-9A-F]{64})`", text.split("```text")[1])[:2]
    assert shown == [sign_of([*lines, form, file]), sign_of([*lines, json])]

    # The gateway comes to the same of what is really sent.
    for body, content_type, sign in (
        (FORM, "multipart/form-data; boundary=x", shown[0]),
        (JSON, "application/json", shown[1]),
    ):
        request = Request("POST", urlencode({**query, "sign": sign}), {"Content-Type": content_type}, body)
        parameters = Parameters(request, parse_multipart)
        parameters.read_body()
        signed = canonical(request.verb, parameters.parts(), parameters.document())
        assert signature("hmac-sha256-v2", "helloworld", signed) == sign


@pytest.mark.parametrize("page", [*PAGES, "README.md", "docs/README.zh-CN.md"])
def test_the_warning_stands_out(page: str) -> None:
    warnings = [bold for bold in re.findall(r"\*\*[^*]+\*\*", text_of(page)) if "TLS" in bold]
    assert len(warnings) == 1


@each_page
def test_every_code_of_a_check_exists(page: str) -> None:
    declared = {
        error.err_code
        for error in vars(ApiSysExceptions).values()
        if isinstance(error, type) and issubclass(error, ApiException)
    }
    assert {int(code) for code in re.findall(r"\b1\d{3}\b", text_of(page))} <= {*declared, 1000}


@each_page
def test_metrics(page: str) -> None:
    shown = dict(re.findall(r"^\| `(apizen_\w+)` \| (\w+) \|", text_of(page), re.MULTILINE))
    with serving({"nothing": {"func": lambda: None}}) as server:
        server.get("v=1.0&method=nothing")
        exposed = server.send("GET", "/metrics").body.decode()
    assert dict(re.findall(r"^# TYPE (\w+) (\w+)$", exposed, re.MULTILINE)) == shown


@each_page
def test_the_record(page: str, tmp_path: pytest.TempPathFactory) -> None:
    [line] = re.findall(r"^```json\n(.*)\n```$", text_of(page), re.MULTILINE)
    with serving({"nothing": {"func": lambda: None}}, data=str(tmp_path), access_log="log") as server:
        server.get("v=1.0&method=nothing")
    [written] = (ROOT / str(tmp_path) / "log").read_text("utf-8").splitlines()
    assert list(json.loads(written)) == list(json.loads(line))


@each_page
def test_settings_exist(page: str) -> None:
    known = set(re.findall(r"`(--[a-z-]+)`", text_of("README.md")))
    of_commands = {"--addresses", "--methods", "--until", "--json", "--message", "--reason"}
    of_commands |= {"--verb", "--form", "--file", "--body"}
    assert set(re.findall(r"`(--[a-z-]+)", text_of(page))) <= known | of_commands


@each_page
def test_links(page: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", text_of(page)):
        assert ((ROOT / page).parent / target).exists()


def test_twins_have_the_same_shape() -> None:
    def shape(page: str) -> list[str]:
        lines = re.findall(r"^(#+ |\|.*|```.*|\d\. )", text_of(page), re.MULTILINE)
        return [re.sub(r"[^|]+", "", line) if line.startswith("|") else line for line in lines]

    assert shape(PAGES[0]) == shape(PAGES[1])


def test_twins_have_the_same_code() -> None:
    english, chinese = (re.findall(r"^```.*?^```$", text_of(page), re.MULTILINE | re.DOTALL) for page in PAGES)
    assert english == chinese
