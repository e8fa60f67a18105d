from __future__ import annotations

from types import SimpleNamespace

import pytest

from apizen.exception import ApiException
from apizen.request import Request, Response
from apizen.servers.edge import Edge


def face(*paths):
    def refuse(request: Request, error: ApiException) -> Response:
        return Response(error.status_code, [], str(error.err_code).encode())

    return SimpleNamespace(owns=paths.__contains__, refuse=refuse)


FIRST, SECOND = face("/a", "/both"), face("/b", "/both")


@pytest.mark.parametrize(("path", "owner"), [("/a", FIRST), ("/b", SECOND), ("/both", FIRST), ("/c", None), ("", None)])
def test_the_first_face_that_owns_a_path(path, owner):
    assert Edge([FIRST, SECOND], 100).face_of(path) is owner


def test_what_is_no_http_is_answered_by_the_first_face():
    assert Edge([FIRST, SECOND], 100).malformed() == Response(400, [], b"1025")
