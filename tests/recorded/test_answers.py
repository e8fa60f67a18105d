"""Every recorded request still gets its whole answer, byte for byte.

A change that is meant is recorded by ``python -m tests.recorded.record``; what it changed is seen in the diff.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping

import pytest

from tests.recorded.answers import Answer, answers_of, recorded
from tests.recorded.cases import APPS, Case, Credentials, cases
from tests.recorded.servers import Servers, servers

#: Names need no server.
NAMES = [case.name for case in cases({name: Credentials("0", "0") for name in APPS})]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("recorded")) as started:
        yield started


@pytest.fixture(scope="module")
def by_name(running: Servers) -> Mapping[str, Case]:
    return {case.name: case for case in cases(running.apps)}


@pytest.fixture(scope="module")
def answers() -> Mapping[str, list[Answer]]:
    return recorded()


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_is_the_recorded_one(
    name: str, running: Servers, by_name: Mapping[str, Case], answers: Mapping[str, list[Answer]]
) -> None:
    case = by_name[name]
    found = answers_of(running.ask(case), case, running.apps)
    if found != answers[name]:
        lines = difflib.unified_diff(_lines(answers[name]), _lines(found), "recorded", "now", lineterm="")
        pytest.fail("\n".join([name, repr(case.request[:1000]), *lines]), pytrace=False)


def _lines(answers: list[Answer]) -> list[str]:
    return json.dumps(answers, indent=1, ensure_ascii=False).splitlines()


def test_each_request_has_a_name_of_its_own_and_an_answer(answers: Mapping[str, list[Answer]]) -> None:
    assert len(NAMES) == len(set(NAMES))
    assert set(NAMES) == answers.keys()
