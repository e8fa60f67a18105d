"""The seven servers under load: how each is started, the request it gets and the answer it must give.

All get the same four parameters and answer the same envelope. FastAPI gets its function by path, so it
need not parse ``v`` and ``method``; the constant handler gets the very request that this server gets.

No peer writes an access log or counts its calls, and so this server does neither beside them. What the
access log, the metrics and a rate limit cost, all of them on, is seen in a case of its own, and so is what
signed calls cost; both are compared with the first case.
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
    """One server and the request that it is measured with.

    At start ``{port}`` in the command is filled in, and ``{data}``, an empty folder of the server's own. A case
    that is ``signed`` has an app in it, and each request gets that app's signature.
    """

    key: str
    name: str
    command: tuple[str, ...]
    target: str
    ours: bool = False
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Ratio:
    """Requests/s of one case over those of another, and what is to be reached."""

    over: str
    under: str
    target: float


_RUN = (sys.executable, "run.py", "--host", "127.0.0.1", "--port", "{port}", "--data", "{data}")
_QUIET = (*_RUN, "--access-log", "off", "--no-metrics")
_METHODS = ("--methods", "benchmarks.methods")
_UVICORN = (
    *(sys.executable, "-m", "uvicorn", "benchmarks.fastapi_peer:app", "--host", "127.0.0.1", "--port", "{port}"),
    *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
)
_SET_USER = "matrix.api.set-user"

CASES = (
    Case("a", "api zen, inline", _QUIET, gateway_target("1.0", _SET_USER, PARAMETERS), ours=True),
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
        (*_QUIET, *_METHODS),
        gateway_target("bench", _SET_USER, PARAMETERS),
        ours=True,
    ),
    Case("e", "FastAPI, def", _UVICORN, f"/plain/set-user?{PARAMETERS}"),
    Case(
        "f",
        "api zen, inline, with access log, metrics and rate limit",
        (*_RUN, "--access-log", "access.log", "--rate", "1000000000/hour"),
        gateway_target("1.0", _SET_USER, PARAMETERS),
        ours=True,
    ),
    Case(
        "g",
        "api zen, inline, signed",
        (*_QUIET, *_METHODS),
        gateway_target("bench", "bench.signed.set-user", PARAMETERS),
        ours=True,
        signed=True,
    ),
)
RATIOS = (
    Ratio("a", "b", 1.8),
    Ratio("a", "c", 1.5),
    Ratio("d", "e", 1.5),
    Ratio("f", "a", 0.75),
    Ratio("g", "a", 0.7),
)
