"""A peer: the least that a Tornado RequestHandler can do, answer the same bytes whatever is asked.

``python -m benchmarks.constant_peer PORT``
"""

from __future__ import annotations

import asyncio
import sys

from tornado.web import Application, RequestHandler

from benchmarks.cases import ANSWER, GATEWAY_PATH


class Constant(RequestHandler):
    def get(self) -> None:
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.write(ANSWER)


async def serve(port: int) -> None:
    Application([(GATEWAY_PATH, Constant)]).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
