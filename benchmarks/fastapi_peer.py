"""A peer: the same function under FastAPI, as ``async def`` and as plain ``def``.

The return annotation is there for speed: with it FastAPI writes the answer by pydantic's serializer. Of
this, no annotation, a pydantic model and a JSONResponse, it took the least CPU time.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

__all__ = ["app"]

app = FastAPI()


@app.get("/async/set-user")
async def set_user_async(user_id: int, name: str, mark: float | None = None, age: int = 19) -> dict[str, Any]:
    return {
        "meta": {"code": 1000, "message": "执行成功"},
        "response": [{"user_id": user_id, "name": name, "age": age, "mark": mark}],
    }


@app.get("/plain/set-user")
def set_user_plain(user_id: int, name: str, mark: float | None = None, age: int = 19) -> dict[str, Any]:
    return {
        "meta": {"code": 1000, "message": "执行成功"},
        "response": [{"user_id": user_id, "name": name, "age": age, "mark": mark}],
    }
