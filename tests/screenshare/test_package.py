"""The package as a whole: its imports run in no circle, also where a function or a type checker imports."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import screenshare

FOLDER = Path(screenshare.__file__).parent


def imported(path: Path) -> Iterator[str]:
    """The modules of the package that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("screenshare"))
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("screenshare"):
            yield str(node.module)


def test_imports_run_in_no_circle() -> None:
    graph = {f"screenshare.{path.stem}": set(imported(path)) for path in FOLDER.glob("*.py") if path.stem != "__init__"}
    graph["screenshare"] = set(imported(FOLDER / "__init__.py"))
    assert {name for names in graph.values() for name in names} <= set(graph)
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError with the circle
