"""The key of the secrets: where it comes from, that it stays one, and what a wrong one is told."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from apizen.governance.error import FolderError, GovernanceError, SecretError
from apizen.governance.records.secret import SecretKey
from tests.process import ROOT, environment


def test_the_file_is_made_by_the_first_secret(data: Path) -> None:
    key = SecretKey("", data)
    assert not data.exists()
    token = key.encrypt("helloworld")
    assert stat.S_IMODE((data / "secret.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert [path.name for path in data.iterdir()] == ["secret.key"]
    assert "helloworld" not in token
    assert SecretKey("", data).decrypt(token) == "helloworld"


def test_a_key_that_is_there_stays(data: Path) -> None:
    token = SecretKey("", data).encrypt("first")
    before = (data / "secret.key").read_bytes()
    SecretKey("", data).encrypt("second")
    assert (data / "secret.key").read_bytes() == before
    assert SecretKey("", data).decrypt(token) == "first"


def test_processes_at_once_end_with_one_key(data: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom apizen.governance.records.secret import SecretKey\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
        "print(SecretKey('', Path(sys.argv[1])).encrypt('helloworld'))"
    )
    command = [sys.executable, "-c", code, str(data)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT, "env": environment()}
    processes = [subprocess.Popen(command, **pipes) for _ in range(8)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    tokens = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [SecretKey("", data).decrypt(token) for token in tokens] == ["helloworld"] * 8
    assert [path.name for path in data.iterdir()] == ["secret.key"]


FERNET = Fernet.generate_key().decode()


@pytest.mark.parametrize(
    "secret_key", [pytest.param(FERNET, id="a made one"), "correct horse battery staple", "密码", "x", "\udcff"]
)
def test_the_setting_is_the_key_on_every_machine(secret_key: str, tmp_path: Path) -> None:
    token = SecretKey(secret_key, tmp_path / "here").encrypt("helloworld")
    assert SecretKey(secret_key, tmp_path / "there").decrypt(token) == "helloworld"
    assert list(tmp_path.iterdir()) == []


def test_a_key_of_fernets_is_taken_as_it_is(data: Path) -> None:
    assert Fernet(FERNET).decrypt(SecretKey(FERNET, data).encrypt("helloworld")) == b"helloworld"


def test_a_passphrase_gives_this_key_for_ever(data: Path) -> None:
    token = "gAAAAABpJIEAAAECAwQFBgcICQoLDA0OD00yVirieQLHY7m_8hVDV5tQz1GzkkFa316ipMSpRCdTjsnE6HPLUZOAWG9RwWmmLw=="
    assert SecretKey("correct horse battery staple", data).decrypt(token) == "helloworld"


def nothing(file: Path) -> None:
    pass


def other(file: Path) -> None:
    file.write_bytes(Fernet.generate_key())


def text(file: Path) -> None:
    file.write_text("not a key")


def binary(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")


def empty(file: Path) -> None:
    file.write_bytes(b"")


def folder(file: Path) -> None:
    file.mkdir()


NO_KEY = "{file} holds no key, which is 32 bytes in base64 as Fernet makes it"
WRONG = [
    ("", nothing, "there is no key to read the secrets with: {file} is missing"),
    ("", other, "the secrets were encrypted with another key than the one of {file}"),
    ("", text, NO_KEY),
    ("", binary, NO_KEY),
    ("", empty, NO_KEY),
    ("", folder, "the key {file} can't be read: Is a directory"),
    ("another", nothing, "the secrets were encrypted with another key than the one of the setting secret_key"),
]


@pytest.mark.parametrize(("secret_key", "write", "message"), WRONG)
def test_wrong_key(secret_key: str, write: Callable[[Path], None], message: str, data: Path) -> None:
    token = SecretKey("right", data).encrypt("helloworld")
    data.mkdir()
    write(data / "secret.key")
    with pytest.raises(SecretError) as caught:
        SecretKey(secret_key, data).decrypt(token)
    assert str(caught.value) == message.format(file=data / "secret.key")


def test_no_folder_for_the_key(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderError) as caught:
        SecretKey("", tmp_path / "file" / "data").encrypt("helloworld")
    assert str(caught.value) == f"the data folder {tmp_path}/file/data can't be made: Not a directory"
    assert isinstance(caught.value, GovernanceError)


def test_a_folder_that_cannot_be_searched(tmp_path: Path) -> None:
    with pytest.raises(FolderError) as caught:
        SecretKey("", tmp_path / ("x" * 300)).encrypt("helloworld")
    assert str(caught.value) == f"the data folder {tmp_path}/{'x' * 300} can't be searched: File name too long"


def test_a_key_that_another_process_makes_at_this_moment(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: str, target: Path) -> None:
        target.write_text(FERNET)
        raise FileExistsError

    monkeypatch.setattr("os.link", link)
    token = SecretKey("", data).encrypt("helloworld")
    assert Fernet(FERNET).decrypt(token) == b"helloworld"
    assert [path.name for path in data.iterdir()] == ["secret.key"]


def test_a_file_system_that_takes_no_key(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: str, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", link)
    with pytest.raises(SecretError) as caught:
        SecretKey("", data).encrypt("helloworld")
    assert str(caught.value) == f"the key {data}/secret.key can't be made: Operation not permitted"
    assert list(data.iterdir()) == []
