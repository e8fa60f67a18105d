"""``maintenance``: what an operator types, and what comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from apizen.commands.maintenance import maintenance
from tests.apizen.commands.operating import Done, Operator
from tests.process import run


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "data")


STEPS: list[tuple[list[str], str, dict[str, object]]] = [
    ([], "maintenance is off", {"maintenance": False, "message": None}),
    (["on"], "maintenance is on", {"maintenance": True, "message": ""}),
    ([], "maintenance is on", {"maintenance": True, "message": ""}),
    (["on", "--message", "稍后再来"], "maintenance is on: 稍后再来", {"maintenance": True, "message": "稍后再来"}),
    ([], "maintenance is on: 稍后再来", {"maintenance": True, "message": "稍后再来"}),
    (["off"], "maintenance is off", {"maintenance": False, "message": None}),
]


def test_on_and_off(operator: Operator) -> None:
    for arguments, text, value in STEPS:
        assert operator.run(maintenance, *arguments).out == f"{text}\n"
        assert operator.run(maintenance, *arguments, "--json").json == value


WRONG = [
    (["of"], "Error: Invalid value for '[on|off]': 'of' is not one of 'on', 'off'."),
    (["off", "--message", "x"], "Error: --message goes with on"),
    (["--message", "x"], "Error: --message goes with on"),
    (["on", "--message", "\udcff"], r"Error: Invalid value for '--message': '\udcff' is not UTF-8"),
    (["--port", "80"], "Error: No such option '--port'."),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong(operator: Operator, arguments: list[str], message: str) -> None:
    assert operator.run(maintenance, *arguments) == Done(2, "", message)


def test_as_a_program_of_its_own(tmp_path: Path) -> None:
    assert run("maintenance", "on", cwd=tmp_path).stdout == "maintenance is on\n"
    assert run("maintenance", "--json", cwd=tmp_path).stdout == '{"maintenance": true, "message": ""}\n'
