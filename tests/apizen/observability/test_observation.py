from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from apizen.application import Application, make_app
from apizen.governance.address import CallerAddress, Networks
from apizen.observability.observation import Observation
from apizen.settings import Settings, SettingsError
from tests.support import HOST, RunningServer, registry_of


def app_in(data: Path) -> Application:
    return make_app(Settings(access_log="off", metrics=False, data=str(data)), registry_of({}))


@pytest.mark.parametrize(("trusted", "address"), [([HOST], "203.0.113.9"), ([], HOST)])
def test_address_of_another_path_is_that_of_the_caller(tmp_path, trusted, address):
    app = app_in(tmp_path)
    settings = Settings(access_log="access.log", metrics=False, data=str(tmp_path))
    observation = Observation(settings, app.catalogue, app.pipeline, CallerAddress(Networks.of(trusted)).of)
    with RunningServer(replace(app, observation=observation)) as server:
        server.send("GET", "/foo;password=hush", headers={"X-Forwarded-For": "203.0.113.9"})
    assert observation.access_log is not None
    observation.access_log.close()
    (line,) = map(json.loads, (tmp_path / "access.log").read_text("utf-8").splitlines())
    assert (line["address"], line["path"]) == (address, "/foo;password=***")


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    settings = Settings(access_log="access.log", data=str(tmp_path / "file"))
    with pytest.raises(SettingsError, match=r"^the data folder .*file can't be made: File exists$"):
        make_app(settings, registry_of({}))


def test_log_that_cannot_be_opened(tmp_path):
    (tmp_path / "access.log").mkdir()
    settings = Settings(access_log="access.log", data=str(tmp_path))
    with pytest.raises(SettingsError, match=r"^the access log .*access.log can't be opened: Is a directory$"):
        make_app(settings, registry_of({}))
