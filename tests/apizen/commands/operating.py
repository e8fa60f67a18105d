"""Runs an operator's command in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner

from apizen.application import make_app
from apizen.commands.command import CommandGroup, command_of
from apizen.settings import Settings


class Done(NamedTuple):
    status: int
    out: str
    #: The last line, which is the message.
    error: str

    @property
    def json(self) -> Any:
        """The one line that was printed, as JSON."""
        (line,) = self.out.splitlines()
        return json.loads(line)


class Operator:
    """Somebody at the command line, with a data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def run(self, command: Any | CommandGroup, *arguments: str, env: Mapping[str, str] | None = None) -> Done:
        made = command_of(command, make_app, Settings)
        variables = {"APIZEN_DATA": str(self.data), **(env or {})}
        result = CliRunner().invoke(made, arguments, env=variables)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, (result.stderr.splitlines() or [""])[-1])
