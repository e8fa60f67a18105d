"""The five servers under load: how each is started, the request it gets and the answer it must give.

All get the same four parameters and answer the same envelope. FastAPI gets its function by path, so it
need not parse ``v`` and ``method``; the constant handler gets the very request that this server gets.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

__all__ = ["ANSWER", "CASES", "GATEWAY_PATH", "RATIOS", "Case", "Ratio", "gateway_target"]

GATEWAY_PATH = "/api/router/rest"
PARAMETERS = "user_id=11&name=jack&mark=1.5&age=20"
ENVELOPE = {
    "meta": {"code": 1000, "message": "执行成功"},
    "response": [{"user_id": 11, "name": "jack", "age": 20, "mark": 1.5}],
}
ANSWER = json.dumps(ENVELOPE, ensure_ascii=False, separators=(",", ":")).encode()


def gateway_target(version: str, method: str, parameters: str = "") -> str:
    """The path and query that call a method of this server's."""
    return f"{GATEWAY_PATH}?v={version}&method={method}" + (f"&{parameters}" if parameters else "")


@dataclass(frozen=True, slots=True)
class Case:
    """One server and the request that it is measured with. ``{port}`` in the command is filled in at start."""

    key: str
    name: str
    command: tuple[str, ...]
    target: str
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Ratio:
    """Requests/s of one case over those of another, and what is to be reached."""

    over: str
    under: str
    target: float


_RUN = (sys.executable, "run.py", "--host", "127.0.0.1", "--port", "{port}")
_UVICORN = (
    *(sys.executable, "-m", "uvicorn", "benchmarks.fastapi_peer:app", "--host", "127.0.0.1", "--port", "{port}"),
    *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
)
_SET_USER = "matrix.api.set-user"

CASES = (
    Case("a", "api zen, inline", _RUN, gateway_target("1.0", _SET_USER, PARAMETERS), ours=True),
    Case(
        "b",
        "Tornado RequestHandler, constant",
        (sys.executable, "-m", "benchmarks.constant_peer", "{port}"),
        gateway_target("1.0", _SET_USER, PARAMETERS),
    ),
    Case("c", "FastAPI, async def", _UVICORN, f"/async/set-user?{PARAMETERS}"),
    Case(
        "d",
        "api zen, thread",
        (*_RUN, "--methods", "benchmarks.methods"),
        gateway_target("bench", _SET_USER, PARAMETERS),
        ours=True,
    ),
    Case("e", "FastAPI, def", _UVICORN, f"/plain/set-user?{PARAMETERS}"),
)
RATIOS = (Ratio("a", "b", 1.8), Ratio("a", "c", 1.5), Ratio("d", "e", 1.5))
