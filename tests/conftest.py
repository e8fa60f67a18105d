"""For all tests: who gets a second chance, and that no secret of an app is found in what was logged."""

from __future__ import annotations

import gc
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


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Thousands of tests are made and all stay: no use looking through them for garbage, now or later."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs a test again where it failed and is marked `second_chance`: one by one, each with its reason."""
    for item in items:
        for owner, mark in item.iter_markers_with_node("second_chance"):
            if owner is not item:
                raise pytest.UsageError(f"{item.nodeid}: a second chance is for a single test")
            if mark.kwargs or len(mark.args) != 1 or not str(mark.args[0]).strip():
                raise pytest.UsageError(f"{item.nodeid}: a second chance needs its reason")
            if item.config.pluginmanager.hasplugin("rerunfailures"):
                item.add_marker(pytest.mark.flaky(reruns=1))
        if item.get_closest_marker("flaky") and not item.get_closest_marker("second_chance"):
            raise pytest.UsageError(f"{item.nodeid}: a test runs again where it is marked second_chance")


@pytest.fixture(scope="session", autouse=True)
def no_secret_in_any_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    kept = _Texts()
    logging.getLogger().addHandler(kept)
    yield
    logging.getLogger().removeHandler(kept)
    files = [path for path in tmp_path_factory.getbasetemp().rglob("*log*") if path.is_file()]
    texts = [*kept.texts, *(path.read_text("utf-8", "replace") for path in files)]
    assert not [secret for secret in SECRETS for text in texts if secret in text]
