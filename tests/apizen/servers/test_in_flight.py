from __future__ import annotations

import asyncio

from apizen.request import Response
from apizen.servers.in_flight import InFlight

DONE = Response(200, [], b"done")


def idle() -> bool:
    return False


def test_an_answer_is_written():
    async def main():
        calls, written = InFlight(), []

        async def answer():
            return DONE

        calls.begin(answer(), written.append)
        assert len(calls) == 1
        await calls.finish(10, idle)
        assert (written, len(calls)) == ([DONE], 0)

    asyncio.run(main())


def test_a_call_has_its_grace():
    async def main():
        calls, written, gate = InFlight(), [], asyncio.Event()

        async def answer():
            await gate.wait()
            return DONE

        calls.begin(answer(), written.append)
        ending = asyncio.create_task(calls.finish(10, idle))
        await asyncio.sleep(0)
        assert not ending.done()
        gate.set()
        await ending
        assert written == [DONE]

    asyncio.run(main())


def test_a_call_that_is_late_is_cancelled():
    async def main():
        calls, written = InFlight(), []
        calls.begin(asyncio.get_running_loop().create_future(), written.append)
        await calls.finish(0.01, idle)
        assert (written, len(calls)) == ([None], 0)

    asyncio.run(main())


def test_what_is_being_written_has_its_grace_too():
    async def main():
        answers = iter([True, True, False])
        await InFlight().finish(10, lambda: next(answers))
        assert next(answers, "all were asked for") == "all were asked for"

    asyncio.run(main())
