"""A file that one server owns: what it holds, who may have it, and what damage and a full disk do."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from apizen.governance.stores import owned_file
from apizen.governance.stores.owned_file import MirroredFile, OwnedFile, OwnedFileError

ROOT = Path(__file__).parents[4]
HEADER = b"a header\n"
SIZE = 3 * 2**20 + 100
OTHER = "another process uses .*claims: each server needs its own data folder"

OWNER = """
import sys
from pathlib import Path
from apizen.governance.stores.owned_file import MirroredFile, OwnedFile

file = getattr(sys.modules["apizen.governance.stores.owned_file"], sys.argv[2])(
    Path(sys.argv[1]), b"a header\\n", 3 * 2**20 + 100)
file.check()
file.write(5000, b"kept")
print("owned", flush=True)
sys.stdin.read()
"""

kinds = pytest.mark.parametrize("kind", [OwnedFile, MirroredFile])
DAMAGES = [
    lambda path: path.unlink(),
    lambda path: os.truncate(path, 0),
    lambda path: os.truncate(path, 4096),
    lambda path: os.truncate(path, SIZE - 1),
    lambda path: os.truncate(path, SIZE + 1),
    lambda path: path.write_bytes(b"a header of others\n" * 1000),
    lambda path: path.write_bytes(b"another\n".ljust(SIZE, b"?")),
    lambda path: (path.unlink(), path.parent.rmdir()),
    lambda path: (path.unlink(), path.write_bytes(HEADER.ljust(SIZE, b"?"))),
]


def made(path: Path, kind: type[OwnedFile] = MirroredFile) -> OwnedFile:
    file = kind(path, HEADER, SIZE)
    file.check()
    return file


def content(path: Path) -> bytes:
    return path.read_bytes()


def owner(path: Path, kind: type[OwnedFile]) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(path), kind.__name__],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "owned\n"
    return process


@kinds
def test_file_is_private_and_has_all_its_blocks(tmp_path: Path, kind: type[OwnedFile]) -> None:
    path = tmp_path / "data" / "claims"
    file = made(path, kind)
    found = path.stat()
    assert content(path) == HEADER.ljust(SIZE, b"\0")
    assert found.st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert found.st_blocks * 512 >= SIZE
    file.close()


@pytest.mark.parametrize(
    ("first", "second"), [(MirroredFile, MirroredFile), (MirroredFile, OwnedFile), (OwnedFile, MirroredFile)]
)
def test_file_of_another_server(tmp_path: Path, first: type[OwnedFile], second: type[OwnedFile]) -> None:
    """The one who has it keeps it, and leaves what it wrote, and no lock, when it is killed."""
    path = tmp_path / "claims"
    process = owner(path, first)
    file = second(path, HEADER, SIZE)
    try:
        for _ in range(2):  # at once, and told again
            with pytest.raises(OwnedFileError, match=OTHER):
                file.check()
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    file.failed(OSError())
    file.check()
    assert file.read(5000, 4) == b"kept"
    file.close()


def test_workers_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "claims"
    process = owner(path, OwnedFile)
    try:
        file = made(path, OwnedFile)
        assert file.read(5000, 4) == b"kept"
        file.close()
    finally:
        process.kill()
        process.communicate()


@kinds
@pytest.mark.parametrize("damage", DAMAGES[1:7])
@pytest.mark.parametrize("system", ["posix_fallocate", "without it"])
def test_file_of_another_format_is_made_anew(
    tmp_path: Path,
    kind: type[OwnedFile],
    damage: Callable[[Path], object],
    system: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if system == "without it":
        monkeypatch.delattr(os, "posix_fallocate")
        monkeypatch.delattr(os, "posix_fadvise")
    path = tmp_path / "claims"
    file = made(path, kind)
    file.write(5000, b"kept")
    file.close()
    damage(path)
    file = made(path, kind)
    assert file.read(5000, 4) == b"\0" * 4
    assert content(path) == HEADER.ljust(SIZE, b"\0")
    assert path.stat().st_blocks * 512 >= SIZE
    file.close()


@pytest.mark.parametrize("damage", DAMAGES)
def test_memory_outlives_what_happens_to_its_file(
    tmp_path: Path, damage: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owned_file, "_CHECK_SECONDS", 0.0)
    path = tmp_path / "data" / "claims"
    file = made(path)
    file.write(SIZE - 4, b"last")
    file.write(5000, b"kept")
    damage(path)
    file.write(2**20, b"meanwhile")
    assert file.read(5000, 4) == b"kept"
    file.check()
    expected = bytearray(HEADER.ljust(SIZE, b"\0"))
    expected[5000:5004], expected[-4:], expected[2**20 : 2**20 + 9] = b"kept", b"last", b"meanwhile"
    assert content(path) == expected
    file.write(100, b"after")
    assert content(path)[100:105] == b"after"
    assert file.read(0, SIZE)[len(HEADER) :] == content(path)[len(HEADER) :]
    file.close()


@pytest.mark.parametrize("damage", DAMAGES[:-1])
def test_workers_begin_anew(tmp_path: Path, damage: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data" / "claims"
    file = made(path, OwnedFile)
    file.write(5000, b"kept")
    damage(path)
    monkeypatch.setattr(owned_file, "_CHECK_SECONDS", 0.0)
    file.failed(OSError())
    file.check()
    assert content(path) == HEADER.ljust(SIZE, b"\0")
    file.close()


def test_file_that_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "claims"
    file = made(path, OwnedFile)
    os.truncate(path, 4096)
    with pytest.raises(OSError, match="the file was cut"):
        file.read(5000, 4)
    assert str(file.failed(OSError("the file was cut"))) == f"{path}: the file was cut"
    file.check()
    assert file.read(5000, 4) == b"\0" * 4
    file.close()


def test_file_is_looked_at_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owned_file, "_CHECK_SECONDS", 1000.0)
    path = tmp_path / "claims"
    file = made(path)
    path.unlink()
    file.check()
    assert not path.exists()
    file.close()


def test_closed_file_knows_nothing_that_was_written_since(tmp_path: Path) -> None:
    path = tmp_path / "claims"
    first, second = made(path), MirroredFile(path, HEADER, SIZE)
    first.write(5000, b"kept")
    first.close()
    second.check()
    second.write(5000, b"\0\0\0\0")
    second.write(6000, b"more")
    second.close()
    first.check()
    assert (first.read(5000, 4), first.read(6000, 4)) == (b"\0" * 4, b"more")
    first.close()


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "claims"
    file = MirroredFile(path, HEADER, SIZE)
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(OwnedFileError, match="claims: No space left on device"):
            file.check()
        assert path.stat().st_size == 0
    file.failed(OSError())
    file.check()
    file.close()


def test_what_the_file_does_not_take_is_not_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = made(tmp_path / "claims")
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left on device"):
            file.write(5000, b"lost")
        patch.setattr(os, "pwrite", lambda *_: 2)
        with pytest.raises(OSError, match="the disk is full"):
            file.write(5000, b"lost")
    assert file.read(5000, 4) == b"\0" * 4
    file.close()


def test_file_that_may_not_be_so_large(tmp_path: Path) -> None:
    """A real limit of the system, in a process of its own: an error, and no signal that kills it."""
    script = (
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))\n" + OWNER
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    path = tmp_path / "claims"
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path), "MirroredFile"],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 1
    assert (
        ended.stderr.splitlines()[-1] == f"apizen.governance.stores.owned_file.OwnedFileError: {path}: File too large"
    )


@kinds
@pytest.mark.parametrize("name", ["file/claims", "folder"])
def test_path_that_cannot_be_one(tmp_path: Path, name: str, kind: type[OwnedFile]) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    file = kind(tmp_path / name, HEADER, SIZE)
    for _ in range(2):
        with pytest.raises(OwnedFileError, match=r"can't be made: (File exists|Not a directory)|Is a directory"):
            file.check()
    file.close()
