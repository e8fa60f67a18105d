"""Why there is no picture: from the error of a source to what its viewers read."""

from __future__ import annotations

import logging
from typing import NamedTuple

from screenshare.source import SourceError

__all__ = ["Failure", "ended", "failure_of", "log_failure", "lost", "silence"]

logger = logging.getLogger(__name__)


class Failure(NamedTuple):
    """Why there is no picture, and how to mend it."""

    reason: str
    reason_zh: str
    advice: str
    advice_zh: str


def failure_of(error: Exception) -> Failure:
    """What an error means; of one that is no SourceError, only its kind is told."""
    if isinstance(error, SourceError):
        return Failure(error.reason, error.reason_zh, error.advice, error.advice_zh)
    name = type(error).__name__
    return Failure(
        f"the picture can't be taken ({name})", f"无法获取画面（{name}）",
        "The log of the server says more", "详情见服务器日志",
    )  # fmt: skip


def log_failure(failure: Failure, error: Exception) -> None:
    """Logs it; with the traceback where nobody foresaw it."""
    if isinstance(error, SourceError):
        logger.warning("no picture: %s", failure.reason)
    else:
        logger.error("no picture: %s", failure.reason, exc_info=error)


def silence(seconds: float) -> Failure:
    """The source hangs."""
    return Failure(
        f"the source has not answered for {seconds:.0f} seconds", f"画面源已 {seconds:.0f} 秒没有响应",
        "It may come back by itself; else restart the server", "可能会自行恢复；否则请重启服务器",
    )  # fmt: skip


def ended() -> Failure:
    """There will be no picture any more."""
    return Failure("the screen share is closing", "屏幕共享正在关闭", "Try again later", "请稍后再试")


def lost() -> Failure:
    """The process that captures has ended."""
    return Failure(
        "the process that captures has ended", "采集进程已退出",
        "It is started again by itself; the log of the server says more", "会自动重新启动；详情见服务器日志",
    )  # fmt: skip
