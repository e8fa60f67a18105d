"""``ban``: the networks whose calls are refused.

>>> now = datetime(2026, 1, 1, tzinfo=UTC)
>>> print(time_of('2h', now), time_of('2026-02-01', now), sep=', ')
2026-01-01 02:00:00+00:00, 2026-02-01 00:00:00+00:00
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from apizen.commands.command import CommandGroup, MakeApp, takes
from apizen.commands.console import TEXT, Parsed, answer, as_json, opened
from apizen.governance.address import parse_network
from apizen.governance.records.models import Ban
from apizen.settings import Settings

__all__ = ["ban", "time_of"]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_takes = takes("data", "database")


def time_of(text: str, now: datetime) -> datetime:
    """The time that a text means: a duration from now, or a date and time, in UTC without a zone. Raises ValueError."""
    duration = re.fullmatch(r"(\d+)([smhd])", text)
    try:
        if duration:
            time = now + timedelta(**{_UNITS[duration[2]]: int(duration[1])})
        else:
            given = datetime.fromisoformat(text)
            time = given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time as 2h, 30m, 7d or 2026-12-31T18:00, which is in UTC") from None
    if time <= now:
        raise ValueError(f"{text!r} is not in the future")
    return time


def _until(text: str) -> datetime:
    return time_of(text, datetime.now(UTC))


def _network(text: str) -> str:
    return str(parse_network(text))


def _written(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _public(ban: Ban) -> dict[str, Any]:
    return {"network": ban.network, "until": ban.until and _written(ban.until), "reason": ban.reason}


def _line(ban: Ban) -> str:
    until = f"until {_written(ban.until)}" if ban.until else "for good"
    return f"{ban.network:<20}  {until:<26}  {ban.reason}".rstrip()


@click.argument("network", metavar="CIDR", type=Parsed("cidr", _network))
@click.option("--until", type=Parsed("time", _until), help="as 2h, 30m, 7d, or 2026-12-31T18:00 in UTC; else for good")
@click.option("--reason", type=TEXT, default="", help="a note for the operators")
@as_json
@_takes
def add(
    make_app: MakeApp, settings: Settings, network: str, until: datetime | None, reason: str, as_json: bool
) -> None:
    """Refuse all calls from CIDR.

    That is an address or a network; an earlier ban of the same is replaced.
    """
    from apizen.governance.records.bans import Bans

    with opened(settings) as database:
        made = Bans(database).add(network, until, reason)
    answer(_public(made), _line(made), as_json)


@as_json
@_takes
def list_(make_app: MakeApp, settings: Settings, as_json: bool) -> None:
    """List the bans that hold."""
    from apizen.governance.records.bans import Bans

    with opened(settings) as database:
        found = Bans(database).all()
    answer([_public(one) for one in found], "\n".join([*map(_line, found), f"{len(found)} bans"]), as_json)


@click.argument("network", metavar="CIDR", type=Parsed("cidr", _network))
@as_json
@_takes
def remove(make_app: MakeApp, settings: Settings, network: str, as_json: bool) -> None:
    """End the ban of CIDR, as it was added."""
    from apizen.governance.records.bans import Bans

    with opened(settings) as database:
        ended = Bans(database).remove(network)
    answer(_public(ended), f"{ended.network} is no longer banned", as_json)


ban = CommandGroup("ban", "The addresses and networks whose calls are refused.", (add, list_, remove))
