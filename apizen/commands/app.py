"""``app``: the programs that may call."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from apizen.commands.command import CommandGroup, MakeApp, takes
from apizen.commands.console import TEXT, Parsed, answer, as_json, opened, utf8
from apizen.governance.address import Networks
from apizen.governance.records.models import App
from apizen.settings import Settings

if TYPE_CHECKING:
    from apizen.governance.records.apps import Apps

__all__ = ["app"]

_takes = takes("data", "database", "secret_key")


def _name(text: str) -> str:
    if not text.isprintable() or text != text.strip() or not 0 < len(text) <= 100:
        raise ValueError("a name is 1 to 100 characters without blanks around them")
    return text


def _networks(text: str) -> Networks:
    return Networks.of(filter(None, text.replace(",", " ").split()))


def _rate(text: str) -> str:
    from apizen.governance.limit import parse_rate  # heavy

    parse_rate(text)
    return text


def _patterns(text: str) -> tuple[str, ...]:
    return tuple(pattern.strip() for pattern in utf8(text).split(",") if pattern.strip())


@contextlib.contextmanager
def _apps(settings: Settings) -> Iterator[Apps]:
    with opened(settings) as database:
        from apizen.governance.records.apps import Apps
        from apizen.governance.records.secret import SecretKey

        yield Apps(database, SecretKey(settings.secret_key, Path(settings.data)))


def _public(app: App) -> dict[str, Any]:
    """All that may be shown of an app at any time."""
    return {
        "name": app.name,
        "app_key": app.app_key,
        "enabled": app.enabled,
        "addresses": list(app.addresses),
        "rate": app.rate,
        "methods": list(app.methods),
    }


def _lines(app: App) -> str:
    values = {
        "app": f"{app.name}{'' if app.enabled else '  (disabled)'}",
        "app_key": app.app_key,
        "secret": f"{app.secret}  (shown only now)" if app.secret else "",
        "addresses": ", ".join(app.addresses) or "all",
        "rate": app.rate or "-",
        "methods": ", ".join(app.methods) or "all",
    }
    return "\n".join(f"{name:<9}  {value}" for name, value in values.items() if value)


@click.argument("name", type=Parsed("name", _name))
@click.option("--addresses", "networks", type=Parsed("cidr,…", _networks), help="networks that it may call from")
@click.option("--rate", "app_rate", type=Parsed("rate", _rate), help="as 100/minute: calls of all methods")
@click.option("--methods", "patterns", type=Parsed("pattern,…", _patterns), help="those it may call, as matrix.*")
@as_json
@_takes
def create(
    make_app: MakeApp,
    settings: Settings,
    name: str,
    networks: Networks | None,
    app_rate: str | None,
    patterns: tuple[str, ...] | None,
    as_json: bool,
) -> None:
    """Make the app NAME; its secret is shown only now."""
    with _apps(settings) as apps:
        made = apps.create(name, networks, app_rate or "", patterns or ())
    answer({**_public(made), "secret": made.secret}, _lines(made), as_json)


@as_json
@_takes
def list_(make_app: MakeApp, settings: Settings, as_json: bool) -> None:
    """List the apps."""
    with _apps(settings) as apps:
        found = apps.all()
    width = max((len(app.name) for app in found), default=0)
    lines = [f"{app.name:<{width}}  {app.app_key}{'' if app.enabled else '  (disabled)'}" for app in found]
    answer([_public(app) for app in found], "\n".join([*lines, f"{len(found)} apps"]), as_json)


@click.argument("name", type=TEXT)
@as_json
@_takes
def show(make_app: MakeApp, settings: Settings, name: str, as_json: bool) -> None:
    """Show the app NAME, without its secret."""
    _change(settings, lambda apps: apps.find(name), as_json)


@click.argument("name", type=TEXT)
@as_json
@_takes
def disable(make_app: MakeApp, settings: Settings, name: str, as_json: bool) -> None:
    """Refuse the calls of the app NAME."""
    _change(settings, lambda apps: apps.enable(name, False), as_json)


@click.argument("name", type=TEXT)
@as_json
@_takes
def enable(make_app: MakeApp, settings: Settings, name: str, as_json: bool) -> None:
    """Let the app NAME call again."""
    _change(settings, lambda apps: apps.enable(name, True), as_json)


def _change(settings: Settings, change: Callable[[Apps], App], as_json: bool) -> None:
    with _apps(settings) as apps:
        found = change(apps)
    answer(_public(found), _lines(found), as_json)


@click.argument("name", type=TEXT)
@as_json
@_takes
def rotate(make_app: MakeApp, settings: Settings, name: str, as_json: bool) -> None:
    """Give the app NAME a new secret.

    The old one is refused from now on. The new one is shown only now.
    """
    with _apps(settings) as apps:
        found = apps.rotate(name)
    answer({**_public(found), "secret": found.secret}, _lines(found), as_json)


app = CommandGroup(
    "app", "The apps that may call: their keys, secrets and limits.", (create, list_, show, disable, enable, rotate)
)
