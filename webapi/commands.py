"""The host's commands: who watches the screen, and the end of it for one of them."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import click

from apizen.application import Application
from apizen.settings import Settings

__all__ = ["kick", "viewers"]

MakeApp = Callable[[Settings], Application]


def viewers(make_app: MakeApp, settings: Settings) -> None:
    """List who watches the screen of the running server."""
    state = _ask(settings, "viewers", None)
    for viewer in state["viewers"]:
        minutes, seconds = divmod(int(time.time() - viewer["since"]), 60)
        slow = "  slow" if viewer["slow"] else ""
        click.echo(
            f"{viewer['address']:<40} {minutes:3}:{seconds:02}  {viewer['preset']:<6} {viewer['fps']:5.1f} fps{slow}"
        )
    click.echo(f"{len(state['viewers'])} viewers")


@click.argument("address")
def kick(make_app: MakeApp, settings: Settings, address: str) -> None:
    """End the streams of ADDRESS."""
    click.echo(f"{_ask(settings, 'kick', {'address': address})['kicked']} streams ended")


def _ask(settings: Settings, what: str, form: dict[str, str] | None) -> Any:
    """What the server on this machine answers to its host."""
    data = None if form is None else urlencode(form).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{settings.port}/screen/{what}", data, {"X-Screen-Host": "1"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=5) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        raise click.ClickException(f"the server answered {error.code}: {text}") from error
    except OSError as error:
        raise click.ClickException(f"no server answers on port {settings.port}: {error}") from error
