"""Puts the governance of one application together: from settings to guards, doors, and what runs behind them.

Only what is used is made: without signed methods and limits nothing is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from apizen.exception import ApiSysExceptions
from apizen.governance.address import CallerAddress, Networks
from apizen.governance.auth import SignatureGuards
from apizen.governance.rate import RateGuards, Rates
from apizen.governance.records.live import LiveRecords
from apizen.governance.signature_guard import SignatureGuard
from apizen.governance.state import SharedState
from apizen.guard import GuardMaker
from apizen.request import Request
from apizen.service import Service, StartError
from apizen.settings import Settings, SettingsError

if TYPE_CHECKING:
    from apizen.governance.lockout import Lockout
    from apizen.governance.stores.base import Counters
    from apizen.pipeline import Door

__all__ = ["Governance"]

Made = TypeVar("Made")

_RETRY_AFTER = "5"


class Governance(Service):
    """The guards of the endpoints and the doors of the gateway, as the settings want them.

    Raises SettingsError for what they can't be.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.records = LiveRecords(settings.database, settings.data, settings.secret_key)
        #: Finds the address of a request's caller.
        self.address_of = _address_of(settings.trusted_proxies)
        self._state = SharedState(settings)
        self._lockout: Lockout | None = None
        self._watches: list[asyncio.Task[None]] = []
        if settings.rate or settings.rate_total:
            self._limits  # noqa: B018 (reports a rate that can't be one)

    @property
    def guards(self) -> tuple[GuardMaker, ...]:
        """What makes the guards of endpoints: who calls is proved before it is counted."""
        settings = self._settings
        every = bool(settings.rate or settings.rate_total)
        return (
            SignatureGuards(lambda: self._signed_calls),
            RateGuards(lambda: self._limits, every=every),
        )

    @property
    def doors(self) -> tuple[Door, ...]:
        """What every call must pass."""
        return self._refuse_while_maintained, self._refuse_banned

    def check_ban(self, request: Request) -> None:
        """Refuses the requests of banned addresses, whatever they are for."""
        if self.records.ban_of(self.address_of(request)) is not None:
            raise ApiSysExceptions.forbidden_request

    def times_full(self) -> int:
        """How often this process had no place in which to count somebody."""
        return self._state.times_full

    def why_not_ready(self) -> str:
        """Why the server should get no calls now, empty where it should."""
        if self.records.maintenance is not None:
            return "maintenance"
        if self.records.lost:
            return "the database of apps and bans has gone or lacks what was read from it"
        return "" if self.records.known else "the database of apps and bans could not be read"

    def occupy(self) -> None:
        """Takes the data folder, where that must not be shared. Raises `StartError`."""
        self._state.occupy()

    def prepare(self) -> None:
        try:
            self.records.load()
        except SettingsError as error:
            raise StartError(str(error)) from error

    async def start(self) -> None:
        await asyncio.to_thread(self.prepare)
        self._watches = [asyncio.create_task(self.records.watch())]
        if self._lockout is not None:
            self._watches.append(asyncio.create_task(self._lockout.watch()))

    async def close(self) -> None:
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        await self._state.close()

    def _refuse_while_maintained(self, address: str) -> None:
        message = self.records.maintenance
        if message is not None:
            raise ApiSysExceptions.missing_system_error(message or None)

    def _refuse_banned(self, address: str) -> None:
        if self.records.ban_of(address) is not None:
            raise ApiSysExceptions.forbidden_request
        if not self.records.known and "ban" not in self._settings.fail_open:
            raise ApiSysExceptions.service_busy(headers={"Retry-After": _RETRY_AFTER})

    @property
    def _counters(self) -> Counters:
        return _from_settings(lambda: self._state.counters)

    @cached_property
    def _limits(self) -> Rates:
        settings = self._settings
        open_ = "rate" in settings.fail_open
        return _from_settings(Rates, self._counters, default=settings.rate, total=settings.rate_total, fail_open=open_)

    @cached_property
    def _signed_calls(self) -> SignatureGuard:
        from apizen.governance.lockout import Lockout

        settings = self._settings
        self._lockout = _from_settings(Lockout, self._counters, settings.lockout, settings.lockout_seconds)
        return _from_settings(
            SignatureGuard,
            self.records,
            self._counters,
            self._lockout,
            sign_methods=settings.sign_methods,
            time_zone=settings.time_zone,
            debug=settings.debug,
            fail_open="sign" in settings.fail_open,
        )


def _address_of(trusted: tuple[str, ...]) -> Callable[[Request], str]:
    return _from_settings(lambda: CallerAddress(Networks.of(trusted)).of) if trusted else attrgetter("peer")


def _from_settings(make: Callable[..., Made], *arguments: Any, **named: Any) -> Made:
    """What is made from settings; where it can't be, the settings are wrong."""
    try:
        return make(*arguments, **named)
    except ValueError as error:
        raise SettingsError(str(error)) from error
