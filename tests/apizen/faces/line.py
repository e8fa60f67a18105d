"""A face of its own protocol: a line of JSON comes in, a line of JSON goes out."""

from __future__ import annotations

import inspect
from time import perf_counter
from typing import Any

import msgspec

from apizen.application import Application
from apizen.call import Call
from apizen.caller import Caller
from apizen.exception import SUCCESS_CODE, ApiSysExceptions
from apizen.request import request_id_of
from apizen.values import Values


class LineFace:
    """``{"call": "1.0 add", "values": {…}, "public": {…}}`` gives ``{"value": …}`` or ``{"error": [1013, "…"]}``."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def answer(self, line: bytes, address: str) -> bytes:
        started = perf_counter()
        call = Call(Caller(address, request_id_of({})))
        try:
            answer = {"value": await self._value_of(call, line)}
            call.code = SUCCESS_CODE
        except Exception as error:
            told = self._app.pipeline.explain(call, error)
            answer = {"error": [told.err_code, told.message]}
        written = msgspec.json.encode(answer) + b"\n"
        for observe in self._app.observation.observers:
            observe(call, call.verb, 200, len(line), len(written), perf_counter() - started)
        return written

    async def _value_of(self, call: Call, line: bytes) -> Any:
        self._app.pipeline.open_doors(call.caller)
        try:
            asked = msgspec.json.decode(line)
            call.version, call.method = asked["call"].split()
            values = msgspec.json.encode(asked["values"])
            public = msgspec.convert(asked.get("public", {}), dict[str, str])
            call.values = Values(msgspec.convert(asked["values"], dict[str, Any]), public, values)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ApiSysExceptions.bad_request("应为一行 JSON") from None
        endpoint = self._app.catalogue.find(call.version, call.method)
        call.registered, call.logged_values = True, call.values.named
        value = self._app.pipeline.call(endpoint, call)
        return await value if inspect.isawaitable(value) else value
