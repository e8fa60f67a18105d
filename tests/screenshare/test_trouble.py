"""What viewers and the log are told of an error."""

from __future__ import annotations

import logging

import pytest

from screenshare.source import SourceError
from screenshare.trouble import Trouble, ended, log_trouble, silence, trouble_of
from tests.screenshare.hubs import UNPLUGGED

ERRORS = [
    (UNPLUGGED, Trouble("unplugged", "未连接", "plug it in", "请连接"), logging.WARNING),
    (
        ValueError("secret detail"),
        Trouble(
            "the picture can't be taken (ValueError)",
            "无法获取画面（ValueError）",
            "The log of the server says more",
            "详情见服务器日志",
        ),
        logging.ERROR,
    ),
]


@pytest.mark.parametrize(("error", "trouble", "level"), ERRORS)
def test_trouble_of_an_error(error: Exception, trouble: Trouble, level: int, caplog: pytest.LogCaptureFixture) -> None:
    assert trouble_of(error) == trouble
    log_trouble(trouble, error)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (level, f"no picture: {trouble.reason}")
    assert bool(record.exc_info) is not isinstance(error, SourceError)  # the traceback of what nobody foresaw


def test_all_is_said_in_both_languages_and_with_advice() -> None:
    assert silence(3.4)[:2] == ("the source has not answered for 3 seconds", "画面源已 3 秒没有响应")
    assert ended()[:2] == ("the screen share is closing", "屏幕共享正在关闭")
    for trouble in (silence(3.4), ended()):
        assert all(trouble)
