"""Every recorded request still gets its whole answer, byte for byte.

A change that is meant is recorded by ``python -m tests.recorded.record``; what it changed is seen in the diff.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping

import pytest

from tests.recorded.answers import Answer, answers_of, recorded
from tests.recorded.cases import APPS, SERVERS, Case, Credentials, cases
from tests.recorded.servers import Servers, servers

#: Names need no server.
NAMES = [case.name for case in cases({name: Credentials("0", "0") for name in APPS})]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("recorded")) as started:
        yield started


@pytest.fixture(scope="module")
def answers() -> Mapping[str, list[Answer]]:
    return recorded()


# One test for all requests of a server: as a test each, they would start all servers in every process of tests.
@pytest.mark.parametrize("server", SERVERS)
def test_the_answers_are_the_recorded_ones(server: str, running: Servers, answers: Mapping[str, list[Answer]]) -> None:
    differences = []
    for case in cases(running.apps):
        if case.server == server:
            found = answers_of(running.ask(case), case, running.apps)
            if found != answers[case.name]:
                differences.append(_difference(case, answers[case.name], found))
    if differences:
        pytest.fail("\n\n".join(differences), pytrace=False)


def _difference(case: Case, before: list[Answer], now: list[Answer]) -> str:
    """The request, and what is other in its answers."""
    lines = difflib.unified_diff(_lines(before), _lines(now), "recorded", "now", lineterm="")
    return "\n".join([case.name, repr(case.request[:1000]), *lines])


def _lines(answers: list[Answer]) -> list[str]:
    return json.dumps(answers, indent=1, ensure_ascii=False).splitlines()


def test_each_request_has_a_name_of_its_own_and_an_answer(answers: Mapping[str, list[Answer]]) -> None:
    assert len(NAMES) == len(set(NAMES))
    assert set(NAMES) == answers.keys()
