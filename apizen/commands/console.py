"""What the commands have in common: values that are checked, the database, answers as text or JSON."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from apizen.governance.error import GovernanceError
from apizen.settings import Settings, SettingsError

if TYPE_CHECKING:
    from apizen.governance.records.database import Database

__all__ = ["TEXT", "Parsed", "answer", "as_json", "opened", "utf8"]

Value = TypeVar("Value")

#: The option of a command that can answer as JSON.
as_json = click.option("--json", "as_json", is_flag=True, help="answer as JSON")


class Parsed(click.ParamType[Value, Any]):
    """An option's value that ``parse`` makes from its text; its ValueError says what is wrong with it."""

    def __init__(self, name: str, parse: Callable[[str], Value]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Value:
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), parameter, context)


def utf8(text: str) -> str:
    """The text itself. Raises ValueError where its bytes are no UTF-8: it can be neither stored nor shown.

    >>> utf8('中文')
    '中文'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{text!r} is not UTF-8") from None
    return text


#: An argument or option that is any text.
TEXT = Parsed("text", utf8)


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """The database of the settings. What goes wrong with it ends the command with one line."""
    from apizen.governance.records.database import Database  # heavy: only for commands that need it

    try:
        with contextlib.closing(Database.open(settings.database, Path(settings.data))) as database:
            yield database
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    except GovernanceError as error:
        raise click.ClickException(str(error)) from error


def answer(value: Any, text: str, as_json: bool) -> None:
    """Prints a result, as JSON in one line or as text."""
    click.echo(json.dumps(value, ensure_ascii=False) if as_json else text)
