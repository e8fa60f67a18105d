"""What calls are checked against: apps, bans and maintenance, in memory, as last read from the database.

A thread looks once a second whether something has changed, reads it, and puts a new snapshot in the place of
the old one; a call only ever reads memory. Where the database fails, the last snapshot stands. So it does where the
database was emptied, replaced or set back, until it is put back, or the server is started again.

>>> records = LiveRecords(database='', data='nowhere')
>>> records.load()
>>> records.known, records.find('12345678'), records.ban_of('192.0.2.7'), records.maintenance
(True, None, None, None)
"""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from datetime import UTC, datetime
from pathlib import Path

from apizen.governance.error import GovernanceError, LostDatabaseError
from apizen.governance.records.models import App, Ban
from apizen.governance.records.reader import Reader
from apizen.governance.records.snapshot import NOTHING, Snapshot
from apizen.throttled_log import ThrottledLog

__all__ = ["App", "Ban", "LiveRecords"]

_LOOK_SECONDS = 1.0
_SILENT_SECONDS = 60.0


class LiveRecords:
    """The apps, bans and maintenance of a database: read by `load` at start, then by `watch`.

    ``database`` is its URL, empty for the SQLite file in the folder ``data``. ``secret_key`` is the setting.
    """

    def __init__(self, database: str, data: str | Path, secret_key: str = "") -> None:
        #: False until the database could be read once.
        self.known = False
        #: Whether the database lacks what was read from it.
        self.lost = False
        self._reader = Reader(database, Path(data), secret_key)
        self._snapshot: Snapshot = NOTHING
        self._complaints = ThrottledLog(logging.getLogger(__name__), _SILENT_SECONDS)
        self._losses = ThrottledLog(logging.getLogger(__name__), _SILENT_SECONDS)

    @property
    def maintenance(self) -> str | None:
        """None: off; else the message for callers, which may be empty."""
        return self._snapshot.maintenance

    def find(self, app_key: str) -> App | None:
        """The app of a key, a disabled one too."""
        return self._snapshot.apps.get(app_key)

    def is_unreadable(self, app_key: str) -> bool:
        """Whether there is such an app, and it may call, but `find` lacks it: its secret can't be decrypted now."""
        return app_key in self._snapshot.unreadable

    def ban_of(self, address: str) -> Ban | None:
        """A ban that an address falls under."""
        bans = self._snapshot.bans
        if bans is None:
            return None
        over = bans.over(address)
        if not over:
            return None
        now = datetime.now(UTC)
        return next((ban for ban in over if ban.holds(now)), None)

    def load(self) -> None:
        """Reads the database. Raises SettingsError for a URL that can't be one; what else fails is logged.

        It may be called before a fork and again after it: nothing stays open. Where the database fails after the
        fork, what was read before stands, unless another process has read something newer: then nothing is known.
        """
        try:
            if not self._refresh():
                self.known = self.known and not self._reader.outdated
        finally:
            self._reader.close()

    async def watch(self) -> None:
        """Notices changes within two seconds, until it is cancelled."""
        stop = threading.Event()
        # A daemon: a database that does not answer must not keep the process from ending.
        threading.Thread(target=self._look, args=(stop,), name="apizen-records", daemon=True).start()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            stop.set()

    def _look(self, stop: threading.Event) -> None:
        while not stop.wait(_LOOK_SECONDS):
            try:
                self._refresh()
            except Exception as error:  # it must look again whatever happens
                self._complaints.warning("%s", "".join(traceback.format_exception(error)))
        self._reader.close()

    def _refresh(self) -> bool:
        """Reads what is new; whether that could be done."""
        try:
            snapshot = self._reader.read()
        except LostDatabaseError as error:
            self._losses.warning("the apps and bans can't be read: %s; put it back, or restart the server", error)
            self.lost = True
            return False
        except GovernanceError as error:
            self._complaints.warning("the apps and bans can't be read: %s", error)
            return False
        self.lost = False
        self._snapshot = snapshot
        self.known = True
        return True
