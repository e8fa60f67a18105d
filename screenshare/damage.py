"""Tells when an X11 screen changes, so that a still screen costs nothing: the DAMAGE extension for what is
drawn, XFIXES for the pointer's shape, XInput 2 for its moves.

A program may set the pointer without moving it, which no event tells: its place is looked at twice a
second too, and every 40 ms where there is no XInput 2.

    damage = open_damage()      # None where the display can't tell
    while damage.wait(1):       # True as soon as something has changed since clear()
        damage.clear()
        …capture…

Another thread ends a wait early by ``damage.wake()``.
"""

from __future__ import annotations

import contextlib
import logging
import math
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

__all__ = ["Damage", "DamageLost", "open_damage"]

logger = logging.getLogger(__name__)

_LOOK = 0.5
_LOOK_WITHOUT_EVENTS = 0.04


class DamageLost(Exception):
    """The display can't tell of its changes, or doesn't any more."""


def open_damage() -> Damage | None:
    """The teller of the display that DISPLAY names; None where there is none or python-xlib isn't installed."""
    try:
        return Damage()
    except DamageLost as error:
        logger.info("the screen is polled: %s", error)
        return None


class Damage:
    """Changes of one display. All methods but ``close`` raise DamageLost when its connection has broken."""

    def __init__(self) -> None:
        with _errors_told():
            self._display = _connect()
        self._problems: list[object] = []
        self._display.set_error_handler(lambda problem, request: self._problems.append(problem))
        self._changed = True
        self._look = _LOOK
        self._next_look = 0.0
        self._bell = _Bell()
        try:
            with _errors_told():
                self._subscribe()
        except DamageLost:
            self.close()
            raise

    def _subscribe(self) -> None:
        from Xlib.ext import damage, xfixes  # type: ignore[import-untyped]  # has no types

        display = self._display
        self._root = display.screen().root
        display.xfixes_query_version()
        display.xfixes_select_cursor_input(self._root, xfixes.XFixesDisplayCursorNotifyMask)
        display.damage_query_version()
        self._damage = self._root.damage_create(damage.DamageReportNonEmpty)
        if display.has_extension("XInputExtension"):
            self._subscribe_to_moves()
        else:
            self._look = _LOOK_WITHOUT_EVENTS
        self._position = self._find_pointer()
        if self._problems:
            raise DamageLost(str(self._problems[0]))
        self._events = select.poll()
        self._events.register(display.fileno(), select.POLLIN)
        self._events.register(self._bell.fileno(), select.POLLIN)

    def _subscribe_to_moves(self) -> None:
        from Xlib.ext import xinput

        # Not display.xinput_query_version(), which asks for 2.0: a client of 2.0 isn't told of moves while another
        # one holds the pointer, as for a drag or a menu.
        opcode = self._display.display.get_extension_major(xinput.extname)
        xinput.XIQueryVersion(display=self._display.display, opcode=opcode, major_version=2, minor_version=2)
        self._root.xinput_select_events([(xinput.AllMasterDevices, xinput.RawMotionMask)])

    def wait(self, seconds: float) -> bool:
        """Whether something has changed since ``clear``. Waits for it up to ``seconds``, or until ``wake``."""
        end = time.monotonic() + seconds
        with _errors_told():
            while not self._has_changed():
                now = time.monotonic()
                if self._bell.has_rung() or now >= end:
                    return False
                # Below 0 it would wait for ever.
                self._events.poll(max(0, math.ceil(1000 * (min(end, self._next_look) - now))))
        return True

    def wake(self) -> None:
        """Ends the ``wait`` of another thread that is going on, or else the next one. Does nothing after ``close``."""
        self._bell.ring()

    def clear(self) -> bool:
        """Starts anew, before a capture that shows all changes so far. Gives what ``wait(0)`` would have."""
        with _errors_told():
            changed = self._has_changed()
            self._changed = False
            self._display.damage_subtract(self._damage)
            # This is also the round trip after which the server has subtracted. The capture is on another connection
            # and might else be served first: a change between the two would be lost.
            self._position = self._find_pointer()
        return changed

    def settled(self) -> bool:
        """Whether nothing has changed since ``clear``, when the server has told all that it knows by now."""
        self._next_look = 0.0
        return not self.wait(0)

    def close(self) -> None:
        self._bell.close()
        # Closing a broken connection raises.
        with contextlib.suppress(Exception):
            self._display.close()

    def _has_changed(self) -> bool:
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + self._look
            self._changed |= self._find_pointer() != self._position
        for _ in range(self._display.pending_events()):
            self._display.next_event()
            self._changed = True
        return self._changed

    def _find_pointer(self) -> tuple[int, int]:
        pointer: Any = self._root.query_pointer()
        return pointer.root_x, pointer.root_y


class _Bell:
    """A descriptor that can be read once it has been rung. Any thread may ring it at any time, also after its end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._button, self._sound = socket.socketpair()
        self._button.setblocking(False)
        self._sound.setblocking(False)

    def fileno(self) -> int:
        return self._sound.fileno()

    def ring(self) -> None:
        # The lock: between two steps of a send, its descriptor could be closed and be another one's. It fails where
        # nobody has listened for long, who will still hear it, and after the end.
        with self._lock, contextlib.suppress(OSError):
            self._button.send(b"1")

    def has_rung(self) -> bool:
        """Whether it has rung since the last call."""
        with contextlib.suppress(BlockingIOError):
            return bool(self._sound.recv(4096))
        return False

    def close(self) -> None:
        with self._lock:
            self._button.close()
            self._sound.close()


@contextlib.contextmanager
def _errors_told() -> Iterator[None]:
    """Whatever is raised becomes DamageLost: python-xlib's errors are of a dozen kinds, and of no common one."""
    try:
        yield
    except Exception as error:
        raise DamageLost(f"{type(error).__name__}: {error}") from error


def _connect() -> Any:
    """A display whose table of events is its own.

    python-xlib keeps one table for all, and fails at a display that numbers its extensions' events in another way, as
    an X server that was started again with other options does.
    """
    from Xlib.display import Display  # type: ignore[import-untyped]  # has no types
    from Xlib.protocol import display as protocol  # type: ignore[import-untyped]  # has no types
    from Xlib.protocol import event

    shared, own = protocol.Display.event_classes, event.event_class.copy()
    protocol.Display.event_classes = own
    try:
        display = Display()
    finally:
        protocol.Display.event_classes = shared
    display.display.event_classes = own
    return display
