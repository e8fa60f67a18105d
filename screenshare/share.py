"""The screen share as one thing: a hub, a gate, their paths, and what the host is told at start."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from tornado.routing import URLSpec

from screenshare.gate import Gate, new_pin
from screenshare.hub import Hub
from screenshare.names import HostNames
from screenshare.page import page_rules
from screenshare.picture import presets_of
from screenshare.process import CaptureProcess
from screenshare.source_choice import check_spec
from screenshare.stream import HostHandler, SnapshotHandler, StateHandler, StreamHandler

__all__ = ["ScreenShare"]


class ScreenShare:
    """Shares one source with viewers. ``pin`` empty makes a new one, ``open_to_all`` needs none.

    ``pin_local``: viewers on this machine need it, too. ``hosts`` are names under which the screen may be asked
    for, beside this machine's own. ``width``, ``quality`` and ``fps`` are of the middle preset. Raises ValueError for
    a source, a PIN or a name that can't be.
    """

    def __init__(
        self,
        *,
        source: str,
        pin: str = "",
        open_to_all: bool = False,
        pin_local: bool = False,
        hosts: Iterable[str] = (),
        width: int = 1366,
        quality: int = 80,
        fps: float = 15.0,
        max_viewers: int = 50,
    ) -> None:
        check_spec(source)
        self._pin = None if open_to_all else pin or new_pin()
        self._pin_local = pin_local
        self.gate = Gate(self._pin, names=HostNames(hosts), pin_local=pin_local)
        self.hub = Hub(partial(CaptureProcess, source), presets_of(width, quality, fps), max_viewers=max_viewers)

    @property
    def rules(self) -> list[Any]:
        """The paths, for an `Application`."""
        parts = {"hub": self.hub, "gate": self.gate}
        return [
            URLSpec(r"/video_feed", StreamHandler, parts),
            URLSpec(r"/screen/snapshot\.jpg", SnapshotHandler, parts),
            URLSpec(r"/screen/state", StateHandler, parts),
            URLSpec(r"/screen/(?:viewers|kick)", HostHandler, parts),
            *page_rules(self.gate),
        ]

    def announce(self, origins: Sequence[str]) -> list[str]:
        """What the host reads at start: addresses and the PIN; for viewers who need it a link with the key, as a QR
        code too where another machine can watch.
        """
        lines = [f"  {origin}/screen" for origin in origins]
        lines.append("  anybody may watch, 任何人都可以观看" if self._pin is None else f"  PIN {self._pin}")
        fragment = "" if self._pin is None else f"#key={self.gate.key}"
        elsewhere = [origin for origin in origins if urlsplit(origin).hostname not in ("127.0.0.1", "::1", "localhost")]
        links = [f"{origin}/screen{fragment}" for origin in elsewhere or origins]
        if self._pin is not None and (elsewhere or self._pin_local):
            lines.append(f"  {links[0]}")
        if elsewhere:
            lines.append(_qr_code(links[0]))
        return lines

    def prepare(self) -> None:
        """Nothing: the screen is shared by one process."""

    async def start(self) -> None:
        """Nothing: the first viewer starts the hub."""

    async def drain(self) -> None:
        await self.hub.close()

    async def close(self) -> None:
        """Nothing: the streams have ended, and with them the hub."""


def _qr_code(text: str) -> str:
    import segno

    drawn = io.StringIO()
    segno.make(text, error="l").terminal(drawn, compact=True)
    return drawn.getvalue().rstrip("\n")
