"""Makes commands of functions.

A command is a function that takes ``make_app``, the settings, and what its click decorators say. Several that
belong together are a `CommandGroup`: its functions ``create`` and ``list_`` are the commands ``create`` and ``list``.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from apizen.settings import CONFIG_VARIABLE, PREFIX, Settings, SettingsError, read_file, unknown_variables

__all__ = ["CommandGroup", "MakeApp", "command_of", "takes"]

MakeApp = Callable[[Settings], Any]
Function = Callable[..., None]
Marked = TypeVar("Marked", bound=Function)


class CommandGroup(NamedTuple):
    """A command that has commands of its own."""

    name: str
    explanation: str
    functions: tuple[Function, ...]


def takes(*settings: str) -> Callable[[Marked], Marked]:
    """Names the settings that a command has options for, where it needs few of them."""

    def mark(function: Marked) -> Marked:
        function.__settings__ = settings  # type: ignore[attr-defined]  # beside click's __click_params__
        return function

    return mark


def command_of(command: Function | CommandGroup, make_app: MakeApp, settings_type: type[Settings]) -> click.Command:
    """The command for click. It has an option for every setting, or for those that `takes` names."""
    if isinstance(command, CommandGroup):
        return _group(command, make_app, settings_type)
    return _command(command, make_app, settings_type)


class _Words(click.ParamType[tuple[str, ...], Any]):
    """Words with commas or blanks between them, as names of modules."""

    name = "names"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> tuple[str, ...]:
        return tuple(value.replace(",", " ").split() if isinstance(value, str) else value)


def _load_file(
    settings_type: type[Settings], taken: Sequence[Field[Any]]
) -> Callable[[click.Context, click.Parameter, Path | None], None]:
    def load(context: click.Context, parameter: click.Parameter, path: Path | None) -> None:
        if path is not None:
            try:
                values = read_file(path, settings_type)
            except SettingsError as error:
                raise click.UsageError(str(error)) from error
            # Only the settings that the command takes: an option of its own may have the name of another.
            context.default_map = {setting.name: values[setting.name] for setting in taken if setting.name in values}

    return load


def _options(settings_type: type[Settings], taken: Sequence[Field[Any]]) -> list[click.Parameter]:
    """One option for each setting that is taken, and one for the file that settings come from."""
    file = click.Option(
        ["--config"],
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        envvar=CONFIG_VARIABLE,
        is_eager=True,
        expose_value=False,
        callback=_load_file(settings_type, taken),
        help="TOML file with settings",
    )
    return [file, *map(_option, taken)]


def _option(setting: Field[Any]) -> click.Option:
    name = setting.name.replace("_", "-")
    return click.Option(
        [f"--{name}/--no-{name}" if setting.default is True else f"--{name}"],
        default=setting.default,
        type=_Words() if isinstance(setting.default, tuple) else type(setting.default),
        is_flag=isinstance(setting.default, bool),
        envvar=PREFIX + setting.name.upper(),
        help=setting.metadata["help"],
        show_default=setting.default not in ((), ""),
    )


def _group(group: CommandGroup, make_app: MakeApp, settings_type: type[Settings]) -> click.Group:
    made = click.Group(group.name, help=group.explanation)
    for function in group.functions:
        made.add_command(command_of(function, make_app, settings_type))
    return made


def _command(function: Function, make_app: MakeApp, settings_type: type[Settings]) -> click.Command:
    wanted = getattr(function, "__settings__", None)
    taken = [setting for setting in fields(settings_type) if wanted is None or setting.name in wanted]

    def callback(**options: Any) -> None:
        values = {setting.name: options.pop(setting.name) for setting in taken}
        unknown = unknown_variables(os.environ, settings_type)
        if unknown:
            raise click.UsageError("; ".join(unknown))
        try:
            settings = settings_type(**values)
        except SettingsError as error:
            raise click.UsageError(str(error)) from error
        function(make_app, settings, **options)

    own: list[click.Parameter] = list(reversed(getattr(function, "__click_params__", [])))
    return click.Command(
        function.__name__.rstrip("_"),
        params=[*own, *_options(settings_type, taken)],
        callback=callback,
        help=inspect.getdoc(function),
    )
