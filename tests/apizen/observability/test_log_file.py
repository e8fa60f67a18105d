from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from apizen.governance.error import FolderError
from apizen.observability.log_file import RotatingFile, Stream

resource = pytest.importorskip("resource")


def in_children(count: int, work: Callable[[int], object]) -> None:
    """Runs something in forked processes, all at once, to their end."""
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                work(number)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * count


def limit_files(size: int) -> None:
    """From now on no file of this process can grow beyond a size, as on a disk that is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


# Stream


def test_stream_waits_for_a_slow_reader():
    reader, descriptor = os.pipe()
    os.set_blocking(descriptor, False)
    lines = b"".join(b"line %d\n" % number for number in range(50_000))
    lost: list[int] = []
    thread = threading.Thread(target=lambda: lost.append(Stream(descriptor).write(lines)))
    thread.start()
    received = b""
    while len(received) < len(lines):
        received += os.read(reader, 65536)
    thread.join(10)
    assert (lost, received == lines) == ([0], True)
    os.close(reader)
    os.close(descriptor)


def test_stream_counts_what_is_lost():
    reader, descriptor = os.pipe()
    os.close(reader)
    assert Stream(descriptor).write(b"one\ntwo\nthree\n") == 3
    os.close(descriptor)
    assert Stream(descriptor).write(b"one\n") == 1


def test_stream_ends_a_line_that_was_cut_off(tmp_path):
    def work(number: int) -> None:
        descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        stream = Stream(descriptor)
        limit_files(10)
        assert stream.write(b"first\nsecond\nthird\n") == 2
        assert stream.write(b"fourth\n") == 1
        limit_files(100)
        assert stream.write(b"fifth\n") == 0
        assert stream.write(b"sixth\n") == 0

    in_children(1, work)
    assert (tmp_path / "log").read_bytes() == b"first\nseco\nfifth\nsixth\n"


@pytest.mark.parametrize("length", [100, 20_000])
def test_stream_of_several_processes_keeps_lines_whole(length):
    """A pipe holds 64 KiB; of two that wait for room in it, each could get some."""
    reader, descriptor = os.pipe()

    def work(number: int) -> None:
        stream = Stream(descriptor, shared=True)
        for _ in range(30):
            assert stream.write(b"%d" % number * length + b"\n") == 0

    received = bytearray()

    def read() -> None:
        while chunk := os.read(reader, 4096):
            received.extend(chunk)

    thread = threading.Thread(target=read)
    thread.start()
    in_children(3, work)
    os.close(descriptor)
    thread.join(10)
    os.close(reader)
    assert sorted(received.splitlines()) == sorted(b"%d" % number * length for number in range(3) for _ in range(30))


# RotatingFile


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_file_rotates(tmp_path):
    file = RotatingFile(tmp_path / "logs" / "access.log", limit=10, kept=2)
    for number in range(7):
        assert file.write(b"line%d\n" % number * (1 + (number == 3))) == 0
    file.close()
    assert contents(tmp_path / "logs") == {
        "access.log": b"line6\n",
        "access.log.1": b"line5\n",
        "access.log.2": b"line4\n",
    }


def test_file_goes_on_where_it_ended(tmp_path):
    for number in range(3):
        file = RotatingFile(tmp_path / "access.log", limit=12, kept=1)
        file.write(b"line%d\n" % number)
        file.close()
    assert contents(tmp_path) == {"access.log": b"line2\n", "access.log.1": b"line0\nline1\n"}


def test_file_is_for_its_owner_only(tmp_path):
    RotatingFile(tmp_path / "access.log").close()
    assert (tmp_path / "access.log").stat().st_mode & 0o777 == 0o600


def test_folder_is_for_its_owner_only(tmp_path):
    RotatingFile(tmp_path / "data" / "access.log").close()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_file_is_opened_again(tmp_path, monkeypatch):
    monkeypatch.setattr("apizen.observability.log_file._LOOKING_SECONDS", 0.0)
    path = tmp_path / "access.log"
    file = RotatingFile(path)
    file.write(b"one\n")
    path.rename(tmp_path / "moved")
    file.write(b"two\n")
    path.unlink()
    file.write(b"three\n")
    file.close()
    file.write(b"four\n")
    file.close()
    assert contents(tmp_path) == {"access.log": b"three\nfour\n", "moved": b"one\n"}


def test_file_that_cannot_be_opened(tmp_path, monkeypatch):
    monkeypatch.setattr("apizen.observability.log_file._LOOKING_SECONDS", 0.0)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FolderError, match="file"):
        RotatingFile(tmp_path / "file" / "access.log")
    file = RotatingFile(tmp_path / "logs" / "access.log")
    (tmp_path / "logs" / "access.log").unlink()
    (tmp_path / "logs").rmdir()
    (tmp_path / "logs").write_bytes(b"")
    assert file.write(b"one\ntwo\n") == 2
    file.close()


def test_file_of_several_processes_loses_nothing(tmp_path):
    file = RotatingFile(tmp_path / "access.log", limit=2000, kept=100)

    def work(number: int) -> None:
        for line in range(300):
            assert file.write(b"process %d line %d\n" % (number, line)) == 0

    in_children(4, work)
    file.close()
    found = contents(tmp_path)
    lines = [line for content in found.values() for line in content.splitlines()]
    expected = [b"process %d line %d" % (number, line) for number in range(4) for line in range(300)]
    assert sorted(lines) == sorted(expected)
    assert max(map(len, found.values())) <= 4 * 2000
