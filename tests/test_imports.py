"""What may import what, and that importing starts nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Each module of the framework may import those before it.
ORDER = [
    "explanation", "exception", "media_type", "document", "coercion", "constraint", "composition", "record", "schema",
    "signature", "message", "parameters", "guard", "version", "envelope", "breaker", "runner", "negotiation",
    "cross_origin", "exchange", "answers", "readers", "body_budget", "gateway", "multipart", "quiet", "connection",
    "connections", "pages", "handler", "supervisor", "descriptors", "listener", "server", "settings",
    "governance.error", "governance.address", "governance.folder", "governance.record",
    "governance.secret", "governance.tables", "governance.database", "governance.apps", "governance.bans",
    "governance.snapshot", "governance.directory", "governance.window", "governance.digest_table",
    "governance.checked_file", "governance.owned_file", "governance.claims",
    "governance.counters", "governance.shared_file", "governance.file_counters", "governance.redis_counters",
    "governance.rate", "governance.lockout", "governance.cross_site", "governance.familiar", "governance.canonical",
    "governance.signing", "governance.signed", "governance.control",
    "observability.sink", "observability.masking", "observability.writer", "observability.journal",
    "observability.metrics", "observability.errors", "observability.status", "observability.observation",
    "application", "client", "commands.command", "commands.console", "commands.app", "commands.ban",
    "commands.maintenance", "commands.sign", "commands.top", "cli",
]  # fmt: skip
# What each package may import of the others.
PACKAGES = {
    "apizen": set(),
    "webapi": {"apizen", "demo", "screenshare"},
    "screenshare": set(),
    "demo": {"webapi.exception"},
}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.add(str(node.module))
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "apizen").with_suffix("").parts)


def path_of(module: str) -> Path:
    return ROOT.joinpath("apizen", *module.split(".")).with_suffix(".py")


def test_order_is_complete() -> None:
    modules = {name_of(path) for path in (ROOT / "apizen").rglob("*.py") if path.name != "__init__.py"}
    assert {name for name in modules if ".migrations." not in name} == set(ORDER)


@pytest.mark.parametrize("module", ORDER)
def test_imports_go_in_one_direction(module: str) -> None:
    names = {name.removeprefix("apizen.") for name in imported(path_of(module)) if name.startswith("apizen.")}
    assert names & set(ORDER) <= set(ORDER[: ORDER.index(module)])


@pytest.mark.parametrize("module", ORDER[: ORDER.index("multipart")])
def test_the_core_knows_no_server(module: str) -> None:
    assert not any(name.split(".")[0] == "tornado" for name in imported(ROOT / "apizen" / f"{module}.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_know_only_what_they_may(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        for name in imported(path):
            other = name.split(".")[0]
            if other in PACKAGES and other != package:
                assert any(f"{name}.".startswith(f"{allowed}.") for allowed in PACKAGES[package]), f"{path}: {name}"


def fresh(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_starts_nothing() -> None:
    code = "import threading, apizen, apizen.gateway, apizen.cli; print(threading.active_count())"
    assert fresh(code) == "1"


def test_the_gateway_runs_without_tornado() -> None:
    assert fresh("import sys, apizen.gateway; print('tornado' in sys.modules)") == "False"


@pytest.mark.parametrize("module", ["cv2", "mss", "sqlalchemy", "redis", "httpx", "prometheus_client", "pydantic"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    assert fresh(f"import sys, webapi.methods, apizen.cli; print({module!r} in sys.modules)") == "False"


@pytest.mark.parametrize("module", ["apizen", *(f"apizen.{name}" for name in ORDER)])
def test_exported_names_exist(module: str) -> None:
    code = (
        f"import importlib; m = importlib.import_module({module!r}); print([n for n in m.__all__ if not hasattr(m, n)])"
    )
    assert fresh(code) == "[]"
