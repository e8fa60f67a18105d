"""The body of a request while it comes."""

from __future__ import annotations

from apizen.body_size import check_size
from apizen.servers import http_rules
from apizen.servers.body_budget import BodyBudget

__all__ = ["IncomingBody"]


class IncomingBody:
    """Keeps the pieces of a body, within its limit and the budget of the process.

    It may have ``most`` bytes. That is checked only after `limit` was called: until then its limit may change.
    ``announced`` is how many bytes the client says that it has, 0 where it does not say, ``received`` how many have
    come, ``kept`` whether they are kept.

    >>> body = IncomingBody(BodyBudget(), most=10)
    >>> body.add(b'name='), body.add(b'jack')
    (None, None)
    >>> body.take()
    b'name=jack'
    """

    __slots__ = ("_budget", "_chunks", "_held", "_limited", "announced", "kept", "most", "received")

    def __init__(self, budget: BodyBudget, most: int, announced: int = 0) -> None:
        self.most = most
        self.announced = announced
        self.received = 0
        self.kept = True
        self._limited = False
        self._budget = budget
        self._chunks: list[bytes] = []
        self._held = 0

    def limit(self, most: int) -> None:
        """From now on it may have no more bytes than these."""
        self.most = most
        self._limited = True

    def throw_away(self, most: int) -> None:
        """Nobody reads it; it may have no more bytes than these. Raises 1028 where more are announced."""
        self.limit(most)
        self.kept = False
        check_size(self.announced, most)

    def is_large(self, size: int) -> bool:
        """Whether a request is judged before the rest of its body is read, when so much of it is known of."""
        return http_rules.is_large(size, self.most)

    def add(self, chunk: bytes) -> None:
        """The next piece. Raises 1028 for one too many, 1030 where there is no memory left for it."""
        size = len(chunk)
        self.received += size
        self._budget.take(size, of=self.received)
        self._held += size
        if self._limited:
            check_size(self.received, self.most)
        if self.kept:
            self._chunks.append(chunk)

    def take(self) -> bytes:
        """All of it, which is kept no longer. It counts for the budget until `end`."""
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        return body

    def end(self) -> None:
        """Nobody needs it any more."""
        self._chunks.clear()
        if self._held:
            self._budget.give_back(self._held)
            self._held = 0
