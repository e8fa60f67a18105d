"""``ban``: what an operator types, and what comes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apizen.commands.ban import ban, time_of
from tests.apizen.commands.operating import Done, Operator
from tests.process import run

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
NO_TIME = "'{}' is no time as 2h, 30m, 7d or 2026-12-31T18:00, which is in UTC"


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "data")


TIMES = [
    ("90s", NOW + timedelta(seconds=90)),
    ("30m", NOW + timedelta(minutes=30)),
    ("2h", NOW + timedelta(hours=2)),
    ("7d", NOW + timedelta(days=7)),
    ("2026-12-31", datetime(2026, 12, 31, tzinfo=UTC)),
    ("2026-12-31T18:00", datetime(2026, 12, 31, 18, tzinfo=UTC)),
    ("2026-12-31 18:00:30", datetime(2026, 12, 31, 18, 0, 30, tzinfo=UTC)),
    ("2026-12-31T18:00:00Z", datetime(2026, 12, 31, 18, tzinfo=UTC)),
    ("2026-12-31T18:00:00+08:00", datetime(2026, 12, 31, 10, tzinfo=UTC)),
]


@pytest.mark.parametrize(("text", "time"), TIMES)
def test_time(text: str, time: datetime) -> None:
    assert time_of(text, NOW) == time


NO_TIMES = [
    *(
        (text, NO_TIME.format(text))
        for text in ("", "2", "2w", "-2h", "1.5h", "tomorrow", "2026-13-01", "9" * 12 + "d")
    ),
    ("0m", "'0m' is not in the future"),
    ("2026-01-01", "'2026-01-01' is not in the future"),
    ("2026-01-01T19:59+08:00", "'2026-01-01T19:59+08:00' is not in the future"),
    ("0001-01-01T00:00+08:00", NO_TIME.format("0001-01-01T00:00+08:00")),
]


@pytest.mark.parametrize(("text", "message"), NO_TIMES)
def test_no_time(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        time_of(text, NOW)
    assert str(caught.value) == message


def test_as_json(operator: Operator) -> None:
    some: dict[str, Any] = {"network": "192.0.2.0/24", "until": "2199-01-01T00:00:00Z", "reason": "扫描"}
    one: dict[str, Any] = {"network": "2001:db8::7/128", "until": None, "reason": ""}
    added = operator.run(ban, "add", "192.0.2.9/24", "--until", "2199-01-01", "--reason", "扫描", "--json")
    assert added.json == some
    assert operator.run(ban, "add", "2001:db8::7", "--json").json == one
    assert operator.run(ban, "list", "--json").json == [some, one]
    assert operator.run(ban, "remove", "192.0.2.0/24", "--json").json == some
    assert operator.run(ban, "list", "--json").json == [one]


def test_for_people(operator: Operator) -> None:
    assert operator.run(ban, "list").out == "0 bans\n"
    line = "192.0.2.7/32          until 2199-01-01T00:00:00Z  scans"
    added = operator.run(ban, "add", "192.0.2.7", "--until", "2199-01-01", "--reason", "scans")
    assert added.out == f"{line}\n"
    assert operator.run(ban, "add", "::1").out == "::1/128               for good\n"
    assert operator.run(ban, "list").out.splitlines() == [line, "::1/128               for good", "2 bans"]
    assert operator.run(ban, "remove", "192.0.2.7").out == "192.0.2.7/32 is no longer banned\n"


NO_NETWORK = "Error: Invalid value for 'CIDR': {!r} is no address and no network, as 192.0.2.7 or 10.0.0.0/8"
WRONG = [
    (["add", "here"], 2, NO_NETWORK.format("here")),
    (["remove", "10.0.0.0/33"], 2, NO_NETWORK.format("10.0.0.0/33")),
    (["add"], 2, "Error: Missing argument 'CIDR'."),
    (["add", "::1", "--until", "soon"], 2, f"Error: Invalid value for '--until': {NO_TIME.format('soon')}"),
    (["add", "::1", "--reason", "\udcff"], 2, r"Error: Invalid value for '--reason': '\udcff' is not UTF-8"),
    (["add", "::1", "--secret-key", "x"], 2, "Error: No such option '--secret-key'."),
    (
        ["remove", "192.0.2.7"],
        1,
        "Error: 192.0.2.7/32 is not banned; a ban is removed by the network that it was added with",
    ),
]


@pytest.mark.parametrize(("arguments", "status", "message"), WRONG)
def test_wrong(operator: Operator, arguments: list[str], status: int, message: str) -> None:
    assert operator.run(ban, *arguments) == Done(status, "", message)


def test_as_a_program_of_its_own(tmp_path: Path) -> None:
    assert run("ban", "add", "192.0.2.7", "--until", "2h", cwd=tmp_path).returncode == 0
    listed = run("ban", "list", "--json", cwd=tmp_path)
    assert (listed.returncode, listed.stderr, "192.0.2.7/32" in listed.stdout) == (0, "", True)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["apizen.db"]  # bans need no key
