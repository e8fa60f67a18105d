"""A file that one process owns: what it holds, who may have it, and what a full disk does."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from apizen.governance.owned_file import OwnedFileError, owned

ROOT = Path(__file__).parents[3]
HEADER = b"a header\n"
SIZE = 3 * 2**20 + 100

OWNER = """
import sys
from pathlib import Path
from apizen.governance.owned_file import owned

memory = owned(Path(sys.argv[1]), b"a header\\n", 3 * 2**20 + 100)
memory[5000:5004] = b"kept"
print("owned", flush=True)
sys.stdin.read()
"""


def owner(path: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(path)],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "owned\n"
    return process


def test_file_is_private_and_has_all_its_blocks(tmp_path: Path) -> None:
    path = tmp_path / "data" / "claims"
    memory = owned(path, HEADER, SIZE)
    found = path.stat()
    assert (len(memory), memory[: len(HEADER)]) == (SIZE, HEADER)
    assert found.st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert found.st_blocks * 512 >= SIZE
    memory.close()


def test_killed_owner_leaves_what_it_wrote_and_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "claims"
    process = owner(path)
    try:
        with pytest.raises(OwnedFileError, match=r"another process uses .*claims: each server needs its own data"):
            owned(path, HEADER, SIZE)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    memory = owned(path, HEADER, SIZE)
    assert memory[5000:5004] == b"kept"
    memory.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: os.truncate(path, 0),
        lambda path: os.truncate(path, SIZE - 1),
        lambda path: os.truncate(path, SIZE + 1),
        lambda path: path.write_bytes(b"a header of others\n" * 1000),
        lambda path: path.write_bytes(b"another\n".ljust(SIZE, b"?")),
    ],
)
@pytest.mark.parametrize("system", ["posix_fallocate", "without it"])
def test_file_of_another_format_is_made_anew(
    tmp_path: Path, damage: Callable[[Path], object], system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if system == "without it":
        monkeypatch.delattr(os, "posix_fallocate")
    path = tmp_path / "claims"
    memory = owned(path, HEADER, SIZE)
    memory[5000:5004] = b"kept"
    memory.close()
    damage(path)
    memory = owned(path, HEADER, SIZE)
    assert memory[:] == HEADER.ljust(SIZE, b"\0")
    assert path.stat().st_blocks * 512 >= SIZE
    memory.close()


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "claims"
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(OwnedFileError, match="claims: No space left on device"):
            owned(path, HEADER, SIZE)
        assert path.stat().st_size == 0
    owned(path, HEADER, SIZE).close()


def test_file_that_may_not_be_so_large(tmp_path: Path) -> None:
    """A real limit of the system, in a process of its own: an error, and no signal that kills it."""
    script = (
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))\n" + OWNER
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    path = tmp_path / "claims"
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == f"apizen.governance.owned_file.OwnedFileError: {path}: File too large"


@pytest.mark.parametrize("name", ["file/claims", "folder"])
def test_path_that_cannot_be_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OwnedFileError, match=r"can't be made: (File exists|Not a directory)|Is a directory"):
        owned(tmp_path / name, HEADER, SIZE)
