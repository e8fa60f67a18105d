"""This server with a screen that can't tell of its changes, so that it is polled: takes what run.py takes."""

from __future__ import annotations

import runpy
from pathlib import Path

import screenshare.process

if __name__ == "__main__":
    screenshare.process.WORKER = "benchmarks.polled_worker"
    runpy.run_path(str(Path(__file__).parents[1] / "run.py"), run_name="__main__")
