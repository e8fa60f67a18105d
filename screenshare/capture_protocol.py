"""What captures for a hub: `screenshare.capture` in this process, or `screenshare.process` in one of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from screenshare.failure import Failure
from screenshare.picture import Frame

__all__ = ["Answer", "CaptureProtocol", "Deliver", "Status"]


class Status(NamedTuple):
    """The source as it is now; ``fps`` counts the pictures that differed from the one before."""

    source: str
    size: tuple[int, int]
    fps: float
    failure: Failure | None


#: Takes the frame that was asked for, or why there is none. Called in another thread.
Answer = Callable[[Frame | Failure], None]
#: Takes a preset's name and its new frame. Called in another thread.
Deliver = Callable[[str, Frame], None]


class CaptureProtocol(Protocol):
    """Captures between `start` and `stop`, any number of times. No method waits."""

    def start(self) -> None:
        """Captures from now on what is wanted, see `watch` and `ask`."""

    def stop(self) -> None:
        """Lets it close the source and end. Doesn't wait for it: see `alive`."""

    @property
    def alive(self) -> bool: ...

    def watch(self, names: Iterable[str], renewed: str | None = None) -> None:
        """Makes frames of these presets; of ``renewed`` one at once, also where the picture is still the same."""

    def ask(self, name: str, answer: Answer) -> None:
        """One frame of this preset, captured after this call."""

    def status(self) -> Status: ...

    @property
    def hangs(self) -> bool:
        """Whether the last frame can't be called the present any more, since the source doesn't answer."""
