"""``maintenance``: every call is answered with 1001."""

from __future__ import annotations

import click

from apizen.commands.command import MakeApp, takes
from apizen.commands.console import TEXT, answer, as_json, opened
from apizen.settings import Settings

__all__ = ["maintenance"]


@click.argument("switch", metavar="[on|off]", type=click.Choice(["on", "off"]), required=False)
@click.option("--message", type=TEXT, help="what callers are told beside the code")
@as_json
@takes("data", "database")
def maintenance(make_app: MakeApp, settings: Settings, switch: str | None, message: str | None, as_json: bool) -> None:
    """Answer all calls with 1001, or no longer.

    Without on or off it says how it is.
    """
    if message is not None and switch != "on":
        raise click.UsageError("--message goes with on")
    with opened(settings) as database:
        if switch is not None:
            database.set_maintenance((message or "") if switch == "on" else None)
        found = database.state().maintenance
    text = "maintenance is off" if found is None else f"maintenance is on{': ' if found else ''}{found}"
    answer({"maintenance": found is not None, "message": found}, text, as_json)
