"""``app``: what an operator types, and what comes back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from apizen.commands.app import app
from tests.apizen.commands.operating import Done, Operator
from tests.process import run

PUBLIC = {"name": "shop", "enabled": True, "addresses": [], "rate": "", "methods": []}


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "data")


def test_create_prints_one_object(operator: Operator) -> None:
    made = operator.run(app, "create", "shop", "--json").json
    assert re.fullmatch(r"\d{10}", made["app_key"])
    assert re.fullmatch(r"[0-9a-f]{32}", made["secret"])
    assert made == {**PUBLIC, "app_key": made["app_key"], "secret": made["secret"]}


def test_create_with_everything(operator: Operator) -> None:
    options = ["--addresses", "10.0.0.0/8, ::1", "--rate", "5 per 10 second", "--methods", "matrix.*, shop.price"]
    made = operator.run(app, "create", "shop", *options, "--json").json
    assert made["addresses"] == ["10.0.0.0/8", "::1/128"]
    assert (made["rate"], made["methods"]) == ("5 per 10 second", ["matrix.*", "shop.price"])


def test_create_for_people(operator: Operator) -> None:
    lines = operator.run(app, "create", "shop", "--rate", "100/minute").out.splitlines()
    assert lines[0] == "app        shop"
    assert re.fullmatch(r"app_key    \d{10}", lines[1])
    assert re.fullmatch(r"secret     [0-9a-f]{32}  \(shown only now\)", lines[2])
    assert lines[3:] == ["addresses  all", "rate       100/minute", "methods    all"]


def test_the_secret_is_shown_only_once(operator: Operator) -> None:
    made = operator.run(app, "create", "shop", "--json").json
    public = {**PUBLIC, "app_key": made["app_key"]}
    assert operator.run(app, "show", "shop", "--json").json == public
    assert operator.run(app, "list", "--json").json == [public]
    assert operator.run(app, "disable", "shop", "--json").json == {**public, "enabled": False}
    assert operator.run(app, "show", "shop").out.splitlines()[0] == "app        shop  (disabled)"
    assert operator.run(app, "enable", "shop", "--json").json == public
    for command in ("show", "disable", "enable"):
        assert made["secret"] not in operator.run(app, command, "shop").out
    rotated = operator.run(app, "rotate", "shop", "--json").json
    assert rotated == {**public, "secret": rotated["secret"]}
    assert rotated["secret"] != made["secret"]


def test_list(operator: Operator) -> None:
    assert operator.run(app, "list").out == "0 apps\n"
    assert operator.run(app, "list", "--json").json == []
    keys = [operator.run(app, "create", name, "--json").json["app_key"] for name in ("warehouse", "a")]
    operator.run(app, "disable", "a")
    lines = [f"a          {keys[1]}  (disabled)", f"warehouse  {keys[0]}", "2 apps"]
    assert operator.run(app, "list").out.splitlines() == lines


WRONG: list[tuple[list[str], int, str]] = [
    (["create", "shop"], 1, "Error: there is an app 'shop' already"),
    (["show", "shpo"], 1, "Error: there is no app 'shpo', did you mean 'shop'?"),
    (["disable", "x"], 1, "Error: there is no app 'x', known are: shop"),
    (["enable", "x"], 1, "Error: there is no app 'x', known are: shop"),
    (["rotate", "x", "--json"], 1, "Error: there is no app 'x', known are: shop"),
    (["create"], 2, "Error: Missing argument 'NAME'."),
    (["create", " x"], 2, "Error: Invalid value for 'NAME': a name is 1 to 100 characters without blanks around them"),
    (["create", ""], 2, "Error: Invalid value for 'NAME': a name is 1 to 100 characters without blanks around them"),
    (
        ["create", "a\nb"],
        2,
        "Error: Invalid value for 'NAME': a name is 1 to 100 characters without blanks around them",
    ),
    (
        ["create", "x", "--addresses", "10.0.0.0/8,here"],
        2,
        "Error: Invalid value for '--addresses': 'here' is no address and no network, as 192.0.2.7 or 10.0.0.0/8",
    ),
    (["create", "x", "--queue", "80"], 2, "Error: No such option '--queue'."),
    (["check"], 2, "Error: No such command 'check'."),
    *(
        (
            ["create", "x", "--rate", rate],
            2,
            "Error: Invalid value for '--rate': a rate is written as 100/minute or 5/10 seconds, with second, minute, "
            f"hour or day, not {rate!r}",
        )
        for rate in ("", "fast", "-1/minute", "100", "1/second;2/minute", "100/fortnight", "\udcff")
    ),
    *(
        (
            ["create", "x", "--rate", rate],
            2,
            "Error: Invalid value for '--rate': a rate must be of 1 to 1000000000 calls in 1 second to 366 days, "
            f"not {rate!r}",
        )
        for rate in ("0/minute", "5 per 400 days", "5 per 0 minutes", "2000000000/second")
    ),
    *(
        ([command, "\udcff"], 2, r"Error: Invalid value for 'NAME': '\udcff' is not UTF-8")
        for command in ("show", "disable", "enable", "rotate")
    ),
    (["create", "x", "--methods", "a,\udcff"], 2, r"Error: Invalid value for '--methods': 'a,\udcff' is not UTF-8"),
]


@pytest.mark.parametrize(("arguments", "status", "message"), WRONG)
def test_wrong(operator: Operator, arguments: list[str], status: int, message: str) -> None:
    operator.run(app, "create", "shop")
    assert operator.run(app, *arguments) == Done(status, "", message)


KEY_ERROR = "another key than the one of the setting secret_key; set the right key, or rotate the secret of each app"
BAD_PLACES: list[tuple[dict[str, str], int, str]] = [
    ({"APIZEN_SECRET_KEY": "another"}, 1, f"Error: the secrets were encrypted with {KEY_ERROR}"),
    ({"APIZEN_DATABASE": "x"}, 2, "Error: database must be a URL as postgresql://user:password@host/name"),
    ({"APIZEN_DATABASE": "sqlite:////no/such.db"}, 1, "Error: sqlite:////no/such.db: unable to open database file"),
    ({"APIZEN_DATA": "/dev/null"}, 1, "Error: the data folder /dev/null can't be made: File exists"),
    ({"APIZEN_DATABSE": "x"}, 2, "Error: unknown environment variable APIZEN_DATABSE, did you mean 'APIZEN_DATABASE'?"),
]


@pytest.mark.parametrize(("variables", "status", "message"), BAD_PLACES)
def test_bad_places(operator: Operator, variables: dict[str, str], status: int, message: str) -> None:
    operator.run(app, "create", "shop")
    assert operator.run(app, "create", "other", env=variables) == Done(status, "", message)


def test_a_password_is_not_shown(operator: Operator) -> None:
    done = operator.run(app, "list", "--database", "postgresql://me:geheim@127.0.0.1:1/shop")
    assert done.error.startswith("Error: postgresql+psycopg://me:***@127.0.0.1:1/shop: connection failed: ")
    assert "geheim" not in done.error


def test_the_limits_of_a_server_are_not_those_of_an_app(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "api.toml"
    file.write_text(f'data = "{tmp_path}/other"\nrate = "5/second"\nmethods = ["shop.methods"]\nport = 80\n')
    variables = {"APIZEN_RATE": "7/second", "APIZEN_METHODS": "shop.methods", "APIZEN_CONFIG": str(file)}
    made = operator.run(app, "create", "shop", "--json", env=variables).json
    assert (made["rate"], made["methods"]) == ("", [])
    assert (operator.data / "apizen.db").exists()  # the environment wins over the file
    del variables["APIZEN_RATE"]
    elsewhere = operator.run(app, "create", "shop", "--json", env={**variables, "APIZEN_DATA": ""}).json
    assert (elsewhere["rate"], elsewhere["methods"]) == ("", [])
    assert (tmp_path / "other" / "apizen.db").exists()


def test_as_a_program_of_its_own(tmp_path: Path) -> None:
    done = run("app", "create", "shop", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 1)
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"apizen.db", "secret.key"}
    assert run("app", "rotate", "x", cwd=tmp_path).stderr == "Error: there is no app 'x', known are: shop\n"


def test_help_is_short() -> None:
    done: Any = run("app", "create", "--help")
    options = re.findall(r"^  --([a-z-]+)", done.stdout, re.MULTILINE)
    assert options == ["addresses", "rate", "methods", "json", "config", "data", "database", "secret-key", "help"]
    listed = re.findall(r"^  (\w+)  ", run("app", "--help").stdout, re.MULTILINE)
    assert listed == ["create", "disable", "enable", "list", "rotate", "show"]
