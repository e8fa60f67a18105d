"""How many bytes of bodies a process holds: those that are on their way, and those of calls that are not answered.

A quarter is kept for small bodies, so that clients who send large ones slowly take nothing from the others.

>>> budget = BodyBudget(most=100)
>>> budget.take(70, of=70)
>>> budget.held
70
>>> budget.give_back(70)
"""

from __future__ import annotations

from apizen.body_size import LARGE_BODY
from apizen.exception import ApiSysExceptions

__all__ = ["BUDGET", "BodyBudget"]

#: Bytes of all bodies of a process.
BUDGET = 256 * 1024 * 1024


class BodyBudget:
    """What is left for bodies: ``held`` of ``most`` bytes are taken."""

    def __init__(self, most: int = BUDGET) -> None:
        self.most = most
        self.held = 0

    def take(self, size: int, of: int) -> None:
        """Takes ``size`` bytes for a body that has ``of`` bytes with them. Raises 1030 where so many are not left."""
        most = self.most if of <= LARGE_BODY else self.most * 3 // 4
        if self.held + size > most:
            raise ApiSysExceptions.service_busy("请求体占用的内存已达上限", headers={"Retry-After": "1"})
        self.held += size

    def give_back(self, size: int) -> None:
        self.held -= size
