"""Messages between the server and the process that captures."""

from __future__ import annotations

import io

import pytest

from screenshare.failure import ended
from screenshare.picture import Frame
from screenshare.pipe_messages import Message, frame_of, pack, pack_frame, read, report_of
from screenshare.source_status import Report

FRAME = Frame(7, b"\xff\xd8 jpeg \x00", 12.3456789012345, 1700000000.123456, 1366, 768)
REPORTS = [
    Report("", (0, 0), 0, (0.0, 0.0), 0.0, None),
    Report("屏幕", (1920, 1080), 9, (1.5, 1e9 + 0.1), 2.5, ended()),
]


def test_messages_arrive_as_they_were_sent() -> None:
    pipe = io.BytesIO(pack({"watch": ["a"]}) + pack_frame({"deliver": "中"}, FRAME) + pack({}, b"x"))
    assert read(pipe) == Message({"watch": ["a"]}, b"")
    message = read(pipe)
    assert message is not None
    assert message.head["deliver"] == "中"
    assert frame_of(message, 0) == FRAME
    assert frame_of(message, 100) == FRAME._replace(number=107)
    assert read(pipe) == Message({}, b"x")
    assert read(pipe) is None


@pytest.mark.parametrize("report", REPORTS)
def test_reports_arrive_as_they_were_sent(report: Report) -> None:
    message = read(io.BytesIO(pack({"report": report})))
    assert message is not None
    assert report_of(message.head["report"]) == report


def test_a_message_that_breaks_off_is_the_end() -> None:
    whole = pack_frame({"deliver": "a"}, FRAME)
    for length in range(len(whole)):
        assert read(io.BytesIO(whole[:length])) is None
