"""What the program writes of its calls and of its failures, and how it ends where nobody reads it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.process import run, running

LEAKY = """
from apizen import ApiMethodBase, version

def fail():
    raise RuntimeError("boom password=PW12345")

@version("leaky-1")
class Leaky(ApiMethodBase):
    api_methods = {"leaky.fail": {"func": fail}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "leaky.py").write_text(LEAKY, "utf-8")
    return tmp_path


@pytest.mark.parametrize("access_log", ["off", "access.log"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_secret_on_standard_error(folder: Path, access_log: str, workers: str) -> None:
    options = ["--methods", "leaky", "--access-log", access_log, "--workers", workers]
    with running(*options, cwd=folder) as program:
        assert program.get("v=leaky-1&method=leaky.fail").status == 500
        program.signal(signal.SIGTERM)
        assert program.wait() == 0
        assert program.process.stderr is not None
        written = program.process.stderr.read()
    assert "RuntimeError: boom password=***\n" in written
    assert "PW12345" not in written


def test_log_that_cannot_be_opened(folder: Path) -> None:
    (folder / "data" / "access.log").mkdir(parents=True)
    done = run("serve", "--methods", "leaky", "--port", "0", "--access-log", "access.log", cwd=folder)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2, "Error: the access log data/access.log can't be opened: Is a directory",
    )  # fmt: skip
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_end_where_nobody_reads_the_log(folder: Path, workers: str) -> None:
    with running("--methods", "leaky", "--access-log", "stdout", "--workers", workers, cwd=folder) as program:
        for _ in range(1500):  # more than a pipe holds
            program.get("v=leaky-1&method=" + "m" * 120)
        program.signal(signal.SIGTERM)
        assert program.wait(30) == 0
