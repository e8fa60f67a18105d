"""The command line: serve, methods, call, check.

Every command takes every setting as an option; see `apizen.settings` for where else they come from.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import logging
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import click
from tornado import autoreload

from apizen import __version__
from apizen.application import App
from apizen.application import make_app as make_plain_app
from apizen.handler import GATEWAY_PATH
from apizen.message import Request, Response
from apizen.server import Server
from apizen.settings import CONFIG_VARIABLE, PREFIX, Settings, SettingsError, read_file, unknown_variables
from apizen.version import Catalogue, RegistrationError

__all__ = ["main"]

MakeApp = Callable[[Settings], App]
Result = TypeVar("Result")


class _ServeByDefault(click.Group):
    """A group that serves where no command is named: ``run.py --port 80`` is ``run.py serve --port 80``."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("--help", "--version")):
            arguments = ["serve", *arguments]
        return super().parse_args(context, arguments)


class _Names(click.ParamType[tuple[str, ...], Any]):
    """Module names with commas between them; given more than once, they add up."""

    name = "names"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> tuple[str, ...]:
        names = value.replace(",", " ").split() if isinstance(value, str) else value
        return tuple(names)


def _load_file(settings_type: type[Settings]) -> Callable[[click.Context, click.Parameter, Path | None], None]:
    def load(context: click.Context, parameter: click.Parameter, path: Path | None) -> None:
        if path is not None:
            try:
                context.default_map = read_file(path, settings_type)
            except SettingsError as error:
                raise click.UsageError(str(error)) from error

    return load


def _options(settings_type: type[Settings]) -> list[click.Parameter]:
    """One option for each setting, and one for the file that settings come from."""
    file = click.Option(
        ["--config"],
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        envvar=CONFIG_VARIABLE,
        is_eager=True,
        expose_value=False,
        callback=_load_file(settings_type),
        help="TOML file with settings",
    )
    return [file, *(_option(setting) for setting in fields(settings_type))]


def _option(setting: Field[Any]) -> click.Option:
    return click.Option(
        ["--" + setting.name.replace("_", "-")],
        default=setting.default,
        type=_Names() if isinstance(setting.default, tuple) else type(setting.default),
        is_flag=isinstance(setting.default, bool),
        envvar=PREFIX + setting.name.upper(),
        help=setting.metadata["help"],
        show_default=setting.default not in ((), ""),
    )


def _command(function: Callable[..., None], make_app: MakeApp, settings_type: type[Settings]) -> click.Command:
    """A command of a function that takes ``make_app``, the settings, and its own arguments."""

    def callback(**options: Any) -> None:
        values = {setting.name: options.pop(setting.name) for setting in fields(settings_type)}
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
        function.__name__, params=[*own, *_options(settings_type)], callback=callback, help=inspect.getdoc(function)
    )


def serve(make_app: MakeApp, settings: Settings) -> None:
    """Serve the API until SIGTERM or Ctrl-C."""
    logging.basicConfig(
        level=logging.INFO if settings.debug else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    app = _app(make_app, settings)
    for problem in app.catalogue.problems:
        click.echo(f"bad configuration: {problem}", err=True)
    _run(_serve(app))


def _run(main: Coroutine[Any, Any, Result]) -> Result:
    """asyncio.run, but for tasks that swallow their cancellation: it would wait for them for ever."""
    runner = asyncio.Runner()
    result = runner.run(main)
    loop = runner.get_loop()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks and loop.run_until_complete(asyncio.wait(tasks, timeout=1))[1]:
        return result  # the loop ends with the process
    runner.close()
    return result


async def _serve(app: App) -> None:
    settings = app.settings
    server = Server(app.front, app.runner, settings.host, settings.port, app.services)
    try:
        server.start()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise click.ClickException(f"can't listen on {settings.host}:{settings.port}: {reason}") from error
    if settings.debug:
        autoreload.start()
    await server.run(functools.partial(_announce, server, app))


def _announce(server: Server, app: App) -> None:
    click.echo(f"api zen {__version__}, stop with Ctrl-C")
    origins = [f"http://{address}:{server.port}" for address in _addresses(server.host)]
    for origin in origins:
        click.echo(f"  {origin}{GATEWAY_PATH}?v=…&method=…")
    for service in app.services:
        for line in service.announce(origins):
            click.echo(line)


def _addresses(host: str) -> list[str]:
    """The addresses under which a server that listens on ``host`` can be reached."""
    if host not in ("0.0.0.0", "::"):  # noqa: S104 (compares, binds nothing)
        return [f"[{host}]" if ":" in host else host]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1: chooses a route, sends nothing
            return ["127.0.0.1", probe.getsockname()[0]]
        except OSError:
            return ["127.0.0.1"]


def methods(make_app: MakeApp, settings: Settings) -> None:
    """Print the versions, their methods and the signatures."""
    catalogue = _app(make_app, settings).catalogue
    for version, enable in catalogue.versions.items():
        click.echo(f"{version}{'' if enable else '  (disabled)'}")
        for name, endpoint in sorted(catalogue.methods.get(version, {}).items(), key=lambda item: str(item[0])):
            if endpoint is None:
                click.echo(f"  {name}  (bad configuration, see check)")
            else:
                state = "" if endpoint.enable else "  (disabled)"
                click.echo(f"  {name}{endpoint.plan.signature}  {endpoint.allow or '-'}{state}")


@click.argument("method")
@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]...")
def call(make_app: MakeApp, settings: Settings, method: str, parameters: tuple[str, ...]) -> None:
    """Call METHOD in this process and print the envelope.

    \b
    Example: call matrix.api.set-user v=1.0 user_id=11 name=jack
    """
    pairs = [("method", method)]
    for parameter in parameters:
        name, equals, value = parameter.partition("=")
        if not equals:
            raise click.UsageError(f"{parameter!r} is no NAME=VALUE")
        pairs.append((name, value))
    app = _app(make_app, settings)
    verb = _verb(app.catalogue, dict(pairs).get("v", ""), method)
    response = _run(_call(app, Request(verb, urlencode(pairs, errors="surrogateescape"), {})))
    click.echo(response.body.decode(errors="replace"))
    if response.status >= 400:
        sys.exit(1)


def _verb(catalogue: Catalogue, version: str, method: str) -> str:
    """A verb that the method takes, so that the command line need not know."""
    endpoint = catalogue.methods.get(version, {}).get(method)
    return "GET" if endpoint is None or "GET" in endpoint.verbs else min(endpoint.verbs)


async def _call(app: App, request: Request) -> Response:
    answer = app.gateway.handle(request)
    return answer if isinstance(answer, Response) else await answer


def check(make_app: MakeApp, settings: Settings) -> None:
    """Report bad configuration; exit 1 where there is any."""
    catalogue = _app(make_app, settings).catalogue
    for problem in catalogue.problems:
        click.echo(str(problem))
    count = sum(map(len, catalogue.methods.values()))
    click.echo(f"{len(catalogue.versions)} versions, {count} methods, {len(catalogue.problems)} problems")
    if catalogue.problems:
        sys.exit(1)


def _app(make_app: MakeApp, settings: Settings) -> App:
    # An application's modules lie where the command is given, as for python -m.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    for name in settings.methods:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise click.UsageError(f"--methods: there is no module {name!r}") from error
        except RegistrationError as error:
            raise click.ClickException(str(error)) from error
    try:
        app = make_app(settings)
    except RegistrationError as error:
        raise click.ClickException(str(error)) from error
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    if not app.catalogue.versions:
        raise click.UsageError("no version is registered: name the module that registers one with --methods")
    return app


_COMMANDS: tuple[Callable[..., None], ...] = (serve, methods, call, check)


def main(
    make_app: MakeApp = make_plain_app,
    settings_type: type[Settings] = Settings,
    further: Iterable[Callable[..., None]] = (),
) -> None:
    """Runs the command line for an application.

    ``make_app`` makes it from the settings, which are a ``settings_type``; ``further`` are commands of the
    application's own: functions that take ``make_app``, the settings, and what their click decorators say.
    """
    group = _ServeByDefault("apizen", help="api zen: plain Python functions as a versioned, validated web API.")
    click.version_option(__version__, prog_name="api zen")(group)
    for function in (*_COMMANDS, *further):
        group.add_command(_command(function, make_app, settings_type))
    group(prog_name=Path(sys.argv[0]).name)
