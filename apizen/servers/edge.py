"""What the edge of any server works with: the faces behind it, and what all their requests share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from apizen.exception import ApiSysExceptions
from apizen.faces.face import Face, Observer
from apizen.request import Request, Response
from apizen.servers import http_rules
from apizen.servers.body_budget import BodyBudget
from apizen.servers.in_flight import InFlight
from apizen.servers.incoming_body import IncomingBody

__all__ = ["Edge"]


class Edge:
    """The first of the ``faces`` answers for what is no face's own.

    ``max_body`` is in bytes, and for all that is no call; a face that reads bodies knows its own. ``check_ban`` raises
    an `ApiException` for a request of somebody who is banned, where its face does not ask by itself: for what no face
    reads, and for preflights.
    """

    def __init__(
        self,
        faces: Sequence[Face],
        max_body: int,
        observers: Sequence[Observer] = (),
        check_ban: Callable[[Request], None] = lambda request: None,
    ) -> None:
        self.faces = tuple(faces)
        self.max_body = max_body
        self.observers = tuple(observers)
        self.check_ban = check_ban
        self.budget = BodyBudget()
        self.in_flight = InFlight()

    def face_of(self, path: str) -> Face | None:
        """The face that answers for a path."""
        for face in self.faces:
            if face.owns(path):
                return face
        return None

    def route(self, request: Request, body: IncomingBody | None) -> Face | None:
        """Finds out, before its body is read, whose a request is: None for no face's. Raises what keeps it out.

        ``request`` has no body yet; ``body`` is the one that it announces.
        """
        face = self.face_of(request.path)
        if face is not None and face.reads_bodies:
            if request.verb == "OPTIONS":
                self.check_ban(request)
            return face
        if body is not None:
            body.throw_away(http_rules.limit_unread(request.headers, body.most))
        self.check_ban(request)
        http_rules.check_unread(request)
        return face

    def malformed(self) -> Response:
        """The answer to what is no HTTP request at all."""
        return self.faces[0].refuse(Request("GET", "", {}), ApiSysExceptions.bad_request())
