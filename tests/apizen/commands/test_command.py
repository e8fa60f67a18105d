"""How commands are made of functions: groups, the settings that they take, and where those come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from apizen.commands.command import CommandGroup, command_of, takes
from apizen.settings import Settings, setting


@dataclass(frozen=True, slots=True)
class ShopSettings(Settings):
    shelf: str = setting("a", "where things lie")


def full(make_app: Any, settings: ShopSettings) -> None:
    """Print everything."""
    click.echo(f"{make_app} {settings.port} {settings.data} {settings.shelf} {settings.trusted_proxies}")


@click.argument("port")
@click.option("--rate", "own_rate", default="none")
@takes("data", "shelf")
def part_(make_app: Any, settings: ShopSettings, port: str, own_rate: str) -> None:
    click.echo(f"{settings.port} {settings.data} {settings.shelf} {port} {own_rate}")


GROUP = CommandGroup("shop", "The shop.", (full, part_))


def done(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(command_of(GROUP, "an app", ShopSettings), arguments, env=env)  # type: ignore[arg-type]
    return result.exit_code, result.output.splitlines()[-1]


CASES: list[tuple[list[str], dict[str, str], int, str]] = [
    (["full"], {}, 0, "an app 8010 data a ()"),
    (["full", "--port", "1", "--shelf", "b", "--trusted-proxies", "::1,::2"], {}, 0, "an app 1 data b ('::1', '::2')"),
    (["full"], {"APIZEN_PORT": "2", "APIZEN_SHELF": "c"}, 0, "an app 2 data c ()"),
    (["full", "--config", "shop.toml"], {"APIZEN_SHELF": "c"}, 0, "an app 3 file c ()"),
    (["full"], {"APIZEN_CONFIG": "shop.toml"}, 0, "an app 3 file d ()"),
    (["full", "--port", "70000"], {}, 2, "Error: port must be at most 65535, not 70000"),
    (["part", "x"], {}, 0, "8010 data a x none"),
    (["part", "x", "--rate", "y", "--shelf", "b"], {}, 0, "8010 data b x y"),
    (["part", "x"], {"APIZEN_CONFIG": "shop.toml", "APIZEN_RATE": "1/minute"}, 0, "8010 file d x none"),
    (["part"], {"APIZEN_CONFIG": "shop.toml"}, 2, "Error: Missing argument 'PORT'."),
    (["part", "x", "--queue", "1"], {}, 2, "Error: No such option '--queue'."),
    (["part", "x"], {"APIZEN_SHELV": "x"}, 2, "Error: unknown environment variable APIZEN_SHELV, "),
    (["part", "x", "--config", "wrong.toml"], {}, 2, "Error: wrong.toml: unknown setting 'shelv', "),
    (["check"], {}, 2, "Error: No such command 'check'."),
]


@pytest.mark.parametrize(("arguments", "variables", "status", "line"), CASES)
def test_command(
    arguments: list[str],
    variables: dict[str, str],
    status: int,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.toml").write_text('port = 3\ndata = "file"\nshelf = "d"\nrate = "9/minute"\n')
    (tmp_path / "wrong.toml").write_text('shelv = "d"\n')
    found = done(*arguments, env=variables)
    assert found[0] == status
    assert found[1].startswith(line) if line.endswith(", ") else found[1] == line


def test_help_of_a_group() -> None:
    result = CliRunner().invoke(command_of(GROUP, "an app", ShopSettings), ["--help"])  # type: ignore[arg-type]
    assert "  The shop." in result.output
    assert "  full  Print everything.\n  part\n" in result.output
