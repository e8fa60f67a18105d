"""The installed package: ``pip install .`` gives the framework and the command ``apizen``."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process import ROOT, environment

SHOP = """
from apizen import ApiMethodBase, version

@version(1.0)
class Shop(ApiMethodBase):
    api_methods = {"shop.price": {"func": lambda item: {"item": item, "price": 3}}}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package in a folder of its own, built from a copy, since a build leaves files behind."""
    folder = tmp_path_factory.mktemp("package")
    source = shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(".*", "build", "*.egg-info"))
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(folder / "site"),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0 and "CI" not in os.environ and "No matching distribution" in done.stderr:
        pytest.skip(f"the build system can't be fetched here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    return folder / "site"


def test_the_package_is_the_framework_alone(installed: Path) -> None:
    packages = {path.name for path in installed.iterdir() if path.is_dir() and not path.name.endswith(".dist-info")}
    assert packages - {"bin", "__pycache__"} == {"apizen"}
    assert (installed / "apizen" / "py.typed").exists()


def names_in(file: str) -> set[str]:
    lines = (ROOT / file).read_text("utf-8").splitlines()
    return {re.split("[><=]", line)[0].strip() for line in lines if not line.startswith("-r ")}


def test_the_dependencies_are_the_frameworks_own(installed: Path) -> None:
    (metadata,) = installed.glob("apizen-*.dist-info/METADATA")
    required: dict[str, set[str]] = {"": set(), "screen": set()}
    for line in metadata.read_text("utf-8").splitlines():
        if line.startswith("Requires-Dist: "):
            extra = re.search('extra == "([a-z]+)"', line)
            name = re.split("[><=]", line.removeprefix("Requires-Dist: "))[0]
            required.setdefault(extra[1] if extra else "", set()).add(name)
    assert required[""] == names_in("requirements-apizen.txt") >= {"tornado", "msgspec", "dict2xml", "click"}
    assert required["screen"] == names_in("requirements-screen.txt") >= {"mss", "opencv-python-headless", "Pillow"}


def test_make_run_sets_up_both() -> None:
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    assert [line.split()[1] for line in lines] == ["requirements-apizen.txt", "requirements-screen.txt"]


def test_the_command_serves_an_application_of_ones_own(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP, "utf-8")
    done = subprocess.run(
        [str(installed / "bin" / "apizen"), "call", "--methods", "shop", "shop.price", "v=1.0", "item=a"],
        cwd=tmp_path, env=environment({"PYTHONPATH": str(installed)}), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["response"] == {"item": "a", "price": 3}


def test_the_command_without_an_application_says_what_to_do(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(installed / "bin" / "apizen")],
        cwd=tmp_path, env=environment({"PYTHONPATH": str(installed)}), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no version is registered: name the module that registers one with --methods" in done.stderr


def test_every_requirement_has_its_reason() -> None:
    for path in ROOT.glob("requirements*.txt"):
        for line in path.read_text("utf-8").splitlines():
            assert line.startswith("-r ") or "# " in line, f"{path.name}: {line}"
