"""The process that captures, for a screen that can't tell of its changes."""

from __future__ import annotations

import screenshare.damage
from screenshare.worker import main

if __name__ == "__main__":
    screenshare.damage.open_damage = lambda: None
    main()
