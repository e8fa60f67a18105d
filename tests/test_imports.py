"""What may import what, and that importing starts nothing.

The folders say what stands on what: `LAYERS` names the packages, and the modules beside them, from the lowest to the
highest. A module may import what stands below it, and its neighbours, but never in a circle.
"""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Each layer of the framework may import those before it.
LAYERS = [
    {
        "error_texts",
        "error_declaration",
        "exception",
        "docstring",
        "body_size",
        "clock",
        "throttled_log",
        "service",
        "suggestion",
        "place",
        "media_type",
        "worker",
    },
    {"schema", "settings"},
    {"functions", "call_plan", "entry", "values", "caller", "call", "request", "parameters", "multipart"},
    {"guard", "endpoint", "catalogue", "version"},
    {"breaker", "runner", "pipeline"},
    {"faces"},
    {"governance"},
    {"observability"},
    {"application", "client"},
    {"servers"},
    {"commands"},
    {"cli"},
]
# What each package may import of the others.
PACKAGES = {
    "apizen": set(),
    "webapi": {"apizen", "demo", "screenshare"},
    "screenshare": set(),
    "demo": {"apizen.exception"},
}
# The only modules of the framework that may import a library.
ONLY = {"tornado": ("apizen.servers.tornado", "apizen.cli", "apizen.multipart")}


def imported(path: Path) -> set[str]:
    """The modules that one imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def modules_of(package: str) -> dict[str, Path]:
    found = {}
    for path in (ROOT / package).rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = {name: path for package in PACKAGES for name, path in modules_of(package).items()}


def module_of(name: str) -> str | None:
    """The module of this repository where a name comes from."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or None


def neighbours(module: str) -> Iterator[str]:
    """The modules of this repository that one imports."""
    for name in imported(MODULES[module]):
        found = module_of(name)
        # A package's own __init__ is imported with each of its modules; what it exports comes from those.
        if found not in (None, module):
            yield str(found)


def level_of(module: str) -> int:
    """The number of a module's layer; those of `apizen` itself stand on all others."""
    _, _, inner = module.partition(".")
    part = inner.partition(".")[0]
    return next((level for level, layer in enumerate(LAYERS) if part in layer), -1)


def test_every_module_has_a_layer() -> None:
    parts = {name.split(".")[1] for name in MODULES if name.startswith("apizen.")}
    assert parts == set().union(*LAYERS)


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("apizen.")])
def test_no_import_runs_up(module: str) -> None:
    assert not [name for name in neighbours(module) if name != "apizen" and level_of(name) > level_of(module)]


def test_no_circle() -> None:
    """Also where a function or a type checker imports."""
    graphlib.TopologicalSorter({name: set(neighbours(name)) for name in MODULES}).prepare()


def test_the_pipeline_knows_no_protocol() -> None:
    known, left = set(), ["apizen.pipeline"]
    while left:
        module = left.pop()
        known.add(module)
        left += [name for name in neighbours(module) if name not in known and name != "apizen"]
    for protocol in ("request", "media_type", "parameters", "multipart", "faces", "servers"):
        assert not [module for module in known if f"{module}.".startswith(f"apizen.{protocol}.")]


@pytest.mark.parametrize("library", ONLY)
def test_libraries_stay_where_they_are_used(library: str) -> None:
    for module in (name for name in MODULES if f"{name}.".startswith("apizen.")):
        if library in {name.split(".")[0] for name in imported(MODULES[module])}:
            assert f"{module}.".startswith(tuple(f"{allowed}." for allowed in ONLY[library])), module


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_know_only_what_they_may(package: str) -> None:
    for module, path in MODULES.items():
        for name in imported(path) if module.split(".")[0] == package else ():
            other = name.split(".")[0]
            if other in PACKAGES and other != package:
                assert any(f"{name}.".startswith(f"{allowed}.") for allowed in PACKAGES[package]), f"{path}: {name}"


def fresh(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_starts_nothing() -> None:
    code = "import threading, apizen, apizen.faces.rpc, apizen.cli; print(threading.active_count())"
    assert fresh(code) == "1"


@pytest.mark.parametrize("package", ["faces", "governance", "observability", "schema"])
def test_only_the_server_needs_tornado(package: str) -> None:
    names = [name for name in MODULES if f"{name}.".startswith(f"apizen.{package}.") and ".migrations" not in name]
    code = (
        f"import importlib, sys; [importlib.import_module(name) for name in {names}]; print('tornado' in sys.modules)"
    )
    assert fresh(code) == "False"


def test_importing_loads_nothing_heavy() -> None:
    heavy = {
        "cv2",
        "mss",
        "sqlalchemy",
        "redis",
        "httpx",
        "prometheus_client",
        "pydantic",
        "docstring_parser",
        "limits",
    }
    assert fresh(f"import sys, webapi.methods, apizen.cli; print({heavy} & set(sys.modules))") == "set()"


def test_exported_names_exist() -> None:
    names = [name for name in MODULES if name.startswith("apizen") and ".migrations" not in name]
    code = (
        "import importlib\n"
        f"for module in map(importlib.import_module, {names}):\n"
        "    for name in getattr(module, '__all__', ()): getattr(module, name)"
    )
    assert fresh(code) == ""
