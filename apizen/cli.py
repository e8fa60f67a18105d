"""The command line: serve, methods, call, check, and the operators' commands in `apizen.commands`.

A command takes the settings as options; see `apizen.settings` for where else they come from.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import click
from tornado import autoreload

from apizen import __version__
from apizen.application import Application
from apizen.application import make_app as make_plain_app
from apizen.catalogue import Catalogue
from apizen.commands.app import app as app_commands
from apizen.commands.ban import ban
from apizen.commands.command import CommandGroup, command_of
from apizen.commands.maintenance import maintenance
from apizen.commands.sign import sign
from apizen.commands.top import top
from apizen.request import GATEWAY_PATH, Request, Response
from apizen.servers.descriptors import connection_limit, descriptor_limit, raise_descriptor_limit
from apizen.servers.supervisor import Supervisor
from apizen.servers.tornado.listener import bind
from apizen.servers.tornado.server import Server
from apizen.service import Services, StartError
from apizen.settings import Settings, SettingsError
from apizen.version import RegistrationError

__all__ = ["main"]

logger = logging.getLogger(__name__)

MakeApp = Callable[[Settings], Application]
Result = TypeVar("Result")


class _ServeByDefault(click.Group):
    """A group that serves where no command is named: ``run.py --port 80`` is ``run.py serve --port 80``."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("--help", "--version")):
            arguments = ["serve", *arguments]
        return super().parse_args(context, arguments)


def serve(make_app: MakeApp, settings: Settings) -> None:
    """Serve the API until SIGTERM or Ctrl-C."""
    raise_descriptor_limit()
    if settings.workers > 1:
        _check_workers(settings)
    _log_to_stderr(logging.INFO if settings.debug else logging.WARNING)
    app = _app(make_app, settings)
    for problem in app.catalogue.problems:
        click.echo(f"bad configuration: {problem}", err=True)
    if (limit := connection_limit(settings)) < settings.max_connections:
        message = "max_connections is %d: with a limit of %d open files (ulimit -n) only %d connections are taken"
        logger.warning(message, settings.max_connections, descriptor_limit(), limit)
    sockets = _listen(settings)
    announce = functools.partial(_announce, app, sockets[0].getsockname()[1])

    def work(ready: Callable[[], None]) -> None:
        _run(_serve(app, sockets, ready))

    try:
        app.occupy()
        if settings.workers > 1:
            for service in app.services:
                service.prepare()
            sys.exit(Supervisor(settings.workers, sockets, work, announce, app.breaker).run())
        work(announce)
    except StartError as error:
        raise click.ClickException(str(error)) from error
    finally:
        for listener in sockets:
            listener.close()


def _log_to_stderr(level: int) -> None:
    """What the logging module is told, masked as in the access log, which may be off."""
    from apizen.observability.masking import MaskedFormatter

    handler = logging.StreamHandler()
    handler.setFormatter(MaskedFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


def _check_workers(settings: Settings) -> None:
    if settings.debug:
        raise click.UsageError(f"--debug reloads one process: it can't be used with --workers {settings.workers}")
    if not hasattr(os, "fork"):
        raise click.UsageError("this system can't fork processes: it takes no more than --workers 1")


def _listen(settings: Settings) -> list[socket.socket]:
    try:
        return bind(settings.host, settings.port)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise click.ClickException(f"can't listen on {settings.host}:{settings.port}: {reason}") from error


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


async def _serve(app: Application, sockets: Sequence[socket.socket], announce: Callable[[], None]) -> None:
    settings = app.settings
    server = Server(app, settings.host, settings.port)
    await server.start(sockets, shared=settings.workers > 1)
    if settings.debug:
        autoreload.start()
    await server.run(announce)


def _announce(app: Application, port: int) -> None:
    click.echo(f"api zen {__version__}, stop with Ctrl-C")
    origins = [f"http://{address}:{port}" for address in _addresses(app.settings.host)]
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
    catalogue = _app(make_app, replace(settings, access_log="off")).catalogue
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
    app = _app(make_app, replace(settings, access_log="off"))
    verb = _verb(app.catalogue, dict(pairs).get("v", ""), method)
    response = _run(_call(app, Request(verb, urlencode(pairs, errors="surrogateescape"), {})))
    click.echo(response.body.decode(errors="replace"))
    if response.status >= 400:
        sys.exit(1)


def _verb(catalogue: Catalogue, version: str, method: str) -> str:
    """A verb that the method takes, so that the command line need not know."""
    endpoint = catalogue.methods.get(version, {}).get(method)
    return "GET" if endpoint is None or "GET" in endpoint.verbs else min(endpoint.verbs)


async def _call(app: Application, request: Request) -> Response:
    services = Services(app.services)
    await services.start()
    try:
        answer = app.gateway.handle(request)
        return answer if isinstance(answer, Response) else await answer
    finally:
        await services.close()


def check(make_app: MakeApp, settings: Settings) -> None:
    """Report bad configuration; exit 1 where there is any."""
    catalogue = _app(make_app, replace(settings, access_log="off")).catalogue
    for problem in catalogue.problems:
        click.echo(str(problem))
    count = sum(map(len, catalogue.methods.values()))
    click.echo(f"{len(catalogue.versions)} versions, {count} methods, {len(catalogue.problems)} problems")
    if catalogue.problems:
        sys.exit(1)


def _app(make_app: MakeApp, settings: Settings) -> Application:
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


_COMMANDS: tuple[Callable[..., None] | CommandGroup, ...] = (
    serve, methods, call, check, sign, app_commands, ban, maintenance, top,
)  # fmt: skip


def main(
    make_app: MakeApp = make_plain_app,
    settings_type: type[Settings] = Settings,
    further: Iterable[Callable[..., None] | CommandGroup] = (),
) -> None:
    """Runs the command line for an application.

    ``make_app`` makes it from the settings, which are a ``settings_type``; ``further`` are commands of the
    application's own: functions that take ``make_app``, the settings, and what their click decorators say, or
    groups of such functions.
    """
    group = _ServeByDefault("apizen", help="api zen: plain Python functions as a versioned, validated web API.")
    click.version_option(__version__, prog_name="api zen")(group)
    for command in (*_COMMANDS, *further):
        group.add_command(command_of(command, make_app, settings_type))
    group(prog_name=Path(sys.argv[0]).name)
