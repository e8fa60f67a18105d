"""A client of the gateway, on httpx: `Client`, and `AsyncClient` for ``await``.

::

    with Client('http://127.0.0.1:8010/api/router/rest', app_key, secret) as client:
        user = client.call('matrix.api.set-user', v='1.0', user_id=1)
        found = client.call('users.find', 'GET', v='1.0', tags=['a', 'b'], since=date(2026, 1, 1))

`call` gives the envelope's result or raises `ApiError`. With an ``app_key`` every call is signed, by `hmac-sha256-v2`;
``sign_method`` chooses one of the platform's forms, for a server that takes no other.

A parameter that is text goes as it is, None is left out so that the function's default counts, and everything else
goes as its JSON text: ``12``, ``true``, ``["a","b"]``; dates, times, Decimals, UUIDs and enums as in JSON, without the
quotes. They go as a form, for GET and DELETE in the query string.

After 1008 a call is tried again once, by the server's time, where the client's clock is off by at most a day. After a
code that the list of errors calls retryable it is tried again up to twice, each time after the seconds that Retry-After
says. Every attempt is signed anew. A call whose connection breaks is not tried again: it may have run.

What is here runs in the caller's program: it may use the rules of names, signatures and error codes, and no server.
"""

from apizen.client.clients import AsyncClient, Client
from apizen.client.error import ApiError

__all__ = ["ApiError", "AsyncClient", "Client"]
