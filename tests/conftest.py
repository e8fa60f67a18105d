"""For all tests: no secret of an app may be found in what was logged, when they are done."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.support import SECRETS


class _Texts(logging.Handler):
    """Keeps every line that the logging module was told."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What shares the processor with browsers, screens and other processes gets a second chance."""
    for item in items:
        if {"e2e", "screenshare"} & set(item.path.parts):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session", autouse=True)
def no_secret_in_any_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    kept = _Texts()
    logging.getLogger().addHandler(kept)
    yield
    logging.getLogger().removeHandler(kept)
    files = [path for path in tmp_path_factory.getbasetemp().rglob("*log*") if path.is_file()]
    texts = [*kept.texts, *(path.read_text("utf-8", "replace") for path in files)]
    assert not [secret for secret in SECRETS for text in texts if secret in text]
