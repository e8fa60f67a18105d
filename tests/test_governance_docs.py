"""The pages about governance tell the truth, in both languages."""

from __future__ import annotations

import json
import re

import pytest

from apizen.exception import ApiException, ApiSysExceptions
from apizen.governance.signing import SIGN_METHODS, signature, string_to_sign
from tests.process import ROOT
from tests.support import serving

PAGES = ["docs/governance.md", "docs/governance.zh-CN.md"]

each_page = pytest.mark.parametrize("page", PAGES)


def text_of(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


@each_page
def test_signatures(page: str) -> None:
    pairs = re.findall(r"`(\w+)=([^`]+)`", text_of(page).split("`helloworld`")[1].split("| `sign_method`")[0])
    shown = dict(re.findall(r"^\| `([\w-]+)` \| `([0-9A-F]{32,})` \|$", text_of(page), re.MULTILINE))
    assert set(shown) == set(SIGN_METHODS)
    for method, sign in shown.items():
        string = string_to_sign([*pairs, ("sign_method", method)])
        assert signature(method, "helloworld", string) == sign


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
