"""The READMEs tell the truth: their examples are run, their tables compared with the code."""

from __future__ import annotations

import argparse
import ast
import json
import pkgutil
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

import pytest

from apizen import multipart
from apizen.body_size import LARGE_BODY
from apizen.exception import SUCCESS_CODE, SUCCESS_MESSAGE, ApiException, ApiSysExceptions
from apizen.faces import json_text, negotiation
from apizen.faces.readers import MOST_WAITING
from apizen.media_type import MAX_BOUNDARY, MAX_CONTENT_TYPE
from apizen.parameters import MAX_FIELDS, MAX_FORM, MAX_QUERY, WEIGHT
from apizen.schema import converter
from apizen.schema.scalars import Mismatch
from apizen.schema.strict_json import MAX_DEPTH, MAX_WEIGHT, InvalidDocument, decode
from apizen.servers.body_budget import BUDGET
from apizen.servers.tornado import connection, server
from apizen.settings import CONFIG_VARIABLE, known_variables
from tests.process import ROOT, Program, run, running
from tests.support import Answer
from webapi import AppSettings as Settings

READMES = ["README.md", "docs/README.zh-CN.md"]
DOCUMENTS = ["SECURITY.md", "docs/SECURITY.zh-CN.md", "docs/governance.md", "docs/governance.zh-CN.md", "CHANGELOG.md"]
ADDRESS = "http://127.0.0.1:8010"

each_readme = pytest.mark.parametrize("readme", READMES)


class Block(NamedTuple):
    language: str
    text: str


class Example(NamedTuple):
    """A command of a console block, the HTTP status that the comment above it names, and what it prints."""

    command: str
    status: int
    shown: str


def text_of(readme: str) -> str:
    return (ROOT / readme).read_text("utf-8")


def blocks_of(readme: str) -> list[Block]:
    return [Block(*found) for found in re.findall(r"^```(\w*)\n(.*?)^```$", text_of(readme), re.MULTILINE | re.DOTALL)]


def prose_of(readme: str) -> str:
    return re.sub(r"^```.*?^```$", "", text_of(readme), flags=re.MULTILINE | re.DOTALL)


def rows_of(readme: str, cells: str) -> list[tuple[str, ...]]:
    """The table rows whose first cells match ``cells``, without the blanks around a cell."""
    lines = re.findall(rf"^\| {cells} \|.*$", text_of(readme), re.MULTILINE)
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines]


def examples_of(readme: str) -> Iterator[Example]:
    for block in blocks_of(readme):
        if block.language != "console":
            continue
        status = HTTPStatus.OK
        for part in re.split(r"^(?=[$#] )", block.text, flags=re.MULTILINE):
            if part.startswith("#"):
                named = re.search(r"HTTP (\d{3})", part)
                status = HTTPStatus(int(named[1])) if named else HTTPStatus.OK
            elif part:
                command, shown = re.split(r"(?<!\\)\n", part.removeprefix("$ "), maxsplit=1)
                yield Example(command, status, shown.removesuffix("\n"))


EXAMPLES = [(readme, example) for readme in READMES for example in examples_of(readme)]


def arguments_of(command: str, program: str) -> list[str]:
    words = shlex.split(command.replace("\\\n", " "))
    length = len(program.split())
    assert words[:length] == program.split()
    return words[length:]


def sent_by_curl(program: Program, arguments: list[str]) -> Answer:
    """Sends what curl would send; an option that is not one of these fails."""
    curl = argparse.ArgumentParser("curl")
    curl.add_argument("url")
    curl.add_argument("-i", action="store_true")
    curl.add_argument("-H", dest="headers", action="append", default=[])
    curl.add_argument("-d", dest="data", action="append", default=[])
    request = curl.parse_args(arguments)
    assert request.url.startswith(f"{ADDRESS}/")
    headers = dict(header.split(": ", 1) for header in request.headers)
    path = request.url.removeprefix(ADDRESS)
    if not request.data:
        return program.send("GET", path, headers=headers)
    headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    return program.send("POST", path, "&".join(request.data).encode(), headers)


def assert_shows(shown: str, answer: Answer) -> None:
    """Compares what an example shows: with curl's -i, a status line and some of the headers stand above the body."""
    if shown.startswith("HTTP/"):
        head, shown = shown.split("\n\n", 1)
        status_line, *lines = head.split("\n")
        assert status_line == f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"
        headers = [line for line in lines if line != "…"]
        assert headers
        for header in headers:
            name, value = header.split(": ", 1)
            assert answer.headers[name] == value
    if shown.startswith("{"):
        assert json.loads(shown) == answer.envelope
    else:
        assert shown == answer.body.decode()


def write_shop(readme: str, directory: Path) -> None:
    """The README's Python, all of it, as the module that it says it is."""
    blocks = [block.text for block in blocks_of(readme) if block.language == "python"]
    assert blocks
    (directory / "shop.py").write_text("\n\n".join(blocks), "utf-8")


@pytest.fixture(scope="module")
def program_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Program]]:
    """Gives the server of a README, which runs the shop that this README writes."""
    programs: dict[str, Program] = {}
    with ExitStack() as stack:

        def start(readme: str) -> Program:
            if readme not in programs:
                directory = tmp_path_factory.mktemp("shop")
                write_shop(readme, directory)
                programs[readme] = stack.enter_context(running("--methods", "shop", cwd=directory))
            return programs[readme]

        yield start


@pytest.mark.parametrize(("readme", "example"), EXAMPLES, ids=[f"{r}-{e.command}" for r, e in EXAMPLES])
def test_example(readme: str, example: Example, program_of: Callable[[str], Program]) -> None:
    if not example.command.startswith("curl "):
        ended = run(*arguments_of(example.command, "python run.py"))
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, example.shown + "\n", "")
        return
    answer = sent_by_curl(program_of(readme), arguments_of(example.command, "curl"))
    assert answer.status == example.status
    assert_shows(example.shown, answer)


@each_readme
def test_example_none_is_left_out(readme: str) -> None:
    examples = [example for where, example in EXAMPLES if where == readme]
    curls = [example for example in examples if example.command.startswith("curl ")]
    assert len(curls) == len(re.findall(r"\bcurl\b", text_of(readme))) > 10
    assert len(examples) == text_of(readme).count("\n$ ")
    assert all(example.shown for example in examples)
    assert {block.language for block in blocks_of(readme)} == {"sh", "python", "console"}


@each_readme
def test_python_passes_check(readme: str, tmp_path: Path) -> None:
    write_shop(readme, tmp_path)
    ended = run("check", "--methods", "shop", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")


@each_readme
def test_codes(readme: str) -> None:
    rows = rows_of(readme, r"\d{4}(?: ¹)?")
    shown = [(int(row[0].removesuffix(" ¹")), int(row[1]), row[2]) for row in rows]
    errors = [e for e in vars(ApiSysExceptions).values() if isinstance(e, type) and issubclass(e, ApiException)]
    declared = [(error.err_code, error.status_code, error.text) for error in errors]
    assert shown == [(SUCCESS_CODE, HTTPStatus.OK, SUCCESS_MESSAGE), *sorted(declared)]


@each_readme
def test_codes_mark_those_that_nothing_gives(readme: str) -> None:
    sources = [path.read_text("utf-8") for path in (ROOT / "apizen").rglob("*.py") if path.name != "exception.py"]
    given = {name for source in sources for name in re.findall(r"\bApiSysExceptions\.(\w+)", source)}
    never = {e.err_code for name, e in vars(ApiSysExceptions).items() if name not in given and hasattr(e, "err_code")}
    marked = {int(row[0].removesuffix(" ¹")) for row in rows_of(readme, r"\d{4} ¹")}
    assert marked == never


@each_readme
def test_settings(readme: str) -> None:
    variables = {setting: variable for variable, setting in known_variables(Settings).items()}
    shown = [row[:4] for row in rows_of(readme, r"`--[a-z-]+`")]
    expected = [
        (f"`--{setting.name.replace('_', '-')}`", f"`{variables[setting.name]}`", f"`{setting.name}`")
        for setting in fields(Settings)
    ]
    assert [row[:3] for row in shown] == expected
    defaults = [tomllib.loads(f"value = {row[3].strip('`')}")["value"] for row in shown]
    assert defaults == [list(d) if isinstance(d := s.default, tuple) else d for s in fields(Settings)]
    assert f"`{CONFIG_VARIABLE}`" in prose_of(readme)


@each_readme
@pytest.mark.parametrize("hint", [int, float, str, bool])
def test_coercion(readme: str, hint: type) -> None:
    [(_, takes, refuses)] = rows_of(readme, f"`{hint.__name__}`")
    for text in re.findall(r"`([^`]+)`", takes):
        try:
            values = [decode(text)]
        except InvalidDocument:  # texts that mean the same kind of thing, as yes/no
            values = text.split("/")
        for value in values:
            assert type(converter(hint).convert(value)) is hint
    refused = re.findall(r"`([^`]+)`", refuses)
    assert refused
    for text in refused:
        with pytest.raises(Mismatch):
            converter(hint).convert(decode(text))


MIB = 1024 * 1024
LIMITS = [
    ("", [64]),
    ("", [MAX_QUERY, MAX_FIELDS]),
    ("Accept", [negotiation._MOST_ITEMS]),
    ("Content-Type", [MAX_CONTENT_TYPE, MAX_BOUNDARY]),
    ("", []),
    ("urlencoded", [MAX_FORM, MAX_FIELDS]),
    ("multipart", [multipart._MOST_PARTS - 1, multipart._MOST_MARKS]),
    ("JSON", [MAX_DEPTH, WEIGHT, MAX_WEIGHT // MIB]),
    ("", [json_text._DIGITS]),
    ("", [BUDGET // MIB, LARGE_BODY // 1024]),
    ("", [2, MOST_WAITING - 2]),
    ("", [connection._SLOW_RATE // 1024, connection._SLOW_SECONDS, server._BODY_SECONDS]),
    ("", [64]),
    ("", [server._IDLE_SECONDS]),
    ("", [json_text._DIGITS]),
    ("", []),
    ("", [connection._STALLED_SECONDS]),
]


@each_readme
def test_limits(readme: str) -> None:
    section = text_of(readme).split("\n## ")[7]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("|")][2:]
    assert len(rows) == len(LIMITS) + 2
    for row, (what, numbers) in zip(rows, LIMITS, strict=False):
        found = [int(number) for number in re.findall(r"(?<![a-z_])\d+", " ".join(row[1:2]))]
        assert what in row[0]
        assert sorted(found) == sorted(numbers), row


@each_readme
def test_links(readme: str) -> None:
    targets = re.findall(r"\]\(([^)]+)\)", prose_of(readme))
    assert len(targets) == 4
    for target in targets:
        if "benchmarks/results" not in target:  # `make bench` writes them
            assert ((ROOT / readme).parent / target).exists()


@pytest.mark.parametrize("document", [*READMES, *DOCUMENTS])
def test_named_files_exist(document: str) -> None:
    """Folders and files by their paths, modules and what is in them by their dotted names, tests also by name alone."""
    packages = "apizen|benchmarks|demo|docs|screenshare|tests|webapi"
    names = re.findall(r"`([^`\s]+)`", prose_of(document))
    paths = [name for name in names if re.match(rf"({packages})/", name)]
    assert [path for path in paths if not (ROOT / path).exists()] == []
    tests = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert {name for name in names if re.fullmatch(r"test_\w+\.py", name)} <= tests
    for name in names:
        if re.fullmatch(rf"({packages})(\.\w+)+", name):
            pkgutil.resolve_name(name)


def test_twins_have_the_same_headings() -> None:
    english, chinese = (re.findall(r"^#+ ", prose_of(readme), re.MULTILINE) for readme in READMES)
    assert english == chinese


def test_twins_have_the_same_tables() -> None:
    english, chinese = (
        [line.count(" | ") for line in text_of(readme).splitlines() if line.startswith("|")] for readme in READMES
    )
    assert english == chinese


def test_twins_have_the_same_examples() -> None:
    english, chinese = ([example for where, example in EXAMPLES if where == readme] for readme in READMES)
    assert english == chinese


def test_twins_have_the_same_blocks() -> None:
    """Apart from comments, which are translated."""

    def bare(block: Block) -> Block:
        if block.language == "python":
            return block._replace(text=ast.dump(ast.parse(block.text)))
        return block._replace(text=re.sub(r"^# .*\n", "", block.text, flags=re.MULTILINE))

    english, chinese = ([bare(block) for block in blocks_of(readme)] for readme in READMES)
    assert english == chinese
