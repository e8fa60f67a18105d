from __future__ import annotations

import os
import threading
import time

from apizen.observability.log_file import Stream
from apizen.observability.log_writer import LogWriter
from tests.support import until


class Gate:
    """A file that is stuck while it is closed."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.lines: list[bytes] = []
        self.failing = False
        self.closed = 0

    def write(self, lines: bytes) -> int:
        self.open.wait()
        if self.failing:
            return lines.count(b"\n")
        self.lines += lines.splitlines()
        return 0

    def close(self) -> None:
        self.closed += 1


def writer_to(gate: Gate) -> LogWriter:
    return LogWriter(gate, lambda lost: b"lost %d\n" % lost)


def test_writes_in_order():
    gate = Gate()
    gate.open.set()
    writer = writer_to(gate)
    for number in range(5000):
        writer.put(b"%d\n" % number)
    assert writer.flush(10)
    assert gate.lines == [b"%d" % number for number in range(5000)]
    writer.close()
    assert (writer.lost, gate.closed) == (0, 1)


def test_writes_what_several_threads_put():
    gate = Gate()
    gate.open.set()
    writer = writer_to(gate)

    def put(start: int) -> None:
        for number in range(start, start + 2000):
            writer.put(b"%d\n" % number)

    threads = [threading.Thread(target=put, args=(start,)) for start in range(0, 8000, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert sorted(gate.lines) == sorted(b"%d" % number for number in range(8000))


def test_one_line_is_written_soon():
    gate = Gate()
    gate.open.set()
    writer = writer_to(gate)
    for number in range(3):
        writer.put(b"%d\n" % number)
        assert until(lambda seen=number: len(gate.lines) > seen, 5)
    writer.close()


def test_tasks_come_before_the_lines_that_wait():
    gate = Gate()
    gate.open.set()
    writer = writer_to(gate)
    writer.put(b"line\n")
    names: list[str] = []

    def task() -> None:
        names.append(threading.current_thread().name)
        writer.put(b"of the task\n")

    writer.do(task)
    writer.close()
    assert (names, gate.lines) == (["log-writer"], [b"line", b"of the task"])


def test_a_task_that_fails_is_counted():
    gate = Gate()
    gate.open.set()
    writer = writer_to(gate)
    writer.do(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    writer.put(b"line\n")
    writer.close()
    assert gate.lines == [b"lost 1", b"line"]


def test_a_stuck_disk_delays_nobody_and_is_told_of():
    gate = Gate()
    writer = writer_to(gate)
    started = time.monotonic()
    for number in range(25_000):
        writer.put(b"%d\n" % number)
    for _ in range(300):
        writer.do(lambda: None)
    assert time.monotonic() - started < 25  # not even a millisecond each
    lost = writer.lost
    assert 4000 <= lost <= 5100
    assert not writer.flush(0.05)
    gate.open.set()
    writer.put(b"last\n")
    writer.close()
    kept = [line for line in gate.lines if line.isdigit()]
    told = [int(line.split()[1]) for line in gate.lines if line.startswith(b"lost")]
    assert len(kept) + writer.lost == 25_000 + 100 + (b"last" not in gate.lines)
    assert sum(told) == writer.lost


def test_a_failing_disk_is_told_of_when_it_works_again():
    gate = Gate()
    gate.open.set()
    gate.failing = True
    writer = writer_to(gate)
    for _ in range(3):
        writer.put(b"lost line\n")
        writer.flush(5)
    assert writer.lost == 3
    gate.failing = False
    writer.put(b"line\n")
    writer.close()
    assert gate.lines == [b"lost 3", b"line"]


def test_what_was_lost_last_is_told_at_the_end():
    gate = Gate()
    gate.open.set()
    gate.failing = True
    writer = writer_to(gate)
    writer.put(b"lost line\n")
    writer.flush(5)
    gate.failing = False
    writer.close()
    assert gate.lines == [b"lost 1"]


def test_close_gives_up_on_a_stuck_disk():
    gate = Gate()
    writer = writer_to(gate)
    writer.put(b"line\n")
    started = time.monotonic()
    writer.close(0.1)
    assert time.monotonic() - started < 5
    assert gate.closed == 0
    gate.open.set()
    writer.close()
    assert (gate.lines, gate.closed) == ([b"line"], 1)


def test_the_end_waits_once_for_a_stuck_disk(monkeypatch):
    joined = []
    gate = Gate()
    writer = writer_to(gate)
    writer.put(b"line\n")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "join", lambda thread, seconds: joined.append(seconds))
        writer.close(0.5)
    assert joined == [0.1]  # the flush has taken all of the time
    started = time.monotonic()
    assert not writer.flush(30)
    assert time.monotonic() - started < 10
    gate.open.set()
    writer.close()


def test_close_of_what_never_wrote():
    gate = Gate()
    writer_to(gate).close()
    assert (gate.lines, gate.closed) == ([], 0)


def test_a_line_after_the_end_is_written():
    gate = Gate()
    gate.open.set()
    writer = writer_to(gate)
    for number in range(3):
        writer.put(b"%d\n" % number)
        writer.close()
    assert (gate.lines, gate.closed) == ([b"0", b"1", b"2"], 3)


def test_a_forked_process_writes_its_own_lines_only():
    reader, descriptor = os.pipe()
    writer = LogWriter(Stream(descriptor), lambda lost: b"lost\n")
    writer.put(b"parent 1\n")
    assert writer.flush(5)
    writer.put(b"parent 2\n")
    child = os.fork()
    if child == 0:
        writer.put(b"child\n")
        writer.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    writer.close()
    os.close(descriptor)
    assert sorted(os.read(reader, 1000).splitlines()) == [b"child", b"parent 1", b"parent 2"]
    os.close(reader)
