"""What viewers and the log are told of an error."""

from __future__ import annotations

import logging

import pytest

from screenshare.failure import Failure, ended, failure_of, log_failure, silence
from screenshare.source import SourceError
from tests.screenshare.hubs import UNPLUGGED

ERRORS = [
    (UNPLUGGED, Failure("unplugged", "未连接", "plug it in", "请连接"), logging.WARNING),
    (
        ValueError("secret detail"),
        Failure(
            "the picture can't be taken (ValueError)",
            "无法获取画面（ValueError）",
            "The log of the server says more",
            "详情见服务器日志",
        ),
        logging.ERROR,
    ),
]


@pytest.mark.parametrize(("error", "failure", "level"), ERRORS)
def test_failure_of_an_error(error: Exception, failure: Failure, level: int, caplog: pytest.LogCaptureFixture) -> None:
    assert failure_of(error) == failure
    log_failure(failure, error)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (level, f"no picture: {failure.reason}")
    assert bool(record.exc_info) is not isinstance(error, SourceError)  # the traceback of what nobody foresaw


def test_all_is_said_in_both_languages_and_with_advice() -> None:
    assert silence(3.4)[:2] == ("the source has not answered for 3 seconds", "画面源已 3 秒没有响应")
    assert ended()[:2] == ("the screen share is closing", "屏幕共享正在关闭")
    for failure in (silence(3.4), ended()):
        assert all(failure)
