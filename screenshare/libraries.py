"""The libraries that only the screen share needs. The gateway starts without them."""

from __future__ import annotations

import importlib.util

__all__ = ["check_libraries"]

# Those without which no source can be shown. What a single source needs, its opening tells.
_NEEDED = ("cv2", "numpy", "segno")


def check_libraries() -> None:
    """Raises ModuleNotFoundError, with a sentence on what to do, where one is missing. Loads none."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f'the screen share needs libraries that are not installed ({", ".join(missing)}): pip install ".[screen]"'
        )
